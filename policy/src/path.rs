//! The one normal form of a path, for routing, for policy, and on the wire. The sidecar brings every request into it, and
//! whoever asks what a sidecar would do his question. It is Envoy's with `normalize_path`,
//! `merge_slashes` and escaped slashes kept, which `translate` asks Envoys for too:
//!
//! - `\` is `/`; several `/` are one.
//! - Escapes of unreserved characters are undone (RFC 3986 §6.2.2.2). All others stay: `%2F` and `%5C` are data
//!   within a segment, for routes, policies and the application alike.
//! - `.` and `..` are resolved, and so are `.;x` and `..;x`, which Java's servers read as the same.
//! - `"<>^{|}` and the backquote are escaped.
//! - Refused: `%00`, bytes that no path may have, and a `%` that begins no escape. Envoy lets the last one pass.
//!
//! Once normal, always normal: Envoy needs a second round for `%2e%2e;x`, and leaves `//` alone where it is all
//! of the path.

/// The normal form; `None` if the path is in it already. The path begins with `/`.
///
/// # Errors
/// With what is wrong.
pub fn normalise(path: &str) -> Result<Option<String>, &'static str> {
    if is_plain(path.as_bytes()) {
        return Ok(None);
    }
    let decoded = decode(path.as_bytes())?;
    let normal = resolve(&decoded);
    Ok((normal != path).then_some(normal))
}

/// Most paths: nothing in them could be written otherwise.
fn is_plain(path: &[u8]) -> bool {
    let mut after_slash = false;
    for &byte in path {
        match byte {
            b'/' | b'.' if after_slash => return false,
            b'/' => after_slash = true,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                after_slash = false;
            }
            _ if is_kept(byte) => after_slash = false,
            _ => return false,
        }
    }
    path.first() == Some(&b'/')
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Reserved characters that a path may have.
fn is_kept(byte: u8) -> bool {
    b"!$&'()*+,;=:@[]".contains(&byte)
}

fn decode(path: &[u8]) -> Result<String, &'static str> {
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'\\' => text.push('/'),
            b'%' => {
                let value = escape(tail).ok_or("a `%` in the path begins no escape")?;
                rest = &tail[2..];
                if value == 0 {
                    return Err("the path holds a NUL");
                }
                if is_unreserved(value) {
                    text.push(char::from(value));
                } else {
                    text.extend(['%', char::from(tail[0]), char::from(tail[1])]);
                }
            }
            b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
            b'/' => text.push('/'),
            _ if is_unreserved(byte) || is_kept(byte) => text.push(char::from(byte)),
            _ => return Err("the path holds a character that none may hold"),
        }
    }
    Ok(text)
}

fn escape(digits: &[u8]) -> Option<u8> {
    let (high, low) = (digits.first()?, digits.get(1)?);
    let value = |digit: &u8| char::from(*digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(value(high)? << 4 | value(low)?)
}

fn digit(value: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(value & 15)])
}

/// Order: dots are resolved while empty segments still count (RFC 3986 §5.2.4), slashes are merged after.
fn resolve(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment.split(';').next() {
            Some(".") => {}
            Some("..") => drop(kept.pop()),
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    let last = kept.len().saturating_sub(1);
    let mut normal = String::with_capacity(path.len());
    for (index, segment) in kept.into_iter().enumerate() {
        if index == last || !segment.is_empty() {
            normal.push('/');
            normal.push_str(segment);
        }
    }
    if normal.is_empty() { "/".to_owned() } else { normal }
}

#[cfg(test)]
mod tests;
