//! The way from outside a container to the admin socket inside it: stdin and stdout become a connection to it.
//!
//! `weft-control-plane relay` and `weft-proxy relay` are this, each in its own container: their images have no shell and no
//! other program. `weft` has the API server run them (`kubectl exec` does the same), so whoever that lets may use the socket,
//! and no port has to be opened. It understands nothing of what passes through it, and must never read anything else.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

/// The subcommand's name, of every program that has it.
pub const NAME: &str = "relay";
/// Said first, once the socket is there: what is sent before may be lost where the container's runtime is not ready for it.
pub const GREETING: &[u8] = b"weft relay\n";
/// Name of the socket in a program's state directory.
const SOCKET: &str = "admin.sock";

/// Relays between stdin and stdout and the admin socket in this directory until whoever listens there ends the connection;
/// after the end of stdin he is told that no more comes. Exit codes: 0 relayed, 1 nobody listens; stderr says why.
#[must_use]
pub fn main(state_dir: &Path) -> ExitCode {
    let socket = state_dir.join(SOCKET);
    match standard(&socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}: {error}", socket.display());
            ExitCode::FAILURE
        }
    }
}

fn standard(socket: &Path) -> io::Result<()> {
    // The descriptors themselves: what std puts around them waits for the end of a line.
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    relay(socket, stdin, stdout)
}

fn relay(
    socket: &Path,
    mut stdin: impl Read + Send + 'static,
    mut stdout: impl Write,
) -> io::Result<()> {
    let mut answers = UnixStream::connect(socket)?;
    let mut questions = answers.try_clone()?;
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

#[cfg(test)]
mod tests;
