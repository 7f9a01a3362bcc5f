//! Columns stand in line whatever their colour.

use super::*;
use crate::output::GOOD;

#[test]
fn words_stand_left_numbers_right_and_colours_take_no_room() {
    let mut table = Table::new(&[("NAME", Align::Left), ("RPS", Align::Right), ("", Align::Left)]);
    table.push(vec!["gateway".into(), Cell::new("20.1", GOOD), "ok".into()]);
    table.push(vec!["user".into(), "3.0".into(), "".into()]);
    let plain = anstream::adapter::strip_str(&table.render()).to_string();
    assert_eq!(plain, "NAME      RPS\ngateway  20.1  ok\nuser      3.0");
}

#[test]
fn a_table_without_rows_is_its_heading() {
    let table = Table::new(&[("NAME", Align::Left)]);
    assert_eq!(anstream::adapter::strip_str(&table.render()).to_string(), "NAME");
}

#[test]
fn letters_that_take_two_columns_push_nothing_out_of_line() {
    let mut table = Table::new(&[("PATH", Align::Left), ("STATUS", Align::Right)]);
    for path in ["/東京", "/münchen", "/e\u{301}"] {
        table.push(vec![path.into(), "503".into()]);
    }
    let plain = anstream::adapter::strip_str(&table.render()).to_string();
    let ends: Vec<usize> = plain.lines().map(columns_of).collect();
    assert_eq!(ends, [16; 4], "{plain}");
}
