//! One pod, or the router: its addresses, and what runs in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::namespace::Namespace;
use super::runtime::Runtime;
use super::{APP_UID, Capture};
use crate::harness::{Output, Program, run};

/// A pod. Everything of it ends with the value.
#[derive(Debug)]
pub(crate) struct Pod {
    // Order: threads first, then the namespace that they are in.
    runtimes: Mutex<BTreeMap<u32, Runtime>>,
    namespace: Namespace,
    name: String,
    v4: IpAddr,
    v6: IpAddr,
    /// Of the network.
    directory: PathBuf,
}

impl Pod {
    pub(super) fn new(
        name: &str,
        namespace: Namespace,
        v4: IpAddr,
        v6: IpAddr,
        directory: &Path,
    ) -> Self {
        let (name, directory) = (name.to_owned(), directory.to_owned());
        Self { runtimes: Mutex::default(), namespace, name, v4, v6, directory }
    }

    /// What the test calls it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What `ip netns` calls it.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.name()
    }

    /// A port of it, IPv4.
    pub(crate) fn v4(&self, port: u16) -> SocketAddr {
        (self.v4, port).into()
    }

    /// A port of it, IPv6.
    pub(crate) fn v6(&self, port: u16) -> SocketAddr {
        (self.v6, port).into()
    }

    /// Both.
    pub(crate) fn both(&self, port: u16) -> [SocketAddr; 2] {
        [self.v4(port), self.v6(port)]
    }

    /// Runs a future in the pod, as the application's user. What it spawns stays there, until the pod goes.
    pub(crate) async fn on<T: Send + 'static>(
        &self,
        inside: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.on_as(APP_UID, inside).await
    }

    /// The same as another user. It is the user of sockets, and of files, of this future alone.
    pub(crate) async fn on_as<T: Send + 'static>(
        &self,
        uid: u32,
        inside: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let task = {
            let mut runtimes = self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
            let start =
                || Runtime::start(&self.namespace.path(), uid).expect("a thread in the pod");
            runtimes.entry(uid).or_insert_with(start).handle().spawn(inside)
        };
        match task.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => panic!("{}: {error}", self.name),
        }
    }

    /// The same program, to be started in the pod as this user. Its process id is the program's own. The user must be
    /// able to reach the executable ([`PodNetwork::installed`](super::PodNetwork::installed)) and its files
    /// ([`Pod::home`]).
    pub(crate) fn program(&self, uid: u32, program: Program) -> Program {
        let mut namespace = OsString::from("--net=");
        namespace.push(self.namespace.path());
        let mut args = vec![namespace];
        // Order: the namespace first, root alone may enter it. Root stays root, with all its capabilities.
        if uid != 0 {
            args.extend(
                ["--setuid", "--setgid"]
                    .into_iter()
                    .flat_map(|flag| [OsString::from(flag), OsString::from(uid.to_string())]),
            );
        }
        args.extend(["--".into(), program.path.into()]);
        args.extend(program.args);
        let name = format!("{} in {}", program.name, self.name);
        Program { name, path: "nsenter".into(), args, ..program }
    }

    /// Runs a program to its end in the pod, as root.
    pub(crate) async fn run(&self, program: &Path, args: &[&str]) -> Output {
        let program = Program {
            name: format!("{} {}", program.display(), args.join(" ")),
            path: program.to_owned(),
            args: args.iter().map(Into::into).collect(),
            variables: Vec::new(),
            log: PathBuf::new(),
        };
        run(&self.program(0, program), std::time::Duration::from_secs(30)).await
    }

    /// A directory of mode 0700 that belongs to this user; it goes with the network.
    pub(crate) fn home(&self, uid: u32) -> PathBuf {
        let path = self.directory.join(format!("{}-{uid}", self.namespace.name()));
        if !path.exists() {
            fs::DirBuilder::new().mode(0o700).create(&path).expect("the directory is ours");
            chown(&path, Some(uid), Some(uid)).expect("root may give away");
        }
        path
    }

    /// Begins to keep every frame that passes the pod's interface, in and out; loopback is not seen.
    pub(crate) fn capture(&self) -> Capture {
        Capture::start(&self.namespace)
    }
}
