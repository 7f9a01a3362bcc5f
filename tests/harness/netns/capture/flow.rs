//! One direction of one TCP connection, put together from frames: what was sent again counts once.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const SYN: u8 = 0x02;

/// A segment of TCP in a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    sequence: u32,
    begins: bool,
    payload: &'a [u8],
}

/// Payload that was seen.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Of connections before that had the same ends.
    before: Vec<u8>,
    /// Sequence number of the first byte.
    base: Option<u32>,
    /// By distance from the first byte; the longest of each.
    pieces: BTreeMap<u32, Vec<u8>>,
}

impl Flow {
    pub(super) fn take(&mut self, segment: &Segment<'_>) {
        let first = segment.sequence.wrapping_add(u32::from(segment.begins));
        if segment.begins && self.base.is_some_and(|base| base != first) {
            let earlier = std::mem::take(self);
            self.before = earlier.bytes();
        }
        let base = *self.base.get_or_insert(first);
        let distance = first.wrapping_sub(base);
        // The other half of the circle is what came before: probes of a quiet connection.
        if !segment.payload.is_empty() && distance < u32::MAX / 2 {
            let piece = self.pieces.entry(distance).or_default();
            if piece.len() < segment.payload.len() {
                segment.payload.clone_into(piece);
            }
        }
    }

    /// All of it.
    ///
    /// # Panics
    /// Something in between was not seen: whoever looks for what must not be there would prove nothing.
    pub(super) fn bytes(self) -> Vec<u8> {
        let mut stream: Vec<u8> = Vec::new();
        for (distance, piece) in self.pieces {
            let distance = usize::try_from(distance).expect("64 bits");
            assert!(distance <= stream.len(), "the capture lost bytes at {}", stream.len());
            stream.extend(piece.iter().skip(stream.len() - distance));
        }
        let mut bytes = self.before;
        bytes.append(&mut stream);
        bytes
    }
}

impl<'a> Segment<'a> {
    /// Reads an Ethernet frame; `None` if there is no TCP in it.
    pub(super) fn read(frame: &'a [u8]) -> Option<Self> {
        let packet = frame.get(14..)?;
        let (from, to, segment) = match frame.get(12..14)? {
            [0x08, 0x00] => v4(packet)?,
            [0x86, 0xdd] => v6(packet)?,
            _ => return None,
        };
        let port = |at: usize| Some(u16::from_be_bytes(segment.get(at..at + 2)?.try_into().ok()?));
        let header = usize::from(segment.get(12)? >> 4) * 4;
        Some(Self {
            from: (from, port(0)?).into(),
            to: (to, port(2)?).into(),
            sequence: u32::from_be_bytes(segment.get(4..8)?.try_into().ok()?),
            begins: segment.get(13)? & SYN != 0,
            payload: segment.get(header..)?,
        })
    }
}

/// Sender, receiver and content of a packet with TCP in it. Of fragments there are none here.
fn v4(packet: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let address = |at: usize| {
        let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(bytes).into())
    };
    let header = usize::from(packet.first()? & 0x0f) * 4;
    // Short frames are padded: only what IP counts is content. 0 stands for more than it can count.
    let total = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    let end = if total == 0 { packet.len() } else { total };
    let content = packet.get(header..end)?;
    (*packet.get(9)? == 6).then_some((address(12)?, address(16)?, content))
}

/// The same. Extension headers are not used here.
fn v6(packet: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let address = |at: usize| {
        let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(bytes).into())
    };
    (*packet.get(6)? == 6).then_some((address(8)?, address(24)?, packet.get(40..)?))
}
