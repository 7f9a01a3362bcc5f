//! Golden files: what commands print, as files of the repository, `src/<command>/golden/*.txt` and `*.json`: no other place has
//! any. Tests feed answers of an admin socket, or of an API server, into what a command draws with, and compare; so there is no
//! clock and no network in them.
//!
//! A `.txt` is what a pipe gets, which is without colours; `*.color.txt` what a terminal gets, with `␛` for escape; a `.json` what
//! `-o json` writes. After a change that is meant, `UPDATE_DOCS=1 cargo test -p weft-cli` writes them again; look at the
//! difference before you commit it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anstream::{AutoStream, ColorChoice};
use serde::Serialize;

/// What is printed for people, into a pipe.
#[track_caller]
pub(crate) fn plain(command: &str, name: &str, text: &str) {
    compare(command, &format!("{name}.txt"), &written(text, ColorChoice::Never));
}

/// The same, on a terminal with colours.
#[track_caller]
pub(crate) fn colored(command: &str, name: &str, text: &str) {
    let found = written(text, ColorChoice::Always).replace('\x1b', "␛");
    assert!(found.contains('␛'), "{name} has no colours");
    compare(command, &format!("{name}.color.txt"), &found);
}

/// What `-o json` writes.
#[track_caller]
pub(crate) fn json(command: &str, name: &str, value: &impl Serialize) {
    let text = serde_json::to_string_pretty(value).unwrap();
    compare(command, &format!("{name}.json"), &written(&text, ColorChoice::Never));
}

/// By the way that all output takes.
fn written(text: &str, color: ColorChoice) -> String {
    let mut stream = AutoStream::new(Vec::new(), color);
    writeln!(stream, "{text}").unwrap();
    String::from_utf8(stream.into_inner()).unwrap()
}

#[track_caller]
fn compare(command: &str, file: &str, found: &str) {
    let path = sources().join(command).join("golden").join(file);
    if option_env!("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "cli/src/{command}/golden/{file} says something else (UPDATE_DOCS=1 cargo test -p weft-cli writes it again):\n{}",
        difference(&expected, found)
    );
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The lines that differ, with `-` as they were and `+` as they are, and those beside them.
fn difference(expected: &str, found: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let same = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| {
        pairs.take_while(|(one, other)| one == other).count()
    };
    let head = same(&mut old.iter().zip(&new));
    let tail = same(&mut old[head..].iter().rev().zip(new[head..].iter().rev()));
    let lines = |mark: char, lines: &[&str]| {
        lines.iter().map(|line| format!("{mark} {line}\n")).collect::<String>()
    };
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    format!(
        "line {}:\n{}{}{}{}",
        head + 1,
        lines(' ', &old[head.saturating_sub(2)..head]),
        lines('-', &old[head..old_end]),
        lines('+', &new[head..new_end]),
        lines(' ', &new[new_end..new.len().min(new_end + 2)]),
    )
}

#[test]
fn what_differs_is_shown_with_what_stands_beside_it() {
    let shown = difference("a\nb\nc\nd\ne\nf\n", "a\nb\nc\nD\nx\ne\nf\n");
    assert_eq!(shown, "line 4:\n  b\n  c\n- d\n+ D\n+ x\n  e\n  f\n");
    assert_eq!(difference("", "a\n"), "line 1:\n+ a\n");
    assert_eq!(difference("a\na\n", "a\n"), "line 2:\n  a\n- a\n");
}

/// One that nobody compares with would stay as it is for ever.
#[test]
fn every_file_is_compared_with() {
    let mut files = 0;
    for command in std::fs::read_dir(sources()).unwrap().flatten() {
        let Ok(golden) = std::fs::read_dir(command.path().join("golden")) else { continue };
        let tests = texts(&command.path());
        for file in golden.flatten() {
            let name = file.file_name().into_string().unwrap();
            let stem = name.split('.').next().unwrap();
            assert!(tests.contains(&format!("\"{stem}\"")), "nobody compares with {name}");
            files += 1;
        }
    }
    assert!(files > 20, "{files} files");
}

/// All that is written in the Rust files below a directory.
fn texts(directory: &Path) -> String {
    let entries = std::fs::read_dir(directory).unwrap().flatten();
    let text = |path: PathBuf| match path.is_dir() {
        true => texts(&path),
        false if path.extension().is_some_and(|ending| ending == "rs") => {
            std::fs::read_to_string(path).unwrap()
        }
        false => String::new(),
    };
    entries.map(|entry| text(entry.path())).collect()
}
