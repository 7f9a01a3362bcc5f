//! Both ways of writing a point in time.

use serde_json::json;

use super::*;

#[test]
fn points_in_time_are_read_as_rfc_3339_or_seconds() {
    assert_eq!(Moment::read(&json!("1970-01-01T00:01:40Z")), Some(Moment::at(100)));
    assert_eq!(Moment::read(&json!(100)), Some(Moment::at(100)));
    assert_eq!(Moment::read(&json!(100.9)), Some(Moment::at(100)));
    for nonsense in [json!(null), json!("tomorrow"), json!([])] {
        assert_eq!(Moment::read(&nonsense), None);
    }
}

#[test]
fn what_came_before_has_no_span() {
    assert_eq!(Moment::at(100).since(Moment::at(40)), Some(Duration::from_secs(60)));
    assert_eq!(Moment::at(40).since(Moment::at(100)), None);
}

#[test]
fn spans_are_told_in_one_unit() {
    let shown = |seconds| shown_span(Duration::from_secs(seconds));
    assert_eq!([shown(8), shown(600), shown(86_399), shown(864_000)], ["8s", "10m", "23h", "10d"]);
}
