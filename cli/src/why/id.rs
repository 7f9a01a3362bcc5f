//! What a person may mean by an id: a trace, or a request. Pure.

/// Digits of a trace id, and of a span id; B3's older trace ids have as many as the latter.
const TRACE: usize = 32;
const SPAN: usize = 16;

/// What it may be, the likeliest first: a field of the question, and its value.
///
/// A trace is named by its id, by a whole `traceparent` or by a whole `b3`. Some servers make ids of requests that look like
/// those of traces.
pub(super) fn readings(id: &str) -> Vec<(&'static str, String)> {
    let (trace, request) =
        (|id: &str| ("trace_id", id.to_ascii_lowercase()), ("request_id", id.to_owned()));
    let parts: Vec<&str> = id.split('-').collect();
    match parts[..] {
        [one] if is_hex(one, TRACE) => vec![trace(one), request],
        [one] if is_hex(one, SPAN) => vec![request, trace(&format!("{one:0>TRACE$}"))],
        [_, one, span, ..] | [one, span, ..] if is_hex(one, TRACE) && is_hex(span, SPAN) => {
            vec![trace(one), request]
        }
        [one, span, ..] if is_hex(one, SPAN) && is_hex(span, SPAN) => {
            vec![trace(&format!("{one:0>TRACE$}")), request]
        }
        _ => vec![request],
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_people_find_it() {
        const T: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        const S: &str = "00f067aa0ba902b7";
        let padded = format!("0000000000000000{S}");
        let of = |id: &str| {
            let found = readings(id);
            found.into_iter().map(|(kind, id)| format!("{kind} {id}")).collect::<Vec<_>>()
        };
        let (trace, request) =
            (|id: &str| format!("trace_id {id}"), |id: &str| format!("request_id {id}"));
        for (id, expected) in [
            (T, vec![trace(T), request(T)]),
            (&T.to_uppercase(), vec![trace(T), request(&T.to_uppercase())]),
            (&format!("00-{T}-{S}-01"), vec![trace(T), request(&format!("00-{T}-{S}-01"))]),
            (&format!("{T}-{S}-1-{S}"), vec![trace(T), request(&format!("{T}-{S}-1-{S}"))]),
            (&format!("{S}-{S}-1"), vec![trace(&padded), request(&format!("{S}-{S}-1"))]),
            (S, vec![request(S), trace(&padded)]),
            (
                "6d5b6b9e-0b1c-4c5e-9a3e-2f6a4de2f0aa",
                vec![request("6d5b6b9e-0b1c-4c5e-9a3e-2f6a4de2f0aa")],
            ),
            ("order-42", vec![request("order-42")]),
        ] {
            assert_eq!(of(id), expected, "{id}");
        }
    }
}
