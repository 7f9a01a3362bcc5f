//! Command lines, good and bad.

use std::time::Duration;

use super::{Command, parse};
use crate::bootstrap::{Account, Source};
use crate::interception::{Action, Backend, Init, Settings};
use crate::overload::Limit;

fn run(args: &str) -> Result<Command, String> {
    let args = args.split_whitespace().map(Into::into);
    let environment =
        [("OTEL_SERVICE_NAME".to_owned(), "x".to_owned()), ("HOME".into(), "y".into())];
    parse(args, environment).map_err(|error| error.to_string())
}

#[test]
fn a_full_command_line() {
    let Command::Run(config) =
        run("weft-proxy --bootstrap b --state-dir s --inbound 127.66.0.4:8080=127.0.0.1:18080 \
         --upstream 127.0.0.1:15101=product.shop:8080 --workers 1 --drain-grace 500ms --http2-streams 5 --http-head-timeout 2s --memory-limit 64 --slow-request 2s")
        .unwrap()
    else {
        panic!("not a run")
    };
    assert_eq!(config.inbound[0].listen.port(), 8080);
    assert_eq!(config.upstream[0].service, "product.shop:8080");
    assert_eq!((config.workers, config.drain_grace), (1, Duration::from_millis(500)));
    assert_eq!((config.http.streams, config.http.memory), (Some(5), None));
    assert_eq!(config.memory, Limit::Resident(64 << 20));
    assert_eq!(config.slow_request, Duration::from_secs(2));
    assert_eq!(config.http.head_timeout, Some(Duration::from_secs(2)));
    assert!(!config.is_on_demand());
    assert_eq!(config.upstream_idle, Duration::from_secs(600));
    assert_eq!(config.otel.len(), 1);
}

#[test]
fn a_sidecar_that_intercepts_has_its_ports_and_nothing_else() {
    let start = "weft-proxy --bootstrap b --state-dir s --transparent";
    let Ok(Command::Run(config)) = run(start) else { panic!("not a run") };
    let ports = config.transparent.map(|ports| (ports.outbound, ports.inbound));
    assert_eq!(ports, Some((15001, 15006)));
    assert_eq!(config.health, Some("0.0.0.0:15020".parse().unwrap()));
    assert_eq!(config.memory, Limit::Cgroup);
    assert!(config.is_on_demand());
    let both = format!("{start} --upstream 127.0.0.1:15101=product.shop:8080");
    assert!(run(&both).unwrap_err().contains("cannot be used with"));
}

const IN_POD: &str = "weft-proxy --state-dir s --transparent --pod-name product-v1-6d4f --pod-namespace shop \
     --service-account product --control-plane weft-control-plane.weft-system.svc:15010 \
     --trust-bundle root.pem --identity-token token";

#[test]
fn a_pods_sidecar_needs_no_bootstrap_file() {
    let all = format!("{IN_POD} --service-name product --service-version v1");
    let Ok(Command::Run(config)) = run(&all) else { panic!("not a run") };
    let Source::Pod(pod) = config.bootstrap else { panic!("not in a pod") };
    assert_eq!((pod.name.as_str(), pod.namespace.as_str()), ("product-v1-6d4f", "shop"));
    let account = Account { namespace: "weft-system".into(), name: "weft-control-plane".into() };
    assert_eq!(pod.control_plane_account, account);
    assert_eq!((pod.service.name.as_str(), pod.service.version.as_str()), ("product", "v1"));
    let elsewhere = format!("{IN_POD} --control-plane-account mesh/weft");
    let Ok(Command::Run(config)) = run(&elsewhere) else { panic!("not a run") };
    let Source::Pod(pod) = config.bootstrap else { panic!("not in a pod") };
    assert_eq!((pod.control_plane_account.name, pod.service.name), ("weft".into(), String::new()));
}

#[test]
fn a_sidecar_has_a_file_or_is_in_a_pod() {
    let file = run("weft-proxy --bootstrap b --state-dir s --service-name x").unwrap_err();
    assert!(file.contains("--service-name (WEFT_SERVICE_NAME) exclude each other"), "{file}");
    let both = run(&format!("{IN_POD} --bootstrap b")).unwrap_err();
    assert!(both.contains("--bootstrap (WEFT_BOOTSTRAP) and --pod-name"), "{both}");
    let part = run("weft-proxy --state-dir s --pod-name a --trust-bundle r").unwrap_err();
    let missing = [
        "--pod-namespace (WEFT_POD_NAMESPACE)",
        "--service-account (WEFT_SERVICE_ACCOUNT)",
        "--control-plane (WEFT_CONTROL_PLANE)",
        "--identity-token (WEFT_IDENTITY_TOKEN)",
    ];
    assert!(part.contains(&format!("needs also {}", missing.join(", "))), "{part}");
    let nowhere = run(&IN_POD.replace("svc:15010", "svc")).unwrap_err();
    assert!(nowhere.contains("is not <host>:<port>"), "{nowhere}");
    let homeless = run(&IN_POD.replace("--state-dir s", "")).unwrap_err();
    assert!(homeless.contains("WEFT_STATE_DIR"), "{homeless}");
}

#[test]
fn drain_and_relay_need_a_state_directory_only() {
    assert!(matches!(run("weft-proxy drain --state-dir s"), Ok(Command::Drain { .. })));
    assert!(matches!(run("weft-proxy relay --state-dir s"), Ok(Command::Relay { .. })));
}

fn init(args: &str) -> Result<Init, String> {
    match run(&format!("weft-proxy init {args}"))? {
        Command::Init(init) => Ok(*init),
        other => panic!("{other:?}"),
    }
}

#[test]
fn init_needs_nothing() {
    let settings = Settings::default();
    let init = init("").unwrap();
    assert_eq!(init, Init { settings, backend: Backend::Auto, action: Action::Install });
}

#[test]
fn init_takes_lists_with_commas_and_flags_again() {
    let init = init(
        "--check --backend iptables --skip-inbound-ports 22,80 --skip-inbound-ports 81-90 \
         --skip-outbound-cidrs fd00::/8,10.0.0.0/8 --skip-uids 7,0 --skip-uids 5 --proxy-uid 7",
    )
    .unwrap();
    assert_eq!((init.action, init.backend), (Action::Check, Backend::Iptables));
    assert_eq!(init.settings.skip_inbound_ports, "22,80-90".parse().unwrap());
    assert_eq!(init.settings.skip_outbound_cidrs, "10.0.0.0/8,fd00::/8".parse().unwrap());
    assert_eq!((init.settings.skip_uids, init.settings.proxy_uid), (vec![0, 5], 7));
}

#[test]
fn mistakes_of_init_say_what_was_expected() {
    for (args, expected) in [
        ("--check --cleanup", "cannot be used with"),
        ("--dry-run --cleanup", "cannot be used with"),
        ("--skip-outbound-cidrs 10.0.0.0/33", "0 to 32"),
        ("--skip-outbound-cidrs 10.0.0.1/8", "write 10.0.0.0/8"),
        ("--skip-inbound-ports 0", "no port 0"),
        ("--skip-outbound-ports 90-80", "write 80-90"),
        ("--skip-uids root", "no user id"),
        ("--inbound-port 0", "1..=65535"),
        ("--inbound-port 15001", "both 15001"),
        ("--backend ebpf", "nft"),
    ] {
        let error = init(args).unwrap_err();
        assert!(error.contains(expected), "{args}: {error}");
    }
}

#[test]
fn mistakes_say_what_was_expected() {
    let start = "weft-proxy --bootstrap b --state-dir s";
    for (rest, expected) in [
        ("--upstream 127.0.0.1:1=product", "product.shop:8080"),
        ("--inbound 127.0.0.1=x", "ADDRESS:PORT"),
        ("--drain-grace 5", "no unit"),
        ("--workers 0", "1..=64"),
        ("--http2-streams 0", "1..=10000"),
        ("--http2-header-budget 63", "64..=1048576"),
    ] {
        let error = run(&format!("{start} {rest}")).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    assert!(run("weft-proxy").unwrap_err().contains("--bootstrap"));
}
