//! `weft trust rotate`: asks how the roots stand, takes the next step when everybody is ready, and so on to the end.
//!
//! It begins wherever the mesh stands, so it may be interrupted, or lose its control plane, at any point: the next one goes
//! on. Two of them at a time do no harm: a step that another has taken is not taken twice.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::ask::{Answer, ControlPlane, Status, Step};
use super::draw;
use crate::output::{Output, Verdict};

/// Between two questions.
const AGAIN: Duration = Duration::from_secs(1);
/// How long nobody may answer: a control plane that was killed is started again by whoever runs it.
const SILENCE: Duration = Duration::from_secs(60);

/// How far one has come.
struct Rotation<'a> {
    output: &'a Output,
    steps: Vec<Step>,
    /// A root was staged, by this one or before it.
    is_begun: bool,
    /// Since when the present step is waited for.
    since: Instant,
    said: String,
}

/// Runs it; `limit` bounds the wait for each step.
pub(super) async fn run(
    control_plane: &ControlPlane<'_>,
    limit: Duration,
    output: &Output,
) -> Result<Verdict> {
    let (steps, since) = (Vec::new(), Instant::now());
    let mut rotation = Rotation { output, steps, is_begun: false, since, said: String::new() };
    let mut status = control_plane.status().await?;
    if status.next != Step::Stage {
        rotation.is_begun = true;
        output.note("Going on with a rotation that was begun before.");
    }
    loop {
        if status.next == Step::Stage && rotation.is_begun {
            return rotation.end(&status, true);
        }
        if status.obstacles.is_empty() {
            match control_plane.step(status.next, false).await {
                Ok(Answer::Done { changed, .. }) => rotation.took(status.next, changed),
                // Of a root that is not ours to make there is nothing to wait for.
                Ok(Answer::Refused(reason)) if status.next == Step::Stage => bail!(reason),
                Ok(Answer::Refused(reason)) => rotation.say(&reason),
                Err(error) => rotation.say(&format!("{error:#}")),
            }
        } else {
            rotation.say(&draw::waiting(&status));
        }
        if rotation.since.elapsed() > limit {
            return rotation.end(&status, false);
        }
        sleep(AGAIN).await;
        status = rotation.ask(control_plane).await?;
    }
}

impl Rotation<'_> {
    fn took(&mut self, step: Step, changed: bool) {
        self.is_begun = true;
        if changed {
            self.output.note(step.done());
            self.steps.push(step);
            self.since = Instant::now();
        }
    }

    /// A line of progress, on a terminal only, and once.
    fn say(&mut self, text: &str) {
        if std::io::stderr().is_terminal() && self.said != text {
            self.output.note(&format!("waiting: {text}"));
            text.clone_into(&mut self.said);
        }
    }

    async fn ask(&mut self, control_plane: &ControlPlane<'_>) -> Result<Status> {
        let silent = Instant::now();
        loop {
            match control_plane.status().await {
                Ok(status) => return Ok(status),
                Err(error) if silent.elapsed() > SILENCE => return Err(error),
                Err(error) => self.say(&format!("{error:#}")),
            }
            sleep(AGAIN).await;
        }
    }

    fn end(&self, status: &Status, done: bool) -> Result<Verdict> {
        if self.output.is_json() {
            let steps: Vec<&str> = self.steps.iter().map(|step| step.word()).collect();
            self.output.json(&json!({
                "schema_version": 1, "done": done, "steps": steps, "status": status.raw,
            }))?;
        } else {
            self.output.data(&draw::status(status))?;
        }
        if done {
            return Ok(Verdict::Fine);
        }
        let step = status.next.word();
        self.output.error(&format!(
            "not everybody is ready, and it was waited long enough; nothing is lost: `weft trust rotate` goes on from here, \
             `weft trust {step} --force` does not wait"
        ));
        Ok(Verdict::Findings)
    }
}
