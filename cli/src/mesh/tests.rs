//! Which sidecar a name means.

use super::*;

#[test]
fn a_sidecar_is_named_with_or_without_its_namespace() {
    let workloads = ["order.shop", "web.one", "web.two"].map(str::to_owned);
    assert_eq!(choose("order", &workloads).unwrap(), "order.shop");
    assert_eq!(choose("web.two", &workloads).unwrap(), "web.two");
    assert!(choose("web", &workloads).unwrap_err().to_string().contains("web.one or web.two"));
    assert!(choose("ordre", &workloads).unwrap_err().to_string().contains("order.shop"));
}
