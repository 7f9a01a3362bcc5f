//! What a response body was asked for in the present turn of its HTTP/2 stream's task. hyper asks for the next
//! chunk only when the last one has found room, so a body that gave and is not asked again waits for its client
//! (`listener::streams`); one that had nothing to give waits for its upstream. A turn is one poll on one thread,
//! which is why this is a thread's own: nothing is kept from one turn to the next.

use std::cell::Cell;

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
    static LAST: Cell<Last> = const { Cell::new(Last::Unasked) };
    static WINDOW: Cell<u32> = const { Cell::new(u32::MAX) };
}

/// Runs one turn, in which a stream begins with `window` bytes of flow control.
pub(crate) fn turn<T>(window: u32, poll: impl FnOnce() -> T) -> (T, Last) {
    LAST.set(Last::Unasked);
    WINDOW.set(window);
    let polled = poll();
    WINDOW.set(u32::MAX);
    (polled, LAST.get())
}

/// The body did this.
pub(crate) fn note(last: Last) {
    LAST.set(last);
}

/// What a stream's window was when it opened; as good as unlimited outside HTTP/2.
pub(crate) fn window() -> u32 {
    WINDOW.get()
}
