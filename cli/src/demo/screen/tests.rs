//! What is drawn over.

use super::*;

#[test]
fn what_is_drawn_is_erased_once() {
    let mut table = Table { text: "a\nb".to_owned(), rows: 2 };
    assert_eq!(table.erase(), "\x1b[2A\r\x1b[J");
    assert_eq!(table.erase(), "");
}
