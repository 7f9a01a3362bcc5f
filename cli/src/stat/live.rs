//! `weft stat --watch`: the same again every second. On a terminal each table is drawn over the last one, from the top left, and
//! never beyond the bottom: what scrolls out cannot be drawn over. It follows the terminal's size. Nothing is set that would
//! have to be set back, so whatever ends it leaves the terminal as it was.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::{Shown, fetch_all};
use crate::args::StatArgs;
use crate::control_planes::Planes;
use crate::environment::Environment;
use crate::output::{FAINT, Output, Verdict, WARN, styled};
use crate::signals::Signals;
use crate::terminal::{rows_of, size, top};

/// How often.
const AGAIN: Duration = Duration::from_secs(1);
/// Back to the top left, where nothing is any more.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// What is on the terminal.
#[derive(Debug, Default)]
struct Screen {
    /// The last table.
    table: String,
    /// Why there is no newer one.
    complaint: String,
    /// The terminal's size when it was drawn.
    size: Option<(usize, usize)>,
}

/// Until it is told to end.
pub(super) async fn watch(
    args: &StatArgs,
    planes: Planes,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let in_place = !output.is_json() && environment.smart_terminal && output.is_terminal();
    let mut signals = Signals::watch()?;
    let ended = tokio::select! {
        // Boxed: what asks a cluster is far larger than what waits for a signal.
        ended = Box::pin(look(args, &planes, output, in_place)) => ended,
        _ = signals.next() => Ok(()),
    };
    if in_place {
        // The `^C` that a terminal echoes.
        output.raw("\r\x1b[K")?;
    }
    ended.map(|()| Verdict::Fine)
}

async fn look(args: &StatArgs, planes: &Planes, output: &Output, in_place: bool) -> Result<()> {
    let mut ticks = interval(AGAIN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut resized = signal(SignalKind::window_change()).context("cannot watch for signals")?;
    let mut screen = Screen::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = resized.recv(), if in_place => {
                screen.draw(output)?;
                continue;
            }
        }
        match fetch_all(&planes.now().await, args.window).await {
            Ok(stat) => match super::shown(args, &stat, output)? {
                Shown::Json(value) => output.data(&value.to_string())?,
                Shown::Table(table) if in_place => {
                    (screen.table, screen.complaint) = (table, String::new());
                    screen.draw(output)?;
                }
                Shown::Table(table) => output.data(&table)?,
            },
            // Whoever watches wants to see it come back, as another pod perhaps.
            Err(error) => {
                let complaint = format!("{error:#}; trying again");
                if in_place {
                    screen.complaint = complaint;
                    screen.draw(output)?;
                } else {
                    output.note(&complaint);
                }
                planes.lost();
            }
        }
    }
}

impl Screen {
    fn draw(&mut self, output: &Output) -> Result<()> {
        let size = size();
        // A terminal that has become narrower has wrapped what stood on it.
        let clear = if self.size == Some(size) { "" } else { CLEAR };
        self.size = Some(size);
        // Order: without colours there are no other escapes either, so these come last.
        let text = output.colored(&fitted(&self.table, &self.complaint, size));
        output.raw(&format!("{clear}{}", over(&text)))?;
        Ok(())
    }
}

/// What fits onto one screen: as much of the table as there is room for, how much is left out, and the complaint.
fn fitted(table: &str, complaint: &str, (columns, rows): (usize, usize)) -> String {
    let complaint = match complaint {
        "" => String::new(),
        complaint => styled(WARN, &format!("‼ {complaint}")),
    };
    // One row is the cursor's.
    let room = rows.saturating_sub(1 + rows_of(&complaint, columns)).max(1);
    let mut lines: Vec<String> = match rows_of(table, columns) <= room {
        true => table.lines().map(str::to_owned).collect(),
        false => {
            let visible = top(table, columns, room - 1);
            let hidden = table.lines().count() - visible.lines().count();
            let more = styled(FAINT, &format!("{hidden} lines more"));
            visible.lines().map(str::to_owned).chain([more]).collect()
        }
    };
    if !complaint.is_empty() {
        lines.push(complaint);
    }
    lines.join("\n")
}

/// The same over what stands there: to the end of each line, and of the screen. The cursor ends below it.
fn over(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("{line}\x1b[K\n")).collect();
    format!("\x1b[H{lines}\x1b[J")
}

#[cfg(test)]
mod tests;
