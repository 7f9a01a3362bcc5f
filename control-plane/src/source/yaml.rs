//! YAML text to documents: each one parsed on its own, as a JSON value beside the lines of its fields.
//!
//! Called by `document`. Knows nothing of Kubernetes or Weft. A document that is broken must never hide
//! its neighbours, so the text is split first and parsed after; that is exact, because YAML forbids a line
//! that begins with `---` inside a document.

mod lines;
mod split;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub(crate) use lines::Lines;
pub(crate) use split::split;

use lines::Located;

/// Bound: nodes of one document, aliases expanded. A CustomResourceDefinition has some ten thousand.
const MAX_NODES: usize = 100_000;
/// Bound: nesting of one document, kept low because the parser recurses.
const MAX_DEPTH: usize = 48;

/// One document.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its content; `Null` if it holds nothing but comments.
    pub(crate) value: Value,
    /// Where its fields stand in the file.
    pub(crate) lines: Lines,
}

/// Why a document is not YAML.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Line in the file, from 1.
    pub(crate) line: u32,
    /// What the parser says, without the place.
    pub(crate) message: String,
}

/// Parses one piece of [`split()`].
///
/// # Errors
/// If it is not YAML, has a key twice, or exceeds a bound.
pub(crate) fn parse(piece: &split::Piece<'_>) -> Result<Document, SyntaxError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_depth: MAX_DEPTH,
            max_documents: 1,
        },
        with_snippet: false,
    };
    let located: Located = serde_saphyr::from_str_with_options(piece.text, options)
        .map_err(|error| syntax_error(&error, piece.first_line))?;
    let (value, mut lines) = located.into_parts();
    lines.shift(piece.first_line - 1);
    Ok(Document { value, lines })
}

fn syntax_error(error: &serde_saphyr::Error, first_line: u32) -> SyntaxError {
    let line = error.location().map_or(1, |location| lines::narrow(location.line())).max(1);
    let text = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let place = " at line ";
    let message = text.split(place).next().unwrap_or(&text).trim().to_owned();
    SyntaxError { line: first_line - 1 + line, message }
}
