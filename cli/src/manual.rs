//! `weft completion` and `weft man`: made from the definition of the command line, so that they cannot lag behind.

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::args::{Cli, CompletionArgs, ManArgs};
use crate::output::{Output, Verdict};

/// Runs `weft completion`.
pub(crate) fn completion(args: &CompletionArgs, output: &Output) -> Result<Verdict> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "weft", &mut script);
    output.raw(&String::from_utf8_lossy(&script))?;
    Ok(Verdict::Fine)
}

/// Runs `weft man`.
pub(crate) fn pages(args: &ManArgs, output: &Output) -> Result<Verdict> {
    let directory = &args.directory;
    let failed = || format!("cannot write man pages into {}", directory.display());
    std::fs::create_dir_all(directory).with_context(failed)?;
    clap_mangen::generate_to(Cli::command(), directory).with_context(failed)?;
    output.note(&format!("man pages are in {}", directory.display()));
    Ok(Verdict::Fine)
}
