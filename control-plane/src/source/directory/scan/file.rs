//! One file: did it change, and what does it hold now.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::finding::{Code, Finding};
use crate::source::store::Reading;

/// Bound: bytes of one file.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// A file that was emptied this recently is probably about to be written.
const SETTLED: Duration = Duration::from_millis(250);
/// Two writes this close may carry the same time.
const CLOCK_TICK: Duration = Duration::from_millis(50);
/// How long a look at all files takes at most: what is written meanwhile is new. A time further ahead says nothing.
const LOOK: Duration = Duration::from_secs(60);

/// What a file looked like when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds of content and of inode: some tools set the former back.
    modified: (i64, i64),
    changed: (i64, i64),
    /// The time says too little, or there was an error that may have passed: read it again.
    again: bool,
}

/// What a look at a file found.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing new.
    Same,
    /// Empty for a moment, or so it seems: keep what is known and look again.
    Unsettled,
    /// Not there.
    Gone,
    /// New content.
    Changed(Stamp, Reading),
}

/// Looks at the file and reads it if it changed.
pub(super) fn look(name: &str, path: &Path, known: Option<&Stamp>, now: SystemTime) -> Look {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        // A name without a file behind it is gone, a link without a target is broken.
        Err(_) if fs::symlink_metadata(path).is_err() => return Look::Gone,
        Err(error) => return unreadable(name, &error),
    };
    let stamp = Stamp::new(&metadata, now);
    if known.is_some_and(|known| !known.again && *known == Stamp { again: false, ..stamp.clone() })
    {
        return Look::Same;
    }
    let emptied = stamp.bytes == 0 && known.is_some_and(|known| known.bytes > 0);
    if emptied && age(&metadata, now).is_some_and(|age| age < SETTLED) {
        return Look::Unsettled;
    }
    if stamp.bytes > MAX_BYTES {
        let message = format!("{} bytes; at most {MAX_BYTES} are read", stamp.bytes);
        return Look::Changed(stamp, refuse(name, Code::FileTooLarge, message));
    }
    match read(path) {
        Ok(bytes) if bytes.len() as u64 > MAX_BYTES => Look::Changed(
            stamp,
            refuse(name, Code::FileTooLarge, "it grew while it was read".into()),
        ),
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Look::Changed(stamp, Reading::Text(text)),
            Err(error) => {
                Look::Changed(stamp, refuse(name, Code::FileUnreadable, error.to_string()))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Look::Gone,
        Err(error) => unreadable(name, &error),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(name: &str, error: &io::Error) -> Look {
    let stamp =
        Stamp { device: 0, inode: 0, bytes: 0, modified: (0, 0), changed: (0, 0), again: true };
    Look::Changed(stamp, refuse(name, Code::FileUnreadable, error.to_string()))
}

fn refuse(name: &str, code: Code, message: String) -> Reading {
    Reading::Unreadable(Finding::new(code, message).at(name, 0))
}

/// Time since the content changed, none if that was after `now`; `None` if the clock cannot tell.
fn age(metadata: &Metadata, now: SystemTime) -> Option<Duration> {
    match now.duration_since(metadata.modified().ok()?) {
        Ok(age) => Some(age),
        Err(ahead) => (ahead.duration() < LOOK).then_some(Duration::ZERO),
    }
}

impl Stamp {
    fn new(metadata: &Metadata, now: SystemTime) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            again: age(metadata, now).is_some_and(|age| age < CLOCK_TICK),
        }
    }
}
