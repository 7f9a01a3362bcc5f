//! A clock that is wrong, for one process: the call by which it asks for the time of day is answered by another. What
//! measures spans goes on as it is, as where an administrator sets a clock or nobody does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// Stands before the C library's own. Asks anew each time, so that a clock can jump.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    long result = syscall(SYS_clock_gettime, clock, now);
    const char *path = getenv("WEFT_TEST_CLOCK");
    if (result == 0 && path && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        char ahead[32] = {0};
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file >= 0 && read(file, ahead, sizeof ahead - 1) > 0)
            now->tv_sec += atol(ahead);
        if (file >= 0)
            close(file);
    }
    return (int)result;
}
"#;

/// The environment of a process whose clock is as far ahead, in seconds, as a file says.
pub(super) fn by(file: &Path) -> [(String, String); 2] {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    [("LD_PRELOAD".to_owned(), text(&shim())), ("WEFT_TEST_CLOCK".to_owned(), text(file))]
}

/// Says how far.
pub(super) fn set(file: &Path, ahead: i64) {
    // Whole: a process may ask at any moment.
    let new = file.with_extension("new");
    std::fs::write(&new, ahead.to_string()).expect("the directory is ours");
    std::fs::rename(&new, file).expect("the directory is ours");
}

/// Made once for all tests, by the compiler that Weft's own cryptography needs.
fn shim() -> PathBuf {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let directory = MADE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("there is room");
        let (source, library) = (directory.path().join("skew.c"), directory.path().join("skew.so"));
        std::fs::write(&source, SHIM).expect("the directory is ours");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source);
        let made = compiler.status().expect("there is a C compiler");
        assert!(made.success(), "{made}");
        directory
    });
    directory.path().join("skew.so")
}
