//! What the page shows is what `weft stat -o json` says, at three widths, light and dark.

use serde_json::Value;

use super::keep_picture;
use crate::harness::Browser;

/// What a table shows, one object a row: `data-id`, and the value of each field.
const TABLE: &str =
    "[...document.querySelectorAll('#TABLE tbody tr')].map(row => Object.fromEntries(
    [['id', row.dataset.id], ...[...row.querySelectorAll('td[data-field]')].map(cell =>
        [cell.dataset.field, cell.dataset.value === '' ? null : Number(cell.dataset.value)])]))";

/// The rows of a table are those of the answer. The rate is not compared: the time that it is of goes on.
async fn assert_shows(
    browser: &mut Browser,
    table: &str,
    rows: &Value,
    id: impl Fn(&Value) -> String,
) {
    let shown = browser.eval(&TABLE.replace("TABLE", table)).await.unwrap();
    let (shown, rows) = (shown.as_array().unwrap(), rows.as_array().unwrap());
    assert_eq!(shown.len(), rows.len(), "{table}: {shown:?}");
    for row in rows {
        let one = shown.iter().find(|shown| shown["id"] == *id(row));
        let one = one.unwrap_or_else(|| panic!("{table} lacks {}: {shown:?}", id(row)));
        for field in ["success_rate", "p50_ms", "p99_ms", "retries", "mtls_share", "requests"] {
            let (is, says) = (one[field].as_f64(), row[field].as_f64());
            assert_eq!(is, says, "{table}, {}: {field}", id(row));
        }
    }
}

fn edge_id(edge: &Value) -> String {
    let name = |name: &str, namespace: &str| match (edge[name].as_str(), edge[namespace].as_str()) {
        (Some(name), Some(namespace)) if !namespace.is_empty() => format!("{name}.{namespace}"),
        (name, _) => name.unwrap_or_default().to_owned(),
    };
    format!("{} → {}", name("source", "source_namespace"), name("destination", "namespace"))
}

/// The page itself is never wider than its window.
pub(super) async fn assert_fits(browser: &mut Browser) {
    let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    browser.until("it is as wide as the window", &format!("{overflow} === 0")).await;
}

pub(super) async fn what_stat_says_at_every_width(browser: &mut Browser, stat: &Value) {
    for (width, height, scheme) in [(390, 844, "light"), (900, 900, "dark"), (1600, 1000, "light")]
    {
        browser.resize(width, height).await;
        browser.prefer(scheme).await;
        browser.until("it has that width", &format!("innerWidth === {width}")).await;
        assert_shows(browser, "workloads", &stat["workloads"], |row| {
            row["workload"].as_str().unwrap().to_owned()
        })
        .await;
        assert_shows(browser, "edges", &stat["edges"], edge_id).await;
        assert_fits(browser).await;
        let nodes = "document.querySelectorAll('#graph .node').length === 2";
        browser.until("gateway and product are drawn", nodes).await;
        let drawn = "(() => { const edge = document.querySelector('#graph .edge'); return [edge.classList.contains('poor'),
            edge.dataset.mtls, edge.querySelector('use').getAttribute('href')]; })()";
        let drawn = browser.eval(drawn).await.unwrap();
        let expected = serde_json::json!([true, "1", "#locked"]);
        assert_eq!(drawn, expected, "a tenth fails, over mutual TLS");
        keep_picture(browser, &format!("{width}-{scheme}")).await;
    }
}

/// Every second everything is drawn anew; what somebody is about to press must not go from under the finger.
pub(super) async fn focus_stays_where_it_is(browser: &mut Browser) {
    let drawn = "document.querySelector('#workloads polyline').getAttribute('points')";
    let before = browser.eval(drawn).await.unwrap();
    let focus = "(() => { window.pressed = document.querySelector('#edges button'); window.pressed.focus(); })()";
    browser.eval(focus).await.unwrap();
    browser.until("it is drawn again", &format!("{drawn} !== {before}")).await;
    let kept = "document.activeElement === window.pressed && window.pressed.isConnected";
    assert_eq!(browser.eval(kept).await.unwrap(), true, "focus and the button stay");
    // Only a change of state is said aloud, no figures.
    let loud = "[...document.querySelectorAll('[aria-live], [role=status], [role=alert]')].map(one => one.textContent)";
    assert_eq!(browser.eval(loud).await.unwrap(), serde_json::json!([""]));
}
