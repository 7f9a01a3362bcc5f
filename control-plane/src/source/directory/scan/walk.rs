//! Lists the YAML files under a directory, within bounds.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::finding::{Code, Finding};

/// Bound: files read; the first by path.
const MAX_FILES: usize = 10_000;
/// Bound: names looked at in one walk.
const MAX_NAMES: usize = 200_000;
/// Bound: directories inside each other.
const MAX_DEPTH: usize = 16;

/// What is there.
#[derive(Debug, Default)]
pub(in crate::source::directory) struct Listing {
    /// Files by path relative to the root, with `/` between.
    pub(in crate::source::directory) files: BTreeMap<String, PathBuf>,
    /// Relative paths of directories that could not be listed, each with `/` behind.
    pub(in crate::source::directory) unreadable: Vec<String>,
    pub(in crate::source::directory) findings: Vec<Finding>,
}

struct Walk<'a> {
    listing: Listing,
    enter: &'a mut dyn FnMut(&Path),
    /// Directories by device and inode: links may lead back to where they stand.
    seen: HashSet<(u64, u64)>,
    names: usize,
}

/// Lists everything.
///
/// # Errors
/// If the root itself cannot be listed.
pub(super) fn walk(root: &Path, enter: &mut dyn FnMut(&Path)) -> io::Result<Listing> {
    let metadata = fs::metadata(root)?;
    let (listing, seen) = (Listing::default(), [(metadata.dev(), metadata.ino())].into());
    let mut walk = Walk { listing, enter, seen, names: 0 };
    walk.directory(root, "", 0)?;
    let mut listing = walk.listing;
    if listing.files.len() > MAX_FILES {
        listing.files = listing.files.into_iter().take(MAX_FILES).collect();
        listing.too_many(format!("more than {MAX_FILES} files; those behind are not read"));
    } else if walk.names > MAX_NAMES {
        listing.too_many(format!("more than {MAX_NAMES} names; those behind are not looked at"));
    }
    Ok(listing)
}

impl Listing {
    /// With a file, or everything under a directory, under the name that it was given.
    ///
    /// # Errors
    /// It is not there, or cannot be listed.
    pub(in crate::source::directory) fn add(&mut self, path: &Path) -> io::Result<()> {
        let name = path.display().to_string();
        if !fs::metadata(path)?.is_dir() {
            self.files.insert(name, path.to_owned());
            return Ok(());
        }
        let found = walk(path, &mut |_| {})?;
        let prefix = format!("{}/", name.trim_end_matches('/'));
        self.files.extend(found.files.into_iter().map(|(at, file)| (prefix.clone() + &at, file)));
        self.unreadable.extend(found.unreadable.into_iter().map(|at| prefix.clone() + &at));
        self.findings.extend(found.findings);
        Ok(())
    }

    fn too_many(&mut self, message: String) {
        self.findings.push(Finding::new(Code::TooMany, message));
    }
}

impl Walk<'_> {
    fn directory(&mut self, path: &Path, prefix: &str, depth: usize) -> io::Result<()> {
        (self.enter)(path);
        let left = MAX_NAMES.saturating_sub(self.names);
        let mut entries = fs::read_dir(path)?.take(left + 1).collect::<io::Result<Vec<_>>>()?;
        self.names += entries.len();
        // Order: of several paths to one directory the first by name is taken, on every walk.
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let relative = format!("{prefix}{name}");
            // Follows links. What cannot be followed is told by whoever reads the file.
            match fs::metadata(entry.path()) {
                Ok(metadata) if metadata.is_dir() => {
                    self.sub_directory(&entry.path(), &relative, depth, &metadata);
                }
                Ok(metadata) if !metadata.is_file() => {}
                _ if is_yaml(&name) => {
                    self.listing.files.insert(relative, entry.path());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn sub_directory(&mut self, path: &Path, relative: &str, depth: usize, metadata: &Metadata) {
        let prefix = format!("{relative}/");
        if depth + 1 >= MAX_DEPTH {
            self.listing.too_many(format!("{relative} is deeper than {MAX_DEPTH} directories"));
        } else if !self.seen.insert((metadata.dev(), metadata.ino())) {
            // Reached before by another path.
        } else if let Err(error) = self.directory(path, &prefix, depth + 1) {
            // A directory that was deleted a moment ago is no finding.
            if error.kind() != io::ErrorKind::NotFound {
                let finding = Finding::new(Code::FileUnreadable, error.to_string());
                self.listing.findings.push(finding.at(relative, 0));
                self.listing.unreadable.push(prefix);
            }
        }
    }
}

fn is_yaml(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}
