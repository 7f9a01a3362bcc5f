//! "open in Jaeger" of a failed and of a slow request leads to its trace; where there is none there is no link.

use super::open::{close, open};
use crate::harness::kubernetes::Jaeger;
use crate::harness::{Browser, Network};

const EDGE: &str = "gateway.shop → product.shop";

/// Of the first line with this path: what its last cell says, and where it leads.
async fn trace_of(browser: &mut Browser, path: &str) -> (String, String) {
    let line = format!(
        "[...document.querySelectorAll('#panel tbody tr')].find(row => row.cells[1]?.textContent === 'GET {path}')"
    );
    browser.until(&format!("{path} is listed"), &format!("!!{line}")).await;
    let cell = format!(
        "(() => {{ const cell = {line}.cells[4]; return [cell.textContent, cell.querySelector('a')?.href ?? '']; }})()"
    );
    let cell = browser.eval(&cell).await.unwrap();
    let text = |index: usize| cell[index].as_str().unwrap_or_default().to_owned();
    (text(0), text(1))
}

pub(super) async fn links_lead_to_traces(browser: &mut Browser, network: &Network, ui: &str) {
    open(browser, EDGE).await;
    let jaeger = Jaeger::at(network.at(3, 16686));
    for path in ["/bad", "/slow"] {
        let (text, link) = trace_of(browser, path).await;
        assert_eq!(text, "open in Jaeger");
        let id = link.strip_prefix(&format!("{ui}/trace/")).unwrap_or_else(|| panic!("{link}"));
        let trace = jaeger.whole_trace(id, 2).await;
        let spans = trace["spans"].as_array().unwrap();
        let has = |value: &str| {
            spans.iter().all(|span| {
                span["tags"].as_array().unwrap().iter().any(|tag| tag["value"] == *value)
            })
        };
        assert!(has(path), "both sidecars' spans of {path}: {trace}");
    }
    let nowhere = trace_of(browser, "/unsampled").await;
    assert_eq!(nowhere, ("not sampled".to_owned(), String::new()));
    close(browser, EDGE).await;
}
