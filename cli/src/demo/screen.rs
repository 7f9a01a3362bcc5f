//! What the demo shows: lines that stay, and on a terminal a table below them that is drawn over itself.
//!
//! With `-o json` stdout is for the report, so everything here goes to stderr.

use std::sync::Arc;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

use crate::environment::Environment;
use crate::output::{BAD, FAINT, GOOD, Output, WARN, styled};

/// The screen; clones draw on the same.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    output: Output,
    live: Option<Live>,
    /// Has whoever read our stdout gone?
    closed: Arc<watch::Sender<bool>>,
}

#[derive(Clone, Debug)]
struct Live {
    lines: MultiProgress,
    table: ProgressBar,
}

impl Screen {
    /// Draws in place on a terminal that can, and line by line elsewhere.
    pub(super) fn new(output: &Output, environment: &Environment) -> Self {
        let in_place = output.is_terminal() && environment.smart_terminal && !output.is_json();
        let live = in_place.then(|| {
            let lines = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
            let table = lines.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                table.set_style(style);
            }
            Live { lines, table }
        });
        Self { output: *output, live, closed: Arc::new(watch::Sender::new(false)) }
    }

    /// Can the table be drawn over itself?
    pub(super) fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Is the output of every process wanted?
    pub(super) fn is_verbose(&self) -> bool {
        self.output.verbose
    }

    /// A line that stays.
    pub(super) fn line(&self, text: &str) {
        let written = match &self.live {
            Some(live) => live.lines.println(self.colored(text)),
            None if self.output.is_json() => {
                self.output.note(text);
                Ok(())
            }
            None => self.output.data(text),
        };
        if written.is_err() {
            self.closed.send_replace(true);
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
    pub(super) fn draw(&self, table: &str) {
        if let Some(live) = &self.live {
            live.table.set_message(self.colored(table));
        }
    }

    /// Draws no more; the table stays, or goes because a report follows.
    pub(super) fn close(&self, table_stays: bool) {
        match &self.live {
            Some(live) if table_stays => live.table.abandon(),
            Some(live) => live.table.finish_and_clear(),
            None => {}
        }
    }

    /// Is the table wanted where it cannot be drawn over itself? Not if stdout is for a program.
    pub(super) fn shows_table(&self) -> bool {
        !self.output.is_json()
    }

    /// Returns when whoever read our stdout has gone (`weft demo | head`).
    pub(super) async fn closed(&self) {
        // The sender lives in here, so this waits for the value.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    fn colored(&self, text: &str) -> String {
        if self.output.has_color() {
            return text.to_owned();
        }
        anstream::adapter::strip_str(text).to_string()
    }
}
