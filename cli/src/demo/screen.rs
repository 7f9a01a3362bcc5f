//! What the demo shows: lines that stay, and on a terminal a table below them that is drawn over itself.
//!
//! With `-o json` stdout is for the report, so everything here goes to stderr.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::environment::Environment;
use crate::output::{BAD, FAINT, GOOD, Output, WARN, styled};
use crate::terminal::{rows_of, size, top};

/// The screen; clones draw on the same.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    output: Output,
    /// The table that is drawn over itself, on a terminal that can do so.
    live: Option<Arc<Mutex<Table>>>,
    /// Has whoever read our stdout gone?
    closed: Arc<watch::Sender<bool>>,
}

/// The table as it was last drawn. The cursor stands at the begin of the row below it, so that a `^C` which the
/// terminal echoes does no harm.
#[derive(Debug, Default)]
struct Table {
    text: String,
    /// Rows that it takes on the screen.
    rows: usize,
}

impl Screen {
    /// Draws in place on a terminal that can, and line by line elsewhere.
    pub(super) fn new(output: &Output, environment: &Environment) -> Self {
        let in_place = output.is_terminal() && environment.smart_terminal && !output.is_json();
        Self {
            output: *output,
            live: in_place.then(Arc::default),
            closed: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Can the table be drawn over itself?
    pub(super) fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Is the table wanted where it cannot be drawn over itself? Not if stdout is for a program.
    pub(super) fn shows_table(&self) -> bool {
        !self.output.is_json()
    }

    /// Is the output of every process wanted?
    pub(super) fn is_verbose(&self) -> bool {
        self.output.verbose
    }

    /// A line that stays.
    pub(super) fn line(&self, text: &str) {
        match &self.live {
            Some(live) => {
                let mut table = live.lock().unwrap_or_else(PoisonError::into_inner);
                let below = std::mem::take(&mut table.text);
                self.write(&format!("{}{}\n", table.erase(), self.output.colored(text)));
                self.put(&mut table, below);
            }
            None if self.output.is_json() => self.output.note(text),
            None => self.write(&format!("{}\n", self.output.colored(text))),
        }
    }

    /// A line about something that is up: `▸ load   20 requests/s`.
    pub(super) fn up(&self, what: &str, how: &str) {
        self.line(&format!("{} {what:<15} {how}", styled(GOOD, "▸")));
    }

    /// A line about something that a person should know.
    pub(super) fn warn(&self, text: &str) {
        self.line(&format!("{} {text}", styled(WARN, "‼")));
    }

    /// A line about something that went wrong.
    pub(super) fn bad(&self, text: &str) {
        self.line(&format!("{} {text}", styled(BAD, "×")));
    }

    /// A line of some process's output.
    pub(super) fn faint(&self, text: &str) {
        self.line(&styled(FAINT, text));
    }

    /// Draws the table anew; only a live screen does.
    pub(super) fn draw(&self, text: &str) {
        if let Some(live) = &self.live {
            let mut table = live.lock().unwrap_or_else(PoisonError::into_inner);
            self.put(&mut table, self.output.colored(text));
        }
    }

    /// Takes the table away, because a report follows.
    pub(super) fn clear(&self) {
        self.draw("");
    }

    /// Returns when whoever read our stdout has gone (`weft demo | head`).
    pub(super) async fn closed(&self) {
        // The sender lives in here, so this waits for the value.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Puts `text` where the table is.
    fn put(&self, table: &mut Table, text: String) {
        let erase = table.erase();
        let (columns, rows) = size();
        let visible = top(&text, columns, rows.saturating_sub(1));
        let end = if visible.is_empty() { "" } else { "\n" };
        self.write(&format!("{erase}{visible}{end}"));
        *table = Table { rows: rows_of(visible, columns), text };
    }

    fn write(&self, text: &str) {
        if self.output.raw(text).is_err() {
            self.closed.send_replace(true);
        }
    }
}

impl Table {
    /// What makes the terminal forget it.
    fn erase(&mut self) -> String {
        match std::mem::take(&mut self.rows) {
            0 => String::new(),
            rows => format!("\x1b[{rows}A\r\x1b[J"),
        }
    }
}

#[cfg(test)]
mod tests;
