//! What a response body was asked for in the present turn of its HTTP/2 stream's task. hyper asks for the next
//! chunk only when the last one has found room, so a body that gave and is not asked again waits for its client
//! (`listener::streams`); one that had nothing to give waits for its upstream. A turn is one poll on one thread,
//! which is why this is a thread's own: nothing is kept from one turn to the next.

use std::cell::Cell;

use bytes::Bytes;

/// What the body did in a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// What it did last.
    pub(crate) last: Last,
    /// Bytes of data that it gave.
    pub(crate) given: usize,
    /// Those of its last frame: what came before has found room.
    pub(crate) piece: usize,
}

/// What the body did last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Last {
    /// It was not asked.
    #[default]
    Unasked,
    /// It had nothing.
    Empty,
    /// It gave a frame.
    Gave,
}

thread_local! {
    static TURN: Cell<Turn> = const { Cell::new(Turn { last: Last::Unasked, given: 0, piece: 0 }) };
    static WINDOW: Cell<u32> = const { Cell::new(u32::MAX) };
}

/// Runs one turn, in which a stream begins with `window` bytes of flow control.
pub(crate) fn turn<T>(window: u32, poll: impl FnOnce() -> T) -> (T, Turn) {
    TURN.set(Turn::default());
    WINDOW.set(window);
    let polled = poll();
    WINDOW.set(u32::MAX);
    (polled, TURN.get())
}

/// The body had nothing.
pub(crate) fn empty() {
    TURN.set(Turn { last: Last::Empty, ..TURN.get() });
}

/// The body gave a frame with this much data.
pub(crate) fn gave(bytes: usize) {
    let given = TURN.get().given.saturating_add(bytes);
    TURN.set(Turn { last: Last::Gave, given, piece: bytes });
}

/// What a stream's window was when it opened; as good as unlimited outside HTTP/2.
pub(crate) fn window() -> u32 {
    WINDOW.get()
}

/// Takes the last byte off a last chunk that the window may be too small for: so its stall is still seen by
/// somebody. hyper lets go of a body that has nothing more to give, and h2 then waits for its client without end.
pub(crate) fn tail(data: &mut Bytes, given: u64) -> Option<Bytes> {
    let may_stall = given > u64::from(window()) && data.len() > 1;
    may_stall.then(|| data.split_off(data.len() - 1))
}
