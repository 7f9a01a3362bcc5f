//! The one test binary above unit level: real processes that meet on sockets. Its `mod` list is its table of
//! contents.

fn main() {}
