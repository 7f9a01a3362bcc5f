//! What must be equal, and what may differ: a pure function of what was observed of both proxies. The lists of
//! headers here are the only ones that are left out; everything else that differs is a difference.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::case::{Case, Expect, View};
use super::client::{Answer, table};
use super::upstream::{BACKEND, ID, Seen};

/// Of one request through one proxy.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// What the application got.
    pub(crate) answer: Answer,
    /// What the upstream saw.
    pub(crate) seen: Vec<Seen>,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should.
    Agreeing,
    /// A difference that the case names, with its reason.
    Different(&'static str),
    /// What is wrong.
    Failing(String),
}

/// Each proxy's own words about itself, about tracing, and hints to the other side's proxy, in requests and answers.
const OWN_WORDS: [&str; 13] = [
    ID,
    "date",
    "server",
    "via",
    "proxy-status",
    "x-request-id",
    "x-forwarded-proto",
    "x-forwarded-for",
    "traceparent",
    "tracestate",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
];
const OWN_PREFIXES: [&str; 3] = ["x-envoy-", "x-weft-", "weft-"];
/// Who the caller is, for the application.
const CERTIFICATE: &str = "x-forwarded-client-cert";
/// How a generated cookie begins.
const AFFINITY: &str = "weft-affinity=";
/// Framing of a local answer belongs to its wording.
const OF_WORDING: [&str; 4] = ["content-length", "content-type", "grpc-message", "connection"];

/// The two proxies' view of one case, side by side.
pub(crate) fn compare(case: &Case, weft: &[Observed], envoy: &[Observed]) -> Outcome {
    let mut wrong = String::new();
    for (who, observed) in [("weft", weft), ("envoy", envoy)] {
        for (step, observed) in case.steps.iter().zip(observed) {
            // A knowing difference may be one of status, so that not both can have the expected one.
            let bound = case.expect == Expect::Agreement || who == "weft";
            if let Some(status) =
                step.status.filter(|status| bound && *status != observed.answer.status)
            {
                let _ = writeln!(wrong, "{who} must answer {status}: {:?}", observed.answer);
            }
        }
    }
    if !wrong.is_empty() {
        return Outcome::Failing(wrong);
    }
    let difference = match case.view {
        View::Shares(wanted) => shares(wanted, weft, envoy),
        View::Counts(wanted) => counts(wanted, weft, envoy),
        View::Everything | View::Backend => {
            let [weft, envoy] = [weft, envoy].map(|observed| picture(case, observed));
            differing_lines(&weft, &envoy)
        }
    };
    match case.expect {
        Expect::Agreement if difference.is_empty() => Outcome::Agreeing,
        Expect::Agreement => Outcome::Failing(difference),
        Expect::Difference(reason, _) if difference.is_empty() => {
            Outcome::Failing(format!("the known difference is gone: {reason}\n"))
        }
        Expect::Difference(reason, words) => {
            let known =
                |line: &str| words.is_empty() || words.iter().any(|word| line.contains(word));
            let more: Vec<_> = difference.lines().filter(|line| !known(line)).collect();
            if more.is_empty() {
                Outcome::Different(reason)
            } else {
                Outcome::Failing(format!("more differs than is known ({reason}):\n{difference}"))
            }
        }
    }
}

/// All that must be equal, as lines.
fn picture(case: &Case, observed: &[Observed]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut letters: Vec<char> = Vec::new();
    for (number, Observed { answer, seen }) in observed.iter().enumerate() {
        let local = !answer.headers.contains_key(BACKEND);
        lines.push(format!("{number} answer status: {} {:?}", answer.status, answer.end));
        push_headers(&mut lines, number, "answer", &answer.headers, local);
        push_headers(&mut lines, number, "answer trailers", &answer.trailers, local);
        if !local || answer.status == 101 {
            lines.push(format!("{number} answer body: {:?}", answer.body));
        }
        lines.push(format!("{number} attempts: {}", seen.len()));
        for (attempt, seen) in seen.iter().enumerate() {
            if !letters.contains(&seen.backend) {
                letters.push(seen.backend);
            }
            let nth = letters.iter().position(|letter| *letter == seen.backend).unwrap_or(0);
            let which =
                if case.view == View::Backend { seen.backend.to_string() } else { nth.to_string() };
            let what = format!("attempt {attempt}");
            lines.push(format!("{number} {what} at: {which}"));
            lines.push(format!("{number} {what} line: {}", seen.line));
            lines.push(format!("{number} {what} host: {}", seen.host));
            lines.push(format!("{number} {what} body: {:?}", seen.body));
            push_headers(&mut lines, number, &what, &seen.headers, false);
            let what = format!("{what} trailer");
            push_headers(&mut lines, number, &what, &seen.trailers, false);
        }
    }
    lines
}

fn push_headers(
    lines: &mut Vec<String>,
    number: usize,
    of: &str,
    headers: &http::HeaderMap,
    local: bool,
) {
    for (name, mut values) in table(headers) {
        // A length of nothing says nothing that its absence does not (RFC 9110 §8.6).
        if name == "content-length" && values == ["0"] {
            continue;
        }
        if ["cookie", "set-cookie"].contains(&name.as_str()) {
            // Which endpoint it names is left to chance; that it is kept to shows in the attempts.
            for value in &mut values {
                value.push(';');
                mask(value, AFFINITY, ";");
            }
        }
        if name == "connection" {
            // Its options are of no case (RFC 9110 §7.6.1).
            values.iter_mut().for_each(|value| value.make_ascii_lowercase());
        }
        if name == "grpc-timeout" {
            // What is left of it is another number each time.
            values = vec!["_".to_owned()];
        }
        if name == CERTIFICATE {
            // Both callers have the same identity, each in a certificate of its own.
            values.iter_mut().for_each(|value| mask(value, "Hash=", ";"));
        }
        let own = OWN_WORDS.contains(&name.as_str())
            || OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            // Compared elsewhere: as the host, and as the backend of the last attempt.
            || ["host", BACKEND].contains(&name.as_str())
            || local && OF_WORDING.contains(&name.as_str());
        if !own {
            lines.push(format!("{number} {of} header {name}: {values:?}"));
        }
    }
}

/// Puts `_` for what stands between two words.
fn mask(text: &mut String, from: &str, to: &str) {
    let Some(start) = text.find(from).map(|at| at + from.len()) else { return };
    if let Some(length) = text[start..].find(to) {
        text.replace_range(start..start + length, "_");
    }
}

/// The lines that only one side has.
fn differing_lines(weft: &[String], envoy: &[String]) -> String {
    let mut text = String::new();
    for (who, own, other) in [("weft ", weft, envoy), ("envoy", envoy, weft)] {
        for line in own.iter().filter(|line| !other.contains(line)) {
            let _ = writeln!(text, "{who}: {line}");
        }
    }
    text
}

/// Shares that are further off than eight standard deviations.
fn shares(wanted: &[(&str, u32)], weft: &[Observed], envoy: &[Observed]) -> String {
    let mut text = String::new();
    for (who, observed) in [("weft", weft), ("envoy", envoy)] {
        let total = f64::from(u32::try_from(observed.len()).unwrap_or(u32::MAX));
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for Observed { answer, .. } in observed {
            let backend = answer.header(BACKEND);
            let name =
                if backend.is_empty() { answer.status.to_string() } else { backend.to_owned() };
            *counts.entry(name).or_default() += 1;
        }
        for (name, percent) in wanted {
            let share = f64::from(*percent) / 100.0;
            let bound = 8.0 * (total * share * (1.0 - share)).sqrt();
            let count = f64::from(counts.get(*name).copied().unwrap_or(0));
            if (count - total * share).abs() > bound {
                let _ = writeln!(text, "{who}: {name} got {count} of {total}, not {percent} %");
            }
        }
        if counts.keys().any(|name| wanted.iter().all(|(wanted, _)| wanted != name)) {
            let _ = writeln!(text, "{who}: others answered: {counts:?}");
        }
    }
    text
}

/// Numbers of answers that are out of their bounds.
fn counts(wanted: &[(&str, u32, u32)], weft: &[Observed], envoy: &[Observed]) -> String {
    let mut text = String::new();
    for (who, observed) in [("weft", weft), ("envoy", envoy)] {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for Observed { answer, seen } in observed {
            *counts.entry(answer.status.to_string()).or_default() += 1;
            *counts.entry(answer.header(BACKEND).to_owned()).or_default() += 1;
            for seen in seen {
                *counts.entry(format!("at {}", seen.backend)).or_default() += 1;
            }
        }
        for (name, from, to) in wanted {
            let count = counts.get(*name).copied().unwrap_or(0);
            if !(*from..=*to).contains(&count) {
                let _ =
                    writeln!(text, "{who}: {name} {count} times, not {from} to {to}: {counts:?}");
            }
        }
    }
    text
}
