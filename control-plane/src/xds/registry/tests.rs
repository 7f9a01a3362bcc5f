//! What is listed, and for how long.

use super::*;

fn connect(registry: &Arc<Registry>, name: &str) -> Connection {
    registry.connect(
        Key::new("shop", name),
        format!("spiffe://td/{name}"),
        "weft-proxy/1".to_owned(),
        Arc::new(Mutex::new(Session::new(Key::new("shop", name), Duration::ZERO, 0))),
    )
}

fn listed(registry: &Registry) -> Vec<(String, bool)> {
    registry.list().into_iter().map(|status| (status.workload.name, status.connected)).collect()
}

#[tokio::test(start_paused = true)]
async fn proxies_are_listed_by_name_and_those_gone_for_a_minute() {
    let registry = Registry::new();
    let b = connect(&registry, "b");
    let _a = connect(&registry, "a");
    assert_eq!(listed(&registry), [("a".to_owned(), true), ("b".to_owned(), true)]);
    drop(b);
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(listed(&registry), [("a".to_owned(), true), ("b".to_owned(), false)]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(listed(&registry), [("a".to_owned(), true)]);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_is_back_is_listed_once() {
    let registry = Registry::new();
    drop(connect(&registry, "a"));
    let _again = connect(&registry, "a");
    assert_eq!(listed(&registry), [("a".to_owned(), true)]);
    // A new stream that comes before the old one is known to be dead does not hide either.
    let _overlap = connect(&registry, "a");
    assert_eq!(listed(&registry).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn those_gone_are_bounded_and_the_longest_gone_go_first() {
    let registry = Registry::new();
    for index in 0..GONE + 10 {
        drop(connect(&registry, &index.to_string()));
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let list = listed(&registry);
    assert_eq!(list.len(), GONE);
    assert!(!list.contains(&("9".to_owned(), false)));
    assert!(list.contains(&("10".to_owned(), false)));
}

#[tokio::test(start_paused = true)]
async fn a_rejection_stays_until_a_later_response_is_acknowledged() {
    let registry = Registry::new();
    let proxy = connect(&registry, "a");
    let routes = || registry.list()[0].resources.clone();
    assert!(routes().is_empty());
    proxy.sent(ResourceType::Route, 1);
    proxy.acked(ResourceType::Route, 1);
    proxy.sent(ResourceType::Route, 2);
    proxy.rejected(ResourceType::Route, 2, &"ä".repeat(2000));
    let status = &routes()[0];
    assert_eq!((status.sent, status.acked), (2, Some(1)));
    let rejection = status.rejected.clone().unwrap();
    assert_eq!(rejection.version, 2);
    assert_eq!(rejection.reason.len(), REASON);
    proxy.sent(ResourceType::Route, 3);
    assert!(routes()[0].rejected.is_some());
    tokio::time::advance(Duration::from_millis(60)).await;
    proxy.acked(ResourceType::Route, 3);
    assert_eq!(routes()[0].rejected, None);
    let counts = registry.counts();
    assert_eq!(counts.of(ResourceType::Route), (3, 1));
    assert_eq!(counts.of(ResourceType::Cluster), (0, 0));
    let (within, sum_ms) = counts.answered.cumulated();
    assert_eq!((within[0], within[3], within[8], sum_ms), (2, 3, 3, 60));
}

#[tokio::test(start_paused = true)]
async fn of_many_streams_of_one_workload_the_oldest_ends() {
    let registry = Registry::new();
    let mut open: Vec<_> = (0..OF_ONE).map(|_| connect(&registry, "a")).collect();
    let other = connect(&registry, "b");
    assert_eq!(listed(&registry).len(), OF_ONE + 1);
    open.push(connect(&registry, "a"));
    assert_eq!(listed(&registry).len(), OF_ONE + 1);
    let wait = Duration::from_secs(1);
    for (number, connection) in open.iter().chain([&other]).enumerate() {
        let displaced = tokio::time::timeout(wait, connection.displaced()).await.is_ok();
        assert_eq!(displaced, number == 0, "stream {number}");
    }
}
