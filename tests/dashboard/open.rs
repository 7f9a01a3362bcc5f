//! Nodes and edges are opened and closed, by keyboard and by the browser's own back and forward.

use super::{MARKUP, keep_picture};
use crate::harness::Browser;

const PRODUCT: &str = "product.shop";
const EDGE: &str = "gateway.shop → product.shop";

/// Waits until the panel says this.
async fn says(browser: &mut Browser, word: &str) {
    let shows = format!("document.getElementById('panel').textContent.includes({word:?})");
    browser.until(&format!("the panel says {word}"), &shows).await;
}

/// Chooses a node or an edge in the graph, as by Tab and Enter.
pub(crate) async fn open(browser: &mut Browser, id: &str) {
    let focus = format!(
        "(() => {{ const one = document.querySelector('[data-id=\"{id}\"][role=button]'); one?.focus();
            return document.activeElement === one; }})()"
    );
    browser.until("it can be reached", &focus).await;
    browser.press("Enter", 13).await;
    let heading = format!("document.querySelector('#panel h2')?.textContent === {id:?}");
    browser.until("the panel is open", &heading).await;
}

pub(super) async fn close(browser: &mut Browser, id: &str) {
    browser.press("Escape", 27).await;
    browser.until("the panel is closed", "document.getElementById('panel').hidden").await;
    let focused = format!("document.activeElement.dataset.id === {id:?}");
    browser.until("focus is where it was", &focused).await;
}

pub(super) async fn nodes_and_edges_by_keyboard(browser: &mut Browser) {
    open(browser, PRODUCT).await;
    for word in [
        "Routes in use",
        "product-v1.shop",
        "spiffe://mesh.test/ns/shop/sa/product",
        "left",
        // In force, each by its name.
        "HTTPRoute/shop/web",
        "TrafficPolicy/shop/product",
        "InboundPolicy/shop/strict",
        "mTLS STRICT",
        "AccessPolicy/shop/callers",
        "TelemetryPolicy/shop/tell",
        "MeshConfig/weft-system/default",
        // Who may call it, and by which rule.
        "AccessPolicy/shop/callers#gateway",
        "spiffe://mesh.test/ns/shop/sa/gateway",
    ] {
        says(browser, word).await;
    }
    keep_picture(browser, "node").await;
    close(browser, PRODUCT).await;

    open(browser, EDGE).await;
    for word in ["Failed and slow requests", "90.0 %", "GET /bad", "503", "GET /slow", "200, slow"]
    {
        says(browser, word).await;
    }
    // Both sidecars remember a request. It is one line.
    let lines = "[...document.querySelectorAll('#panel tbody tr')].filter(row => row.textContent.includes('503')).length";
    browser.until("four failed", &format!("{lines} === 4")).await;
    // Somebody asked for a path that reads like markup.
    let written = format!(
        "document.getElementById('panel').textContent.includes({MARKUP:?}) || \
        document.getElementById('panel').textContent.includes('%3Cimg')"
    );
    browser.until("the path is shown as it is", &written).await;
    assert_eq!(browser.eval("document.images.length").await.unwrap(), 0, "it stays text");
    // However long a path is, what became of the request is in sight.
    let fits = "[...document.querySelectorAll('#panel .scroll')].every(one => one.scrollWidth <= one.clientWidth)";
    browser.until("no line is cut off", fits).await;
    keep_picture(browser, "edge").await;
    close(browser, EDGE).await;
}

pub(super) async fn back_and_forward(browser: &mut Browser) {
    open(browser, PRODUCT).await;
    open(browser, EDGE).await;
    browser.eval("history.back()").await.unwrap();
    let node = format!("document.querySelector('#panel h2')?.textContent === {PRODUCT:?}");
    browser.until("back to the node", &node).await;
    browser.eval("history.back()").await.unwrap();
    browser.until("back to the graph", "document.getElementById('panel').hidden").await;
    // A link that is no link of ours does no harm.
    browser.eval("location.hash = '#node=%'").await.unwrap();
    browser.eval("location.hash = '#edge=nobody'").await.unwrap();
    assert_eq!(browser.eval("document.getElementById('panel').hidden").await.unwrap(), true);
}
