//! How a sidecar's own words are laid out.

use serde_json::json;

use super::*;

fn plain(config: &Value) -> String {
    anstream::adapter::strip_str(&draw(config)).to_string()
}

#[test]
fn a_list_becomes_a_table_with_a_column_for_each_field() {
    let config = json!([
        {"cluster": "product.shop:8080", "endpoints": ["127.66.0.3:8080", "127.66.0.4:8080"]},
        {"source": "Service shop/user", "cluster": "user.shop:8080", "endpoints": [], "ejected": 0,
         "nothing": null}]);
    assert_eq!(
        plain(&config),
        "CLUSTER            ENDPOINTS                         EJECTED  SOURCE\n\
         product.shop:8080  127.66.0.3:8080, 127.66.0.4:8080  -        -\n\
         user.shop:8080     -                                 0        Service shop/user"
    );
    assert_eq!(plain(&json!([])), "None.");
}

#[test]
fn one_object_becomes_a_list_of_its_fields() {
    let config = json!({"identity": "spiffe://demo.local/ns/shop/sa/user", "stale": false,
        "not_after": 100, "overdue_at": 75});
    assert!(plain(&config).contains("identity    spiffe://demo.local/ns/shop/sa/user\n"));
    assert!(plain(&config).contains("1970-01-01T00:01:40Z"));
    assert!(plain(&config).contains("1970-01-01T00:01:15Z"));
}
