//! The differential suite: a real Envoy says what is right. One control plane serves a weft-proxy and an Envoy, both as
//! the sidecar of a calling workload with the same identity; the same requests go through both; what the application
//! gets, what the upstream sees, and the number of attempts must agree.
//!
//! Everything that Envoy does with a request comes to it over ADS with mutual TLS, as to a weft-proxy: listeners,
//! routes, clusters, endpoints, the trust bundle, none of it adapted. `translate` gives listeners the address of their
//! Service and binds none of them, because a sidecar's connections arrive at one redirected port and go on by their
//! original destination. Envoy does so with `use_original_dst`; for weft-proxy the suite uses its explicit ports. The
//! kernel's part, the original destination, is told to Envoy by a PROXY header, so that the suite needs no root and no
//! network namespace. That, the node's name, its leaf and the way to the control plane are all that its file says.
//!
//! A case (`case`) is a Service with routes and a policy, requests, and a script for the upstream. `compare` says
//! what is compared, and lists what is not. Where the proxies differ on purpose the case says why; a difference that
//! is gone is a failure, like one that is new. Cases that share nothing share one mesh, so that the suite is quick.
//!
//! Envoy comes from PyPI (`weft_tests::envoy`). Where it is neither there nor may be installed (`tests/run --quick`),
//! the suite says loudly that it does not run.

mod access;
mod case;
mod cases;
mod client;
mod compare;
mod detected;
mod envoy;
mod forwarded;
mod generate;
mod install;
mod neighbour;
mod rate_limits;
mod run;
mod site;
mod spellings;
mod upstream;

use run::run;
use site::Site;

use crate::harness::loud;

/// Fewer would mean that cases got lost.
const EXPECTED: usize = 1200;

#[tokio::test]
async fn weft_proxy_answers_as_envoy_does() {
    let Some(program) = install::envoy() else {
        loud("oracle: SKIPPED, no Envoy: run tests/run without --quick once, it installs one");
        return;
    };
    let groups = cases::all();
    // Boxed: it holds a whole mesh's start.
    let site = Box::pin(Site::start(program, &groups)).await.expect("the mesh starts");
    let tally = run(&site, groups).await;
    loud(&tally.report());
    assert_eq!(site.refusals().await, "", "{}", site.envoy.quote());
    assert!(tally.failing.is_empty(), "{} cases fail", tally.failing.len());
    assert!(tally.count() >= EXPECTED, "only {} cases ran", tally.count());
}
