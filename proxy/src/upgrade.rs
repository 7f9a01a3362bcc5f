//! Upgrades of HTTP/1.1 (RFC 9110 §7.8): WebSockets pass both sidecars, and become opaque bytes on the way. Used by
//! `outbound` and `inbound`. Nothing behind a request's head goes on before the other side has agreed with 101;
//! until then it is the next request.

use std::sync::Arc;

use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use crate::body::Body;
use crate::drain;
use crate::error::{Error, Token};
use crate::record::{Answer, Record};
use crate::upstream::Switched;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// A client's wish to go on with another protocol.
#[derive(Debug)]
pub struct Wish(OnUpgrade);

/// Takes the wish out of a request, before its hop-by-hop headers go.
///
/// # Errors
/// [`Token::UpgradeRefused`] for another protocol than WebSocket. `h2c` is not answered at all, as RFC 9113 §3.1
/// has it: Java's clients ask for it with every first request.
pub fn take<B>(request: &mut Request<B>) -> Result<Option<Wish>, Error> {
    if !request.headers().contains_key(UPGRADE) || !is_listed(request.headers()) {
        return Ok(None);
    }
    let mut protocols = request.headers().get_all(UPGRADE).iter();
    match (protocols.next().map(HeaderValue::as_bytes), protocols.next()) {
        (Some(one), None) if one.eq_ignore_ascii_case(b"websocket") => {
            Ok(Some(Wish(hyper::upgrade::on(request))))
        }
        (Some(one), None) if one.eq_ignore_ascii_case(b"h2c") => Ok(None),
        _ => Err(Error::new(Token::UpgradeRefused, "only upgrades to websocket are served")),
    }
}

/// Does `Connection` list it? Without that it is for nobody.
fn is_listed(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(CONNECTION).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|name| name.trim().eq_ignore_ascii_case("upgrade"))
}

/// Asks the next hop, if there is a wish, after the hop-by-hop headers of this one are gone.
pub fn ask(wish: Option<&Wish>, headers: &mut HeaderMap) {
    if wish.is_some() {
        agree(headers);
    }
}

fn agree(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
}

/// The wish, if the response grants it.
///
/// # Errors
/// If it grants what nobody has asked for.
pub fn granted<B>(wish: Option<Wish>, response: &Response<B>) -> Result<Option<Wish>, Error> {
    match (response.status(), wish) {
        (StatusCode::SWITCHING_PROTOCOLS, Some(wish)) => Ok(Some(wish)),
        (StatusCode::SWITCHING_PROTOCOLS, None) => {
            Err(Error::new(Token::ResponseError, "101 without a request for an upgrade"))
        }
        _ => Ok(None),
    }
}

/// Answers 101 and carries the bytes of both sides until one of them fails, both have ended, or the drain's grace
/// is over. The record stays open, and the request counts as one under way, until then.
pub fn switch(
    wish: Wish,
    answer: Answer,
    record: Record,
    watch: &Arc<drain::Watch>,
) -> Response<Body> {
    let Answer { mut response, in_flight, .. } = answer;
    let upstream = std::mem::take(response.body_mut()).into_switched();
    let mut head = Response::new(Body::Empty);
    *head.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *head.headers_mut() = std::mem::take(response.headers_mut());
    agree(head.headers_mut());
    let watch = Arc::clone(watch);
    tokio::spawn(async move {
        let carried = tokio::select! {
            carried = carry(wish.0, upstream) => carried.map_err(|_| Token::ConnectionTerminated),
            () = watch.aborted() => Err(Token::ConnectionTerminated),
        };
        record.switched(carried);
        drop(in_flight);
    });
    head
}

/// Bytes to the client.
async fn carry(downstream: OnUpgrade, upstream: Option<Switched>) -> std::io::Result<u64> {
    let Some(mut upstream) = upstream else { return Err(std::io::ErrorKind::NotConnected.into()) };
    let mut downstream = TokioIo::new(downstream.await.map_err(std::io::Error::other)?);
    Ok(copy_bidirectional(&mut downstream, &mut upstream).await?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(headers: &[(&str, &str)]) -> Result<bool, Token> {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let wish = take(&mut request.body(()).unwrap());
        wish.map(|wish| wish.is_some()).map_err(|error| error.token())
    }

    #[test]
    fn wishes() {
        let refused = Err(Token::UpgradeRefused);
        for (connection, upgrade, expected) in [
            ("upgrade", "websocket", Ok(true)),
            ("keep-alive, Upgrade", "WebSocket", Ok(true)),
            ("keep-alive", "websocket", Ok(false)),
            ("Upgrade, HTTP2-Settings", "h2c", Ok(false)),
            ("upgrade", "TLS/1.2", refused),
            ("upgrade", "websocket, h2c", refused),
        ] {
            let headers = [("connection", connection), ("upgrade", upgrade)];
            assert_eq!(taken(&headers), expected, "{headers:?}");
        }
        let twice = [("connection", "upgrade"), ("upgrade", "websocket"), ("upgrade", "x")];
        assert_eq!(taken(&twice), refused);
        assert_eq!(taken(&[("connection", "upgrade")]), Ok(false));
    }

    #[test]
    fn nobody_switches_unasked() {
        let mut response = Response::new(());
        assert!(granted(None, &response).unwrap().is_none());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        assert_eq!(granted(None, &response).unwrap_err().token(), Token::ResponseError);
    }
}
