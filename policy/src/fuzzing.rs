//! What the fuzz target `policy` of `tests/fuzz` calls: bytes become rules, a caller and a request, and the decision is what
//! the reference says. Compiled for it and for the test that replays its corpus; nothing else may call it.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use weft_certs::SpiffeId;

use crate::{Access, Caller, Condition, HeaderMatch, Narrowed, Request, Rule, decide, reference};

/// Bound: conditions within conditions.
const DEPTH: usize = 4;
const TEXTS: [&str; 8] = ["a", "ab", "b", "", "/", "%2F", "ä", "..;"];
const METHODS: [&str; 3] = ["GET", "POST", "get"];
const IDS: [&str; 3] = [
    "spiffe://a.test/ns/shop/sa/web",
    "spiffe://a.test/ns/shop/sa/web2",
    "spiffe://b/ns/shop/sa/web",
];
const ADDRESSES: [&str; 4] = ["10.0.0.1", "10.0.1.1", "::1", "::ffff:10.0.0.1"];
const NETWORKS: [&str; 4] = ["10.0.0.0/24", "0.0.0.0/0", "::/0", "::1/128"];
const TEMPLATES: [&str; 4] = ["/*", "/a/*", "/*/b", "/a"];

/// Reads bytes as choices; after their end the first of each.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn path(&mut self) -> String {
        (0..self.below(4))
            .fold(String::from("/"), |path, _| path + self.of(&TEXTS) + self.of(&["/", ""]))
    }

    fn condition(&mut self, depth: usize) -> Condition {
        let parts = |choices: &mut Self| {
            (0..choices.below(3)).map(|_| choices.condition(depth + 1)).collect::<Vec<_>>()
        };
        match self.below(if depth < DEPTH { 12 } else { 10 }) {
            0 => Condition::Mesh,
            1 => Condition::Identity(self.of(&IDS).to_owned()),
            2 => {
                let id = self.of(&IDS);
                Condition::IdentityPrefix(id[..self.below(id.len())].to_owned())
            }
            3 => self.of(&NETWORKS).parse().map_or(Condition::Mesh, Condition::Source),
            4 => Condition::Port(80 + u16::from(self.byte() % 2)),
            5 => Condition::Method(self.of(&METHODS).to_owned()),
            6 => Condition::Path(self.path()),
            7 => Condition::PathPrefix(self.path()),
            8 => self.of(&TEMPLATES).parse().map_or(Condition::Mesh, Condition::PathTemplate),
            9 => {
                let value = self.of(&TEXTS);
                let wanted = match self.below(3) {
                    0 => HeaderMatch::Present,
                    1 => HeaderMatch::Exact(value.to_owned()),
                    _ => HeaderMatch::Prefix(value.to_owned()),
                };
                Condition::Header(HeaderName::from_static("x"), wanted)
            }
            10 => Condition::All(parts(self)),
            _ => Condition::Any(parts(self)),
        }
    }

    fn rules(&mut self) -> Vec<Rule> {
        let rule = |choices: &mut Self| Rule {
            name: "rule".into(),
            from: choices.condition(0),
            to: choices.condition(0),
        };
        (0..self.below(4)).map(|_| rule(self)).collect()
    }
}

/// See the module.
pub fn decisions(bytes: &[u8]) {
    let mut choices = Choices(bytes.iter());
    let identity: Option<SpiffeId> = choices.of(&[IDS[0], IDS[1], IDS[2], ""]).parse().ok();
    let Ok(address) = choices.of(&ADDRESSES).parse() else { return };
    let caller =
        Caller { identity: identity.as_ref(), address, port: 80 + u16::from(choices.byte() % 2) };
    let (method, path) = (choices.of(&METHODS), choices.path());
    let mut headers = HeaderMap::new();
    for _ in 0..choices.below(3) {
        // Bytes that are no text are among them, and lists.
        let value = [choices.of(b"ab, \xe9"), choices.of(b"b,a \xff"), choices.of(b"ab,")];
        if let Ok(value) = HeaderValue::from_bytes(&value[..choices.below(4)]) {
            headers.append("x", value);
        }
    }
    let request = Request { method, path: &path, headers: &headers };
    let deny = choices.rules();
    let allow = (choices.byte() % 2 == 1).then(|| choices.rules());
    let access = Access { deny, allow, audit: choices.rules() };
    let verdict = decide(&access, &caller, Some(&request));
    let expected = reference::allows(&access, &caller, &request);
    assert_eq!(verdict.is_allowed(), expected, "{access:?} {caller:?} {request:?}");
    let narrowed = Narrowed::new(&access, &caller);
    let again = narrowed.decide(&access, &caller, Some(&request));
    assert_eq!(again.is_allowed(), expected, "narrowed: {access:?} {caller:?} {request:?}");
    assert!(!narrowed.is_hopeless() || !expected);
    if decide(&access, &caller, None).is_allowed() {
        assert!(expected, "opaque: {access:?} {caller:?} {request:?}");
    }
}

#[cfg(test)]
mod tests;
