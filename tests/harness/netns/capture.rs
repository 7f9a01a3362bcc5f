//! What passes a pod's interface, byte by byte: to show that something was never there.
//!
//! A packet socket in the pod sees every frame of its interfaces once in each direction. Those of loopback, where
//! plaintext is in order, have no hardware addresses and are left out.

mod flow;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBufForce;
use socket2::{Domain, Protocol, Socket, Type};

use super::namespace::Namespace;
use flow::{Flow, Segment};

/// All protocols (`ETH_P_ALL`), in network order.
const ALL: i32 = 0x0003_u16.to_be() as i32;

/// Bytes that are kept; a test that sends more than this would prove nothing.
const MOST: usize = 64 << 20;

/// Between two looks whether it should end. Frames that have come until then are in the socket already.
const PATIENCE: Duration = Duration::from_millis(50);

/// What an end waits for where traffic never pauses.
const LONGEST_END: Duration = Duration::from_secs(2);

/// A capture under way.
#[derive(Debug)]
pub(crate) struct Capture {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Vec<u8>>>>,
}

/// What passed: the payload of TCP, by connection and direction, as its receiver got it. Nothing is missing: what was
/// lost on the way to us would have failed the test.
#[derive(Debug)]
pub(crate) struct Captured {
    flows: BTreeMap<(SocketAddr, SocketAddr), Vec<u8>>,
    frames: usize,
}

impl Capture {
    pub(super) fn start(namespace: &Namespace) -> Self {
        let open = || {
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(ALL)))?;
            // As a rule the kernel allows a few frames only, which a busy machine would lose.
            setsockopt(&socket, RcvBufForce, &MOST)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok::<_, std::io::Error>(socket)
        };
        let socket = namespace.enter(0, open).expect("root may enter").expect("root may listen");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || keep(socket, &stopped));
        Self { stop, thread: Some(thread) }
    }

    /// Ends it: what passed until now.
    pub(crate) fn end(mut self) -> Captured {
        self.stop.store(true, Ordering::Relaxed);
        let frames = self.thread.take().map(JoinHandle::join).expect("it ends once");
        let frames = frames.expect("it does not panic");
        let kept: usize = frames.iter().map(Vec::len).sum();
        assert!(kept < MOST, "more than {MOST} bytes passed: the capture is not whole");
        let mut flows: BTreeMap<_, Flow> = BTreeMap::new();
        for segment in frames.iter().filter_map(|frame| Segment::read(frame)) {
            flows.entry((segment.from, segment.to)).or_default().take(&segment);
        }
        let flows = flows.into_iter().map(|(ends, flow)| (ends, flow.bytes())).collect();
        Captured { flows, frames: frames.len() }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Captured {
    /// Was this in one direction of one connection, also across packets?
    pub(crate) fn has(&self, needle: &[u8]) -> bool {
        self.flows.values().any(|flow| flow.windows(needle.len()).any(|window| window == needle))
    }

    /// Payload of TCP from each sender to each receiver.
    pub(crate) fn flows(&self) -> &BTreeMap<(SocketAddr, SocketAddr), Vec<u8>> {
        &self.flows
    }

    /// Frames of any protocol.
    pub(crate) fn frames(&self) -> usize {
        self.frames
    }
}

fn keep(mut socket: Socket, stopped: &AtomicBool) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    // With segmentation left to the interface a frame is up to 64 KiB and its headers.
    let mut buffer = vec![0; 128 * 1024];
    let mut kept = 0;
    let mut end = None;
    while end.is_none_or(|end| Instant::now() < end) {
        if end.is_none() && stopped.load(Ordering::Relaxed) {
            end = Some(Instant::now() + LONGEST_END);
        }
        match socket.read(&mut buffer) {
            Ok(length) => {
                let frame = &buffer[..length];
                if kept < MOST && frame.iter().take(12).any(|byte| *byte != 0) {
                    kept += length;
                    frames.push(frame.to_vec());
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Nothing came for a while: everything that passed before the end was asked for has been read.
            Err(_) if end.is_some() => break,
            Err(_) => {}
        }
    }
    frames
}
