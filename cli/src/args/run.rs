//! `weft run`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

const RUN_EXAMPLES: &str = "\
The sidecar starts first; when it is ready the program starts, with this terminal and environment, and its \
exit code is passed on. Then the sidecar drains and ends. The workload must be a MeshWorkload of the mesh.

With --config-dir a control plane for that directory is started if the mesh has none; it ends with the \
program that it was started for. Without it, a mesh must be running.

Examples:
  weft run --workload web.default --inbound 127.0.0.2:8080=127.0.0.1:3000 -- npm start
  weft run --workload cart.shop --upstream 127.0.0.1:15101=product.shop:8080 -- \\
      env PRODUCT_SERVICE_URL=http://127.0.0.1:15101 ./cart
  weft run --mesh dev --config-dir manifests --workload web.default -- ./web";

/// `weft run`.
#[derive(Clone, Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    /// The workload that the program is: NAME.NAMESPACE of a MeshWorkload
    #[arg(long, value_name = "NAME.NS")]
    pub(crate) workload: String,
    /// Take connections of the mesh here, for the program there
    #[arg(long, value_name = "ADDR=ADDR", value_parser = mapping)]
    pub(crate) inbound: Vec<String>,
    /// Take the program's connections here, for that service
    #[arg(long, value_name = "ADDR=SERVICE.NS:PORT", value_parser = mapping)]
    pub(crate) upstream: Vec<String>,
    /// Serve the sidecar's /ready, /live and /metrics here
    #[arg(long, value_name = "ADDR")]
    pub(crate) health: Option<SocketAddr>,
    /// Directory of YAML files for a control plane, started if the mesh has none
    #[arg(long, value_name = "DIR")]
    pub(crate) config_dir: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) program: Vec<OsString>,
}

/// Only the form of a mapping is checked here; the sidecar, whose flag it becomes, knows the rest.
fn mapping(text: &str) -> Result<String, String> {
    let (listen, target) = text.split_once('=').ok_or("expected LISTEN=TARGET")?;
    listen
        .parse::<SocketAddr>()
        .map_err(|_| format!("`{listen}` is not an address such as 127.0.0.1:15101"))?;
    if target.is_empty() { Err("nothing stands after `=`".to_owned()) } else { Ok(text.to_owned()) }
}
