//! What fits onto a terminal.

use super::*;
use crate::golden;
use crate::stat::tests::shop;
use crate::stat::{StatView, draw};

fn table() -> String {
    draw(StatView::Workloads, &shop(), crate::args::Format::Table)
}

#[test]
fn a_small_terminal_shows_the_top_and_says_how_much_is_left_out() {
    golden::plain("stat", "small-terminal", &fitted(&table(), "", (120, 4)));
    let said = "nothing answers at /run/weft/demo/control-plane/admin.sock: gone; trying again";
    golden::plain("stat", "small-terminal-away", &fitted(&table(), said, (120, 5)));
    golden::plain("stat", "narrow-terminal", &fitted(&table(), "", (40, 8)));
    assert_eq!(fitted(&table(), "", (120, 24)), table());
    for size in [(0, 0), (1, 1), (1, 3), (500, 1)] {
        assert!(fitted(&table(), said, size).lines().count() < 4, "{size:?}");
    }
}

#[test]
fn a_frame_leaves_nothing_of_the_one_before_it() {
    assert_eq!(over("a\nb"), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    assert_eq!(over(""), "\x1b[H\x1b[J");
}
