//! Splits a file into documents by its `---` and `...` lines.

/// The text of one document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// With the `---` line it begins with, if any.
    pub(crate) text: &'a str,
    /// Line of the file on which `text` begins, from 1.
    pub(crate) first_line: u32,
}

/// All documents in order; pieces of comments and blank lines only are left out.
pub(crate) fn split(text: &str) -> Vec<Piece<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut pieces = Vec::new();
    let mut start = Start { offset: 0, line: 1, content: false };
    let (mut offset, mut line) = (0, 0);
    for content in text.split_inclusive('\n') {
        line += 1;
        let begins = is_marker(content, "---");
        if begins && start.content {
            start.close(text, offset, &mut pieces);
            start = Start { offset, line, content: false };
        }
        offset += content.len();
        // A `---` opens a document but does not fill it: directives and comments may precede it.
        start.content |= !is_filler(if begins { &content["---".len()..] } else { content });
        if is_marker(content, "...") {
            start.close(text, offset, &mut pieces);
            start = Start { offset, line: line + 1, content: false };
        }
    }
    start.close(text, text.len(), &mut pieces);
    pieces
}

struct Start {
    offset: usize,
    line: u32,
    content: bool,
}

impl Start {
    fn close<'a>(&self, text: &'a str, end: usize, pieces: &mut Vec<Piece<'a>>) {
        if self.content {
            pieces.push(Piece { text: &text[self.offset..end], first_line: self.line });
        }
    }
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Blank, a comment, a directive, or the end marker. What stands behind that marker belongs nowhere: it is kept, so that
/// the parser refuses it.
fn is_filler(line: &str) -> bool {
    let end = is_marker(line, "...").then(|| &line["...".len()..]);
    let trimmed = end.unwrap_or(line).trim();
    trimmed.is_empty() || trimmed.starts_with('#') || line.starts_with('%')
}
