//! The page outlives whoever it asks: it says that its figures are old, and goes on by itself when they are back.

use super::{Dashboard, Signal};
use crate::harness::{Browser, Mesh};

/// It says that its figures are old, and says so aloud.
async fn is_old(browser: &mut Browser, why: &str) {
    let old = "document.body.dataset.old === 'true' && document.getElementById('state').textContent !== ''";
    browser.until("the page is old", old).await;
    let says = format!("document.getElementById('summary').textContent.includes({why:?})");
    browser.until(&format!("it says: {why}"), &says).await;
    let shown = browser.eval("document.querySelectorAll('#workloads tbody tr').length").await;
    assert_eq!(shown.unwrap(), 3, "what it knows stays");
}

async fn is_live(browser: &mut Browser) {
    let live = "document.body.dataset.old === undefined && document.getElementById('summary').className === ''";
    browser.until("the page is live", live).await;
}

pub(super) async fn through_restarts(mesh: &Mesh, dashboard: Dashboard, browser: &mut Browser) {
    mesh.control_plane().process().kill();
    is_old(browser, "These figures are old").await;
    mesh.control_plane().restart().await;
    is_live(browser).await;

    let port = dashboard.address().port().to_string();
    dashboard.process.kill();
    is_old(browser, "weft does not answer").await;
    let dashboard = Dashboard::start_on(mesh, &port, &[]).await;
    is_live(browser).await;

    // One that neither answers nor goes; an hour passes.
    dashboard.process.signal(Signal::SIGSTOP);
    browser.eval("Date.now = (now => () => now() + 3_600_000)(Date.now.bind(Date))").await.unwrap();
    is_old(browser, "nothing has come").await;
    dashboard.process.signal(Signal::SIGCONT);
    is_live(browser).await;
}
