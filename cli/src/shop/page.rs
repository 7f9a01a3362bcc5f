//! The shop's front page, drawn from what user and product answered. Pure; used by `gateway`.

use std::fmt::Write as _;

use serde_json::Value;

use super::peer::Answer;

/// The page around the shelf; `{{…}}` are filled in by [`render`].
const TEMPLATE: &str = include_str!("front.html");

/// The whole page. Parts that could not be had are said to be missing, not left out.
pub(super) fn render(user: &Answer, shelf: &Answer) -> String {
    let name = user.body["name"].as_str().unwrap_or("stranger");
    let version = shelf.body["version"].as_str().unwrap_or("none");
    TEMPLATE
        .replace("{{user}}", &escape(name))
        .replace("{{version}}", &escape(version))
        .replace("{{shelf}}", &items(shelf))
}

fn items(shelf: &Answer) -> String {
    let Some(products) = shelf.body["products"].as_array().filter(|_| shelf.is_good()) else {
        let reason = shelf.body["error"].as_str().unwrap_or("no reason given");
        return format!(
            "<p class=\"missing\">No products: {} ({})</p>",
            shelf.status,
            escape(reason)
        );
    };
    let mut html = String::new();
    for product in products {
        let name = escape(product["name"].as_str().unwrap_or_default());
        let cents = product["cents"].as_u64().unwrap_or_default();
        let id = product["id"].as_u64().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(
            html,
            "<article><h2>{name}</h2>{stars}<p class=\"price\">€ {}.{:02}</p>\
             <button data-product=\"{id}\">Buy</button></article>",
            cents / 100,
            cents % 100,
            stars = stars(&product["stars"]),
        );
    }
    html
}

/// Ratings come from version 2 only.
fn stars(rating: &Value) -> String {
    rating.as_f64().map_or(String::new(), |stars| format!("<p class=\"stars\">★ {stars:.1}</p>"))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
