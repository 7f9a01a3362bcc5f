//! The requests of an edge as its panel lists them. Pure. Both sidecars of a request remember it; here it is one line: what the
//! caller's says, who knows of the attempts, else what the receiver's does.

use std::collections::HashMap;

use serde_json::Value;

/// One line a request, newest first, at most `most`.
pub(super) fn one_each(mut all: Vec<Value>, most: usize) -> Vec<Value> {
    all.sort_by_key(|request| std::cmp::Reverse(request["at_ms"].as_i64()));
    // A sidecar that has just changed replicas is known to two.
    all.dedup();
    let (mut lines, inbound): (Vec<Value>, Vec<Value>) =
        all.into_iter().partition(|request| request["direction"] != "inbound");
    let mut known: HashMap<String, usize> = HashMap::new();
    for (index, line) in lines.iter().enumerate() {
        known.insert(identity(line), index);
    }
    for request in inbound {
        match known.get(&identity(&request)) {
            Some(&index) if request["request_id"] != "" => {
                let line = &mut lines[index];
                // One of them has a span, and a collector the trace.
                let sampled = line["sampled"] == true || request["sampled"] == true;
                line["sampled"] = sampled.into();
            }
            _ => lines.push(request),
        }
    }
    lines.sort_by_key(|request| std::cmp::Reverse(request["at_ms"].as_i64()));
    lines.truncate(most);
    lines
}

/// What is the same on both sides. A caller may send one id with several requests.
fn identity(request: &Value) -> String {
    let text = |field: &str| request[field].as_str().unwrap_or_default();
    [text("request_id"), text("method"), text("path")].join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_that_both_sides_remember_is_one_line() {
        let one = |direction: &str, id: &str, at: i64, sampled: bool| json!({ "direction": direction, "request_id": id, "method": "GET", "path": "/", "at_ms": at, "sampled": sampled });
        let all = vec![
            one("inbound", "a", 9, true),
            one("outbound", "a", 10, false),
            one("inbound", "a", 5, true),
            // Nobody has named it, so nobody knows whether it is the same.
            one("outbound", "", 7, false),
            one("inbound", "", 6, false),
            one("inbound", "only-there", 20, true),
            one("inbound", "only-there", 20, true),
        ];
        let lines = one_each(all, 50);
        let line = |one: &Value| {
            let text = |field: &str| one[field].as_str().unwrap().to_owned();
            (text("direction"), text("request_id"), one["sampled"] == true)
        };
        let expected = [
            ("inbound", "only-there", true),
            ("outbound", "a", true),
            ("outbound", "", false),
            ("inbound", "", false),
        ];
        let expected =
            expected.map(|(side, id, sampled)| (side.to_owned(), id.to_owned(), sampled));
        assert_eq!(lines.iter().map(line).collect::<Vec<_>>(), expected);
        assert_eq!(one_each(lines, 1).len(), 1);
    }
}
