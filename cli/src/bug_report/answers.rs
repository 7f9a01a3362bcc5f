//! What a control plane says of itself and its sidecars.

use super::Piece;
use crate::admin::AdminSocket;

/// File, and what is asked for it.
const QUESTIONS: [(&str, &str); 8] = [
    ("version.json", "/v1/version"),
    ("mesh.json", "/v1/mesh"),
    ("analysis.json", "/v1/analysis"),
    ("proxies.json", "/v1/proxies"),
    ("stat.json", "/v1/stat?window=all"),
    ("trust.json", "/v1/trust"),
    ("broken-traces.json", "/v1/traces/broken"),
    ("metrics.txt", "/metrics"),
];

/// All of it, in a folder of its own.
pub(super) async fn of(plane: &AdminSocket) -> Vec<Piece> {
    let folder = folder(&plane.place());
    let mut pieces = Vec::new();
    for (name, target) in QUESTIONS {
        pieces.push(Piece::new(format!("{folder}/{name}"), plane.text(target).await));
    }
    pieces
}

/// A name that may be that of a folder.
pub(super) fn folder(place: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    place.chars().map(plain).collect::<String>().trim_matches('-').to_owned()
}

/// The files, in order.
#[cfg(test)]
pub(super) fn names() -> Vec<&'static str> {
    QUESTIONS.iter().map(|(name, _)| *name).collect()
}
