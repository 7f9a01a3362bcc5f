//! The bookkeeping as a table of conversations, and against a client that knows nothing but the protocol.

mod model;
mod script;

use script::Script;

const MANY: usize = usize::MAX;

#[test]
fn a_named_subscription_is_answered_once_and_then_only_on_change() {
    let mut it = Script::with(&[("a", 1), ("b", 1)]);
    it.subscribe(&["a"]).sends("a@1").acks();
    it.sends_nothing();
    it.set(&[("a", 1), ("b", 2)]).sends_nothing();
    it.set(&[("a", 2), ("b", 2)]).sends("a@2");
}

#[test]
fn a_name_that_does_not_exist_is_answered_as_removed_and_sent_when_it_appears() {
    let mut it = Script::with(&[]);
    it.subscribe(&["x"]).sends("-x").acks();
    it.set(&[("x", 1)]).sends("x@1").acks();
    it.set(&[]).sends("-x").acks();
    it.set(&[("x", 1)]).sends("x@1");
}

#[test]
fn an_empty_first_request_means_everything() {
    let mut it = Script::with(&[("a", 1), ("b", 1)]);
    it.subscribe(&[]).sends("a@1 b@1").acks();
    it.set(&[("b", 2), ("c", 1)]).sends("b@2 c@1").acks().sends("-a");
}

#[test]
fn everything_is_answered_even_if_it_is_nothing() {
    let mut it = Script::with(&[]);
    it.subscribe(&[]).sends("").acks().sends_nothing();
}

#[test]
fn an_empty_first_request_means_nothing_where_wildcards_are_not_meant() {
    let mut it = Script::with(&[("a", 1)]);
    it.empty_is_wildcard = false;
    it.subscribe(&[]).sends_nothing();
    it.subscribe(&["*"]).sends("a@1");
}

#[test]
fn a_later_empty_request_changes_nothing() {
    let mut it = Script::with(&[("a", 1), ("b", 1)]);
    it.subscribe(&["a"]).sends("a@1").acks();
    it.subscribe(&[]).sends_nothing();
}

#[test]
fn a_wildcard_can_be_left() {
    let mut it = Script::with(&[("a", 1), ("b", 1)]);
    it.subscribe(&["*", "a"]).sends("a@1 b@1").acks();
    it.unsubscribe(&["*"]);
    it.set(&[("a", 2), ("b", 2)]).sends("a@2").acks();
    it.set(&[]).sends("-a");
}

#[test]
fn leaving_a_name_under_a_wildcard_sends_it_as_if_it_were_new() {
    let mut it = Script::with(&[("a", 1)]);
    it.subscribe(&["*", "a", "x"]).sends("a@1 -x").acks();
    it.unsubscribe(&["a"]).sends("a@1").acks();
    it.unsubscribe(&["x"]).sends("-x").acks();
    it.unsubscribe(&["never-named"]).sends_nothing();
}

#[test]
fn a_name_that_was_left_is_not_sent_and_asking_again_sends_it_again() {
    let mut it = Script::with(&[("a", 1)]);
    it.subscribe(&["a"]).sends("a@1").acks();
    it.unsubscribe(&["a"]);
    it.set(&[("a", 2)]).sends_nothing();
    it.subscribe(&["a"]).sends("a@2").acks();
    it.subscribe(&["a"]).sends("a@2");
}

#[test]
fn while_a_response_is_in_flight_nothing_is_sent_and_changes_gather() {
    let mut it = Script::with(&[("a", 1), ("b", 1)]);
    it.subscribe(&[]).sends("a@1 b@1");
    for version in 2..50 {
        it.set(&[("a", version), ("b", 1)]).sends_nothing();
    }
    it.set(&[("a", 50)]).acks().sends("a@50").acks().sends("-b");
}

#[test]
fn the_acknowledgement_of_something_else_does_not_count() {
    let mut it = Script::with(&[("a", 1)]);
    it.subscribe(&["a"]).sends("a@1");
    assert_eq!(it.subscription.acknowledge("", None), None);
    assert_eq!(it.subscription.acknowledge("77", None), None);
    assert_eq!(it.subscription.acknowledge("not a number", None), None);
    it.set(&[("a", 2)]).sends_nothing();
    it.acks().sends("a@2");
}

#[test]
fn a_refused_version_is_not_sent_again_but_the_next_one_is() {
    let mut it = Script::with(&[("a", 1), ("b", 1)]);
    it.subscribe(&[]).sends("a@1 b@1").acks();
    it.set(&[("a", 2), ("b", 1)]).sends("a@2").refuses();
    it.sends_nothing();
    it.set(&[("a", 2), ("b", 2)]).sends("b@2").acks();
    it.subscription.owe_again([std::sync::Arc::from("a")].iter());
    it.sends_nothing();
    it.set(&[("a", 3), ("b", 2)]).sends("a@3");
}

#[test]
fn a_proxy_that_asks_for_what_it_refused_gets_it() {
    let mut it = Script::with(&[("a", 1)]);
    it.subscribe(&["a"]).sends("a@1").refuses();
    it.sends_nothing();
    it.subscribe(&["a"]).sends("a@1");
}

#[test]
fn pitfall_1_what_is_owed_again_is_sent_unchanged() {
    let mut it = Script::with(&[("a", 1), ("b", 1)]);
    it.subscribe(&["a"]).sends("a@1").acks();
    it.subscription.owe_again(["a", "b", "x"].map(std::sync::Arc::from).iter());
    it.sends("a@1").acks().sends_nothing();
}

#[test]
fn pitfall_5_a_reconnect_is_sent_the_difference() {
    let mut it = Script::with(&[("a", 1), ("b", 2), ("c", 1)]);
    it.resumes(&[], &[("a", 1), ("b", 1), ("z", 1)]).sends("b@2 c@1 -z").acks();
    it.sends_nothing();

    let mut it = Script::with(&[("a", 1), ("b", 2)]);
    it.resumes(&["a", "b", "x"], &[("a", 1), ("b", 1), ("y", 1)]).sends("b@2 -x").acks();
    it.set(&[("a", 2), ("b", 2)]).sends("a@2");
}

#[test]
fn pitfall_5_an_up_to_date_reconnect_is_sent_nothing() {
    let mut it = Script::with(&[("a", 1), ("b", 1)]);
    it.resumes(&["a"], &[("a", 1)]).sends_nothing();
    let mut it = Script::with(&[("a", 1), ("b", 1)]);
    it.resumes(&[], &[("a", 1), ("b", 1)]).sends("").acks().sends_nothing();
}

#[test]
fn versions_that_are_not_ours_are_different_versions() {
    let mut it = Script::with(&[("a", 1)]);
    it.has = vec![("a".to_owned(), "v1".to_owned())];
    it.resume(&["a"]).sends("a@1");
}

#[test]
fn what_only_another_workload_may_see_does_not_exist() {
    let mut it = Script::with(&[("a", 1)]);
    it.set(&[("a", 1), ("theirs", 1), ("mine", 1)]);
    it.subscribe(&[]).sends("a@1 mine@1").acks();
    it.subscribe(&["theirs"]).sends("-theirs").acks();
    it.set(&[("a", 1), ("theirs", 2), ("mine", 1)]).sends_nothing();
    it.set(&[("a", 1)]).sends("-mine").acks();
    it.resumes(&[], &[("theirs", 1), ("a", 1)]).sends("-theirs");
}

#[test]
fn large_answers_come_in_parts() {
    let mut it = Script::with(&[("a", 1), ("b", 1), ("c", 1)]);
    it.budget = 1;
    it.subscribe(&[]).sends("a@1").acks();
    // A change in between does not get lost, and is not sent twice.
    it.set(&[("a", 2), ("b", 1), ("c", 1)]).sends("b@1").acks().sends("c@1").acks();
    it.sends("a@2").acks().sends_nothing();
    it.set(&[]).sends("-b").acks().sends("-c").acks().sends("-a").acks().sends_nothing();
    it.budget = MANY;
    it.subscribe(&["x", "y"]).sends("-x -y");
}

#[test]
fn a_stream_that_is_too_far_behind_is_told_so() {
    let mut it = Script::with(&[]);
    it.subscribe(&[]).sends("").acks();
    let names: Vec<_> = (0..=super::super::log::REMOVALS_KEPT).map(|n| n.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    it.set(&many);
    it.set(&[]);
    assert!(it.is_behind());
}

#[test]
fn what_a_namespace_sees_instead_is_sent_when_it_comes_and_the_others_again_when_it_goes() {
    let mut it = Script::with(&[("a", 1), ("b", 1)]);
    it.subscribe(&["a", "b"]).sends("a@1 b@1").acks();
    it.set(&[("a", 1), ("a@else", 7), ("b", 1)]).sends_nothing();
    it.set(&[("a", 1), ("a@shop", 5), ("b", 1)]).sends("a@5").acks();
    it.set(&[("a", 2), ("a@shop", 5), ("b", 1)]).sends_nothing();
    it.set(&[("a", 2), ("b", 1)]).sends("a@2").acks().sends_nothing();
    it.set(&[("a", 2), ("a@shop", 6), ("b", 1)]).sends("a@6").acks();
    it.set(&[("b", 1)]).sends("-a").acks();
    it.set(&[("a", 2), ("b", 1)]).sends("a@2").acks().sends_nothing();
}

#[test]
fn a_reconnect_under_a_variant_is_told_the_difference_to_the_variant() {
    let mut it = Script::with(&[("a", 1), ("a@shop", 5), ("b", 1)]);
    it.resumes(&["a", "b"], &[("a", 5), ("b", 1)]).sends_nothing();
    it.resumes(&["*"], &[("a", 1), ("b", 1)]).sends("a@5");
}
