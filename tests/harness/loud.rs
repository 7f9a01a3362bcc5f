//! What everybody must see, also of a test that passes: counts, and what was skipped.

use std::io::Write as _;

/// Past the capture of a passing test's output.
pub(crate) fn loud(text: &str) {
    // Nothing can be done about a closed standard error.
    let _ = writeln!(std::io::stderr(), "\n{text}");
}
