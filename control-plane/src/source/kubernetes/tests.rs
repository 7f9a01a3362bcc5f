//! What is there while kinds are defined, out of reach, and no longer defined, when it is taken up, and what ends by itself.
//! The API server is not here: what watches tell is.

use serde_json::{Value, json};

use super::last_resort::HELD;
use super::*;

const ROUTES: Watched = Watched::Written(Kind::HttpRoute);

/// A source whose watches lead nowhere.
fn source() -> KubernetesSource {
    let nowhere = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    let (watches, changes) = Watches::start(Client::try_from(nowhere).unwrap());
    KubernetesSource { watches, changes, opened: Instant::now(), state: State::default() }
}

impl KubernetesSource {
    fn define(&mut self) {
        self.take(Change::Applied(Watched::Definitions, definition(), Applied::Definition));
    }

    fn route(&mut self, name: &str) {
        let value = json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {}});
        let applied = Applied::Written(value);
        self.take(Change::Applied(ROUTES, Key::new("shop", name), applied));
    }

    fn routes(&self) -> Vec<String> {
        self.state.objects.raw().keys().map(|(_, _, name)| name.clone()).collect()
    }
}

fn definition() -> Key {
    Key::new("", "httproutes.gateway.networking.k8s.io")
}

/// One with two routes.
fn read() -> KubernetesSource {
    let mut source = source();
    source.take(Change::Restarted(Watched::Definitions));
    source.define();
    source.take(Change::Complete(Watched::Definitions));
    source.take(Change::Restarted(ROUTES));
    source.route("a");
    source.route("b");
    source.take(Change::Complete(ROUTES));
    assert_eq!(source.routes(), ["a", "b"]);
    source
}

#[tokio::test]
async fn what_is_told_anew_replaces_what_was_known() {
    let mut source = read();
    source.take(Change::Restarted(ROUTES));
    source.route("b");
    source.route("c");
    assert_eq!(source.routes(), ["a", "b", "c"], "nothing goes before all is told");
    source.take(Change::Complete(ROUTES));
    assert_eq!(source.routes(), ["b", "c"]);
}

#[tokio::test]
async fn a_kind_that_is_defined_and_not_served_for_a_moment_keeps_its_objects() {
    let mut source = read();
    source.take(Change::Restarted(ROUTES));
    source.take(Change::NotServed(ROUTES));
    assert_eq!(source.routes(), ["a", "b"]);
    source.take(Change::Restarted(ROUTES));
    source.route("b");
    source.take(Change::Complete(ROUTES));
    assert_eq!(source.routes(), ["b"]);
}

#[tokio::test]
async fn one_that_is_not_served_yet_is_not_waited_for() {
    let mut source = source();
    source.define();
    assert!(source.state.missing().contains(&ROUTES));
    source.take(Change::NotServed(ROUTES));
    assert!(!source.state.missing().contains(&ROUTES));
}

#[tokio::test]
async fn with_its_definition_a_kind_is_gone() {
    let mut source = read();
    source.take(Change::Deleted(Watched::Definitions, definition()));
    assert!(source.routes().is_empty());
    source.route("late");
    assert!(source.routes().is_empty(), "its watch was stopped with this under way");
    source.define();
    source.route("c");
    assert_eq!(source.routes(), ["c"]);
}

/// The API server forgot the history in which it was deleted.
#[tokio::test]
async fn also_when_nobody_told() {
    let mut source = read();
    source.take(Change::Restarted(Watched::Definitions));
    source.take(Change::Complete(Watched::Definitions));
    assert!(source.routes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn changes_that_never_rest_are_taken_up_seldom_where_it_takes_long() {
    let (sender, changes) = mpsc::channel(1);
    let mut source = KubernetesSource { changes, ..source() };
    let busy = tokio::spawn(async move {
        loop {
            let _ = sender
                .send(Change::Applied(Watched::Definitions, Key::new("", "x"), Applied::Definition))
                .await;
            tokio::time::sleep(QUIET / 2).await;
        }
    });
    let mut throttle = Throttle::default();
    for (took, waits) in [(0, PATIENCE), (10, PATIENCE), (100, Duration::from_millis(400))] {
        let begun = Instant::now();
        throttle.done(begun - Duration::from_millis(took), begun);
        source.settle(&throttle).await;
        assert_eq!(begun.elapsed(), waits, "{took} ms");
    }
    busy.abort();
}

fn read_as<T: serde::de::DeserializeOwned>(value: Value) -> Box<T> {
    Box::new(serde_json::from_value(value).unwrap())
}

/// The slice of Service `web`, with its only pod.
fn slice(ready: bool) -> Change {
    let applied = Applied::Slice(read_as(json!({
        "addressType": "IPv4",
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready},
                       "targetRef": {"kind": "Pod", "namespace": "shop", "name": "a", "uid": "1"}}],
        "ports": [{"name": "http", "port": 8080}],
    })));
    Change::Applied(Watched::Slices, Key::new("shop", "web-1"), applied)
}

#[tokio::test(start_paused = true)]
async fn the_only_pod_is_held_for_a_time_that_ends_without_anything_being_told() {
    let service = json!({"metadata": {"name": "web", "namespace": "shop"},
        "spec": {"clusterIP": "10.96.0.7", "ports": [{"name": "http", "port": 80}]}});
    let pod = Applied::Pod(read_as(json!({
        "metadata": {"name": "a", "namespace": "shop", "uid": "1"}, "spec": {"containers": []},
        "status": {"phase": "Running", "podIP": "10.0.0.1"}})));
    let services = Watched::Written(Kind::Service);
    let (tell, told) = mpsc::channel(10);
    let source = KubernetesSource { changes: told, ..source() };
    let mut mesh = source.mesh();
    let count = |mesh: &Mesh| {
        let service = mesh.services.get(&Key::new("shop", "web"));
        service.and_then(|service| service.listed.as_ref()).map(Vec::len)
    };
    let running = tokio::spawn(source.run());
    let web = Key::new("shop", "web");
    tell.send(Change::Applied(services, web, Applied::Written(service))).await.unwrap();
    tell.send(Change::Applied(Watched::Pods, Key::new("shop", "a"), pod)).await.unwrap();
    tell.send(slice(true)).await.unwrap();
    mesh.wait_for(|mesh| count(mesh) == Some(1)).await.unwrap();

    let unready = Instant::now();
    tell.send(slice(false)).await.unwrap();
    mesh.mark_unchanged();
    mesh.wait_for(|mesh| count(mesh) == Some(0)).await.unwrap();
    let held = unready.elapsed();
    assert!(held >= HELD && held < HELD + Duration::from_secs(1), "{held:?}");

    // Once ended it does not begin anew.
    let more = timeout(3 * HELD, mesh.changed()).await;
    assert!(more.is_err(), "{:?}", count(&mesh.borrow()));
    running.abort();
}
