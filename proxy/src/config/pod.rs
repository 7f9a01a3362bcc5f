//! The flags that stand in place of a bootstrap file in a pod, and the choice between the two.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;

use crate::bootstrap::{Account, Pod, ServiceName, Source, host_and_port};

#[derive(Args, Debug)]
#[command(next_help_heading = "In a pod, in place of --bootstrap")]
pub(super) struct PodArgs {
    /// Name of the pod.
    #[arg(long, env = "WEFT_POD_NAME", value_name = "NAME",
          value_parser = NonEmptyStringValueParser::new())]
    pod_name: Option<String>,
    /// Its namespace.
    #[arg(long, env = "WEFT_POD_NAMESPACE", value_name = "NAMESPACE",
          value_parser = NonEmptyStringValueParser::new())]
    pod_namespace: Option<String>,
    /// Its service account.
    #[arg(long, env = "WEFT_SERVICE_ACCOUNT", value_name = "NAME",
          value_parser = NonEmptyStringValueParser::new())]
    service_account: Option<String>,
    /// Where the control plane is.
    #[arg(long, env = "WEFT_CONTROL_PLANE", value_name = "HOST:PORT", value_parser = host_and_port)]
    control_plane: Option<String>,
    /// Service account of the control plane [default: weft-system/weft-control-plane].
    #[arg(long, env = "WEFT_CONTROL_PLANE_ACCOUNT", value_name = "NAMESPACE/NAME")]
    control_plane_account: Option<Account>,
    /// Roots (PEM) that the control plane's certificate must lead to. All are of one trust domain, which is this
    /// proxy's. Read again when it changes.
    #[arg(long, env = "WEFT_TRUST_BUNDLE", value_name = "FILE")]
    trust_bundle: Option<PathBuf>,
    /// Service-account token that proves who this is; read anew for every attempt.
    #[arg(long, env = "WEFT_IDENTITY_TOKEN", value_name = "FILE")]
    identity_token: Option<PathBuf>,
    /// What the workload is called in traces [default: the name of the pod].
    #[arg(long, env = "WEFT_SERVICE_NAME", value_name = "NAME")]
    service_name: Option<String>,
    /// Its version in traces.
    #[arg(long, env = "WEFT_SERVICE_VERSION", value_name = "VERSION")]
    service_version: Option<String>,
}

/// One of the two ways, and not both.
pub(super) fn source(bootstrap: Option<PathBuf>, pod: PodArgs) -> Result<Source, clap::Error> {
    let told = pod.told();
    match (bootstrap, told.first()) {
        (Some(file), None) => Ok(Source::File(file)),
        (None, Some(_)) => pod.resolve().map(|pod| Source::Pod(Box::new(pod))),
        (None, None) => Err(clap::Error::raw(
            ErrorKind::MissingRequiredArgument,
            "--bootstrap (WEFT_BOOTSTRAP) is needed, or in a pod --pod-name (WEFT_POD_NAME) and what goes with it\n",
        )),
        (Some(_), Some((flag, variable))) => Err(clap::Error::raw(
            ErrorKind::ArgumentConflict,
            format!(
                "--bootstrap (WEFT_BOOTSTRAP) and {flag} ({variable}) exclude each other: a sidecar has a bootstrap \
                 file or is in a pod\n"
            ),
        )),
    }
}

impl PodArgs {
    /// Flag and variable of each that is needed, and whether it is there.
    fn needed(&self) -> [(&'static str, &'static str, bool); 6] {
        [
            ("--pod-name", "WEFT_POD_NAME", self.pod_name.is_some()),
            ("--pod-namespace", "WEFT_POD_NAMESPACE", self.pod_namespace.is_some()),
            ("--service-account", "WEFT_SERVICE_ACCOUNT", self.service_account.is_some()),
            ("--control-plane", "WEFT_CONTROL_PLANE", self.control_plane.is_some()),
            ("--trust-bundle", "WEFT_TRUST_BUNDLE", self.trust_bundle.is_some()),
            ("--identity-token", "WEFT_IDENTITY_TOKEN", self.identity_token.is_some()),
        ]
    }

    /// What was said of all this.
    fn told(&self) -> Vec<(&'static str, &'static str)> {
        let account = self.control_plane_account.is_some();
        let further = [
            ("--control-plane-account", "WEFT_CONTROL_PLANE_ACCOUNT", account),
            ("--service-name", "WEFT_SERVICE_NAME", self.service_name.is_some()),
            ("--service-version", "WEFT_SERVICE_VERSION", self.service_version.is_some()),
        ];
        let all = self.needed().into_iter().chain(further);
        all.filter(|(.., there)| *there).map(|(flag, variable, _)| (flag, variable)).collect()
    }

    fn resolve(self) -> Result<Pod, clap::Error> {
        let missing = |args: &Self| {
            let missing = args.needed().into_iter().filter(|(.., there)| !there);
            let missing: Vec<_> =
                missing.map(|(flag, variable, _)| format!("{flag} ({variable})")).collect();
            let text = format!("a sidecar in a pod needs also {}\n", missing.join(", "));
            clap::Error::raw(ErrorKind::MissingRequiredArgument, text)
        };
        match self {
            Self {
                pod_name: Some(name),
                pod_namespace: Some(namespace),
                service_account: Some(service_account),
                control_plane: Some(control_plane),
                control_plane_account,
                trust_bundle: Some(trust_bundle),
                identity_token: Some(identity_token),
                service_name,
                service_version,
            } => Ok(Pod {
                name,
                namespace,
                service_account,
                control_plane,
                control_plane_account: control_plane_account.unwrap_or_else(installed),
                trust_bundle,
                identity_token,
                service: ServiceName {
                    name: service_name.unwrap_or_default(),
                    version: service_version.unwrap_or_default(),
                },
            }),
            args => Err(missing(&args)),
        }
    }
}

/// As it is installed.
fn installed() -> Account {
    Account { namespace: "weft-system".to_owned(), name: "weft-control-plane".to_owned() }
}
