//! What a proxy without a certificate proves itself with. It is never printed and never logged.

use std::fs::File;
use std::path::PathBuf;

use super::read_text;

/// Bound: a service-account token has about 1 KiB, and must fit into a header.
const MAX_BYTES: u64 = 16 << 10;

/// See the module.
#[derive(Clone)]
pub enum Token {
    /// A join token: works once, and one that was refused stays refused.
    Join(String),
    /// A file with a service-account token, which the kubelet replaces before it ends: read anew for every attempt.
    ServiceAccount(PathBuf),
}

impl Token {
    /// What people call it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Join(_) => "join token",
            Self::ServiceAccount(_) => "service-account token",
        }
    }

    /// Its text, as it is now.
    ///
    /// # Errors
    /// If there is a file and it cannot be read, is empty, or too large; names it.
    pub fn read(&self) -> Result<String, String> {
        let path = match self {
            Self::Join(token) => return Ok(token.clone()),
            Self::ServiceAccount(path) => path,
        };
        let explain = |reason: &str| format!("{} {}: {reason}", self.kind(), path.display());
        let text = File::open(path)
            .and_then(|file| read_text(file, MAX_BYTES))
            .map_err(|error| explain(&error.to_string()))?;
        match text.trim() {
            "" => Err(explain("the file is empty")),
            token => Ok(token.to_owned()),
        }
    }
}

/// Without its text.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Join(_) => f.write_str("Join(…)"),
            Self::ServiceAccount(path) => f.debug_tuple("ServiceAccount").field(path).finish(),
        }
    }
}
