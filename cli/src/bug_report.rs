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

use crate::admin::AdminSocket;
use crate::args::BugReportArgs;
use crate::control_planes;
use crate::environment::Environment;
use crate::moment::Moment;
use crate::output::{Output, Verdict};
use crate::signals::Signals;
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
    let mut signals = Signals::watch()?;
    let now = Moment::now();
    let folder = format!("weft-bug-report-{}", now.shown().replace(':', ""));
    let path = args.file.clone().unwrap_or_else(|| PathBuf::from(format!("{folder}.tar.gz")));
    // Order: nobody waits for what cannot be written then.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let file = file.with_context(|| format!("cannot make {}", path.display()))?;
    let about = format!("weft {VERSION}\n{}\n", now.shown());
    let gathered = tokio::select! {
        gathered = Box::pin(gather(about, args, mesh, environment, output)) => Ok(gathered),
        asked = signals.next() => Err(asked),
    };
    let packed = match &gathered {
        Ok(pieces) => pack(file, &folder, pieces),
        Err(_) => Ok(()),
    };
    if gathered.is_err() || packed.is_err() {
        // Half of an archive would be in the way of the next one. One that does not go is empty.
        let _ = std::fs::remove_file(&path);
    }
    packed.with_context(|| format!("cannot write {}", path.display()))?;
    match gathered {
        Ok(pieces) => {
            tell(&path, &pieces, output)?;
            Ok(Verdict::Fine)
        }
        Err(asked) => Ok(Verdict::Code(asked.exit_code())),
    }
}

/// Whatever can be had.
async fn gather(
    about: String,
    args: &BugReportArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Vec<Piece> {
    let mut pieces = vec![Piece::new("about.txt", Ok::<_, io::Error>(about))];
    let planes = control_planes::find(&args.place, mesh, environment).await;
    let in_cluster = match &planes {
        Ok(planes) => planes.iter().any(AdminSocket::is_in_cluster),
        // One whose control plane is away is told of all the same.
        Err(_) => args.place.means_a_cluster() || (mesh.is_none() && environment.has_kubeconfig),
    };
    match planes {
        Ok(planes) => {
            for plane in &planes {
                output.note(&format!("asking {}", plane.place()));
                pieces.extend(answers::of(plane).await);
            }
        }
        Err(error) => pieces.push(Piece::new("control-planes", Err(error))),
    }
    if in_cluster {
        pieces.extend(Box::pin(cluster::of(&args.place.cluster, output)).await);
    }
    pieces
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
    for line in notes(pieces) {
        output.note(&line);
    }
    match output.is_json() {
        true => output.json(&shape(path, pieces)),
        false => output.data(&path.display().to_string()),
    }
}

/// What is not in it, and what to mind.
fn notes(pieces: &[Piece]) -> Vec<String> {
    let missing = pieces.iter().filter(|piece| piece.is_missing()).map(|piece| {
        let why = String::from_utf8_lossy(&piece.text);
        format!("without {}: {}", piece.name.trim_end_matches(".missing"), why.trim())
    });
    let mind =
        "it has names, addresses and paths of your services: look through it before you send it";
    missing.chain([mind.to_owned()]).collect()
}

fn shape(path: &Path, pieces: &[Piece]) -> serde_json::Value {
    let names: Vec<&str> = pieces.iter().map(|piece| piece.name.as_str()).collect();
    serde_json::json!({ "file": path, "contents": names })
}

#[cfg(test)]
mod tests;
