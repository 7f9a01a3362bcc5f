//! What a browser sees.

use http::StatusCode;
use serde_json::json;

use super::*;

fn answer(status: StatusCode, body: Value) -> Answer {
    Answer { status, body }
}

#[test]
fn the_version_of_product_is_seen() {
    let user = answer(StatusCode::OK, json!({ "name": "Ada" }));
    let shelf = |version: &str, product: Value| {
        answer(StatusCode::OK, json!({ "version": version, "products": [product] }))
    };
    let v1 = render(&user, &shelf("v1", json!({ "id": 1, "name": "Loom", "cents": 24_905 })));
    assert!(v1.contains("Ada") && v1.contains("€ 249.05") && !v1.contains("★"), "{v1}");
    let product = json!({ "id": 1, "name": "Loom", "cents": 1, "stars": 4.8 });
    let v2 = render(&user, &shelf("v2", product));
    assert!(v2.contains("★ 4.8") && v2.contains("data-version=\"v2\""), "{v2}");
}

#[test]
fn a_missing_shelf_is_said_and_its_text_cannot_become_markup() {
    let user = answer(StatusCode::BAD_GATEWAY, json!({ "error": "x" }));
    let shelf = answer(StatusCode::SERVICE_UNAVAILABLE, json!({ "error": "<script>" }));
    let page = render(&user, &shelf);
    assert!(page.contains("503") && page.contains("&lt;script&gt;"), "{page}");
    assert!(page.contains("stranger"));
}
