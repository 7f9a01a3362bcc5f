//! An application that reads HTTP/1.1 to the letter and no more generously: it counts requests as a strict server
//! counts them, and remembers every byte. What a proxy smuggles past its own judgement shows here.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A running application. Ends with the value.
#[derive(Debug)]
pub(crate) struct RawApp {
    state: Arc<Mutex<State>>,
    server: AbortHandle,
}

#[derive(Debug, Default)]
struct State {
    heads: Vec<String>,
    faults: Vec<String>,
}

impl RawApp {
    /// Starts it.
    pub(crate) async fn start(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let state = Arc::new(Mutex::new(State::default()));
        let seen = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &seen).await {
                        lock(&seen).faults.push(format!("{error:#}"));
                    }
                });
            }
        });
        Ok(Self { state, server: server.abort_handle() })
    }

    /// The heads of all requests that came whole, body included.
    pub(crate) fn heads(&self) -> Vec<String> {
        lock(&self.state).heads.clone()
    }

    /// What was not to the letter, or broke off.
    pub(crate) fn faults(&self) -> Vec<String> {
        lock(&self.state).faults.clone()
    }
}

impl Drop for RawApp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(stream: TcpStream, state: &Mutex<State>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let Some(head) = head(&mut stream).await? else { return Ok(()) };
        body(&mut stream, &head).await?;
        let is_bodiless = head.starts_with("HEAD ");
        lock(state).heads.push(head);
        let body = if is_bodiless { "" } else { "ok" };
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{body}");
        stream.get_mut().write_all(answer.as_bytes()).await?;
    }
}

/// Lines that end in CR LF; `None` at an orderly end.
async fn line(stream: &mut BufReader<TcpStream>) -> Result<Option<String>> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    let Some(text) = line.strip_suffix(b"\r\n") else { bail!("a line without CR LF: {line:?}") };
    Ok(Some(String::from_utf8_lossy(text).into_owned()))
}

async fn head(stream: &mut BufReader<TcpStream>) -> Result<Option<String>> {
    let mut head = String::new();
    loop {
        match line(stream).await? {
            None if head.is_empty() => return Ok(None),
            None => bail!("broken off in a head"),
            Some(line) if line.is_empty() => break,
            Some(line) => head += &format!("{line}\r\n"),
        }
    }
    let request_line = head.lines().next().unwrap_or_default();
    let parts: Vec<&str> = request_line.split(' ').collect();
    ensure!(parts.len() == 3 && parts[2] == "HTTP/1.1", "{request_line:?}");
    let hosts = head.lines().filter(|line| line.to_ascii_lowercase().starts_with("host:")).count();
    ensure!(hosts == 1, "{hosts} hosts: {head:?}");
    Ok(Some(head))
}

fn values(head: &str, name: &str) -> Vec<String> {
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let named = headers.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.trim().to_owned()).collect()
}

async fn body(stream: &mut BufReader<TcpStream>, head: &str) -> Result<()> {
    let (lengths, codings) = (values(head, "content-length"), values(head, "transfer-encoding"));
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(()),
        ([length], []) => {
            let mut body = vec![0; length.parse()?];
            stream.read_exact(&mut body).await?;
            Ok(())
        }
        ([], [coding]) if coding == "chunked" => chunks(stream).await,
        _ => bail!("framing that reads two ways: {head:?}"),
    }
}

async fn chunks(stream: &mut BufReader<TcpStream>) -> Result<()> {
    loop {
        let Some(size) = line(stream).await? else { bail!("broken off between chunks") };
        ensure!(size.bytes().all(|byte| byte.is_ascii_hexdigit()), "chunk size {size:?}");
        let size = usize::from_str_radix(&size, 16)?;
        if size == 0 {
            break;
        }
        let mut chunk = vec![0; size];
        stream.read_exact(&mut chunk).await?;
        ensure!(line(stream).await? == Some(String::new()), "no line end after a chunk");
    }
    while line(stream).await?.is_some_and(|line| !line.is_empty()) {}
    Ok(())
}
