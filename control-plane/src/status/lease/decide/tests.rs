//! Who may take a Lease, and when.

use super::*;

#[test]
fn a_lease_is_taken_when_it_is_nobodys_or_silent_for_its_whole_duration() {
    let record = |holder: &str| Record {
        holder: holder.to_owned(),
        duration: Duration::from_secs(15),
        ..Record::default()
    };
    for (holder, seconds, wanted) in [
        ("", 0, Step::Take),
        ("a", 0, Step::Renew),
        ("a", 100, Step::Renew),
        ("b", 0, Step::Wait),
        ("b", 14, Step::Wait),
        ("b", 15, Step::Take),
    ] {
        let step = decide(&record(holder), "a", Duration::from_secs(seconds));
        assert_eq!(step, wanted, "{holder:?} for {seconds} s");
    }
}
