//! Paths that applications read in more than one way. Whoever enforces rules about paths refuses these before it asks.

#[cfg(test)]
mod tests;

/// What some applications take for a slack part of a segment, or for another separator of segments. Routes and
/// applications may use both; a rule about paths would be passed by. Returns what is odd, for people.
#[must_use]
pub fn ambiguous(path: &str) -> Option<&'static str> {
    if path.contains(';') {
        return Some("`;`");
    }
    let escaped = |escape: [u8; 2]| {
        path.as_bytes().windows(3).any(|at| at[0] == b'%' && at[1..].eq_ignore_ascii_case(&escape))
    };
    // A NUL is refused before.
    [(*b"2f", "`%2F`"), (*b"5c", "`%5C`"), (*b"3b", "`%3B`")]
        .into_iter()
        .find_map(|(escape, name)| escaped(escape).then_some(name))
}
