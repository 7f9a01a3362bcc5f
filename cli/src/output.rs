//! Output to people and programs: colours, a stdout that may be closed, and the verdict of a command.
//!
//! Every command writes through [`Output`]; nothing else in this crate touches stdout or stderr.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use crate::args::{Color, Format, Globals};

/// Good news.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Worth a look.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// Bad news.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What matters less.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// What matters more.
pub(crate) const STRONG: Style = Style::new().bold();

/// How a command ended, if it could do its work at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing to complain about.
    Fine,
    /// It found something: exit code 3.
    Findings,
    /// Pass on another program's exit code.
    Code(u8),
}

/// `text` in `style`.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// `text` without what drives a terminal, where others have written it: files, names of files.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    match text.contains(char::is_control) {
        true => text.replace(char::is_control, "\u{fffd}").into(),
        false => text.into(),
    }
}

/// Where the output goes and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Form of what goes to stdout.
    pub(crate) format: Format,
    /// Errors only on stderr.
    pub(crate) quiet: bool,
    /// More on stderr.
    pub(crate) verbose: bool,
    stdout_color: ColorChoice,
    stderr_color: ColorChoice,
}

impl Output {
    /// From the flags; `auto` asks the terminal and the environment.
    pub(crate) fn new(globals: &Globals) -> Self {
        let choose = |found: ColorChoice| match globals.color {
            Color::Auto => found,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self {
            format: globals.output,
            quiet: globals.quiet,
            verbose: globals.verbose > 0,
            stdout_color: choose(AutoStream::choice(&io::stdout())),
            stderr_color: choose(AutoStream::choice(&io::stderr())),
        }
    }

    /// Is the output for a program?
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Does a person look at stdout?
    pub(crate) fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Does stdout show colours?
    pub(crate) fn has_color(&self) -> bool {
        self.stdout_color != ColorChoice::Never
    }

    /// Writes `text` and a line break to stdout.
    ///
    /// # Errors
    /// Stdout cannot be written; `dispatch` turns a closed pipe into a quiet end.
    pub(crate) fn data(&self, text: &str) -> io::Result<()> {
        let mut stdout = AutoStream::new(io::stdout().lock(), self.stdout_color);
        writeln!(stdout, "{text}")?;
        stdout.flush()
    }

    /// Writes `text` to stdout as it is: no colours taken out, no line break added.
    ///
    /// # Errors
    /// As [`Output::data`].
    pub(crate) fn raw(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// `text` as stdout shows it: without colours where there are none.
    pub(crate) fn colored(&self, text: &str) -> String {
        if self.has_color() {
            text.to_owned()
        } else {
            anstream::adapter::strip_str(text).to_string()
        }
    }

    /// Writes one JSON value and a line break to stdout.
    ///
    /// # Errors
    /// As [`Output::data`].
    pub(crate) fn json(&self, value: &impl serde::Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.data(&text)
    }

    /// Tells the person something on stderr, unless told to be quiet.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.write_stderr(text);
        }
    }

    /// Tells the person about an error on stderr.
    pub(crate) fn error(&self, text: &str) {
        self.write_stderr(&format!("{BAD}error:{BAD:#} {text}"));
    }

    fn write_stderr(&self, text: &str) {
        let mut stderr = AutoStream::new(io::stderr().lock(), self.stderr_color);
        // A closed stderr leaves nobody to tell.
        let _ = writeln!(stderr, "{text}");
    }
}
