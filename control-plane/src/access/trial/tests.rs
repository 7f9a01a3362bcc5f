//! Calls that were seen, by two versions of the rules.

use weft_proto::telemetry::RequestTraffic;

use super::super::testing::{mesh, object, readers};
use super::*;

const GATEWAY: &str = "spiffe://cluster.local/ns/shop/sa/gateway";

fn seen(identity: &str, requests: &[(&str, &str, u64)], connections: u64) -> CallerTraffic {
    let one = |(method, path, count): &(&str, &str, u64)| RequestTraffic {
        method: (*method).to_owned(),
        path: (*path).to_owned(),
        requests: *count,
    };
    CallerTraffic {
        identity: identity.to_owned(),
        address: "10.0.0.1".to_owned(),
        port: 8080,
        requests: requests.iter().map(one).collect(),
        connections,
    }
}

fn judged(then: &str, callers: Vec<CallerTraffic>) -> Tally {
    let (now, then) = (mesh(""), mesh(then));
    let workload = &now.workloads[&Key::new("shop", "product-v1")];
    let parts = [AccessTraffic { callers, ..Default::default() }];
    Trial { now: &now, then: &then }.judge(workload, &parts)
}

fn lines(tally: &Tally) -> Vec<String> {
    let line = |(row, count): (&Row, &u64)| {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
        let from = row.from.as_deref().map_or("nobody", |from| from.rsplit('/').next().unwrap());
        let what = match row.opaque {
            true => "bytes".to_owned(),
            false => format!("{} {}", text(&row.method), text(&row.path)),
        };
        format!("{:?} {from} {what} {count}", row.change)
    };
    tally.rows.iter().map(line).collect()
}

#[test]
fn each_call_is_judged_by_both() {
    let vip = "{action: DENY, rules: [{to: [{paths: [{value: /carts/vip}], headers: [{name: x-vip, type: Present}]}]}]}";
    let then = readers() + &object("AccessPolicy", "vip", vip);
    let callers = vec![
        seen(
            GATEWAY,
            &[
                ("GET", "/carts/7", 5),
                ("POST", "/carts", 3),
                ("GET", "", 2),
                ("GET", "/carts/vip", 4),
            ],
            1,
        ),
        seen("", &[("GET", "/carts/7", 7)], 0),
        seen("nonsense", &[("GET", "/", 100)], 0),
    ];
    let tally = judged(&then, callers);
    let mut found = lines(&tally);
    found.sort();
    assert_eq!(
        found,
        [
            "Denied gateway POST /carts 3",
            "Denied gateway bytes 1",
            "Denied nobody GET /carts/7 7",
            "MayBeDenied gateway GET /carts/vip 4",
            "MayBeDenied gateway GET ? 2",
            "Same gateway GET /carts/7 5",
        ]
    );
    let Totals { requests, now, then, newly_denied, may_be_denied, .. } = tally.totals;
    assert_eq!((requests, now.allowed, then.allowed, then.denied), (22, 22, 5, 11));
    assert_eq!((newly_denied, may_be_denied, then.depends), (11, 6, 6));
}

#[test]
fn only_those_for_whom_something_is_another_are_concerned() {
    let now = mesh("");
    let names = |then: &str| {
        let then = mesh(then);
        let keys = Trial { now: &now, then: &then }.concerned();
        keys.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names(&readers()), ["shop/product-v1", "shop/product-v2"]);
    assert_eq!(names(&object("InboundPolicy", "same", "{defaultAccess: allow-all}")), [""; 0]);
    let strict =
        object("InboundPolicy", "strict", "{selector: {matchLabels: {app: db}}, mtls: STRICT}");
    assert_eq!(names(&strict), ["shop/db"]);
}

#[test]
fn what_has_no_row_is_in_the_totals() {
    let path = |number: usize| format!("/{number}");
    let paths: Vec<String> = (0..MAX_ROWS + 10).map(path).collect();
    let requests: Vec<_> = paths.iter().map(|path| ("GET", path.as_str(), 2)).collect();
    let mut tally = judged("", vec![seen(GATEWAY, &requests, 0)]);
    assert_eq!((tally.rows.len(), tally.left_out), (MAX_ROWS, 20));
    assert_eq!(tally.totals.requests, 2 * (MAX_ROWS as u64 + 10));
    tally.merge(judged("", vec![seen(GATEWAY, &[("GET", "/0", 1), ("PUT", "/", 3)], 0)]));
    assert_eq!((tally.rows.len(), tally.left_out), (MAX_ROWS, 23));
    assert_eq!(tally.totals.requests, 2 * (MAX_ROWS as u64 + 10) + 4);
}
