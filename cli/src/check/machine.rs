//! Judges the machine: directory, limits, clock, addresses. Pure.

use super::gather::{Machine, RunDirectory};
use super::{Category, Check, fix};
use crate::environment::shell_quoted;
use crate::moment::Moment;

/// A sidecar uses two descriptors a connection; below this, a busy one runs out.
const FEW_OPEN_FILES: u64 = 4096;
/// 2026-01-01: a clock before this program was written is wrong.
const BEFORE_WEFT: i64 = 1_767_225_600;

pub(super) fn judge(machine: &Machine) -> Category {
    let mut checks = vec![directory(machine), open_files(machine), clock(machine.clock)];
    checks.push(match &machine.loopback {
        Ok(()) => Check::good("loopback addresses 127.66.0.0/16 can be used"),
        Err(error) => Check::bad(
            "loopback addresses 127.66.0.0/16 can be used",
            error.as_str(),
            fix("bring the loopback interface up", "ip link set lo up"),
        ),
    });
    match machine.shop_port {
        None => {}
        Some(true) => checks.push(Check::good("port 8080 is free for the demo's shop")),
        Some(false) => checks.push(Check::warning(
            "port 8080 is free for the demo's shop",
            "something listens on 127.0.0.1:8080",
            "nothing to do: the demo takes the next free port and says which",
        )),
    }
    Category { category_name: "machine", checks }
}

fn directory(machine: &Machine) -> Check {
    let path = machine.run_root.display();
    let description = format!("{path} is private");
    match machine.directory {
        RunDirectory::Private => Check::good(description),
        RunDirectory::Missing => Check::good(format!("{path} is made when a mesh starts")),
        RunDirectory::Open => Check::bad(
            description,
            "others may enter it; it holds keys",
            fix("close it", format!("chmod 700 {}", shell_quoted(&path.to_string()))),
        ),
        RunDirectory::Foreign => Check::bad(
            description,
            "it is somebody else's, or not a directory",
            fix(
                "remove it, or have meshes in a directory of your own, in every shell",
                "export XDG_RUNTIME_DIR=\"$HOME/.weft-run\"; mkdir -p -m 700 \"$XDG_RUNTIME_DIR\"",
            ),
        ),
    }
}

fn open_files(machine: &Machine) -> Check {
    let description = "enough files may be open";
    match machine.open_files {
        None => {
            Check::warning(description, "the limit cannot be read", fix("look at it", "ulimit -n"))
        }
        Some((soft, _)) if soft >= FEW_OPEN_FILES => Check::good(format!("{description} ({soft})")),
        Some((soft, hard)) => {
            let error = format!("the limit is {soft}: about {} connections a sidecar", soft / 2);
            let may = hard.min(65_536);
            let mend = match may > soft {
                true => fix("raise it in this shell", format!("ulimit -n {may}")),
                false => fix(
                    "the hard limit is no higher: raise that as root, for the shell that runs the mesh",
                    format!("sudo prlimit --pid $$ --nofile={FEW_OPEN_FILES}:65536"),
                ),
            };
            Check::warning(description, error, mend)
        }
    }
}

fn clock(clock: Moment) -> Check {
    let description = "the clock is plausible";
    if clock > Moment::at(BEFORE_WEFT) {
        return Check::good(description);
    }
    Check::bad(
        description,
        "it is set to a time before this weft was made, so certificates seem not to be valid yet",
        fix("have it set", "sudo timedatectl set-ntp true"),
    )
}
