//! Who is asked for what.

use super::*;
use crate::access::testing::mesh;

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: product, namespace: shop}
spec: {selector: {app: product}, ports: [{name: http, port: 8080, targetPort: http}]}
";

fn asked(query: &RequestQuery) -> Vec<(String, Direction, String)> {
    let connected: Vec<Arc<str>> =
        ["db.shop", "gateway.shop", "product-v1.shop"].map(Arc::from).into();
    let plan = plan(&mesh(SERVICE), query, &connected).unwrap();
    let one = |(workload, ask): (Arc<str>, AskRequests)| {
        let filter = ask.filter.unwrap();
        (workload.to_string(), filter.direction(), filter.service)
    };
    let silent = plan.silent.into_iter();
    let silent = silent.map(|one| (one.workload, Direction::Unspecified, one.why));
    plan.asked.into_iter().map(one).chain(silent).collect()
}

fn line(workload: &str, direction: Direction, service: &str) -> (String, Direction, String) {
    (workload.to_owned(), direction, service.to_owned())
}

#[test]
fn of_an_id_everybody_is_asked() {
    let query = RequestQuery { request_id: "4711".to_owned(), ..RequestQuery::default() };
    let all = ["db.shop", "gateway.shop", "product-v1.shop"];
    assert_eq!(asked(&query), all.map(|one| line(one, Direction::Unspecified, "")));
}

#[test]
fn of_an_edge_both_sides_are_asked_and_who_is_not_there_is_named() {
    let (from, to) = (Some("gateway".to_owned()), Some("product:8080".to_owned()));
    let query = RequestQuery { from, to, ..RequestQuery::default() };
    let expected = [
        line("gateway.shop", Direction::Outbound, "product.shop:8080"),
        line("product-v1.shop", Direction::Inbound, ""),
        line("product-v2.shop", Direction::Unspecified, "its sidecar is not connected"),
    ];
    assert_eq!(asked(&query), expected);
}

#[test]
fn of_a_destination_every_caller_is_asked_too() {
    let query = RequestQuery { to: Some("db.shop".to_owned()), ..RequestQuery::default() };
    let asked = asked(&query);
    assert_eq!(asked.iter().filter(|one| one.1 == Direction::Outbound).count(), 3, "{asked:?}");
    assert!(asked.contains(&line("db.shop", Direction::Inbound, "")), "{asked:?}");
}
