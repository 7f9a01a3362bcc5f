//! A child that dies with its parent: `weft supervised PID …` strips itself from the arguments and asks the
//! kernel for SIGKILL when the parent ends, however it ends. Called first thing by `main`.

use std::ffi::OsString;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

/// The subcommand.
const SUPERVISED: &str = "supervised";

/// The arguments that make the child of process `parent` follow it; they stand before its own.
pub(crate) fn following(parent: u32) -> [OsString; 2] {
    [SUPERVISED.into(), parent.to_string().into()]
}

/// Removes `supervised PID` from `args` and follows that process. `false`: it is gone already, or the kernel
/// refuses; then this process must not begin.
pub(crate) fn follow(args: &mut Vec<OsString>) -> bool {
    if args.get(1).is_none_or(|word| word != SUPERVISED) {
        return true;
    }
    let parent: Option<i32> =
        args.get(2).and_then(|pid| pid.to_str()).and_then(|pid| pid.parse().ok());
    args.drain(1..args.len().min(3));
    // Race: the parent may end before the kernel knows that we follow it; then we have another parent by now.
    set_pdeathsig(Signal::SIGKILL).is_ok()
        && parent.is_some_and(|pid| getppid() == Pid::from_raw(pid))
}
