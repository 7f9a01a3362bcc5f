//! Gateway API's own conformance suite, on the node: the profiles of meshes, with every feature that there is a test of a
//! mesh for. Its report is kept in the repository. `tests/run --all` runs it.
//!
//! Without any mesh some of its tests pass by chance, because Kubernetes itself leads to the right backend now and then.
//! So it is also looked at that the applications were injected, and that their requests went through sidecars, over
//! mutual TLS.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::harness::kubernetes::{Cluster, echo};
use crate::harness::{Output, Program, built, http1, loud, request, run, tool};

/// Names of the suite for what a mesh can be tested for: the kinds, the nine extended features of meshes, and those of
/// HTTPRoute without which tests of meshes are left out in silence.
const FEATURES: [&str; 17] = [
    "Mesh",
    "HTTPRoute",
    "GRPCRoute",
    "MeshClusterIPMatching",
    "MeshConsumerRoute",
    "MeshHTTPRouteBackendRequestHeaderModification",
    "MeshHTTPRouteNamedRouteRule",
    "MeshHTTPRouteQueryParamMatching",
    "MeshHTTPRouteRedirectPath",
    "MeshHTTPRouteRedirectPort",
    "MeshHTTPRouteRewritePath",
    "MeshHTTPRouteSchemeRedirect",
    "HTTPRoute303RedirectStatusCode",
    "HTTPRoute307RedirectStatusCode",
    "HTTPRoute308RedirectStatusCode",
    "HTTPRouteParentRefPort",
    "HTTPRouteResponseHeaderModification",
];

/// Tests that the features of HTTPRoute bring. The report does not count them.
const UNREPORTED: [&str; 6] = [
    "MeshFrontend",
    "MeshFrontendHostname",
    "MeshHTTPRoute303Redirect",
    "MeshHTTPRoute307Redirect",
    "MeshHTTPRoute308Redirect",
    "MeshPorts",
];

/// Where the suite's applications are.
const NAMESPACE: &str = "gateway-conformance-mesh";

/// Each failure of the suite waits up to 30 s, so a bad day takes long.
const DEADLINE: Duration = Duration::from_secs(1800);

/// The suite, with these flags besides those that say what is tested.
async fn suite(cluster: &Cluster, report: &Path, flags: &[&str]) -> Output {
    let mut args = vec![
        "-test.v".to_owned(),
        "-mesh-name=weft".to_owned(),
        "-conformance-profiles=MESH-HTTP,MESH-GRPC".to_owned(),
        format!("-supported-features={}", FEATURES.join(",")),
        "-namespace-labels=weft.dev/inject=enabled".to_owned(),
        "-organization=weft".to_owned(),
        "-project=weft".to_owned(),
        "-url=https://weft.dev".to_owned(),
        "-contact=https://weft.dev".to_owned(),
        format!("-version=v{}", env!("CARGO_PKG_VERSION")),
        format!("-report-output={}", report.display()),
    ];
    args.extend(flags.iter().map(|&flag| flag.to_owned()));
    let program = Program {
        name: format!("Gateway API's conformance suite {}", flags.join(" ")),
        path: tool("gateway-api-conformance"),
        args: args.into_iter().map(Into::into).collect(),
        variables: vec![(
            "KUBECONFIG".to_owned(),
            cluster.kubeconfig().to_string_lossy().into_owned(),
        )],
        log: PathBuf::new(),
    };
    run(&program, DEADLINE).await
}

/// Gives the cluster what the suite wants, and the suite's simplest test: with `MeshBasic` nothing is routed.
async fn basic(cluster: &Cluster, flags: &[&str]) {
    let unused = tempfile::NamedTempFile::new().unwrap();
    let flags = [&["-run-test=MeshBasic"], flags].concat();
    let output = suite(cluster, unused.path(), &flags).await;
    let passed = output.stdout.contains("--- PASS: TestConformance/MeshBasic");
    if output.code != Some(0) || !passed {
        panic!("MeshBasic: {}{}\n{}", output.stdout, output.stderr, cluster.dump(NAMESPACE).await);
    }
}

async fn prepare(cluster: &Cluster) {
    cluster.load(&[echo().unwrap()]).await;
    // What an earlier run has left would be taken as it is, pods that were never injected too.
    cluster.kubectl(&["delete", "namespaces", "-l", "gateway-conformance", "--wait"]).await;
    cluster.apply_file(&tool("gateway-api.yaml")).await;
    let routes = "customresourcedefinition/httproutes.gateway.networking.k8s.io";
    cluster.wait("default", routes, "condition=Established", Duration::from_secs(30)).await;
}

/// What stands in the way of the suite without any mesh stands in the way of every mesh: this is about the fixture.
#[tokio::test]
#[ignore = "takes long, and needs the conformance suite: tests/run --all"]
async fn a_bare_cluster_runs_the_suite() {
    let Some(cluster) = Cluster::get("conformance").await else { return };
    prepare(cluster).await;
    basic(cluster, &[]).await;
}

/// Kept in the repository, without its date.
fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name("k8s/conformance")
        .join(format!("weft-{}.yaml", env!("CARGO_PKG_VERSION")))
}

/// Nothing failed, no test of a mesh was left out, and all features of meshes are in the report.
fn assert_whole(report: &str, output: &str) {
    let found: Value = serde_saphyr::from_str(report).unwrap();
    let profiles = found["profiles"].as_array().cloned().unwrap_or_default();
    let names: Vec<_> = profiles.iter().filter_map(|profile| profile["name"].as_str()).collect();
    assert_eq!(names.len(), 2, "{report}");
    assert!(["MESH-HTTP", "MESH-GRPC"].iter().all(|name| names.contains(name)), "{report}");
    for part in profiles.iter().flat_map(|profile| [&profile["core"], &profile["extended"]]) {
        // A profile may have no extended features.
        if part.is_null() {
            continue;
        }
        assert_eq!(part["result"], "success", "{report}");
        assert_eq!(part["statistics"]["Failed"], 0, "{report}");
        assert_eq!(part["statistics"]["Skipped"], 0, "{report}");
        assert!(part["statistics"]["Passed"].as_u64().is_some_and(|passed| passed > 0), "{report}");
    }
    let features = FEATURES.iter().filter(|feature| feature.starts_with("Mesh"));
    let missing: Vec<_> = features.filter(|feature| !report.contains(**feature)).collect();
    assert!(missing.is_empty(), "not in the report: {missing:?}: {report}");
    let skipped: Vec<_> =
        output.lines().filter(|line| line.contains("--- SKIP: TestConformance/Mesh")).collect();
    assert!(skipped.is_empty(), "{skipped:?}");
    for test in UNREPORTED {
        assert!(output.contains(&format!("--- PASS: TestConformance/{test} ")), "{test}");
    }
}

/// Writes the report into the checkout, unless only its date is another.
fn keep(report: &str) {
    let undated = |text: &str| -> String {
        text.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n") + "\n"
    };
    let report = undated(report);
    if fs::read_to_string(kept()).ok().as_deref() == Some(report.as_str()) {
        return;
    }
    fs::create_dir_all(kept().parent().unwrap()).unwrap();
    fs::write(kept(), report).unwrap();
    loud(&format!("the conformance report has changed: commit {}", kept().display()));
}

/// Every application of the suite was injected, and its sidecar has carried requests over mutual TLS both ways.
async fn assert_went_through_sidecars(cluster: &Cluster) {
    let pods = cluster.get(&format!("/api/v1/namespaces/{NAMESPACE}/pods")).await.unwrap();
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    assert!(!pods.is_empty(), "the suite's applications are gone");
    let mut carried = String::new();
    for pod in pods {
        let name = &pod["metadata"]["name"];
        let injected = pod["metadata"]["annotations"]["weft.dev/injected"].is_string();
        assert!(injected, "{name} was not injected");
        let address: IpAddr = pod["status"]["podIP"].as_str().unwrap().parse().unwrap();
        let asked = request(http::Method::GET, "/metrics", &[], "");
        let metrics = http1((address, 15020).into(), asked).await.unwrap();
        carried += &String::from_utf8_lossy(&metrics.body);
    }
    for direction in ["inbound", "outbound"] {
        let secured = carried.lines().filter(|line| {
            line.starts_with("weft_requests_total{")
                && line.contains(&format!("direction=\"{direction}\""))
                && line.contains("mtls=\"true\"")
        });
        let requests: f64 =
            secured.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        assert!(requests > 0.0, "no {direction} request over mutual TLS");
        eprintln!("conformance: {requests} requests {direction} through sidecars, over mutual TLS");
    }
}

#[tokio::test]
#[ignore = "takes minutes, and needs the conformance suite: tests/run --all"]
async fn a_mesh_of_weft_passes_the_whole_suite() {
    let Some(cluster) = Cluster::installed("conformance").await else { return };
    prepare(cluster).await;
    // Order: the simplest first, or a mesh that carries nothing would take half an hour to fail. Its applications stay:
    // while their namespace is being deleted nothing can be made in it.
    let stay = ["-cleanup-base-resources=false"];
    basic(cluster, &stay).await;
    let report = tempfile::NamedTempFile::new().unwrap();
    let output = suite(cluster, report.path(), &stay).await;
    let failed = output.stdout.lines().filter(|line| line.contains("--- FAIL"));
    let failed: Vec<&str> = failed.map(str::trim).collect();
    let report = fs::read_to_string(report.path()).unwrap();
    eprintln!("{report}");
    let log = built().join("conformance.log");
    fs::write(&log, &output.stdout).unwrap();
    if output.code != Some(0) {
        panic!("{failed:#?}, see {}\n{}", log.display(), cluster.dump(NAMESPACE).await);
    }
    assert_whole(&report, &output.stdout);
    assert_went_through_sidecars(cluster).await;
    keep(&report);
}
