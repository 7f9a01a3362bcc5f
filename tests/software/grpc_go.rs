//! grpc-go's interop client and server, as in `conformance`, but in pods and with nothing that leads them to a sidecar.

use std::net::SocketAddr;
use std::path::Path;

use super::folder::Folder;
use super::product::{
    Counted, Facts, Product, Server, Step, command, host_and_port, listening, step,
};
use crate::conformance::{CASES, ORCA};
use crate::harness::{loud, tools};

pub(crate) struct GrpcGo {
    folder: Folder,
}

impl GrpcGo {
    /// The programs that `tests/tools/build` has made; `None` if it has not.
    pub(crate) fn built() -> Option<Self> {
        let Some(tools) = tools() else {
            loud("grpc-go: SKIPPED: its programs are not built: use tests/run");
            return None;
        };
        let folder = Folder::new()
            .copy(&tools.join("grpc-interop-server"))
            .copy(&tools.join("grpc-interop-client"));
        Some(Self { folder })
    }
}

impl Product for GrpcGo {
    fn facts(&self) -> Facts {
        Facts {
            name: "grpc-go",
            needs: &[],
            user: "nobody",
            port: 10000,
            protocol: "grpc",
            counted: Counted::Requests,
            // HTTP/2 from its first byte.
            words: &["PRI * HTTP/2.0"],
        }
    }

    fn server(&self, _home: &Path) -> Server {
        let program = self.folder.path("grpc-interop-server");
        Server {
            before: vec![],
            start: vec![command(&[&program, "-port", "10000"])],
            ready: listening(10000),
        }
    }

    fn client(&self, at: SocketAddr) -> Vec<Step> {
        let program = self.folder.path("grpc-interop-client");
        let (host, port) = host_and_port(at);
        let to = [&program, "-server_host", &host, "-server_port", &port, "-test_case"];
        let case = |case: &&str| {
            // The client looks at load reports in this balancer only.
            let options: &[&str] =
                if case.starts_with("orca") { &["-service_config_json", ORCA] } else { &[] };
            step(command(&[&to[..], &[*case], options].concat()), &[])
        };
        CASES.iter().map(case).collect()
    }
}
