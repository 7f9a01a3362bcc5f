//! `weft trust`: the roots that the mesh believes, and their replacement in steps.
//!
//! What may be done, and who is not ready for it, the control plane says; here it is asked, shown, and in `rotate` waited
//! for. Nothing of a rotation is kept here.

mod ask;
mod draw;
mod rotate;

use anyhow::Result;
use serde_json::json;

use self::ask::{Answer, ControlPlane, Step};
use crate::args::{TrustArgs, TrustCommand};
use crate::environment::Environment;
use crate::output::{Output, Verdict};

/// Runs `weft trust`.
pub(crate) async fn run(
    args: &TrustArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let control_plane = ControlPlane::new(args.command.place(), mesh, environment);
    match &args.command {
        TrustCommand::Status(_) => {
            let status = control_plane.status().await?;
            if output.is_json() {
                output.json(&status.raw)?;
            } else {
                output.data(&draw::status(&status))?;
            }
            Ok(Verdict::Fine)
        }
        TrustCommand::Rotate(args) => rotate::run(&control_plane, args.timeout, output).await,
        TrustCommand::Stage(_) => step(&control_plane, Step::Stage, false, output).await,
        TrustCommand::Issue(args) => step(&control_plane, Step::Issue, args.force, output).await,
        TrustCommand::Retire(args) => step(&control_plane, Step::Retire, args.force, output).await,
    }
}

async fn step(
    control_plane: &ControlPlane<'_>,
    step: Step,
    force: bool,
    output: &Output,
) -> Result<Verdict> {
    let (verdict, changed, refused, status) = match control_plane.step(step, force).await? {
        Answer::Done { changed, status } => (Verdict::Fine, changed, None, status),
        Answer::Refused(reason) => {
            (Verdict::Findings, false, Some(reason), control_plane.status().await?)
        }
    };
    if output.is_json() {
        output.json(&json!({
            "schema_version": 1, "step": step.word(), "changed": changed, "refused": refused,
            "status": status.raw,
        }))?;
    } else if let Some(reason) = refused {
        output.error(&reason);
    } else {
        let said = if changed { step.done() } else { step.nothing() };
        output.data(&format!("{said}\n{}", draw::status(&status)))?;
    }
    Ok(verdict)
}
