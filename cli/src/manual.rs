//! `weft completion` and `weft man`: made from the definition of the command line, so that they cannot lag behind.

use anyhow::{Context, Result};
use clap::error::ErrorKind;
use clap::{Command, CommandFactory};
use serde_json::json;

use crate::args::{Cli, CompletionArgs, ManArgs};
use crate::output::{Output, Verdict};

/// Runs `weft completion`.
pub(crate) fn completion(args: &CompletionArgs, output: &Output) -> Result<Verdict> {
    if output.is_json() {
        let why = "a script for a shell has no form in JSON";
        Cli::command().error(ErrorKind::ArgumentConflict, why).exit();
    }
    output.raw(&script(args.shell))?;
    Ok(Verdict::Fine)
}

fn script(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(&Cli::command()), "weft", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The command line without what nobody types: clap hides that in help only.
fn shown(command: &Command) -> Command {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    Command::new("weft")
        .args(command.get_arguments())
        .subcommands(shown)
        .version(env!("CARGO_PKG_VERSION"))
}

/// Runs `weft man`.
pub(crate) fn pages(args: &ManArgs, output: &Output) -> Result<Verdict> {
    let directory = &args.directory;
    let failed = || format!("cannot write man pages into {}", directory.display());
    std::fs::create_dir_all(directory).with_context(failed)?;
    clap_mangen::generate_to(Cli::command(), directory).with_context(failed)?;
    if output.is_json() {
        output.json(&json!({ "directory": directory, "pages": names(&Cli::command(), "weft") }))?;
    }
    output.note(&format!("man pages are in {}", directory.display()));
    Ok(Verdict::Fine)
}

/// The pages of a command and of those below it.
fn names(command: &Command, name: &str) -> Vec<String> {
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    let below = below.flat_map(|below| names(below, &format!("{name}-{}", below.get_name())));
    [format!("{name}.1")].into_iter().chain(below).collect()
}

#[cfg(test)]
mod tests;
