//! The process environment, read once at the start; nothing else in this crate reads it.
//!
//! `main` builds it and every command gets it as an argument, so that tests can run a command against a
//! directory of their own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the surroundings say: arguments, directories, terminal.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// The arguments, the program's own name first.
    pub(crate) args: Vec<OsString>,
    /// Directory that holds one directory for each running mesh.
    pub(crate) run_root: PathBuf,
    /// Working directory.
    pub(crate) current_dir: PathBuf,
    /// The executable's file.
    pub(crate) executable: PathBuf,
    /// Is there a kubeconfig where kubectl would look for one?
    pub(crate) has_kubeconfig: bool,
    /// OTLP endpoint that the user has chosen for traces, if any.
    pub(crate) otlp_endpoint: Option<String>,
    /// May a screen be redrawn in place? No on `TERM=dumb`.
    pub(crate) smart_terminal: bool,
}

impl Environment {
    /// Reads it.
    pub(crate) fn read() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let run_root = match variable("XDG_RUNTIME_DIR") {
            Some(directory) => PathBuf::from(directory).join("weft"),
            None => PathBuf::from(format!("/tmp/weft-{}", nix::unistd::geteuid())),
        };
        let otlp_endpoint = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"))
            .map(|value| value.to_string_lossy().into_owned());
        let kubeconfig = || Some(PathBuf::from(variable("HOME")?).join(".kube/config"));
        let has_kubeconfig =
            variable("KUBECONFIG").is_some() || kubeconfig().is_some_and(|path| path.is_file());
        Self {
            has_kubeconfig,
            args: std::env::args_os().collect(),
            run_root,
            current_dir: std::env::current_dir().unwrap_or_default(),
            executable: std::env::current_exe().unwrap_or_default(),
            otlp_endpoint,
            smart_terminal: variable("TERM").is_some_and(|term| term != "dumb"),
        }
    }

    /// How to type this program again: `weft` where it was found on the `PATH`, else its path, short where
    /// it lies below the working directory, and quoted for a shell where it must be.
    pub(crate) fn invoked_as(&self) -> String {
        let typed = Path::new(self.args.first().map_or("weft".as_ref(), OsString::as_os_str));
        let short = self.short(typed);
        // A bare name would be looked for on the PATH.
        let short = if short.components().count() > 1 { short } else { typed };
        shell_quoted(&short.to_string_lossy())
    }

    /// A path as a person would type it here: relative where it lies below the working directory.
    pub(crate) fn shown(&self, path: &Path) -> String {
        shell_quoted(&self.short(path).to_string_lossy())
    }

    fn short<'a>(&self, path: &'a Path) -> &'a Path {
        // From the root everything would be below.
        if self.current_dir == Path::new("/") {
            return path;
        }
        path.strip_prefix(&self.current_dir).unwrap_or(path)
    }
}

/// `text` as one word of a POSIX shell.
pub(crate) fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
pub(crate) mod tests;
