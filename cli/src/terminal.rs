//! How much room a text takes on a terminal, on which drawing over depends. Pure, but for [`size`]. Used by `table`, `stat -w`
//! and the demo's screen.

use unicode_width::UnicodeWidthStr;

/// Columns that `text` takes, which may have colours but no line break. Of East Asian letters most take two.
pub(crate) fn columns_of(text: &str) -> usize {
    anstream::adapter::strip_str(text).map(UnicodeWidthStr::width).sum()
}

/// Columns and rows of the terminal.
pub(crate) fn size() -> (usize, usize) {
    let found = terminal_size::terminal_size();
    found.map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)))
}

/// The lines of `text` that fit into `rows`, from the top: what scrolls out cannot be drawn over.
pub(crate) fn top(text: &str, columns: usize, rows: usize) -> &str {
    let mut end = 0;
    let mut left = rows;
    for line in text.split_inclusive('\n') {
        let needs = rows_of(line.trim_end_matches('\n'), columns).max(1);
        if needs > left {
            break;
        }
        left -= needs;
        end += line.len();
    }
    text[..end].trim_end_matches('\n')
}

/// Rows that `text` takes on a terminal that wraps at `columns`; none if it is empty.
pub(crate) fn rows_of(text: &str, columns: usize) -> usize {
    if text.is_empty() {
        return 0;
    }
    text.split('\n').map(|line| columns_of(line).div_ceil(columns.max(1)).max(1)).sum()
}

#[cfg(test)]
mod tests;
