//! Ends a connection from elsewhere, whoever holds it: a request, a pool, or a task of HTTP/2. Used for connections that
//! `tls` opened, when their peer is denied. What is idle notices when it is next looked at.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// One connection's.
#[derive(Debug, Default)]
pub struct Sever {
    done: AtomicBool,
    /// Of whoever waits to read, which all do that use a connection.
    reader: AtomicWaker,
}

impl Sever {
    /// Now.
    pub fn sever(&self) {
        self.done.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// Race: whoever has nothing to read asks again after he has left his waker, so that an end in between is seen.
    pub(super) fn wait(&self, waker: &Waker) -> Result<(), Error> {
        self.reader.register(waker);
        self.check()
    }

    /// Fails if it has been ended.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.done.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::ConnectionAborted, "the peer is denied"));
        }
        Ok(())
    }
}
