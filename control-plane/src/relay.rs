//! `weft-control-plane relay`: the way into the control plane's container, see [`weft_relay`]. Called by [`crate::program`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Connects stdin and stdout to the admin socket of the control plane that runs in this container.
#[derive(Debug, Parser)]
#[command(name = "weft-control-plane relay")]
struct Flags {
    /// The state directory of the control plane
    #[arg(long, value_name = "DIR", env = "WEFT_STATE_DIR", default_value = "/var/run/weft/state")]
    state_dir: PathBuf,
}

/// Relays. Exit codes: 0 relayed, 1 nobody listens, 2 wrong usage.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let name = OsString::from("weft-control-plane relay");
    match Flags::try_parse_from(std::iter::once(name).chain(arguments)) {
        Ok(flags) => weft_relay::main(&flags.state_dir),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}
