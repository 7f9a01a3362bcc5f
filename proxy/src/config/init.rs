//! The flags of `weft-proxy init`.

use clap::Args;

use crate::interception::{
    Action, Backend, Cidrs, HEALTH_PORT, INBOUND_PORT, Init, OUTBOUND_PORT, PROXY_UID, Ports,
    Settings, uid, uids,
};

#[derive(Args, Debug)]
pub(super) struct InitArgs {
    /// Remove the rules instead; whatever is not there is no mistake.
    #[arg(long, group = "action")]
    cleanup: bool,
    /// Say what is missing or differs, and change nothing; exit code 1 if anything does.
    #[arg(long, group = "action")]
    check: bool,
    /// Write the rules to standard output, and do nothing; needs no privileges.
    #[arg(long, group = "action")]
    dry_run: bool,
    /// Who keeps the rules; auto takes nft if it is there and the kernel takes the rules, else iptables.
    #[arg(long, env = "WEFT_INTERCEPTION_BACKEND", default_value = "auto")]
    backend: Backend,
    /// Where the sidecar takes the application's connections.
    #[arg(long, env = "WEFT_OUTBOUND_PORT", default_value_t = OUTBOUND_PORT, value_name = "PORT",
          value_parser = clap::value_parser!(u16).range(1..))]
    outbound_port: u16,
    /// Where the sidecar takes connections from outside.
    #[arg(long, env = "WEFT_INBOUND_PORT", default_value_t = INBOUND_PORT, value_name = "PORT",
          value_parser = clap::value_parser!(u16).range(1..))]
    inbound_port: u16,
    /// Port of health and metrics: reached from outside directly.
    #[arg(long, env = "WEFT_HEALTH_PORT", default_value_t = HEALTH_PORT, value_name = "PORT",
          value_parser = clap::value_parser!(u16).range(1..))]
    health_port: u16,
    /// User that the sidecar runs as; its connections are left alone.
    #[arg(long, env = "WEFT_PROXY_UID", default_value_t = PROXY_UID, value_name = "UID",
          value_parser = uid)]
    proxy_uid: u32,
    /// Ports that are reached from outside directly: 22,9000-9100.
    #[arg(long, env = "WEFT_SKIP_INBOUND_PORTS", value_name = "PORTS")]
    skip_inbound_ports: Vec<Ports>,
    /// Ports that the application reaches directly: 4567,8000-8100.
    #[arg(long, env = "WEFT_SKIP_OUTBOUND_PORTS", value_name = "PORTS")]
    skip_outbound_ports: Vec<Ports>,
    /// Networks that the application reaches directly: 10.0.0.0/8,fd00::/8.
    #[arg(long, env = "WEFT_SKIP_OUTBOUND_CIDRS", value_name = "CIDRS")]
    skip_outbound_cidrs: Vec<Cidrs>,
    /// Further users whose connections are left alone: 0,1000.
    #[arg(long, env = "WEFT_SKIP_UIDS", value_name = "UIDS", value_parser = users)]
    skip_uids: Vec<Users>,
}

/// One `--skip-uids`; by a name of its own, for clap takes a plain `Vec` apart.
type Users = std::sync::Arc<[u32]>;

impl InitArgs {
    pub(super) fn resolve(self) -> Result<Init, clap::Error> {
        let action = match (self.cleanup, self.check, self.dry_run) {
            (true, ..) => Action::Cleanup,
            (_, true, _) => Action::Check,
            (.., true) => Action::DryRun,
            _ => Action::Install,
        };
        let settings = Settings {
            outbound_port: self.outbound_port,
            inbound_port: self.inbound_port,
            health_port: self.health_port,
            proxy_uid: self.proxy_uid,
            skip_inbound_ports: Ports::merge(self.skip_inbound_ports),
            skip_outbound_ports: Ports::merge(self.skip_outbound_ports),
            skip_outbound_cidrs: Cidrs::merge(self.skip_outbound_cidrs),
            heard_only: true,
            skip_uids: self.skip_uids.iter().flat_map(|uids| uids.iter().copied()).collect(),
        };
        let settings = settings.settle().map_err(|reason| {
            clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{reason}\n"))
        })?;
        Ok(Init { settings, backend: self.backend, action })
    }
}

fn users(text: &str) -> Result<Users, String> {
    uids(text).map(Into::into)
}
