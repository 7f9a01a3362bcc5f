//! Finds the running mesh that a command talks to. Used by every command but `demo` and `analyze`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::admin::AdminSocket;
use crate::environment::Environment;
use crate::run_dir::{MeshRecord, RunRoot, check_name, proxy_dir};

/// A mesh that runs on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Mesh {
    /// What its owner says of it.
    pub(crate) record: MeshRecord,
    /// Its directory.
    pub(crate) directory: PathBuf,
}

impl Mesh {
    /// The mesh called `name`, or the only one that runs.
    ///
    /// # Errors
    /// None runs, or several do and none was named; says how to go on.
    pub(crate) fn find(name: Option<&str>, environment: &Environment) -> Result<Self> {
        match Self::look(name, environment)? {
            Some(mesh) => Ok(mesh),
            None => {
                let what = name.map_or("no mesh".to_owned(), |name| format!("no mesh `{name}`"));
                let weft = environment.invoked_as();
                bail!(
                    "{what} runs here; start one with `{weft} demo`, or `{weft} run --config-dir …`"
                )
            }
        }
    }

    /// As [`Mesh::find`], but `None` where none runs.
    ///
    /// # Errors
    /// Several run and none was named, or the name cannot be one.
    pub(crate) fn look(name: Option<&str>, environment: &Environment) -> Result<Option<Self>> {
        if let Some(name) = name {
            check_name(name)?;
        }
        let mut running = RunRoot::running(&environment.run_root);
        running.retain(|mesh| name.is_none_or(|name| name == mesh.name));
        if running.len() > 1 {
            let names: Vec<&str> = running.iter().map(|mesh| mesh.name.as_str()).collect();
            bail!("{} meshes run here: choose one with --mesh ({})", names.len(), names.join(", "));
        }
        Ok(running.pop().map(|record| {
            let directory = environment.run_root.join(&record.name);
            Self { record, directory }
        }))
    }

    /// The control plane's admin socket.
    pub(crate) fn control_plane(&self) -> AdminSocket {
        AdminSocket::new(&self.record.admin)
    }

    /// The workloads, `name.namespace`, whose sidecars keep their state in this mesh's directory.
    pub(crate) fn workloads(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.directory.join("proxies")) else {
            return Vec::new();
        };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The admin socket of one sidecar, by `name` or `name.namespace`.
    ///
    /// # Errors
    /// No sidecar has the name, or several have; names those there are.
    pub(crate) fn sidecar(&self, name: &str) -> Result<AdminSocket> {
        let workload = choose(name, &self.workloads())
            .with_context(|| format!("in mesh `{}`", self.record.name))?;
        Ok(sidecar_socket(&proxy_dir(&self.directory, &workload)))
    }
}

/// The admin socket of the sidecar with this state directory.
pub(crate) fn sidecar_socket(state: &Path) -> AdminSocket {
    AdminSocket::new(&state.join("admin.sock"))
}

/// The one workload that `name` means.
fn choose(name: &str, workloads: &[String]) -> Result<String> {
    let matches: Vec<&String> = workloads
        .iter()
        .filter(|workload| {
            workload.as_str() == name
                || workload.split_once('.').is_some_and(|(short, _)| short == name)
        })
        .collect();
    match matches[..] {
        [one] => Ok(one.clone()),
        [] if workloads.is_empty() => bail!("no sidecar runs"),
        [] => bail!("no sidecar is called `{name}`; there are {}", workloads.join(", ")),
        [..] => {
            let names: Vec<&str> = matches.iter().map(|name| name.as_str()).collect();
            bail!("`{name}` may mean {}: add the namespace", names.join(" or "))
        }
    }
}

#[cfg(test)]
mod tests;
