//! What is wrong inside one object, collected while it is read: all of it, not only the first.
//!
//! Filled by the module of each kind, turned into findings by `document`.

use crate::finding::Code;

use super::schema::ShapeError;

/// One thing, at one field of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    /// Path of the field; empty for the object as a whole.
    pub(crate) field: String,
    pub(crate) message: String,
    /// The code's own remedy where `None`.
    pub(crate) hint: Option<String>,
}

/// Bound: problems kept of one object; nobody mends more at a time.
const MAX_PROBLEMS: usize = 50;

/// The problems of one object.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// Notes a problem; the hint may be filled in on what is returned.
    pub(crate) fn add(
        &mut self,
        code: Code,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> &mut Option<String> {
        // The last place is overwritten, so that a full list stays bounded and the return value exists.
        self.0.truncate(MAX_PROBLEMS - 1);
        self.0.push(Problem { code, field: field.into(), message: message.into(), hint: None });
        &mut self.0.last_mut().expect("one was pushed").hint
    }

    /// The value is not allowed.
    pub(crate) fn invalid(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.add(Code::InvalidObject, field, message);
    }

    /// The value is not allowed, and this would be.
    pub(crate) fn invalid_hint(
        &mut self,
        field: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        *self.add(Code::InvalidObject, field, message) = Some(hint.into());
    }

    /// The value is allowed, but Weft cannot do it.
    pub(crate) fn unsupported(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.add(Code::UnsupportedValue, field, message);
    }

    /// The value is allowed and has no effect.
    pub(crate) fn ignored(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.add(Code::FieldIgnored, field, message);
    }

    /// Must the object be refused? Other problems leave it in force, errors among them: a backend of the
    /// wrong kind costs its own traffic only.
    pub(crate) fn fatal(&self) -> bool {
        let fatal = |code| matches!(code, Code::InvalidObject | Code::UnsupportedValue);
        self.0.iter().any(|problem| fatal(problem.code))
    }

    /// All of them, in the order found.
    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl From<ShapeError> for Problem {
    fn from(error: ShapeError) -> Self {
        let ShapeError { field, message, hint } = error;
        Self { code: Code::InvalidObject, field, message, hint }
    }
}
