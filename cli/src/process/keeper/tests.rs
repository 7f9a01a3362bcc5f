//! Real processes: the test program itself, told to run no test, which ends at once.

use super::*;

fn keeper() -> (Keeper, mpsc::Receiver<Event>) {
    let (events, received) = mpsc::channel(64);
    (Keeper::new(Inlet { events, lines: None }), received)
}

fn ends_at_once() -> Spec {
    Spec { name: "brief".to_owned(), args: vec!["--exact".into()], variables: Vec::new() }
}

async fn next(events: &mut mpsc::Receiver<Event>) -> Event {
    let waited = tokio::time::timeout(Duration::from_secs(30), events.recv()).await;
    waited.expect("in time").expect("the keeper lives")
}

#[tokio::test]
async fn a_process_that_dies_is_named_with_its_last_words_and_started_again() {
    let (mut keeper, mut events) = keeper();
    keeper.keep(ends_at_once(), None);
    assert!(matches!(next(&mut events).await, Event::Started { first: true, .. }));
    let Event::Died { name, ending: Ending { reason, tail }, again_in } = next(&mut events).await
    else {
        panic!("it did not die")
    };
    assert_eq!((name.as_str(), reason.as_str()), ("brief", "ended with exit code 0"));
    assert!(tail.iter().any(|line| line.contains("0 passed")), "{tail:?}");
    assert_eq!(again_in, FIRST_DELAY);
    assert!(matches!(next(&mut events).await, Event::Started { first: false, .. }));
    let Event::Died { again_in, .. } = next(&mut events).await else { panic!("it did not die") };
    assert_eq!(again_in, FIRST_DELAY * 2, "it backs off");
    keeper.stop().await;
}

#[tokio::test]
async fn what_cannot_be_prepared_is_tried_again_and_can_be_stopped() {
    let (mut keeper, mut events) = keeper();
    let refuse: Prepare = Arc::new(|| Box::pin(async { anyhow::bail!("no token") }));
    keeper.keep(ends_at_once(), Some(refuse));
    for _ in 0..2 {
        let Event::Failed { reason, .. } = next(&mut events).await else { panic!("it started") };
        assert_eq!(reason, "no token");
    }
    keeper.stop().await;
    assert!(events.recv().await.is_none(), "nothing is tried after the stop");
}
