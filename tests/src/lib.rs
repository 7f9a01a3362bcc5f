//! Nothing lives here: the crate exists for its one test binary.
