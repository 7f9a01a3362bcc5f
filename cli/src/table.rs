//! Tables for people: columns in line, two spaces between, no frames. Used by every command that lists.

use std::fmt::Write as _;

use anstyle::Style;

use crate::output::FAINT;
use crate::terminal::columns_of;

/// Side on which a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// One field: its text and how it looks.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A field in colour.
    pub(crate) fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Style::new())
    }
}

/// Rows under a heading. Each row should have as many fields as there are columns; missing ones are empty.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|(title, align)| ((*title).to_owned(), *align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// The text, without a line break at its end.
    pub(crate) fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| self.width(column)).collect();
        let heading: Vec<Cell> =
            self.columns.iter().map(|(title, _)| Cell::new(title.as_str(), FAINT)).collect();
        let mut text = String::new();
        for row in std::iter::once(&heading).chain(&self.rows) {
            if !text.is_empty() {
                text.push('\n');
            }
            self.render_row(row, &widths, &mut text);
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let fields = self.rows.iter().filter_map(|row| row.get(column));
        let widest = fields.map(|cell| columns_of(&cell.text)).max().unwrap_or(0);
        widest.max(columns_of(&self.columns[column].0))
    }

    fn render_row(&self, row: &[Cell], widths: &[usize], text: &mut String) {
        // No blanks at the end of a line: they wrap on a narrow terminal.
        let end = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
        for (column, cell) in row.iter().enumerate().take(widths.len().min(end)) {
            let style = cell.style;
            let blanks = " ".repeat(widths[column].saturating_sub(columns_of(&cell.text)));
            let (before, after) = match self.columns[column].1 {
                Align::Left if column + 1 < end => ("", blanks.as_str()),
                Align::Left => ("", ""),
                Align::Right => (blanks.as_str(), ""),
            };
            let gap = if column == 0 { "" } else { "  " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{gap}{before}{style}{}{style:#}{after}", cell.text);
        }
    }
}

#[cfg(test)]
mod tests;
