//! What is there while kinds are defined, out of reach, and no longer defined, and when it is taken up. The API server is
//! not here: what watches tell is.

use serde_json::json;

use super::*;

const ROUTES: Watched = Watched::Written(Kind::HttpRoute);

/// A source whose watches lead nowhere.
fn source() -> KubernetesSource {
    let nowhere = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    let (watches, changes) = Watches::start(Client::try_from(nowhere).unwrap());
    KubernetesSource { watches, changes, state: State::default() }
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
