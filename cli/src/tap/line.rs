//! One request on one line: `12:01:07.114 out order.shop → payment.shop:8080  POST /charge  503  4.1 ms  mTLS  attempt 2  trace=…`.
//! Pure.

use serde_json::Value;

use crate::identity;
use crate::output::{BAD, FAINT, GOOD, WARN, styled};

/// For people.
pub(super) fn draw(request: &Value) -> String {
    let text = |field: &str| request[field].as_str().unwrap_or_default();
    let number = |field: &str| request[field].as_u64().unwrap_or(0);
    let is_outbound = text("direction") == "outbound";
    let (from, to) = match is_outbound {
        true => (text("workload").to_owned(), text("service").to_owned()),
        false => (caller(text("peer_identity"), text("peer_address")), text("workload").to_owned()),
    };
    let mut parts = vec![
        styled(FAINT, &time(request["at_ms"].as_i64().unwrap_or(0))),
        format!("{:<3} {from} → {to}", if is_outbound { "out" } else { "in" }),
        format!("{} {}", text("method"), text("path")),
        outcome(request),
        format!("{}.{} ms", number("total_us") / 1000, number("total_us") % 1000 / 100),
    ];
    match (text("peer_identity").is_empty(), is_outbound && !text("error").is_empty()) {
        (false, _) => parts.push("mTLS".to_owned()),
        // It went out over no connection, or over one that came to nothing.
        (true, true) => {}
        (true, false) => parts.push(styled(WARN, "plaintext")),
    }
    let attempts = request["attempts"].as_array().map_or(0, Vec::len);
    if attempts > 1 {
        parts.push(styled(WARN, &format!("attempt {attempts}")));
    }
    for (name, field) in [("trace", "trace_id"), ("id", "request_id")] {
        if !text(field).is_empty() {
            parts.push(styled(FAINT, &format!("{name}={}", text(field))));
        }
    }
    parts.join("  ")
}

fn outcome(request: &Value) -> String {
    let text = |field: &str| request[field].as_str().unwrap_or_default();
    let token = if text("error").is_empty() { text("reported") } else { text("error") };
    let grpc = request["grpc_status"].as_u64().filter(|code| *code > 0);
    let status = request["status"].as_u64().unwrap_or(0);
    let (shown, style) = match (grpc, status) {
        (Some(code), _) => (format!("grpc-status {code}"), BAD),
        (None, 0) => ("no answer".to_owned(), BAD),
        (None, 500..) => (status.to_string(), BAD),
        (None, 400..) => (status.to_string(), WARN),
        (None, _) => (status.to_string(), GOOD),
    };
    match token {
        "" => styled(style, &shown),
        token => styled(BAD, &format!("{shown} {token}")),
    }
}

/// `shop/order`, or where he connects from.
fn caller(identity: &str, address: &str) -> String {
    if identity.is_empty() { address.to_owned() } else { identity::short(identity) }
}

/// Of the day, UTC, to the millisecond.
fn time(at_ms: i64) -> String {
    let of_day = at_ms.rem_euclid(86_400_000);
    let (seconds, millis) = (of_day / 1000, of_day % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests;
