//! Trace context in headers: W3C Trace Context, B3 in one header, B3 in several. Pure: headers in, values out,
//! and back. Called by [`super::Tracing::begin`] and [`super::RequestTrace::retry`].
//!
//! It must accept what the specifications accept and nothing else: a context that is not valid is none.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanId, TraceId};

use crate::headers;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// Bits of `traceparent`'s flags that have a meaning: sampled, and random trace id (level 2).
const SAMPLED: u8 = 0b01;
const RANDOM: u8 = 0b10;

/// A set of header formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Formats {
    /// `traceparent`, `tracestate`.
    pub w3c: bool,
    /// `b3`.
    pub b3: bool,
    /// `x-b3-*`.
    pub b3_multi: bool,
}

impl Formats {
    /// Those that there is any header of. One look at each name costs less than to ask for five.
    fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "traceparent" => found.w3c = true,
                "b3" => found.b3 = true,
                "x-b3-traceid" | "x-b3-sampled" | "x-b3-flags" => found.b3_multi = true,
                _ => {}
            }
        }
        found
    }

    /// Those of both.
    fn and(self, other: Self) -> Self {
        Self {
            w3c: self.w3c && other.w3c,
            b3: self.b3 && other.b3,
            b3_multi: self.b3_multi && other.b3_multi,
        }
    }

    /// Those of either.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            w3c: self.w3c || other.w3c,
            b3: self.b3 || other.b3,
            b3_multi: self.b3_multi || other.b3_multi,
        }
    }
}

/// Context of a request as it arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Incoming {
    /// Trace and parent span; `None`: there was none, or no valid one.
    pub(super) ids: Option<(TraceId, SpanId)>,
    /// The caller's decision; `None` if it left it to us.
    pub(super) sampled: Option<bool>,
    /// B3's debug flag, which travels on.
    pub(super) debug: bool,
    /// W3C's flag that says that the trace id is random, which travels on.
    pub(super) random: bool,
    /// Was it `traceparent` that said so?
    pub(super) from_w3c: bool,
    /// Formats of which there was any header, valid or not.
    pub(super) arrived: Formats,
}

/// Context of a request as it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) sampled: bool,
    pub(super) debug: bool,
    pub(super) random: bool,
}

impl Incoming {
    /// Reads the formats in `readable`; the first that holds a valid context is believed.
    pub(super) fn read(headers: &HeaderMap, readable: Formats) -> Self {
        let arrived = Formats::of(headers).and(readable);
        let w3c = arrived.w3c.then(|| traceparent(headers)).flatten();
        let of_b3 = || {
            let single = arrived.b3.then(|| b3(headers)).flatten();
            single.or_else(|| arrived.b3_multi.then(|| b3_multi(headers)).flatten())
        };
        let found = match w3c {
            // The debug flag travels in B3 alone. A sidecar before this one has written the same trace in both.
            Some(w3c) if arrived.b3 || arrived.b3_multi => {
                let debug = of_b3().is_some_and(|b3| b3.debug && b3.is_of_trace(&w3c));
                Some(Self { debug, ..w3c })
            }
            None => of_b3(),
            w3c => w3c,
        };
        Self { arrived, ..found.unwrap_or_default() }
    }

    fn is_of_trace(&self, other: &Self) -> bool {
        let trace = |one: &Self| one.ids.map(|(trace_id, _)| trace_id);
        trace(self) == trace(other)
    }
}

impl Outgoing {
    /// Writes the context in every format of `formats`. `continued`: the `tracestate` there belongs to this
    /// trace and goes on; else it is removed, as it spoke of another, that nobody can read (W3C Trace Context §4.3).
    pub(super) fn write(&self, headers: &mut HeaderMap, formats: Formats, continued: bool) {
        let (trace_id, span_id) = (self.trace_id.to_bytes(), self.span_id.to_bytes());
        if formats.w3c {
            let flags = (u8::from(self.sampled) * SAMPLED) | (u8::from(self.random) * RANDOM);
            let mut text = Hex::<55>::default();
            text.put(&[0]).dash().put(&trace_id).dash().put(&span_id).dash().put(&[flags]);
            headers.insert(TRACEPARENT, text.into());
            if !continued {
                headers.remove(TRACESTATE);
            }
        }
        let sampled = if self.sampled { "1" } else { "0" };
        if formats.b3 {
            let state = if self.debug { "d" } else { sampled };
            let mut text = Hex::<51>::default();
            text.put(&trace_id).dash().put(&span_id).dash().text(state);
            headers.insert(B3, text.into());
        }
        if formats.b3_multi {
            headers.insert(B3_TRACE_ID, Hex::<32>::of(&trace_id).into());
            headers.insert(B3_SPAN_ID, Hex::<16>::of(&span_id).into());
            // The debug flag implies the decision, which is then not sent.
            if self.debug {
                headers.insert(B3_FLAGS, HeaderValue::from_static("1"));
                headers.remove(B3_SAMPLED);
            } else {
                headers.insert(B3_SAMPLED, HeaderValue::from_static(sampled));
                headers.remove(B3_FLAGS);
            }
            headers.remove(B3_PARENT);
        }
    }
}

/// A header value of hexadecimal digits and dashes in the making, without the cost of `format!`: every
/// request that starts or goes on with a trace has one made.
pub(super) struct Hex<const N: usize> {
    text: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Hex<N> {
    fn default() -> Self {
        Self { text: [b'0'; N], length: 0 }
    }
}

impl<const N: usize> Hex<N> {
    fn of(bytes: &[u8]) -> Self {
        let mut hex = Self::default();
        hex.put(bytes);
        hex
    }

    /// Two digits for each byte. What does not fit is left out.
    pub(super) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in bytes {
            self.push(DIGITS[usize::from(byte >> 4)]);
            self.push(DIGITS[usize::from(byte & 0xf)]);
        }
        self
    }

    pub(super) fn dash(&mut self) -> &mut Self {
        self.text("-")
    }

    fn text(&mut self, text: &str) -> &mut Self {
        text.bytes().for_each(|byte| self.push(byte));
        self
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }
}

impl<const N: usize> AsRef<[u8]> for Hex<N> {
    fn as_ref(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

impl<const N: usize> From<Hex<N>> for HeaderValue {
    fn from(hex: Hex<N>) -> Self {
        // Its copies, for a retry and for the record, cost no memory of their own, as they would of a vector.
        let value = Self::from_maybe_shared(Bytes::from_owner(hex));
        headers::unique(value.unwrap_or(Self::from_static("0")))
    }
}

/// `00-{32 hex}-{16 hex}-{2 hex}`. Later versions may have more behind a further dash, which is ignored.
fn traceparent(headers: &HeaderMap) -> Option<Incoming> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next()?.as_bytes();
    if values.next().is_some() || value.len() < 55 {
        return None;
    }
    let version = lower_hex(&value[..2])?;
    let ends = match version {
        0 => value.len() == 55,
        0xff => false,
        _ => value.get(55).is_none_or(|next| *next == b'-'),
    };
    if !ends || [2, 35, 52].iter().any(|dash| value[*dash] != b'-') {
        return None;
    }
    let trace_id = lower_hex(&value[3..35])?;
    let span_id = u64::try_from(lower_hex(&value[36..52])?).ok()?;
    let flags = u8::try_from(lower_hex(&value[53..55])?).ok()?;
    Some(Incoming {
        ids: Some(ids(trace_id, span_id)?),
        sampled: Some(flags & SAMPLED != 0),
        random: flags & RANDOM != 0,
        from_w3c: true,
        ..Incoming::default()
    })
}

/// `{16 or 32 hex}-{16 hex}[-{0|1|d}[-{16 hex}]]`, or the decision alone.
fn b3(headers: &HeaderMap) -> Option<Incoming> {
    let value = headers.get(B3)?.to_str().ok()?;
    if let Some(alone) = b3_state(value) {
        return Some(alone);
    }
    let mut parts = value.splitn(5, '-');
    let ids = b3_ids(parts.next()?, parts.next()?)?;
    let state = match parts.next() {
        Some(state) => b3_state(state)?,
        None => Incoming::default(),
    };
    if parts.next().is_some_and(|parent| parent.len() != 16) || parts.next().is_some() {
        return None;
    }
    Some(Incoming { ids: Some(ids), ..state })
}

fn b3_state(state: &str) -> Option<Incoming> {
    let (sampled, debug) = match state {
        "0" => (false, false),
        "1" => (true, false),
        "d" => (true, true),
        _ => return None,
    };
    Some(Incoming { sampled: Some(sampled), debug, ..Incoming::default() })
}

fn b3_multi(headers: &HeaderMap) -> Option<Incoming> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let debug = text(B3_FLAGS) == Some("1");
    let sampled = match text(B3_SAMPLED) {
        _ if debug => Some(true),
        Some("1" | "true") => Some(true),
        Some("0" | "false") => Some(false),
        _ => None,
    };
    let ids = match (text(B3_TRACE_ID), text(B3_SPAN_ID)) {
        (Some(trace_id), Some(span_id)) => Some(b3_ids(trace_id, span_id)?),
        _ => None,
    };
    Some(Incoming { ids, sampled, debug, ..Incoming::default() })
}

fn b3_ids(trace_id: &str, span_id: &str) -> Option<(TraceId, SpanId)> {
    if !matches!(trace_id.len(), 16 | 32) || span_id.len() != 16 {
        return None;
    }
    ids(hex(trace_id.as_bytes())?, u64::try_from(hex(span_id.as_bytes())?).ok()?)
}

/// Neither may be zero.
fn ids(trace_id: u128, span_id: u64) -> Option<(TraceId, SpanId)> {
    (trace_id != 0 && span_id != 0).then(|| (TraceId::from(trace_id), SpanId::from(span_id)))
}

/// At most 32 digits.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(value << 4 | u128::from(digit))
    })
}

fn lower_hex(digits: &[u8]) -> Option<u128> {
    if digits.iter().any(u8::is_ascii_uppercase) { None } else { hex(digits) }
}

#[cfg(test)]
mod tests;
