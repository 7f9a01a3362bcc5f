//! How a test describes software that it runs in a mesh: a server that knows nothing of it, and what its own clients
//! say to it. [`scene`](super::scene) runs it; each product is a file beside this one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a mesh tells about traffic depends on whether it can read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// HTTP: each request.
    Requests,
    /// Anything else: each connection.
    Connections,
}

/// What is to be known of a product before anything of it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// Its name, and that of its pod: letters, digits and dashes.
    pub(crate) name: &'static str,
    /// Its programs, server and clients, and Debian's packages of them. One with a slash is a path, in which `*` may
    /// stand for one folder.
    pub(crate) needs: &'static [(&'static str, &'static str)],
    /// Who the server runs as.
    pub(crate) user: &'static str,
    /// Where it listens.
    pub(crate) port: u16,
    /// What a user declares it as: in `appProtocol`, or as the first word of a port's name.
    pub(crate) protocol: &'static str,
    /// What of it is counted.
    pub(crate) counted: Counted,
    /// What a client and the server tell each other, as it would be on a wire that hides nothing; empty if they
    /// hide it themselves.
    pub(crate) words: &'static [&'static str],
}

/// Software of others.
pub(crate) trait Product: Sync {
    /// What is to be known of it.
    fn facts(&self) -> Facts;

    /// How it is started. `home` is the server's own directory, where it may write its configuration.
    fn server(&self, home: &Path) -> Server;

    /// A conversation that can be repeated with the same server, in steps.
    fn client(&self, at: SocketAddr) -> Vec<Step>;

    /// A client that keeps one connection, if it has such a one.
    fn session(&self, _at: SocketAddr) -> Option<Session> {
        None
    }
}

/// A program and its arguments.
pub(crate) type Command = Vec<String>;

/// How a server is started.
#[derive(Debug)]
pub(crate) struct Server {
    /// What runs before it, each to its end.
    pub(crate) before: Vec<Command>,
    /// What stays.
    pub(crate) start: Vec<Command>,
    /// Succeeds once it takes connections; repeated until then.
    pub(crate) ready: Command,
}

/// One step of a conversation.
#[derive(Debug)]
pub(crate) struct Step {
    /// A client that ends by itself, and well.
    pub(crate) run: Command,
    /// What it must have printed on standard output.
    pub(crate) prints: Vec<String>,
    /// How long it may take; far more than it does, for busy machines.
    pub(crate) limit: Duration,
}

/// A client that is fed a line at a time, for as long as the test wants.
#[derive(Debug)]
pub(crate) struct Session {
    /// The client. It ends when its connection does.
    pub(crate) run: Command,
    /// What is said the nth time, from 0.
    pub(crate) ask: fn(usize) -> String,
    /// What the answer to it holds.
    pub(crate) answer: fn(usize) -> String,
}

/// A command from its words.
pub(crate) fn command(words: &[&str]) -> Command {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// A program of a shell, with arguments `$1`, `$2` and so on; it stops at the first command that fails.
pub(crate) fn shell(script: &str, arguments: &[&str]) -> Command {
    let head = ["bash", "-euo", "pipefail", "-c", script, "bash"];
    command(&[&head, arguments].concat())
}

/// Succeeds as soon as somebody listens on that port of the pod it runs in.
pub(crate) fn listening(port: u16) -> Command {
    shell("exec 3<>/dev/tcp/127.0.0.1/$1", &[&port.to_string()])
}

/// A step that prints these.
pub(crate) fn step(run: Command, prints: &[&str]) -> Step {
    let prints = prints.iter().map(|&text| text.to_owned()).collect();
    Step { run, prints, limit: Duration::from_secs(120) }
}

/// Host and port of an address, each as a client takes it.
pub(crate) fn host_and_port(at: SocketAddr) -> (String, String) {
    (at.ip().to_string(), at.port().to_string())
}

/// The program at this place, see [`Facts::needs`].
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    const DIRECTORIES: [&str; 5] = ["/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let there = |path: PathBuf| Some(path).filter(|path| path.is_file());
    let Some((before, after)) = program.split_once('*') else {
        return match program.contains('/') {
            true => there(program.into()),
            false => DIRECTORIES.iter().find_map(|dir| there(Path::new(dir).join(program))),
        };
    };
    let mut folders: Vec<_> = std::fs::read_dir(before).ok()?.flatten().collect();
    // The newest of several, as far as names tell.
    folders.sort_by_key(|folder| std::cmp::Reverse(folder.file_name()));
    folders.iter().find_map(|folder| there(folder.path().join(after.trim_start_matches('/'))))
}
