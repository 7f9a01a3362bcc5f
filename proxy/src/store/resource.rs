//! `resources/<digest>`: one file for each xDS resource in force, as it was received. The name of a file is a
//! digest of the resource's kind and name, which may hold any characters. Addresses are small and many, one for each
//! Service port of the mesh, and a file costs a page of memory: they share [`SHARDS`] files.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use prost::Message;
use weft_proto::envoy::discovery::{DeltaDiscoveryResponse as File, Resource};
use weft_proto::google::Any;

use super::{MAX_FILE, RESOURCES, Store};
use crate::xds::Kind;

/// Bound: files, and bytes in all of them. What is beyond is not kept.
const MAX_FILES: usize = 20_000;
const MAX_BYTES: u64 = 64 << 20;

/// Files of all addresses. One that changes is written anew, a few kilobytes in a mesh of thousands of Services.
const SHARDS: u8 = 64;
/// What their names begin with.
const SHARED: &str = "addresses-";

/// A resource as it was received.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredResource {
    pub(crate) version: String,
    pub(crate) any: Any,
}

/// A resource as it was received, not decoded: an encoded `Resource`.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) name: Arc<str>,
    pub(crate) bytes: Bytes,
}

/// A [`File`] whose resources are not decoded.
#[derive(Clone, PartialEq, Message)]
struct RawFile {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    resources: Vec<Bytes>,
}

/// Sizes of the files by name.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    files: BTreeMap<String, u64>,
    bytes: u64,
}

impl Sizes {
    fn room_for(&self, file: &str, size: u64) -> bool {
        let known = self.files.get(file).copied();
        let files = self.files.len() + usize::from(known.is_none());
        // With room for the checksum in front.
        let readable = size < MAX_FILE - 1024;
        readable && files <= MAX_FILES && self.bytes - known.unwrap_or(0) + size <= MAX_BYTES
    }

    fn set(&mut self, file: String, size: u64) {
        self.bytes += size;
        self.bytes -= self.files.insert(file, size).unwrap_or(0);
    }

    fn remove(&mut self, file: &str) {
        self.bytes -= self.files.remove(file).unwrap_or(0);
    }
}

/// What lies there from the last time. Half-written files are removed.
pub(super) fn scan(directory: &Path) -> std::io::Result<Sizes> {
    let mut sizes = Sizes::default();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let file = entry.metadata().ok().filter(std::fs::Metadata::is_file);
        match (file, entry.file_name().into_string()) {
            (Some(file), Ok(name)) if Path::new(&name).extension() != Some(OsStr::new("tmp")) => {
                sizes.set(name, file.len());
            }
            // What cannot be removed is not looked at again either.
            _ => drop(std::fs::remove_file(entry.path())),
        }
    }
    Ok(sizes)
}

impl Store {
    /// The resource that was last in force; a broken file is reported and counts as missing.
    pub(crate) fn resource(&self, kind: Kind, name: &str) -> Option<StoredResource> {
        // Of that kind: the file's name says it.
        let stored = self.stored(&file_name(kind, name));
        let found = stored.into_iter().find(|stored| stored.name == name)?;
        Some(StoredResource { version: found.version, any: found.resource? })
    }

    /// All that is in one file.
    fn stored(&self, file: &str) -> Vec<Resource> {
        let parse = |body: &[u8]| File::decode(body).map_err(|error| error.to_string());
        self.read(&path(file), parse).map_or_else(Vec::new, |file| file.resources)
    }

    /// Names of the stored resources of one kind.
    pub(crate) fn resource_names(&self, kind: Kind) -> BTreeSet<String> {
        self.resources(kind).map(|(name, _)| name).collect()
    }

    /// The stored resources of one kind, one file after the other.
    pub(crate) fn resources(&self, kind: Kind) -> impl Iterator<Item = (String, StoredResource)> {
        let files: Vec<String> = self.sizes().files.keys().cloned().collect();
        let files = files.into_iter().filter(move |file| is_file_of(file, kind));
        let stored = files.flat_map(|file| self.stored(&file));
        stored.filter(move |stored| is_kind(stored, kind)).filter_map(|stored| {
            let Resource { name, version, resource, .. } = stored;
            Some((name, StoredResource { version, any: resource? }))
        })
    }

    /// Keeps a resource. A failure is logged and not an error.
    pub(crate) fn save_resource(&self, kind: Kind, name: &str, resource: &StoredResource) -> bool {
        let StoredResource { version, any } = resource;
        let resource = Resource {
            name: name.to_owned(),
            version: version.clone(),
            resource: Some(any.clone()),
            ..Resource::default()
        };
        let file = file_name(kind, name);
        let mut resources = self.beside(kind, name, &file);
        resources.push(resource);
        self.put(file, resources)
    }

    /// As [`Self::save_resource`], of a kind that shares files: writes each of them once.
    pub(crate) fn save_received(&self, kind: Kind, received: &[Received]) {
        let mut by_file: BTreeMap<String, BTreeMap<&str, &Bytes>> = BTreeMap::new();
        for Received { name, bytes } in received {
            by_file.entry(file_name(kind, name)).or_default().insert(name, bytes);
        }
        for (file, new) in by_file {
            let stays = |stored: &Resource| !new.contains_key(&*stored.name);
            let others = self.stored(&file).into_iter().filter(stays);
            let others = others.map(|stored| stored.encode_to_vec().into());
            let resources = others.chain(new.values().map(|bytes| Bytes::clone(bytes)));
            let body = RawFile { resources: resources.collect() }.encode_to_vec();
            self.put_body(file, &body);
        }
    }

    /// What shares a file with that resource.
    fn beside(&self, kind: Kind, name: &str, file: &str) -> Vec<Resource> {
        let mut resources = if is_shared(kind) { self.stored(file) } else { Vec::new() };
        resources.retain(|stored| stored.name != name);
        resources
    }

    /// Makes this the content of a file; without any the file goes.
    fn put(&self, file: String, resources: Vec<Resource>) -> bool {
        if resources.is_empty() {
            self.remove_file(&file);
            return true;
        }
        self.put_body(file, &File { resources, ..File::default() }.encode_to_vec())
    }

    fn put_body(&self, file: String, body: &[u8]) -> bool {
        let size = body.len() as u64;
        let mut sizes = self.sizes();
        if !sizes.room_for(&file, size) {
            drop(sizes);
            let limits = format!("more than {MAX_FILES} resources or {MAX_BYTES} bytes");
            return self.report(&Err(limits));
        }
        let written = self.write(&path(&file), body);
        if written {
            sizes.set(file, size);
        }
        written
    }

    /// Forgets a resource.
    pub(crate) fn remove_resource(&self, kind: Kind, name: &str) {
        let file = file_name(kind, name);
        let others = self.beside(kind, name, &file);
        self.put(file, others);
    }

    /// Forgets every resource that is not in `keep`.
    pub(crate) fn retain_resources<'k>(&self, keep: impl Iterator<Item = (Kind, &'k str)>) {
        let mut wanted: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for (kind, name) in keep {
            wanted.entry(file_name(kind, name)).or_default().insert(name);
        }
        let known: Vec<String> = self.sizes().files.keys().cloned().collect();
        for file in known {
            let Some(names) = wanted.get(&file) else {
                self.remove_file(&file);
                continue;
            };
            let (kept, gone): (Vec<_>, Vec<_>) =
                self.stored(&file).into_iter().partition(|stored| names.contains(&*stored.name));
            if !gone.is_empty() {
                self.put(file, kept);
            }
        }
    }

    fn remove_file(&self, file: &str) {
        if std::fs::remove_file(self.directory.join(path(file))).is_ok() {
            self.sizes().remove(file);
        }
    }

    fn sizes(&self) -> MutexGuard<'_, Sizes> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path(file: &str) -> PathBuf {
    Path::new(RESOURCES).join(file)
}

/// Can that kind be in a file of that name?
fn is_file_of(file: &str, kind: Kind) -> bool {
    file.starts_with(SHARED) == is_shared(kind)
}

fn is_shared(kind: Kind) -> bool {
    kind == Kind::Addresses
}

fn is_kind(stored: &Resource, kind: Kind) -> bool {
    stored.resource.as_ref().is_some_and(|any| any.type_url == kind.type_url())
}

fn file_name(kind: Kind, name: &str) -> String {
    let digest = digest(&SHA256, format!("{}\0{name}", kind.message()).as_bytes());
    if is_shared(kind) {
        let shard = digest.as_ref().first().map_or(0, |byte| byte % SHARDS);
        return format!("{SHARED}{shard}");
    }
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
