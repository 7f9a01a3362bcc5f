//! The other planes inside this executable: `weft control-plane …` and `weft proxy …`, hidden subcommands.
//!
//! `main` asks here first. One file to install is enough that way, and what the demo runs are the programs
//! themselves: they get their own arguments untouched and share nothing with the process that started them.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Runs the plane that the first argument names, to its end; `None` if it names none.
pub(crate) fn hand_over(args: &[OsString]) -> Option<ExitCode> {
    let (program, rest) = args.get(1..)?.split_first()?;
    match program.to_str()? {
        "control-plane" => Some(control_plane(rest)),
        "proxy" => Some(proxy(rest)),
        "exec" => Some(exec(rest)),
        _ => None,
    }
}

fn control_plane(args: &[OsString]) -> ExitCode {
    weft_control_plane::main(args.to_vec())
}

fn proxy(args: &[OsString]) -> ExitCode {
    // It wants a program's name first, for its usage text.
    weft_proxy::main_with_args(std::iter::once("weft proxy".into()).chain(args.to_vec()).collect())
}

/// Becomes another program; returns only if it cannot, with the exit codes that shells use for that.
fn exec(args: &[OsString]) -> ExitCode {
    let Some((program, rest)) = args.split_first() else { return ExitCode::from(2) };
    let error = Command::new(program).args(rest).exec();
    let shown = program.to_string_lossy();
    anstream::eprintln!("error: cannot run {shown}: {error}");
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    ExitCode::from(if missing { 127 } else { 126 })
}
