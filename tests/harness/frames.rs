//! HTTP/2 frame by frame, of either side, as an attacker writes it: nothing here keeps to the protocol unless it is
//! told to.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Who takes nothing for so long takes no more.
const PATIENCE: Duration = Duration::from_secs(60);

/// A frame as it came.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Type.
    pub(crate) kind: u8,
    /// Flags.
    pub(crate) flags: u8,
    /// Stream.
    pub(crate) stream: u32,
    /// Payload.
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of RST_STREAM (at 0) or GOAWAY (at 4).
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        let code = self.payload.get(at..at + 4).and_then(|code| code.try_into().ok());
        code.map_or(u32::MAX, u32::from_be_bytes)
    }
}

/// A connection of which the preface has gone out.
pub(crate) struct Raw<S = TcpStream> {
    stream: S,
    out: Vec<u8>,
    /// What has come of the frame that is next.
    input: Vec<u8>,
    /// Bytes written.
    pub(crate) written: usize,
}

impl Raw {
    /// Connects; `settings` are identifiers and values.
    pub(crate) async fn connect(to: SocketAddr, settings: &[(u16, u32)]) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        let mut raw = Self { stream, out: PREFACE.to_vec(), input: Vec::new(), written: 0 };
        let mut payload = Vec::new();
        for (identifier, value) in settings {
            payload.extend(identifier.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        raw.put(SETTINGS, 0, 0, &payload);
        raw.put(SETTINGS, 1, 0, &[]);
        raw.send().await?;
        Ok(raw)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// The server's side of a connection: takes the client's preface, and greets with settings.
    pub(crate) async fn accept(mut stream: S) -> Result<Self> {
        stream.read_exact(&mut [0; PREFACE.len()]).await?;
        let mut raw = Self { stream, out: Vec::new(), input: Vec::new(), written: 0 };
        raw.put(SETTINGS, 0, 0, &[]);
        raw.put(SETTINGS, 1, 0, &[]);
        raw.send().await?;
        Ok(raw)
    }

    /// Puts a frame into what is sent next.
    pub(crate) fn put(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("frames are short").to_be_bytes();
        self.out.extend(&length[1..]);
        self.out.extend([kind, flags]);
        self.out.extend(stream.to_be_bytes());
        self.out.extend(payload);
    }

    /// Sends what was put. Fails once the other side has ended the connection, or takes no more.
    pub(crate) async fn send(&mut self) -> Result<()> {
        let out = std::mem::take(&mut self.out);
        timeout(PATIENCE, self.stream.write_all(&out)).await.context("stuck")??;
        self.written += out.len();
        Ok(())
    }

    /// The next frame; an error at the end of the connection. Nothing is lost if it is not waited for.
    pub(crate) async fn next(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Ok(frame);
            }
            ensure!(self.stream.read_buf(&mut self.input).await? > 0, "the connection has ended");
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let (&head, rest) = self.input.split_first_chunk::<9>()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let payload = rest.get(..length)?.to_vec();
        self.input.drain(..9 + length);
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// The status that a stream is answered with; 0 if it was reset, or its connection ended.
    pub(crate) async fn status(&mut self, stream: u32, time: Duration) -> Result<u16> {
        let is_end = |frame: &Frame| {
            frame.kind == GOAWAY
                || (frame.stream == stream && matches!(frame.kind, HEADERS | RST_STREAM))
        };
        let seen = timeout(time.max(PATIENCE), async {
            loop {
                match self.next().await {
                    Ok(frame) if is_end(&frame) => return Some(frame),
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
        });
        match seen.await.context("no answer")? {
            Some(frame) if frame.kind == HEADERS => {
                status(&frame.payload).with_context(|| format!("no status: {:?}", frame.payload))
            }
            _ => Ok(0),
        }
    }

    /// Frames until `done` says so, the connection ends, or the time is over.
    pub(crate) async fn until(
        &mut self,
        time: Duration,
        mut done: impl FnMut(&Frame) -> bool,
    ) -> Vec<Frame> {
        let mut frames = Vec::new();
        let read = async {
            while let Ok(frame) = self.next().await {
                let last = done(&frame);
                frames.push(frame);
                if last {
                    break;
                }
            }
        };
        // What has come by then is what there is.
        let _ = timeout(time, read).await;
        frames
    }
}

/// A header block of whatever bytes, with nothing in HPACK's table. `more` may repeat what it likes, pseudo-headers too.
pub(crate) fn head(
    method: &str,
    authority: Option<&str>,
    path: &[u8],
    more: &[(&str, &[u8])],
) -> Vec<u8> {
    // 0x86: http.
    let mut block = vec![0x86];
    let authority = authority.map(|authority| (0x01, authority.as_bytes()));
    // Names of the static table, without indexing: 2 `:method`, 4 `:path`, 1 `:authority`.
    for (name, value) in
        [Some((0x02, method.as_bytes())), Some((0x04, path)), authority].into_iter().flatten()
    {
        block.push(name);
        string(&mut block, value);
    }
    for (name, value) in more {
        block.push(0x00);
        string(&mut block, name.as_bytes());
        string(&mut block, value);
    }
    block
}

/// The status that begins this header block, of a connection's first answer.
pub(crate) fn status(block: &[u8]) -> Option<u16> {
    let mut rest = block;
    // The table's size may be told first (RFC 7541 §6.3), in as many bytes as it needs.
    while rest.first()? & 0xe0 == 0x20 {
        let is_long = rest[0] & 0x1f == 0x1f;
        rest = &rest[1..];
        while is_long && rest.first()? & 0x80 != 0 {
            rest = &rest[1..];
        }
        rest = &rest[usize::from(is_long)..];
    }
    match *rest {
        [indexed @ 0x88..=0x8e, ..] => {
            Some([200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)])
        }
        // Literal, its name the static table's.
        [0x48 | 0x08 | 0x18, length, ref text @ ..] => {
            let text = text.get(..usize::from(length & 0x7f))?;
            let text = if length & 0x80 == 0 {
                String::from_utf8_lossy(text).into_owned()
            } else {
                digits(text)
            };
            text.parse().ok()
        }
        _ => None,
    }
}

/// Digits in the code of RFC 7541, appendix B: three of them have five bits, the others six.
fn digits(text: &[u8]) -> String {
    let bits: String = text.iter().map(|byte| format!("{byte:08b}")).collect();
    let (mut rest, mut digits) = (&bits[..], String::new());
    while digits.len() < 3 && rest.len() >= 5 {
        let value = |bits: &str| u32::from_str_radix(bits, 2).unwrap_or_default();
        let (digit, length) = match value(&rest[..5]) {
            short @ 0..=2 => (short, 5),
            _ => (value(rest.get(..6).unwrap_or("0")).wrapping_sub(22), 6),
        };
        digits.extend(char::from_digit(digit, 10));
        rest = rest.get(length..).unwrap_or_default();
    }
    digits
}

/// The header block of `GET /`, for this authority, with nothing in HPACK's table.
pub(crate) fn get(authority: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x84, 0x01];
    block.push(u8::try_from(authority.len()).expect("authorities are short"));
    block.extend(authority.as_bytes());
    block
}

/// The header block of a POST to this path, with nothing in HPACK's table.
pub(crate) fn post(authority: &str, path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    for (name, value) in [(0x04, path), (0x01, authority)] {
        block.extend([name, u8::try_from(value.len()).expect("it is short")]);
        block.extend(value.as_bytes());
    }
    block
}

/// The header block of an answer with status 200.
pub(crate) const OK: &[u8] = &[0x88];

/// A literal header without indexing. `value` up to 16 KiB.
pub(crate) fn literal(name: &str, value: &str, indexed: bool) -> Vec<u8> {
    let mut block = vec![if indexed { 0x40 } else { 0x00 }];
    block.push(u8::try_from(name.len()).expect("names are short"));
    block.extend(name.as_bytes());
    string(&mut block, value.as_bytes());
    block
}

/// RFC 7541 §5.2, in plain letters.
fn string(block: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(short @ 0..127) => block.push(short),
        _ => {
            // §5.1 with a prefix of 7 bits.
            block.push(0x7f);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                block.push(u8::try_from(rest % 128).unwrap_or_default() | 0x80);
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap_or_default());
        }
    }
    block.extend(text);
}

#[test]
fn a_status_is_read_from_its_block() {
    for (block, expected) in [
        (&[0x88][..], 200),
        (&[0x3f, 0xe1, 0x1f, 0x8d], 404),
        (&[0x48, 3, b'4', b'0', b'3'], 403),
        // 011010 00000 011001, filled up with ones.
        (&[0x48, 0x83, 0b0110_1000, 0b0000_1100, 0b1111_1111], 403),
        (&[0x48, 0x83, 0b0110_1100, 0b0000_1100, 0b1111_1111], 503),
        (&[0x00, 1, b'x', 1, b'y'], 0),
    ] {
        assert_eq!(status(block).unwrap_or_default(), expected, "{block:x?}");
    }
}
