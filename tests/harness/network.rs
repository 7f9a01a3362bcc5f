//! A loopback network for one test: `127.x.y.0/24`, claimed so that no other test, in this process or another,
//! has the same. All ports are then free by construction and can be fixed numbers.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

/// Held for the life of the claim. Below the ephemeral ports, and not one that people use.
const CLAIM_PORT: u16 = 20999;

/// Networks from 127.80.0.0 on; 127.66 is the demo's.
const FIRST: u32 = 80;
const COUNT: u32 = 120 * 256;

/// A claimed network.
#[derive(Debug)]
pub(crate) struct Network {
    prefix: [u8; 3],
    _claim: TcpListener,
}

impl Network {
    /// Claims a network that nobody has.
    pub(crate) fn claim() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let index = (std::process::id().wrapping_mul(97).wrapping_add(step)) % COUNT;
            let [high, low] = [FIRST + index / 256, index % 256]
                .map(|byte| u8::try_from(byte).expect("both are below 256"));
            let prefix = [127, high, low];
            if let Ok(claim) = TcpListener::bind((Ipv4Addr::new(127, high, low, 1), CLAIM_PORT)) {
                return Self { prefix, _claim: claim };
            }
        }
        panic!("no loopback network is free");
    }

    /// One of its hosts.
    pub(crate) fn host(&self, number: u8) -> Ipv4Addr {
        let [a, b, c] = self.prefix;
        Ipv4Addr::new(a, b, c, number)
    }

    /// A port of one of its hosts.
    pub(crate) fn at(&self, number: u8, port: u16) -> SocketAddr {
        (self.host(number), port).into()
    }
}

/// A port of this machine for who takes no address of a [`Network`]: nobody else is given it, now or later. The kernel gives
/// away those from 32768 on, and may give one that was free to somebody else before it is taken.
pub(crate) fn own_port() -> u16 {
    const PORTS: std::ops::Range<u16> = 26_000..30_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() * 97 % 4_000).expect("it is below 4,000");
    for _ in PORTS {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % 4_000;
        let port = PORTS.start + (first + step) % 4_000;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
