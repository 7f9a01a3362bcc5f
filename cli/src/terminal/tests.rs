//! Rows and columns.

use super::*;
use crate::output::{GOOD, styled};

#[test]
fn lines_that_wrap_take_more_rows_and_colours_none() {
    assert_eq!(rows_of("", 10), 0);
    assert_eq!(rows_of("a\n\nb", 10), 3);
    assert_eq!(rows_of("0123456789", 10), 1, "a full row does not wrap yet");
    assert_eq!(rows_of("0123456789a", 10), 2);
    assert_eq!(rows_of(&styled(GOOD, "0123456789"), 10), 1);
}

#[test]
fn letters_take_one_column_two_or_none() {
    assert_eq!(columns_of("größe"), 5);
    assert_eq!(columns_of("東京"), 4);
    assert_eq!(columns_of("e\u{301}"), 1, "an accent stands above its letter");
    assert_eq!(columns_of(&styled(GOOD, "東")), 2);
    assert_eq!(rows_of("東京東京東", 8), 2);
}

#[test]
fn what_does_not_fit_is_cut_at_the_bottom() {
    let text = "one\n0123456789a\nthree\nfour";
    assert_eq!(top(text, 10, 10), text);
    assert_eq!(top(text, 10, 4), "one\n0123456789a\nthree");
    assert_eq!(top(text, 10, 2), "one");
    assert_eq!(top(text, 10, 0), "");
}
