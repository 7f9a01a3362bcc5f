//! Where heads begin and end in the bytes of an HTTP/1 connection, and what is wrong in them. Pure; called by
//! [`super`] with whatever was read, in pieces of any size.
//!
//! It need not be right where hyper refuses: what follows is never served. Bound: [`KEPT`] bytes of a line that
//! came in pieces.

/// What can be wrong, by index.
pub(super) const FINDINGS: [&str; 3] = [
    "the target has a fragment",
    "both Transfer-Encoding and Content-Length",
    "more than one Content-Length",
];
const FRAGMENT: usize = 0;
const BOTH: usize = 1;
const TWICE: usize = 2;

/// Enough for the names and values that are looked for.
const KEPT: usize = 64;

/// The state between two reads.
#[derive(Debug, Default)]
pub(super) struct Scan {
    part: Part,
    head: Head,
    /// Requests whose head is complete.
    complete: u64,
    /// The beginning of a line whose end was not there.
    kept: Vec<u8>,
    found: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// Between requests; empty lines are skipped (RFC 9112 §2.2).
    #[default]
    Between,
    RequestLine,
    Headers,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// Nothing more is looked at: an upgrade, a finding, or nonsense that hyper refuses.
    Blind,
}

/// What the headers of one head say.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

impl Scan {
    /// Is a head incomplete?
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.part, Part::RequestLine | Part::Headers)
    }

    /// Has a request begun, and not ended?
    pub(super) fn is_in_message(&self) -> bool {
        !matches!(self.part, Part::Between | Part::Blind)
    }

    /// Takes what was read. A finding is the number of the request and an index into [`FINDINGS`].
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Option<(u64, usize)> {
        while !bytes.is_empty() {
            match self.part {
                Part::Blind => return None,
                Part::Between => {
                    let skipped = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
                    bytes = &bytes[skipped.unwrap_or(bytes.len())..];
                    if !bytes.is_empty() {
                        self.part = Part::RequestLine;
                        self.head = Head::default();
                    }
                }
                Part::Body(left) => bytes = self.skip(bytes, left, Part::Body, Part::Between),
                Part::Chunk(left) => bytes = self.skip(bytes, left, Part::Chunk, Part::ChunkEnd),
                Part::RequestLine
                | Part::Headers
                | Part::ChunkSize
                | Part::ChunkEnd
                | Part::Trailers => {
                    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                        self.keep(bytes);
                        return None;
                    };
                    let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
                    bytes = rest;
                    if let Some(what) = self.whole_line(line) {
                        self.part = Part::Blind;
                        self.found = true;
                        return Some((self.complete, what));
                    }
                }
            }
        }
        None
    }

    /// Takes what is about to be written: after `101 Switching Protocols` there are no more heads.
    pub(super) fn written(&mut self, bytes: &[u8]) {
        if self.head.upgrade && bytes.starts_with(b"HTTP/1.1 101") {
            self.part = Part::Blind;
        }
    }

    fn skip<'b>(
        &mut self,
        bytes: &'b [u8],
        left: u64,
        again: fn(u64) -> Part,
        next: Part,
    ) -> &'b [u8] {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - here as u64;
        self.part = if left == 0 { next } else { again(left) };
        &bytes[here..]
    }

    /// A request line is searched for its fragment wherever that is; of other lines the beginning is enough.
    fn keep(&mut self, piece: &[u8]) {
        let room = KEPT.saturating_sub(self.kept.len()).min(piece.len());
        self.kept.extend_from_slice(&piece[..room]);
        if self.part == Part::RequestLine && piece[room..].contains(&b'#') {
            self.kept.push(b'#');
        }
    }

    fn whole_line(&mut self, end: &[u8]) -> Option<usize> {
        if self.kept.is_empty() {
            return self.line(end.strip_suffix(b"\r").unwrap_or(end));
        }
        self.keep(end);
        let kept = std::mem::take(&mut self.kept);
        self.line(kept.strip_suffix(b"\r").unwrap_or(&kept))
    }

    fn line(&mut self, line: &[u8]) -> Option<usize> {
        match self.part {
            Part::RequestLine => {
                self.part = Part::Headers;
                return line.contains(&b'#').then_some(FRAGMENT);
            }
            Part::Headers if line.is_empty() => {
                self.complete += 1;
                self.part = match self.head {
                    Head { chunked: true, .. } => Part::ChunkSize,
                    Head { length: Some(length @ 1..), .. } => Part::Body(length),
                    Head { .. } => Part::Between,
                };
            }
            Part::Headers => return self.header(line),
            Part::ChunkSize => {
                self.part = match chunk_size(line) {
                    Some(0) => Part::Trailers,
                    Some(size) => Part::Chunk(size),
                    None => Part::Blind,
                };
            }
            Part::ChunkEnd => self.part = Part::ChunkSize,
            Part::Trailers if line.is_empty() => self.part = Part::Between,
            Part::Trailers | Part::Between | Part::Body(_) | Part::Chunk(_) | Part::Blind => {}
        }
        None
    }

    fn header(&mut self, line: &[u8]) -> Option<usize> {
        match line.first().map(u8::to_ascii_lowercase) {
            Some(b'c') => {
                let value = value_of(line, b"content-length")?;
                let length =
                    std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
                if self.head.length.is_some() {
                    return Some(TWICE);
                }
                // hyper refuses what is no number.
                self.head.length = Some(length.unwrap_or(0));
            }
            Some(b't') if value_of(line, b"transfer-encoding").is_some() => {
                self.head.chunked = true;
            }
            Some(b'u') if value_of(line, b"upgrade").is_some() => self.head.upgrade = true,
            _ => return None,
        }
        (self.head.chunked && self.head.length.is_some()).then_some(BOTH)
    }
}

/// RFC 9112 §5.1: no white space between name and colon; hyper refuses it.
fn value_of<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then_some(value)
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    u64::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()
}

#[cfg(test)]
mod tests;
