//! From a pod to the same pod with a sidecar: what is added, or why nothing is.
//!
//! Called by `webhook` for every pod that the API server asks about, and by `weft inject` for files. Decides only: no
//! socket, no clock, no cluster. The order is fixed: is it to be meshed at all, may it be, what do its annotations say,
//! what does that add. Whatever is in doubt is a [`Denial`]: a pod that runs without its sidecar, or with other settings
//! than its owner wrote, would be noticed by nobody. Nothing of a pod is ever changed or moved, only added to.
//!
//! `annotations` is the table of what can be set, `value` the grammar of the values, `checks` what forbids or troubles,
//! `shape` the containers and volumes, `addition` how they get into a JSON document and out of it, `document` the same
//! for pod templates.

mod addition;
mod annotations;
mod checks;
mod document;
mod name;
mod shape;
mod value;

use std::fmt;

use k8s_openapi::api::core::v1::Pod;

pub use self::addition::Addition;
pub use self::annotations::{ANNOTATIONS, Annotation};
pub use self::document::{Change, Report, inject_document, uninject_document};
pub use self::name::{Owner, service_name, service_version};

/// Label of namespaces and pods that says whether pods get a sidecar: [`ENABLED`] or [`DISABLED`].
pub const INJECT: &str = "weft.dev/inject";
/// Value of [`INJECT`]: with a sidecar.
pub const ENABLED: &str = "enabled";
/// Value of [`INJECT`]: without.
pub const DISABLED: &str = "disabled";
/// Annotation of a pod that has a sidecar: the version that injected it.
pub const INJECTED: &str = "weft.dev/injected";
/// Annotation beside it: who did, an [`Injector`].
pub const INJECTED_BY: &str = "weft.dev/injected-by";
/// Annotation beside it: which names of others' labels and annotations were added, so that they can be taken out again.
pub const INJECTED_METADATA: &str = "weft.dev/injected-metadata";
/// Name of the container that installs the interception.
pub const INIT_CONTAINER: &str = "weft-init";
/// Name of the sidecar's container.
pub const PROXY_CONTAINER: &str = "weft-proxy";
/// ConfigMap with the mesh's root certificates, in every namespace with sidecars; key `root.pem`.
pub const TRUST_BUNDLE: &str = "weft-trust-bundle";
/// Audience of the token with which a sidecar proves who it is.
pub const TOKEN_AUDIENCE: &str = "identity.weft.dev";

/// What is the same for all pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Image of the sidecar.
    pub proxy_image: String,
    /// Image of the init container.
    pub init_image: String,
    /// Where sidecars find the control plane, `host:port`.
    pub control_plane: String,
    /// Who injects.
    pub injector: Injector,
}

/// Who injects; written beside the sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injector {
    /// The control plane, when a pod is made.
    Webhook,
    /// `weft inject`, before the manifest is applied.
    CommandLine,
}

/// What is known of a pod besides the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The workload that the pod belongs to, if any.
    pub owner: Option<Owner>,
}

/// What becomes of a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It gets a sidecar.
    Injected(Box<Addition>),
    /// It stays as it is.
    Skipped(Skip),
}

/// Outcome, and what its owner should hear in either case; each warning is one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What becomes of the pod.
    pub outcome: Outcome,
    /// What its owner should hear.
    pub warnings: Vec<String>,
}

/// Why a pod stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// It has a sidecar already.
    AlreadyInjected(Injector),
    /// Its network namespace is the node's: the rules would lead the node's traffic through the sidecar.
    HostNetwork,
    /// It says so itself.
    OptedOut,
    /// It was made by the kubelet from a file; the API server's copy of it has no effect.
    Static,
    /// It runs on Windows.
    Windows,
}

/// Why a pod must not be made as it is: what, where and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}; {remedy}")]
pub struct Denial {
    /// Where: a path in the pod.
    pub field: String,
    /// What is wrong there.
    pub problem: String,
    /// How to mend it.
    pub remedy: String,
}

impl Settings {
    /// Weft's own images, of this version, from `registry`.
    #[must_use]
    pub fn from_registry(registry: &str, injector: Injector) -> Self {
        let image = |name| format!("{registry}/{name}:{}", env!("CARGO_PKG_VERSION"));
        Self {
            proxy_image: image("weft-proxy"),
            init_image: image("weft-init"),
            control_plane: "weft-control-plane.weft-system.svc:15010".to_owned(),
            injector,
        }
    }
}

impl Injector {
    const ALL: [Self; 2] = [Self::Webhook, Self::CommandLine];

    /// As the annotation says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::CommandLine => "weft-inject",
        }
    }
}

impl Skip {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::AlreadyInjected(Injector::CommandLine),
        Self::HostNetwork,
        Self::OptedOut,
        Self::Static,
        Self::Windows,
    ];

    /// One word for metrics.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::AlreadyInjected(_) => "already_injected",
            Self::HostNetwork => "host_network",
            Self::OptedOut => "opted_out",
            Self::Static => "static_pod",
            Self::Windows => "windows",
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyInjected(_) => "already injected",
            Self::HostNetwork => "hostNetwork",
            Self::OptedOut => "weft.dev/inject: disabled",
            Self::Static => "a static pod of the kubelet",
            Self::Windows => "a Windows pod",
        })
    }
}

/// Decides what becomes of `pod`.
///
/// # Errors
/// If the pod must not run as it is: an annotation of Weft's has no meaning, or a name of the sidecar's is taken.
pub fn inject(pod: &Pod, settings: &Settings, facts: &Facts) -> Result<Decision, Denial> {
    if let Some(skip) = checks::skip(pod)? {
        let warnings = checks::of_skipped(pod, skip);
        return Ok(Decision { outcome: Outcome::Skipped(skip), warnings });
    }
    checks::names_are_free(pod)?;
    let knobs = annotations::read(pod)?;
    let mut warnings = annotations::unknown(pod);
    warnings.extend(checks::warnings(pod, &knobs));
    let addition = shape::addition(pod, settings, facts, &knobs);
    Ok(Decision { outcome: Outcome::Injected(Box::new(addition)), warnings })
}

#[cfg(test)]
mod tests;
