//! A real browser, without a screen: Chromium, told what to do over its DevTools protocol.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::{Process, Program, eventually, http1, loud, request, within};

/// A browser on a busy machine.
const SOON: Duration = Duration::from_secs(120);

/// A running browser with one page.
pub(crate) struct Browser {
    _process: Process,
    _directory: TempDir,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next: AtomicU64,
    /// What the page complained of: errors of scripts, and what its policy forbade.
    complaints: Vec<String>,
}

impl Browser {
    /// Starts it and opens this page. `None`, said loudly, where there is no Chromium.
    pub(crate) async fn open(url: &str) -> Option<Self> {
        let path = ["/usr/bin/chromium", "/usr/bin/google-chrome"].map(PathBuf::from);
        let Some(path) = path.into_iter().find(|path| path.exists()) else {
            loud("browser: SKIPPED, no Chromium: apt-get install chromium (tests/run does)");
            return None;
        };
        Some(Self::start(path, url).await.expect("the browser starts"))
    }

    async fn start(path: PathBuf, url: &str) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("weft-browser-").tempdir()?;
        let profile = directory.path().join("profile");
        let process = Process::start(Program {
            name: "Chromium".to_owned(),
            path,
            args: vec![
                "--headless=new".into(),
                // It runs as root in CI, and opens nothing but our page.
                "--no-sandbox".into(),
                "--disable-gpu".into(),
                "--disable-dev-shm-usage".into(),
                "--no-first-run".into(),
                "--remote-debugging-port=0".into(),
                format!("--user-data-dir={}", profile.display()).into(),
                "about:blank".into(),
            ],
            variables: vec![("HOME".to_owned(), directory.path().display().to_string())],
            log: directory.path().join("log"),
        })?;
        let page = eventually("the browser listens", SOON, async || {
            process.pid()?;
            Self::page(&profile).await
        })
        .await;
        let (socket, _) = tokio_tungstenite::connect_async(page).await?;
        let (next, complaints) = (AtomicU64::new(1), Vec::new());
        let mut browser =
            Self { _process: process, _directory: directory, socket, next, complaints };
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({})).await?;
        }
        browser.call("Page.navigate", json!({ "url": url })).await?;
        Ok(browser)
    }

    /// The address by which its page is told what to do.
    async fn page(profile: &Path) -> Result<String> {
        let text = std::fs::read_to_string(profile.join("DevToolsActivePort"))?;
        let port: u16 = text.lines().next().context("a port")?.parse()?;
        let answer =
            http1(([127, 0, 0, 1], port).into(), request(Method::GET, "/json/list", &[], ""));
        let pages: Value = serde_json::from_slice(&answer.await?.body)?;
        let pages = pages.as_array().context("a list")?;
        let page = pages.iter().find(|page| page["type"] == "page").context("no page yet")?;
        Ok(page["webSocketDebuggerUrl"].as_str().context("its address")?.to_owned())
    }

    /// One command and its answer.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        let id = self.next.fetch_add(1, Relaxed);
        let text = json!({ "id": id, "method": method, "params": params }).to_string();
        self.socket.send(Message::text(text)).await?;
        let answered = async {
            loop {
                let message = self.socket.next().await.context("the browser is gone")??;
                let Message::Text(text) = message else { continue };
                let message: Value = serde_json::from_str(&text)?;
                if message["id"] == id {
                    ensure!(message["error"].is_null(), "{method}: {message}");
                    return Ok(message["result"].clone());
                }
                let params = &message["params"];
                let level = params["entry"]["level"].as_str();
                if message["method"] == "Runtime.exceptionThrown" || level == Some("error") {
                    self.complaints.push(params.to_string());
                }
            }
        };
        within(method, SOON, answered).await
    }

    /// The value of an expression on the page.
    pub(crate) async fn eval(&mut self, expression: &str) -> Result<Value> {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", params).await?;
        if !answer["exceptionDetails"].is_null() {
            bail!("{expression}: {}", answer["exceptionDetails"]);
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&mut self, what: &str, expression: &str) {
        let end = tokio::time::Instant::now() + SOON;
        loop {
            let last = self.eval(expression).await;
            if last.as_ref().is_ok_and(|value| *value == true) {
                return;
            }
            assert!(tokio::time::Instant::now() < end, "{what}: {last:?}; {:?}", self.complaints);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A window of this size.
    pub(crate) async fn resize(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", size).await.expect("it can be resized");
    }

    /// `light` or `dark`.
    pub(crate) async fn prefer(&mut self, scheme: &str) {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media).await.expect("it can be emulated");
    }

    /// A key, pressed and let go.
    pub(crate) async fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let text = if key == "Enter" && kind == "keyDown" { "\r" } else { "" };
            let params = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.call("Input.dispatchKeyEvent", params).await.expect("it takes keys");
        }
    }

    /// The whole page as PNG.
    pub(crate) async fn picture(&mut self) -> Vec<u8> {
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.call("Page.captureScreenshot", params).await.expect("a picture");
        STANDARD.decode(answer["data"].as_str().expect("base64")).expect("base64")
    }

    /// What the page complained of so far.
    pub(crate) fn complaints(&self) -> &[String] {
        &self.complaints
    }
}
