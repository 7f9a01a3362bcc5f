//! What a rule makes of a request and of its answer: headers, path, host, the place that a redirect leads to. Called by
//! [`super::Outbound`] once a rule is found. It never decides where anything goes.

use http::header::HOST;
use http::{Request, Response, uri};

use crate::body::ClientBody;
use crate::error::Error;
use crate::model::{Redirect, Rule, Split};
use crate::router::RequestView;
use crate::upstream::ResponseBody;
use crate::{headers, router};

/// The request as routes see it.
pub(super) fn view<'a>(request: &'a Request<ClientBody>, host: &'a str) -> RequestView<'a> {
    RequestView {
        host,
        authority: request.uri().authority().map(uri::Authority::as_str),
        path: request.uri().path(),
        query: request.uri().query(),
        method: request.method(),
        headers: request.headers(),
    }
}

/// Order: what concerns this connection goes first, so that no rule can be tricked into keeping it.
pub(super) fn prepare(
    request: &mut Request<ClientBody>,
    rule: &Rule,
    split: &Split,
) -> Result<(), Error> {
    let map = request.headers_mut();
    headers::remove_hop_by_hop(map);
    // Order: as Envoy's, in both directions. `translate` never sends both.
    router::apply_headers(&split.request_headers, map);
    router::apply_headers(&rule.request_headers, map);
    if rule.rewrite.is_none() && split.host.is_none() {
        return Ok(());
    }
    let rewrite = rule.rewrite.as_deref();
    let host = rewrite.and_then(|rewrite| rewrite.host.as_ref()).or(split.host.as_ref());
    let path = rewrite.and_then(|rewrite| rewrite.path.as_ref());
    router::rewrite(host, path, &rule.matcher.path, request)
        .map_err(|error| error.caused_by(&rule.origin))
}

/// The answer as the rule wants it.
pub(super) fn finish(response: &mut Response<ResponseBody>, rule: &Rule, split: &Split) {
    let map = response.headers_mut();
    headers::remove_hop_by_hop(map);
    router::apply_headers(&split.response_headers, map);
    router::apply_headers(&rule.response_headers, map);
}

/// Where a redirect leads.
pub(super) fn location(redirect: &Redirect, rule: &Rule, request: &Request<ClientBody>) -> String {
    let uri = request.uri();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let authority = uri.authority().map(uri::Authority::as_str).or(host).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", uri::PathAndQuery::as_str);
    router::location(redirect, &rule.matcher.path, "http", authority, path)
}
