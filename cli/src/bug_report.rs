//! `weft bug-report`: one archive with what somebody else needs to understand what is wrong.
//!
//! Gathers first (`answers`, `cluster`), writes last. What cannot be had is in the archive too, as the reason why; so a mesh
//! that is half broken can still be reported. It must never hold a key, a Secret, or what requests carry.

mod answers;
mod cluster;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::args::BugReportArgs;
use crate::control_planes;
use crate::environment::Environment;
use crate::moment::Moment;
use crate::output::{Output, Verdict};
use crate::version::VERSION;

/// Bound: bytes of one file in the archive; of what is longer the end is kept.
const MAX_PIECE: usize = 8 << 20;

/// A file of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    name: String,
    text: Vec<u8>,
}

impl Piece {
    /// The text, or why there is none.
    fn new<E: std::fmt::Display>(name: impl Into<String>, found: Result<String, E>) -> Self {
        let (mut name, mut text) = (name.into(), Vec::new());
        match found {
            Ok(found) => text = found.into_bytes(),
            Err(error) => {
                name.push_str(".missing");
                text.extend(format!("{error:#}\n").into_bytes());
            }
        }
        let beyond = text.len().saturating_sub(MAX_PIECE);
        text.drain(..beyond);
        Self { name, text }
    }

    fn is_missing(&self) -> bool {
        self.name.ends_with(".missing")
    }
}

/// Runs `weft bug-report`.
pub(crate) async fn run(
    args: &BugReportArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let now = Moment::now();
    let folder = format!("weft-bug-report-{}", now.shown().replace(':', ""));
    let path = args.file.clone().unwrap_or_else(|| PathBuf::from(format!("{folder}.tar.gz")));
    // Order: nobody waits for what cannot be written then.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let file = file.with_context(|| format!("cannot make {}", path.display()))?;
    let about = format!("weft {VERSION}\n{}\n", now.shown());
    let mut pieces = vec![Piece::new("about.txt", Ok::<_, io::Error>(about))];
    match control_planes::find(&args.place, mesh, environment).await {
        Ok(planes) => {
            for plane in &planes {
                output.note(&format!("asking {}", plane.place()));
                pieces.extend(answers::of(plane).await);
            }
            if planes.iter().any(crate::admin::AdminSocket::is_in_cluster) {
                pieces.extend(Box::pin(cluster::of(&args.place.cluster, output)).await);
            }
        }
        Err(error) => {
            pieces.push(Piece::new("control-planes", Err(error)));
            if args.place.means_a_cluster() {
                pieces.extend(Box::pin(cluster::of(&args.place.cluster, output)).await);
            }
        }
    }
    pack(file, &folder, &pieces).with_context(|| format!("cannot write {}", path.display()))?;
    tell(&path, &pieces, output)?;
    Ok(Verdict::Fine)
}

/// A compressed archive, all of it in one folder.
fn pack(file: impl Write, folder: &str, pieces: &[Piece]) -> io::Result<()> {
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    for piece in pieces {
        let mut header = tar::Header::new_gnu();
        header.set_size(piece.text.len() as u64);
        header.set_mode(0o600);
        let name = Path::new(folder).join(&piece.name);
        archive.append_data(&mut header, name, piece.text.as_slice())?;
    }
    archive.into_inner()?.finish()?.flush()
}

fn tell(path: &Path, pieces: &[Piece], output: &Output) -> io::Result<()> {
    for piece in pieces.iter().filter(|piece| piece.is_missing()) {
        let why = String::from_utf8_lossy(&piece.text);
        output.note(&format!(
            "without {}: {}",
            piece.name.trim_end_matches(".missing"),
            why.trim()
        ));
    }
    output.note(
        "it has names, addresses and paths of your services: look through it before you send it",
    );
    if output.is_json() {
        let names: Vec<&str> = pieces.iter().map(|piece| piece.name.as_str()).collect();
        return output.json(&serde_json::json!({ "file": path, "contents": names }));
    }
    output.data(&path.display().to_string())
}

#[cfg(test)]
mod tests;
