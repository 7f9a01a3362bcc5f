//! What replicas tell each other of sidecars' roots: asked here, and as it travels.

use std::collections::BTreeMap;

use weft_proto::trust as wire;
use weft_proto::trust::trust_client::TrustClient;

use super::sidecars::{Known, Said, Sidecar};
use crate::model::Mesh;
use crate::status::{AskError, Replicas};

// Bound: an answer about 10,000 sidecars with ten roots each has less than 1.5 MiB.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
// Bound: roots in one answer.
const MAX_ROOTS: usize = 1000;

/// What each of the others knows; `None` of one that does not answer.
pub(super) async fn ask(replicas: &mut Replicas, mesh: &Mesh) -> BTreeMap<String, Option<Known>> {
    let answers = replicas.ask_each(mesh, |channel| async move {
        let mut client = TrustClient::new(channel).max_decoding_message_size(MAX_ANSWER);
        let answer = client.get(wire::GetRequest {}).await.map_err(AskError::from)?;
        known(answer.into_inner()).ok_or(AskError::Malformed)
    });
    answers.await.into_iter().collect()
}

/// As it travels.
pub(super) fn response(known: &Known) -> wire::GetResponse {
    let mut places = Places::default();
    let issuing = places.of(&known.issuing);
    let believed = known.believed.iter().map(|root| places.of(root)).collect();
    let mut sidecars = Vec::with_capacity(known.sidecars.len());
    for (workload, sidecar) in &known.sidecars {
        let said = sidecar.said.as_ref().map(|said| wire::Said {
            ago: said.ago,
            leaf_root: (!said.leaf_root.is_empty()).then(|| places.of(&said.leaf_root)),
            roots: said.roots.iter().map(|root| places.of(root)).collect(),
        });
        let (workload, connected) = (workload.clone(), sidecar.connected);
        sidecars.push(wire::Sidecar { workload, connected, said });
    }
    wire::GetResponse { roots: places.roots, issuing, believed, sidecars }
}

/// `None` if a place is not in the list.
fn known(answer: wire::GetResponse) -> Option<Known> {
    let roots = answer.roots;
    if roots.len() > MAX_ROOTS {
        return None;
    }
    let root = |place: u32| roots.get(place as usize).cloned();
    let all = |places: Vec<u32>| places.into_iter().map(root).collect::<Option<_>>();
    let mut sidecars = BTreeMap::new();
    for wire::Sidecar { workload, connected, said } in answer.sidecars {
        let said = match said {
            None => None,
            Some(wire::Said { ago, leaf_root, roots }) => {
                let leaf_root = leaf_root.map_or(Some(String::new()), root)?;
                Some(Said { ago, leaf_root, roots: all(roots)? })
            }
        };
        sidecars.insert(workload, Sidecar { connected, said });
    }
    Some(Known { issuing: root(answer.issuing)?, believed: all(answer.believed)?, sidecars })
}

/// Each root once.
#[derive(Default)]
struct Places {
    roots: Vec<String>,
    places: BTreeMap<String, u32>,
}

impl Places {
    fn of(&mut self, root: &str) -> u32 {
        if let Some(place) = self.places.get(root) {
            return *place;
        }
        let place = u32::try_from(self.roots.len()).unwrap_or(u32::MAX);
        self.roots.push(root.to_owned());
        self.places.insert(root.to_owned(), place);
        place
    }
}

#[cfg(test)]
mod tests;
