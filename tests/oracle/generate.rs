//! Routing cases from a fixed seed: route tables of random rules, and requests that together hold every pair of a
//! path, a method, a host, a header and a query. Every rule names itself in a header of the answer and in one of the
//! request, so that it shows which one matched. Used by `cases::generated`; the same on every machine.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::case::{Case, Group, Step};

const PATHS: [&str; 12] = [
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/a/bc",
    "/ab",
    "/A",
    "/a%2Fb",
    "/item/42",
    "/item/x",
    "/item/42/c",
    "/b;v=1",
];
const METHODS: [&str; 4] = ["GET", "POST", "DELETE", "OPTIONS"];
const HOSTS: [&str; 6] =
    ["shop.test", "api.shop.test", "SHOP.test:8080", "x.api.shop.test", "other", "127.0.0.1"];
const HEADERS: [&[(&str, &str)]; 6] = [
    &[],
    &[("x-user", "ann")],
    &[("x-user", "bob-7")],
    &[("X-User", "ann"), ("x-version", "2")],
    &[("x-version", "2")],
    &[("x-user", "")],
];
const QUERIES: [&str; 6] = ["", "?q=1", "?q=2&r=x", "?r=x&q=1", "?q", "?q=1%20&q=2"];
const DIMENSIONS: [usize; 5] =
    [PATHS.len(), METHODS.len(), HOSTS.len(), HEADERS.len(), QUERIES.len()];

/// SplitMix64: small, and the same everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("it is below a usize")
    }

    pub(super) fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

/// So many tables, each with requests that hold all pairs.
pub(crate) fn routing(tables: u64) -> Vec<Group> {
    (0..tables).map(table).collect()
}

fn table(number: u64) -> Group {
    let mut random = Random(number.wrapping_mul(1000).wrapping_add(17));
    let mut group = Group::new(format!("generated-{number}"), "a");
    // The first table has one route for all hosts; later ones spread theirs over several.
    let hosts: &[&[&str]] =
        &[&[], &["shop.test"], &["*.shop.test"], &["api.shop.test", "other"], &["*.api.shop.test"]];
    for of_route in &hosts[..=usize::try_from(number).unwrap_or(0).min(hosts.len() - 1)] {
        let rules = rules(&mut random, group.documents.len());
        group =
            if of_route.is_empty() { group.rules(&rules) } else { group.hosts(of_route, &rules) };
    }
    let requests = pairs(&mut random);
    group.cases(requests.into_iter().enumerate().map(|(index, choice)| case(index, choice)))
}

fn rules(random: &mut Random, route: usize) -> String {
    let mut text = String::new();
    for rule in 0..2 + random.below(3) {
        let matches: Vec<String> = (0..=random.below(2)).map(|_| one_match(random)).collect();
        let name = format!("{route}-{rule}");
        let backend = random.of(&["a", "b", "c"]);
        let _ = write!(
            text,
            "
  - matches: [{}]
    filters:
    - {{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-rule, value: \"{name}\"}}]}}}}
    - {{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-rule, value: \"{name}\"}}]}}}}
    backendRefs: [{{name: {backend}, port: 8080}}]
",
            matches.join(", ")
        );
    }
    text.trim_start_matches('\n').to_owned()
}

fn one_match(random: &mut Random) -> String {
    let mut parts = Vec::new();
    if !random.one_in(4) {
        parts.push(format!(
            "path: {}",
            random.of(&[
                "{type: Exact, value: /a}",
                "{type: Exact, value: /a/b}",
                "{type: Exact, value: /}",
                "{type: PathPrefix, value: /a}",
                "{type: PathPrefix, value: /a/}",
                "{type: PathPrefix, value: /a/b}",
                "{type: PathPrefix, value: /item}",
                "{type: RegularExpression, value: '/item/[0-9]+'}",
                "{type: RegularExpression, value: '/[ab].*'}",
            ])
        ));
    }
    if random.one_in(3) {
        parts.push(format!("method: {}", random.of(&METHODS)));
    }
    if random.one_in(3) {
        parts.push(format!(
            "headers: [{}]",
            random.of(&[
                "{name: x-user, value: ann}",
                "{name: X-User, type: RegularExpression, value: '[a-z]+-[0-9]'}",
                "{name: x-version, value: '2'}",
                "{name: x-user, value: ann}, {name: x-version, value: '2'}",
            ])
        ));
    }
    if random.one_in(3) {
        parts.push(format!(
            "queryParams: [{}]",
            random.of(&[
                "{name: q, value: '1'}",
                "{name: q, type: RegularExpression, value: '[0-9]'}",
                "{name: q, value: '2'}, {name: r, value: x}",
            ])
        ));
    }
    format!("{{{}}}", parts.join(", "))
}

type Choice = [usize; DIMENSIONS.len()];

/// Choices that together hold every pair of values of two dimensions: greedily, the best of a few random ones first.
fn pairs(random: &mut Random) -> Vec<Choice> {
    let mut open = BTreeSet::new();
    for (first, ones) in DIMENSIONS.into_iter().enumerate() {
        for (second, others) in DIMENSIONS.into_iter().enumerate().skip(first + 1) {
            for one in 0..ones {
                open.extend((0..others).map(|other| (first, one, second, other)));
            }
        }
    }
    let mut chosen = Vec::new();
    while let Some(&(first, one, second, other)) = open.iter().next() {
        let candidates = (0..30).map(|_| {
            let mut choice = DIMENSIONS.map(|values| random.below(values));
            (choice[first], choice[second]) = (one, other);
            choice
        });
        let news = |choice: &Choice| held(choice).filter(|pair| open.contains(pair)).count();
        let best = candidates.max_by_key(news).expect("there are some");
        for pair in held(&best) {
            open.remove(&pair);
        }
        chosen.push(best);
    }
    chosen
}

fn held(choice: &Choice) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    let choice = *choice;
    (0..choice.len()).flat_map(move |first| {
        (first + 1..choice.len()).map(move |second| (first, choice[first], second, choice[second]))
    })
}

fn case(index: usize, [path, method, host, headers, query]: Choice) -> Case {
    let target = format!("{}{}", PATHS[path], QUERIES[query]);
    let mut step = Step::get(&target).method(METHODS[method]).host(HOSTS[host]);
    if METHODS[method] == "POST" {
        step.body = "some body".into();
    }
    for (name, value) in HEADERS[headers] {
        step = step.header(name, value);
    }
    // Every third over HTTP/2, by its index: a dimension of its own would double the requests.
    if index % 3 == 2 {
        step = step.http2();
    }
    let (method, host) = (METHODS[method], HOSTS[host]);
    Case::new(format!("{index} {method} {host}{target} {:?}", HEADERS[headers]), step)
}
