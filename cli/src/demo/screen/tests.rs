//! Rows of a terminal, on which drawing over depends.

use super::*;

#[test]
fn lines_that_wrap_take_more_rows_and_colours_none() {
    assert_eq!(rows_of("", 10), 0);
    assert_eq!(rows_of("a\n\nb", 10), 3);
    assert_eq!(rows_of("0123456789", 10), 1, "a full row does not wrap yet");
    assert_eq!(rows_of("0123456789a", 10), 2);
    assert_eq!(rows_of(&styled(GOOD, "0123456789"), 10), 1);
}

#[test]
fn what_does_not_fit_is_cut_at_the_bottom() {
    let text = "one\n0123456789a\nthree\nfour";
    assert_eq!(top(text, 10, 10), text);
    assert_eq!(top(text, 10, 4), "one\n0123456789a\nthree");
    assert_eq!(top(text, 10, 2), "one");
    assert_eq!(top(text, 10, 0), "");
}

#[test]
fn what_is_drawn_is_erased_once() {
    let mut table = Table { text: "a\nb".to_owned(), rows: 2 };
    assert_eq!(table.erase(), "\x1b[2A\r\x1b[J");
    assert_eq!(table.erase(), "");
}
