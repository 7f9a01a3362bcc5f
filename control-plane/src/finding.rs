//! Findings: what is wrong or odd in the configuration, said so that a person can mend it.
//!
//! Made by `source` while it reads and checks; shown by the log, `weft analyze` and `GET /v1/analysis`.
//! A finding never decides anything: what a broken object means for the mesh is decided where it is made.

mod code;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod tests;

use serde::ser::{Serialize, SerializeStruct, Serializer};

pub use code::{Code, CodeInfo, Severity};

/// One thing to tell the user about one place in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Finding {
    /// File as the source names it: relative to the configuration directory.
    pub file: String,
    /// Line in the file, from 1; 0 if it is about the file as a whole.
    pub line: u32,
    /// What it is; decides severity and title.
    pub code: Code,
    /// `HTTPRoute shop/web`; empty if no object could be read.
    pub object: String,
    /// Path of the field, as in `spec.rules[0].backendRefs[1].name`; empty if it is about all of the object.
    pub field: String,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// How to mend it; the code's general remedy where there is no better one.
    pub hint: String,
}

impl Finding {
    /// A finding with the code's general remedy as its hint.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            file: String::new(),
            line: 0,
            code,
            object: String::new(),
            field: String::new(),
            message: message.into(),
            hint: code.info().remedy.to_owned(),
        }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.info().severity
    }

    /// At this file and line.
    #[must_use]
    pub fn at(mut self, file: impl Into<String>, line: u32) -> Self {
        self.file = file.into();
        self.line = line;
        self
    }

    /// About this object, written `Kind namespace/name`.
    #[must_use]
    pub fn about(mut self, object: impl Into<String>) -> Self {
        self.object = object.into();
        self
    }

    /// In this field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }

    /// With this way to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// One line: `error WEFT0101 HTTPRoute shop/web  message   web.yaml:14`.
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.severity(), self.code)?;
        if !self.object.is_empty() {
            write!(f, " {}", self.object)?;
        }
        f.write_str("  ")?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        match (self.file.is_empty(), self.line) {
            (true, _) => Ok(()),
            (false, 0) => write!(f, "   {}", self.file),
            (false, line) => write!(f, "   {}:{line}", self.file),
        }
    }
}

/// The shape of `GET /v1/analysis`: `code, severity, file, line, object, field, message, hint`.
impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Finding", 8)?;
        out.serialize_field("code", self.code.info().id)?;
        out.serialize_field("severity", self.severity().as_str())?;
        out.serialize_field("file", &self.file)?;
        out.serialize_field("line", &self.line)?;
        out.serialize_field("object", &self.object)?;
        out.serialize_field("field", &self.field)?;
        out.serialize_field("message", &self.message)?;
        out.serialize_field("hint", &self.hint)?;
        out.end()
    }
}
