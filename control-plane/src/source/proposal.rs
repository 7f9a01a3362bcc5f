//! Policies that are not in force: read as a source reads them, for those who want to know beforehand what they would
//! do. Pure; called by `access`.

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::finding::{Code, Finding};
use crate::model::{AccessPolicy, InboundPolicy, MeshConfig};

use super::document::{self, Entry, What};
use super::inbound_policy::InboundDraft;
use super::object::Object;
use super::yaml;

/// Bound: documents of all files.
const MAX_DOCUMENTS: usize = 1000;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Proposal {
    /// Objects that decide about access.
    pub(crate) objects: Vec<Proposed>,
    /// `HTTPRoute shop/web`: of other kinds.
    pub(crate) ignored: Vec<String>,
    /// What is wrong or odd.
    pub(crate) findings: Vec<Finding>,
}

/// One object, under its own origin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Proposed {
    Access(AccessPolicy),
    Inbound(InboundPolicy),
    Config(Box<MeshConfig>),
}

/// Reads files, `(name, text)`; objects that name no namespace are of `namespace`.
pub(crate) fn read(files: &[(String, String)], namespace: &str) -> Proposal {
    let (mut proposal, mut documents) = (Proposal::default(), 0);
    for (file, text) in files {
        for piece in yaml::split(text) {
            documents += 1;
            if documents > MAX_DOCUMENTS {
                let message = format!("more than {MAX_DOCUMENTS} documents");
                let finding = Finding::new(Code::TooMany, message).at(file, piece.first_line);
                proposal.findings.push(finding);
                return proposal;
            }
            match yaml::parse(&piece) {
                Ok(document) => proposal.take(file, document, namespace),
                Err(error) => {
                    let finding = Finding::new(Code::InvalidYaml, error.message);
                    proposal.findings.push(finding.at(file, error.line));
                }
            }
        }
    }
    proposal
}

impl Proposal {
    fn take(&mut self, file: &str, document: yaml::Document, namespace: &str) {
        let yaml::Document { value, lines } = document;
        if value.is_null() {
            return;
        }
        let is_list = value["apiVersion"] == "v1" && value["kind"] == "List";
        let Some(items) = value["items"].as_array().filter(|_| is_list) else {
            return self.read(document::read_object(file, within(value, namespace), lines));
        };
        for (index, item) in items.iter().enumerate() {
            let here = lines.field("items").and_then(|items| items.item(index)).cloned();
            let item = within(item.clone(), namespace);
            self.read(document::read_object(file, item, here.unwrap_or_default()));
        }
    }

    fn read(&mut self, entry: Entry) {
        let (id, object) = match entry.what {
            What::Good(id, object) => (id, object),
            // The findings say why; what is not of Weft's kinds is no business of theirs.
            What::Broken(_) | What::Unknown => return self.findings.extend(entry.findings),
            What::Ignored(_) => {
                let (other, ours): (Vec<_>, Vec<_>) = entry
                    .findings
                    .into_iter()
                    .partition(|finding| finding.code == Code::KindIgnored);
                self.ignored.extend(other.into_iter().map(|finding| finding.object));
                return self.findings.extend(ours);
            }
        };
        let origin = id.origin(0);
        let proposed = match &*object {
            Object::AccessPolicy(policy) => {
                Proposed::Access(AccessPolicy { origin, ..policy.clone() })
            }
            Object::InboundPolicy(InboundDraft { policy, .. }) => {
                Proposed::Inbound(InboundPolicy { origin, ..policy.clone() })
            }
            Object::MeshConfig(config) => {
                Proposed::Config(Box::new(MeshConfig { origin, ..config.clone() }))
            }
            Object::Service(_)
            | Object::Workload(_)
            | Object::Route(_)
            | Object::TrafficPolicy(_)
            | Object::TelemetryPolicy(_) => {
                return self.ignored.push(id.to_string());
            }
        };
        self.findings.extend(entry.findings);
        self.objects.push(proposed);
    }
}

/// The object with this namespace, unless it names one.
fn within(mut value: Value, namespace: &str) -> Value {
    if let Some(metadata) = value["metadata"].as_object_mut()
        && metadata.get("namespace").and_then(Value::as_str).is_none_or(str::is_empty)
    {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    value
}
