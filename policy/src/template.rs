//! Path templates, as Envoy's URI templates have them without its regular expressions: `/carts/{id}/items`, `/files/**`.
//! A name stands for one segment that is not empty, `*` does so without a name, `**` for all that is left.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use crate::spelled;

/// Bound: Envoy takes no more variables either.
const MAX_SEGMENTS: usize = 32;
const MAX_BYTES: usize = 1024;

/// One template.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// `*`, `{name}`
    One,
    /// `**`, `{name=**}`; the last one.
    Rest,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Paths do.
    #[error("it does not start with /")]
    Start,
    /// Bound.
    #[error("it is longer than {MAX_BYTES} bytes or has more than {MAX_SEGMENTS} segments")]
    TooLong,
    /// Something after `**`.
    #[error("`**` is not its last segment")]
    AfterRest,
    /// What would be taken to the letter and never match, or is another language's.
    #[error("{0:?} is no segment: write text, {{name}}, * or **")]
    Segment(String),
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let inside = text.strip_prefix('/').ok_or(TemplateError::Start)?;
        if text.len() > MAX_BYTES || inside.split('/').count() > MAX_SEGMENTS {
            return Err(TemplateError::TooLong);
        }
        let segments: Vec<Segment> =
            inside.split('/').map(segment).collect::<Result<_, TemplateError>>()?;
        let before_last = segments.len().saturating_sub(1);
        if segments.iter().take(before_last).any(|segment| *segment == Segment::Rest) {
            return Err(TemplateError::AfterRest);
        }
        Ok(Self { text: text.to_owned(), segments })
    }
}

fn segment(text: &str) -> Result<Segment, TemplateError> {
    let other = || TemplateError::Segment(text.to_owned());
    match text {
        "*" => return Ok(Segment::One),
        "**" => return Ok(Segment::Rest),
        _ => {}
    }
    let Some(variable) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        let odd = text.bytes().any(|byte| matches!(byte, b'{' | b'}' | b'*' | b'?' | b'#'));
        let literal = || Segment::Literal(spelled(text).into_owned());
        return if odd { Err(other()) } else { Ok(literal()) };
    };
    let (name, pattern) = variable.split_once('=').unwrap_or((variable, "*"));
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match (is_name, pattern) {
        (true, "*") => Ok(Segment::One),
        (true, "**") => Ok(Segment::Rest),
        _ => Err(other()),
    }
}

impl Template {
    /// Is the path, as [`spelled()`], of this form?
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let Some(inside) = path.strip_prefix('/') else { return false };
        let mut given = inside.split('/');
        for segment in &self.segments {
            let matched = match segment {
                Segment::Literal(text) => given.next() == Some(text),
                Segment::One => given.next().is_some_and(|given| !given.is_empty()),
                // It may be empty, as in Envoy: the slash before it was there.
                Segment::Rest => return given.next().is_some(),
            };
            if !matched {
                return false;
            }
        }
        given.next().is_none()
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({})", self.text)
    }
}
