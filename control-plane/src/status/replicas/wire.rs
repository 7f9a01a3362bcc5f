//! Questions and receipts as they travel between replicas. Pure.

use weft_proto::status as wire;

use crate::model::ObjectKey;
use crate::xds::{MAX_NAMED, Receipt, Refusal};

/// A question about these objects.
pub(super) fn request(objects: &[ObjectKey]) -> wire::GetRequest {
    let object = |(kind, namespace, name): &ObjectKey| wire::Object {
        kind: kind.clone(),
        namespace: namespace.clone(),
        name: name.clone(),
    };
    wire::GetRequest { objects: objects.iter().map(object).collect() }
}

/// One that is asked about.
pub(super) fn object(object: wire::Object) -> ObjectKey {
    let wire::Object { kind, namespace, name } = object;
    (kind, namespace, name)
}

/// An answer.
pub(super) fn response(receipts: Vec<Receipt>) -> wire::GetResponse {
    let refusal = |Refusal { proxy, reason }| wire::Refusal { proxy, reason };
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let receipt = |receipt: Receipt| wire::Receipt {
        generation: receipt.generation,
        concerned: count(receipt.concerned),
        programmed: count(receipt.programmed),
        refusing: count(receipt.refusing),
        refused: receipt.refused.into_iter().map(refusal).collect(),
        waiting: receipt.waiting,
    };
    wire::GetResponse { receipts: receipts.into_iter().map(receipt).collect() }
}

/// The receipts of an answer about so many objects; `None` if it is none: another number of receipts, or one that counts
/// more proxies than it has.
pub(super) fn receipts(answer: wire::GetResponse, asked: usize) -> Option<Vec<Receipt>> {
    if answer.receipts.len() != asked {
        return None;
    }
    answer.receipts.into_iter().map(receipt).collect()
}

fn receipt(receipt: wire::Receipt) -> Option<Receipt> {
    let refusal = |wire::Refusal { proxy, reason }| Refusal { proxy, reason };
    let [concerned, programmed, refusing] =
        [receipt.concerned, receipt.programmed, receipt.refusing].map(|count| count as usize);
    (programmed + refusing <= concerned).then(|| Receipt {
        generation: receipt.generation,
        concerned,
        programmed,
        refusing,
        refused: receipt.refused.into_iter().take(MAX_NAMED).map(refusal).collect(),
        waiting: receipt.waiting.into_iter().take(MAX_NAMED).collect(),
        missing: Vec::new(),
    })
}
