//! One document to one object: finds out what it is, hands it to its kind, and makes findings of what is
//! wrong. Pure; called by `store` for each document of a file that changed.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::finding::{Code, Finding, Severity};
use crate::model::{AccessPolicy, DeniedPeer, Key};

use super::metadata::{self, Identity, namespace_or_default};
use super::object::{Kind, Object, ObjectId};
use super::problem::{Problem, Problems};
use super::schema::{self, Manifest};
use super::stand_in::StandIn;
use super::yaml::{self, Lines};
use super::{
    access_policy, grpc_route, http_route, inbound_policy, mesh_config, names, service, stand_in,
    telemetry_policy, traffic_policy, workload,
};

/// Bound: documents of one file; what is beyond is not read.
const MAX_DOCUMENTS: usize = 10_000;

/// What one document turned out to be.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) what: What,
    pub(crate) lines: Arc<Lines>,
    pub(crate) findings: Vec<Finding>,
    /// Of a `MeshConfig` that is broken: whom it denies, as far as that can be read.
    pub(crate) denied: Vec<DeniedPeer>,
    /// Of one that cannot be read: what is in force where no earlier version is.
    pub(crate) stand_in: Option<StandIn>,
}

/// See [`Entry`].
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// An object that can be in force.
    Good(ObjectId, Arc<Object>),
    /// An object that cannot; it is known which one.
    Broken(ObjectId),
    /// Something that cannot be read so far as to know which object it is.
    Unknown,
    /// Readable, and not to be in force.
    Ignored(Option<ObjectId>),
}

/// Reads all documents of a file.
pub(crate) fn read_file(file: &str, text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for piece in yaml::split(text) {
        if entries.len() >= MAX_DOCUMENTS {
            let message =
                format!("more than {MAX_DOCUMENTS} documents; this and the rest are not read");
            entries.push(Entry::unknown(file, piece.first_line, Code::TooMany, message));
            break;
        }
        match yaml::parse(&piece) {
            Ok(document) => read_document(file, document.value, document.lines, &mut entries),
            Err(error) => {
                let entry = Entry::unknown(file, error.line, Code::InvalidYaml, error.message);
                let stand_in = stand_in::of_text(piece.text, &place(file, piece.first_line));
                entries.push(Entry { stand_in, ..entry });
            }
        }
    }
    entries
}

fn read_document(file: &str, value: Value, lines: Lines, entries: &mut Vec<Entry>) {
    if value.is_null() {
        return;
    }
    let is_list = value["apiVersion"] == "v1" && value["kind"] == "List";
    if let (true, Some(items)) = (is_list, value["items"].as_array()) {
        for (index, item) in items.iter().enumerate() {
            let here = lines.field("items").and_then(|items| items.item(index)).cloned();
            entries.push(read_object(file, item.clone(), here.unwrap_or_default()));
        }
        return;
    }
    entries.push(read_object(file, value, lines));
}

/// Reads one object, wherever it came from.
pub(crate) fn read_object(file: &str, value: Value, lines: Lines) -> Entry {
    let line = lines.first();
    let kind = match kind(&value) {
        Ok(Ok(kind)) => kind,
        Ok(Err((code, message))) => {
            let findings = vec![Finding::new(code, message).at(file, line).about(name_of(&value))];
            return Entry::new(What::Ignored(None), lines, findings);
        }
        Err(problem) => return Entry::unidentified(problem, &value, file, lines),
    };
    let id = match identify(kind, &value) {
        Ok(id) => id,
        Err(problem) => return Entry::unidentified(problem, &value, file, lines),
    };
    let denied = match kind {
        Kind::MeshConfig => mesh_config::denied::readable(&value),
        _ => Vec::new(),
    };
    let closed = (kind == Kind::AccessPolicy).then(|| stand_in::access(&id.key, &value));
    let stand_in = stand_in::of(&id, &value);
    let entry = read_identified(file, kind, id, value, lines);
    match (closed, &entry.what) {
        (Some(policy), _) => entry.closed(policy),
        (None, What::Broken(_)) => Entry { stand_in, ..entry.denying(denied) },
        (None, _) => entry,
    }
}

/// What an object is called that has no name.
fn place(file: &str, line: u32) -> String {
    format!("{file}:{line}")
}

fn read_identified(file: &str, kind: Kind, id: ObjectId, value: Value, lines: Lines) -> Entry {
    if value["apiVersion"] != kind.api_version() {
        let problem = Problem {
            code: Code::UnsupportedValue,
            field: "apiVersion".to_owned(),
            message: format!("{} is not read in version {}", kind.name(), value["apiVersion"]),
            hint: Some(format!("write apiVersion: {}", kind.api_version())),
        };
        return Entry::refused(Some(id), problem, file, lines);
    }
    let mut problems = Problems::default();
    let object = match read_kind(kind, value, &mut problems) {
        Ok(object) => object,
        Err(problem) => return Entry::refused(Some(id), problem, file, lines),
    };
    let fatal = problems.fatal();
    let finding = |problem| to_finding(problem, Some(&id), file, &lines);
    let findings = problems.into_vec().into_iter().map(finding).collect();
    let what = match object {
        _ if fatal => What::Broken(id),
        Some(object) => What::Good(id, Arc::new(object)),
        None => What::Ignored(Some(id)),
    };
    Entry::new(what, lines, findings)
}

impl Entry {
    fn new(what: What, lines: Lines, findings: Vec<Finding>) -> Self {
        Self { what, lines: Arc::new(lines), findings, denied: Vec::new(), stand_in: None }
    }

    fn unknown(file: &str, line: u32, code: Code, message: String) -> Self {
        let findings = vec![Finding::new(code, message).at(file, line)];
        Self::new(What::Unknown, Lines::default(), findings)
    }

    /// Whom a broken `MeshConfig` denies is denied nevertheless.
    fn denying(mut self, denied: Vec<DeniedPeer>) -> Self {
        if matches!(&self.what, What::Broken(id) if id.key == Key::new("weft-system", "default")) {
            for finding in &mut self.findings {
                if finding.severity() == Severity::Error && !denied.is_empty() {
                    finding.message.push_str("; whom it denies is denied all the same");
                }
            }
            self.denied = denied;
        }
        self
    }

    /// Where an object that decides about access cannot be in force, this one is instead.
    fn closed(mut self, policy: AccessPolicy) -> Self {
        let What::Broken(id) = self.what else { return self };
        let errors = self.findings.iter_mut();
        for finding in errors.filter(|finding| finding.severity() == Severity::Error) {
            finding.message.push_str(match policy.rules.is_empty() {
                true => "; until then it tells of nothing",
                false => "; until then everything that it selects is denied",
            });
        }
        self.what = What::Good(id, Arc::new(Object::AccessPolicy(policy)));
        self
    }

    /// It is not known which object it is.
    fn unidentified(problem: Problem, value: &Value, file: &str, lines: Lines) -> Self {
        let stand_in = stand_in::unidentified(value, &place(file, lines.first()));
        Self { stand_in, ..Self::refused(None, problem, file, lines) }
    }

    /// What stands for it where no earlier version does.
    pub(crate) fn standing_in(&self) -> Option<(ObjectId, Arc<Object>)> {
        let id = match (&self.stand_in, &self.what) {
            (Some(stand_in), _) => &stand_in.id,
            (None, What::Broken(id)) => id,
            (None, _) => return None,
        };
        Some((id.clone(), self.instead(None)?))
    }

    /// What is in force in its place, `before` being what was; `None` if that stays as it is.
    pub(crate) fn instead(&self, before: Option<&Object>) -> Option<Arc<Object>> {
        let stand_in = self.stand_in.as_ref().map(|stand_in| &stand_in.object);
        let base = before.or(stand_in.map(|object| &**object));
        let denying = mesh_config::denied::with(base, &self.denied);
        denying.or_else(|| stand_in.filter(|_| before.is_none()).cloned())
    }

    fn refused(id: Option<ObjectId>, problem: Problem, file: &str, lines: Lines) -> Self {
        let findings = vec![to_finding(problem, id.as_ref(), file, &lines)];
        let what = id.map_or(What::Unknown, What::Broken);
        Self::new(what, lines, findings)
    }
}

fn to_finding(problem: Problem, id: Option<&ObjectId>, file: &str, lines: &Lines) -> Finding {
    let line = lines.of(&problem.field);
    let mut finding =
        Finding::new(problem.code, problem.message).at(file, line).field(problem.field);
    if let Some(id) = id {
        finding = finding.about(id.to_string());
    }
    match problem.hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}

fn invalid(field: &str, message: impl Into<String>, hint: &str) -> Problem {
    let (code, hint) = (Code::InvalidObject, Some(hint.to_owned()));
    Problem { code, field: field.to_owned(), message: message.into(), hint }
}

/// The kind, or what to say of a kind that is not Weft's.
fn kind(value: &Value) -> Result<Result<Kind, (Code, String)>, Problem> {
    let text = |field: &str| value[field].as_str().filter(|text| !text.is_empty());
    let hint = "every document is an object with apiVersion, kind and metadata";
    let kind = text("kind").ok_or_else(|| invalid("kind", "there is no kind", hint))?;
    let version =
        text("apiVersion").ok_or_else(|| invalid("apiVersion", "there is no apiVersion", hint))?;
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let of_group =
        |kind: &Kind| kind.api_version().split_once('/').map_or("", |(group, _)| group) == group;
    let mut known = Kind::ALL.into_iter().filter(of_group);
    if let Some(found) = known.clone().find(|known| known.name() == kind) {
        return Ok(Ok(found));
    }
    if let Some(ours) = Kind::ALL.into_iter().find(|ours| group.is_empty() && ours.name() == kind) {
        let message = format!("{version:?} is no version of {kind}");
        let hint = format!("write apiVersion: {}", ours.api_version());
        return Err(invalid("apiVersion", message, &hint));
    }
    match (group, kind) {
        ("weft.dev", _) => {
            let names: Vec<_> = known.by_ref().map(Kind::name).collect();
            let hint = format!("one of {}", names.join(", "));
            Err(invalid("kind", format!("weft.dev has no kind {kind}"), &hint))
        }
        // It asks for something that is not done, so it must not be passed over as another's kind is.
        ("gateway.networking.k8s.io", "TCPRoute" | "TLSRoute" | "UDPRoute") => {
            Ok(Err((Code::UnsupportedValue, format!("{kind} is not supported"))))
        }
        _ => Ok(Err((Code::KindIgnored, format!("{version} {kind} is not read")))),
    }
}

/// `Kind namespace/name` of an object of any kind, as far as it is written.
fn name_of(value: &Value) -> String {
    let metadata = &value["metadata"];
    let namespace = namespace_or_default(metadata["namespace"].as_str());
    match (value["kind"].as_str(), metadata["name"].as_str()) {
        (Some(kind), Some(name)) => format!("{kind} {namespace}/{name}"),
        (Some(kind), None) => kind.to_owned(),
        (None, _) => String::new(),
    }
}

/// Name and namespace, before anything else is read: what they name stays in force whatever else is wrong.
fn identify(kind: Kind, value: &Value) -> Result<ObjectId, Problem> {
    let metadata = &value["metadata"];
    let hint = "lower-case letters, digits and '-', at most 63";
    let Some(name) = metadata["name"].as_str() else {
        return Err(invalid("metadata.name", "the object has no name", "add metadata.name"));
    };
    if !names::is_subdomain(name) {
        return Err(invalid("metadata.name", format!("{name:?} is not a name"), hint));
    }
    let namespace = namespace_or_default(metadata["namespace"].as_str());
    if !names::is_label(namespace) {
        let message = format!("{namespace:?} is not a namespace");
        return Err(invalid("metadata.namespace", message, hint));
    }
    Ok(ObjectId { kind, key: Key::new(namespace, name) })
}

fn read_kind(kind: Kind, value: Value, problems: &mut Problems) -> Result<Option<Object>, Problem> {
    Ok(match kind {
        Kind::Service => {
            let (spec, id) = shape(value, problems)?;
            service::read(spec, id, problems).map(Object::Service)
        }
        Kind::MeshWorkload => {
            let (spec, id) = shape(value, problems)?;
            workload::read(spec, id, problems).map(Object::Workload)
        }
        Kind::HttpRoute => {
            let (spec, id) = shape(value, problems)?;
            http_route::read(spec, id, problems).map(Object::Route)
        }
        Kind::GrpcRoute => {
            let (spec, id) = shape(value, problems)?;
            grpc_route::read(spec, id, problems).map(Object::Route)
        }
        Kind::TrafficPolicy => {
            let (spec, id) = shape(value, problems)?;
            Some(Object::TrafficPolicy(Box::new(traffic_policy::read(spec, id, problems))))
        }
        Kind::InboundPolicy => {
            let (spec, id) = shape(value, problems)?;
            Some(Object::InboundPolicy(inbound_policy::read(spec, id, problems)))
        }
        Kind::AccessPolicy => {
            let (spec, id) = shape(value, problems)?;
            Some(Object::AccessPolicy(access_policy::read(spec, &id, problems)))
        }
        Kind::TelemetryPolicy => {
            let (spec, id) = shape(value, problems)?;
            Some(Object::TelemetryPolicy(Box::new(telemetry_policy::read(spec, id, problems))))
        }
        Kind::MeshConfig => {
            let (spec, id) = shape(value, problems)?;
            if id.key != Key::new("weft-system", "default") {
                let message = "only weft-system/default is read";
                problems.add(Code::ConfigIgnored, "metadata", message);
                return Ok(None);
            }
            Some(Object::MeshConfig(mesh_config::read(spec, problems)))
        }
        // Nobody writes these, and `kind` finds none of them.
        Kind::Pod | Kind::EndpointSlice => None,
    })
}

fn shape<S: DeserializeOwned>(
    value: Value,
    problems: &mut Problems,
) -> Result<(S, Identity), Problem> {
    let Manifest { metadata, spec, .. } = schema::read::<Manifest<S>>(value)?;
    Ok((spec, metadata::check(metadata, problems)))
}
