//! Weighted backends by their shares; invalid backends, and Services without endpoints.

use crate::oracle::case::{Case, Group, Step, View};

/// Why the gRPC statuses are not the same.
const NO_BACKEND: &str = "no valid backend is UNAVAILABLE to gRPC, Envoy maps its 500 to UNKNOWN";

/// Requests of one case of shares.
const MANY: usize = 400;

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    let shared = SHARES.into_iter().enumerate().map(|(index, (refs, shares))| {
        let rules = format!("  - backendRefs: [{refs}]\n");
        let case = Case::steps(refs, vec![Step::get("/"); MANY]).view(View::Shares(shares));
        Group::new(format!("weights-{index}"), "a").rules(&rules).cases([case])
    });
    shared.chain(invalid()).chain(single()).collect()
}

/// A backend that does not exist costs exactly its share.
fn invalid() -> Vec<Group> {
    let refs: [(&str, Shares); 2] = [
        (
            "{name: a, port: 8080, weight: 3}, {name: missing, port: 8080, weight: 1}",
            &[("a", 75), ("500", 25)],
        ),
        (
            "{name: a, port: 8080, weight: 1}, {name: a, port: 9999, weight: 1}",
            &[("a", 50), ("500", 50)],
        ),
    ];
    let shares = refs.into_iter().enumerate().map(|(index, (refs, shares))| {
        let case = Case::steps(refs, vec![Step::get("/"); MANY]).view(View::Shares(shares));
        Group::new(format!("invalid-{index}"), "a")
            .rules(&format!("  - backendRefs: [{refs}]\n"))
            .cases([case])
    });
    let alone = Group::new("invalid-alone", "a")
        .rules("  - backendRefs: [{name: missing, port: 8080}]\n")
        .cases([
            Case::new("GET", Step::get("/").answers(500)),
            Case::new("POST over HTTP/2", Step::post("/", "x").http2().answers(500)),
            Case::new("gRPC", Step::grpc("/a.B/C")).differs_in(&["header grpc-status"], NO_BACKEND),
        ]);
    let grpc = Group::new("invalid-grpc", "a")
        .route("GRPCRoute", "invalid-grpc", "", "  - backendRefs: [{name: missing, port: 8080}]\n")
        .cases([Case::new("gRPC to a GRPCRoute", Step::grpc("/a.B/C").answers(200))]);
    let mut groups: Vec<Group> = shares.chain([alone, grpc]).collect();
    for (group, code) in groups.iter_mut().zip(["WEFT0101", "WEFT0102", "WEFT0101", "WEFT0101"]) {
        group.findings.push(code);
    }
    groups
}

type Shares = &'static [(&'static str, u32)];

const SHARES: [(&str, Shares); 6] = [
    ("{name: a, port: 8080, weight: 1}, {name: b, port: 8080, weight: 1}", &[("a", 50), ("b", 50)]),
    ("{name: a, port: 8080, weight: 9}, {name: b, port: 8080, weight: 1}", &[("a", 90), ("b", 10)]),
    (
        "{name: a, port: 8080, weight: 50}, {name: b, port: 8080, weight: 30}, {name: c, port: 8080, weight: 20}",
        &[("a", 50), ("b", 30), ("c", 20)],
    ),
    ("{name: a, port: 8080, weight: 0}, {name: b, port: 8080, weight: 3}", &[("b", 100)]),
    ("{name: a, port: 8080}, {name: b, port: 8080}", &[("a", 50), ("b", 50)]),
    (
        "{name: a, port: 8080, weight: 100000}, {name: b, port: 8080, weight: 300000}",
        &[("a", 25), ("b", 75)],
    ),
];

fn single() -> Vec<Group> {
    let rules = [
        ("all-zero", "{name: a, port: 8080, weight: 0}"),
        ("no-endpoints", "{name: nobody, port: 8080}"),
        ("one-refuses", "{name: x, port: 8080}"),
    ];
    let cases = || {
        [
            Case::new("GET", Step::get("/")),
            Case::new("POST over HTTP/2", Step::post("/", "x").http2()),
            Case::new("gRPC", Step::grpc("/a.B/C")),
        ]
    };
    let mut groups = vec![Group::new("nobody", "").finding("WEFT0401").cases(cases())];
    groups.extend(rules.map(|(name, refs)| {
        Group::new(name, "a").rules(&format!("  - backendRefs: [{refs}]\n")).cases(cases())
    }));
    let all_zero = &mut groups[1];
    all_zero.findings.push("WEFT0304");
    let grpc = all_zero.cases.pop().expect("gRPC is the last");
    all_zero.cases.push(grpc.differs_in(&["header grpc-status"], NO_BACKEND));
    groups
}
