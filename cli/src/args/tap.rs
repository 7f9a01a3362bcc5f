//! `weft tap`.

use std::time::Duration;

use clap::Args;

const TAP_EXAMPLES: &str = "\
Each line is a request that has just ended, as one of its two sidecars saw it: the caller's (out) or the receiver's (in). A line has \
names, times and outcomes; never a header, a query or a body. It costs the sidecars nothing while nobody watches. What is \
over --most is not shown and counted; sidecars that start meanwhile are shown too.

It takes what every command takes that asks the control plane: the right to open its admin socket, in a cluster to `list pods` \
and to `get` and `create` `pods/exec` in weft-system.

It ends with Ctrl-C, after --for or --max, or with the control plane. Exit code 0; 1 if the control plane went away.

Examples:
  weft tap                                     everything
  weft tap order --to payment --status 5xx     order's calls of payment that failed there
  weft tap payment --identity shop/order       what order sends to payment, and payment to order
  weft tap --errors --max 1 -o json            the next failure, for a program";

/// `weft tap`.
#[derive(Clone, Debug, Args)]
#[command(after_help = TAP_EXAMPLES)]
pub(crate) struct TapArgs {
    /// Whose requests: workloads, `order` or `order.shop`; all of them if none is named
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workloads: Vec<String>,
    /// Only what is sent to this Service, `payment.shop` or `payment.shop:8080`
    #[arg(long, value_name = "SERVICE")]
    pub(crate) to: Option<String>,
    /// Only this method
    #[arg(long, value_name = "METHOD", value_parser = super::why::method)]
    pub(crate) method: Option<String>,
    /// Only this path and what is under it
    #[arg(long, value_name = "/PATH", value_parser = super::why::path)]
    pub(crate) path: Option<String>,
    /// Only this status, `503`, or a class of them, `5xx`
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub(crate) status: Option<u16>,
    /// Only where the other side has this identity: a service account, or a SPIFFE id
    #[arg(long, value_name = "NAMESPACE/ACCOUNT")]
    pub(crate) identity: Option<String>,
    /// Only what failed
    #[arg(long)]
    pub(crate) errors: bool,
    /// Requests a second of each sidecar, 1 to 1000; what is more is counted
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) most: u32,
    /// End after this long
    #[arg(long = "for", value_name = "DURATION", value_parser = super::duration)]
    pub(crate) lasting: Option<Duration>,
    /// End after so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max: Option<u64>,
    /// Which mesh
    #[command(flatten)]
    pub(crate) place: super::PlaceArgs,
}

/// `5xx` is 5.
fn status(text: &str) -> Result<u16, String> {
    let wrong = || format!("`{text}` is neither a status such as 503 nor a class such as 5xx");
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().map_err(|_| wrong())?;
        return if (1..=5).contains(&class) { Ok(class) } else { Err(wrong()) };
    }
    let status: u16 = text.parse().map_err(|_| wrong())?;
    if (100..=599).contains(&status) { Ok(status) } else { Err(wrong()) }
}
