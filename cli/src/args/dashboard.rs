//! `weft dashboard`.

use clap::Args;

use super::PlaceArgs;

/// Where the page is, unless somebody has the port.
pub(crate) const DASHBOARD_PORT: u16 = 15080;

const DASHBOARD_EXAMPLES: &str = "\
It is served on this machine alone, for as long as the command runs, and asks the control planes as the other commands do. \
`weft demo` has it too.

Examples:
  weft dashboard
  weft dashboard --context staging --jaeger http://localhost:16686
  weft dashboard --port 0                a free port";

/// `weft dashboard`.
#[derive(Clone, Debug, Args)]
#[command(after_help = DASHBOARD_EXAMPLES)]
pub(crate) struct DashboardArgs {
    /// Port on 127.0.0.1; 0 for a free one
    #[arg(short, long, default_value_t = DASHBOARD_PORT, value_name = "PORT")]
    pub(crate) port: u16,
    /// Jaeger's address, for links from requests to their traces
    #[arg(long, value_name = "URL", value_parser = http_url)]
    pub(crate) jaeger: Option<String>,
    /// Which mesh
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// It becomes part of links, so nothing else than a page may be behind it.
fn http_url(text: &str) -> Result<String, String> {
    let url: http::Uri = text.parse().map_err(|_| format!("`{text}` is no URL"))?;
    match url.scheme_str() {
        Some("http" | "https") if url.host().is_some() && url.query().is_none() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("expected http://HOST[:PORT] or https://HOST[:PORT]".to_owned()),
    }
}
