//! Envoy's `stateful_session` filter with a cookie → [`SessionAffinity`].

use std::mem::take;

use weft_proto::envoy::core::TypedExtensionConfig;
use weft_proto::envoy::session_cookie::CookieBasedSessionState;
use weft_proto::envoy::stateful_session::StatefulSession;

use super::reject::{At, Reject, nothing_else};
use super::value::{duration, required, unpack};
use crate::model::SessionAffinity;

/// Decodes it. A session that is `strict` would fail with its endpoint; here it goes on elsewhere.
pub(super) fn affinity(mut filter: StatefulSession) -> Result<SessionAffinity, Reject> {
    // A name for counters that only Envoy has.
    filter.stat_prefix = String::new();
    let mut state: TypedExtensionConfig = required("session_state", &mut filter.session_state)?;
    nothing_else(&filter)?;
    state.name = String::new();
    let at = "session_state";
    let config = state.typed_config.take();
    nothing_else(&state).at(at)?;
    cookie(unpack("typed_config", config).at(at)?).at("typed_config").at(at)
}

fn cookie(mut state: CookieBasedSessionState) -> Result<SessionAffinity, Reject> {
    let mut cookie = required("cookie", &mut state.cookie)?;
    nothing_else(&state)?;
    let (name, path) = (take(&mut cookie.name), take(&mut cookie.path));
    let ttl = duration("ttl", &mut cookie.ttl).at("cookie")?;
    nothing_else(&cookie).at("cookie")?;
    if http::HeaderName::try_from(name.as_str()).is_err() {
        return Err(Reject::new("cookie.name", format!("{name:?} is not a cookie's name")));
    }
    if !path.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b';') {
        return Err(Reject::new("cookie.path", format!("{path:?} is not a path")));
    }
    let ttl = ttl.map(|ttl| std::time::Duration::from_secs(ttl.as_secs()));
    Ok(SessionAffinity { cookie: name, path, ttl: ttl.filter(|ttl| !ttl.is_zero()) })
}
