//! `weft-control-plane relay`: stdin and stdout become a connection to the admin socket of the control plane that runs here.
//!
//! For `weft` on Kubernetes, which runs it in the control plane's container (`kubectl exec` does the same): whoever the API
//! server lets do that may use the socket, and no port has to be opened. Called by [`crate::program`]. It understands nothing of what
//! passes through it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// The subcommand's name.
pub(crate) const NAME: &str = "relay";
/// Said first, once the socket is there: what is sent before may be lost where the container's runtime is not ready for it.
pub const GREETING: &[u8] = b"weft relay\n";

/// Connects stdin and stdout to the admin socket of the control plane that runs in this container.
#[derive(Debug, Parser)]
#[command(name = "weft-control-plane relay")]
struct Flags {
    /// The state directory of the control plane
    #[arg(long, value_name = "DIR", env = "WEFT_STATE_DIR", default_value = "/var/run/weft/state")]
    state_dir: PathBuf,
}

/// Relays until the control plane ends the connection; after the end of stdin it is told that no more comes. Exit codes: 0
/// relayed, 1 nobody listens, 2 wrong usage.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let name = OsString::from("weft-control-plane relay");
    let flags = match Flags::try_parse_from(std::iter::once(name).chain(arguments)) {
        Ok(flags) => flags,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let socket = flags.state_dir.join("admin.sock");
    match relay(&socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}: {error}", socket.display());
            ExitCode::FAILURE
        }
    }
}

fn relay(socket: &std::path::Path) -> io::Result<()> {
    let mut answers = UnixStream::connect(socket)?;
    let mut questions = answers.try_clone()?;
    // The descriptors themselves: what std puts around them waits for the end of a line.
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    stdout.write_all(GREETING)?;
    // It may never see the end of stdin, and ends with the process.
    std::thread::spawn(move || {
        let _ = pass(&mut stdin, &mut questions);
        let _ = questions.shutdown(Shutdown::Write);
    });
    pass(&mut answers, &mut stdout)
}

/// By reading and writing: what is spliced through the kernel from a pipe may wait there for more.
fn pass(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => to.write_all(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
