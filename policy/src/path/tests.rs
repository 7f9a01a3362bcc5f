//! Odd spellings.

use super::ambiguous;

#[test]
fn what_has_two_readings_is_found() {
    for (path, odd) in [
        ("/carts/7", None),
        ("/carts/7;v=1", Some("`;`")),
        ("/a%2fb", Some("`%2F`")),
        ("/a%2Fb", Some("`%2F`")),
        ("/a%5cb", Some("`%5C`")),
        ("/a%3Bb", Some("`%3B`")),
        ("/a%2", None),
        ("/a%25b", None),
        ("", None),
    ] {
        assert_eq!(ambiguous(path), odd, "{path}");
    }
}
