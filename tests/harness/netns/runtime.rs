//! A thread in a namespace, as one user, with a runtime of its own: whatever runs on it is inside.

use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::namespace::become_local;

/// The thread. It ends with the value, and all of its tasks and sockets.
#[derive(Debug)]
pub(super) struct Runtime {
    handle: Handle,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    /// Starts the thread.
    pub(super) fn start(namespace: &Path, uid: u32) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (started, inside) = mpsc::channel();
        let namespace = namespace.to_owned();
        let thread = std::thread::Builder::new().name(format!("pod {uid}")).spawn(move || {
            let runtime = become_local(&namespace, uid).and_then(|()| {
                Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
            });
            match runtime {
                Ok(runtime) => {
                    // Whoever started us waits for it.
                    let _ = started.send(Ok(runtime.handle().clone()));
                    // An error is the end too.
                    let _ = runtime.block_on(stopped);
                }
                Err(error) => drop(started.send(Err(error))),
            }
        })?;
        let handle = inside.recv().context("the thread ended")??;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// What tasks are spawned with.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic of it has been seen where it happened.
            let _ = thread.join();
        }
    }
}
