//! How the mesh's roots stand, and with them a rotation. Of the sidecars those that are connected to this replica are
//! counted: over all replicas the sums are of the whole mesh.

use weft_certs::RootState;

use super::page::Page;
use crate::clock;
use crate::trust::{Here, Step};

/// Digits of a fingerprint that tell the roots of one mesh apart: as many as `weft trust status` shows.
const DIGITS: usize = 16;

pub(super) fn roots(page: &mut Page, here: &Here) {
    let help = "Stage of a rotation of the mesh's roots: 0 there is none, 1 a root is staged and does not issue yet, 2 it issues \
                and the one before it is still believed.";
    page.family("weft_control_plane_trust_stage", "gauge", help);
    page.sample(
        &[],
        match here.next {
            Step::Stage => 0,
            Step::Issue => 1,
            Step::Retire => 2,
        },
    );
    let help = "Sidecars connected to this replica, by root: does is believe (it would accept certificates that lead there) or \
                use (its own leads there); state is staged, issuing or old.";
    page.family("weft_control_plane_trust_root_sidecars", "gauge", help);
    for of in &here.roots {
        let (root, state) = (&of.root.fingerprint[..DIGITS], word(&of.root.state));
        for (does, count) in [("believe", of.believe), ("use", of.used)] {
            page.sample(&[("root", root), ("state", state), ("does", does)], count as u64);
        }
    }
    let help = "Sidecars connected to this replica that have said which roots they believe.";
    page.family("weft_control_plane_trust_sidecars", "gauge", help);
    page.sample(&[], here.sidecars as u64);
    let help = "End of each root that is believed, seconds since the Unix epoch.";
    page.family("weft_control_plane_trust_root_not_after_seconds", "gauge", help);
    for of in &here.roots {
        let (root, state) = (&of.root.fingerprint[..DIGITS], word(&of.root.state));
        page.sample(&[("root", root), ("state", state)], clock::unix(of.root.not_after));
    }
}

fn word(state: &RootState) -> &'static str {
    match state {
        RootState::Staged { .. } => "staged",
        RootState::Issuing => "issuing",
        RootState::Old { .. } => "old",
    }
}
