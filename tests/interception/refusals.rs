//! Connections that must not be led anywhere, and `init` where it cannot do its work.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{APP_UID, Output, PROXY_UID, Program, binary, run};

use super::scene::{BACKENDS, Scene};

#[tokio::test]
async fn a_connection_straight_to_a_door_is_refused() {
    for backend in BACKENDS {
        let Some(scene) = Scene::start("doors", backend, &[]).await else { return };
        let doors = [15001, 15006].map(|port| scene.pod.both(port)).concat();
        for to in &doors {
            let answer = scene.call_from_peer(*to).await;
            assert!(answer.contains("refused"), "{backend} {to}: {answer}");
        }
        let loopback = ["127.0.0.1:15001", "[::1]:15001", "127.0.0.1:15006", "[::1]:15006"];
        for to in loopback.map(|to| to.parse().unwrap()).into_iter().chain(doors) {
            // The sidecar least of all: it would talk to itself for ever.
            for uid in [APP_UID, PROXY_UID] {
                let answer = scene.call(uid, to).await;
                assert!(answer.contains("refused"), "{backend} {uid} {to}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn before_the_sidecar_runs_nothing_passes_it_by() {
    for backend in BACKENDS {
        let flags = ["--outbound-port=16001", "--inbound-port=16006"];
        let Some(scene) = Scene::start("no sidecar yet", backend, &flags).await else { return };
        let answers = [
            scene.call(APP_UID, scene.peer.v4(8080)).await,
            scene.call(APP_UID, scene.peer.v6(8080)).await,
            scene.call_from_peer(scene.pod.v4(8080)).await,
            scene.call_from_peer(scene.pod.v6(8080)).await,
        ];
        assert!(answers.iter().all(|answer| answer.contains("refused")), "{answers:?}");
    }
}

/// `weft-proxy init` in the pod as this user, with only these tools on its PATH.
async fn init(scene: &Scene, uid: u32, tools: &[&str], flags: &[&str]) -> Output {
    let path = scene.network.directory().join(format!("tools-{}-{uid}", tools.len()));
    fs::create_dir_all(&path).unwrap();
    // What starts it in the pod is looked for there too.
    for tool in tools.iter().chain(&["nsenter"]) {
        let found = ["/usr/sbin", "/usr/bin"].map(|directory| Path::new(directory).join(tool));
        let found = found.iter().find(|file| file.exists()).expect("it is installed");
        // Resolved: what iptables is depends on the name that it is called by, not on where the link lies.
        let _ = symlink(found, path.join(tool));
    }
    let args = [&["init"], flags].concat();
    let program = Program {
        name: "weft-proxy init".to_owned(),
        path: scene.network.installed(&binary("weft-proxy")),
        args: args.iter().map(Into::into).collect(),
        variables: vec![("PATH".to_owned(), path.to_string_lossy().into_owned())],
        log: PathBuf::new(),
    };
    run(&scene.pod.program(uid, program), Duration::from_secs(30)).await
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let Some(scene) = Scene::without_rules("nothing to work with").await else { return };
    let iptables = iptables("");
    let iptables = iptables.each_ref().map(String::as_str);
    for (uid, tools, flags, expected) in [
        (0, &[][..], &[][..], "neither tool works: `nft` is not on the PATH"),
        (0, &[], &["--backend=nft"], "`nft` is not on the PATH: install nftables"),
        (0, &[], &["--backend=iptables"], "`iptables` is not on the PATH"),
        (0, &[], &["--check"], "is not on the PATH"),
        (0, &[], &["--cleanup"], "is not on the PATH"),
        (APP_UID, &["nft"], &["--backend=nft"], "needs CAP_NET_ADMIN"),
        (APP_UID, &["nft"], &[], "\"`nft -c -f -` was refused: changing rules needs CAP_NET_ADMIN"),
        (APP_UID, &iptables, &["--backend=iptables"], "needs CAP_NET_ADMIN"),
    ] {
        let output = init(&scene, uid, tools, flags).await;
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains(expected), "{expected}: {output:?}");
    }
    // Neither tools nor rights are needed to see the rules.
    let output = init(&scene, APP_UID, &[], &["--dry-run"]).await;
    assert!(output.code == Some(0) && output.stdout.contains("redirect to :15001"), "{output:?}");
    let output = init(&scene, 0, &[], &["--skip-outbound-cidrs=10.0.0.1/8"]).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("write 10.0.0.0/8 or 10.0.0.1/32"), "{output:?}");
}

/// Names of the four tools of one kind.
fn iptables(kind: &str) -> [String; 4] {
    ["", "-restore"]
        .map(|verb| ["iptables", "ip6tables"].map(|tool| format!("{tool}{kind}{verb}")))
        .concat()
        .try_into()
        .expect("two by two")
}

#[tokio::test]
async fn without_nft_the_iptables_that_works_is_taken() {
    for kind in ["", "-nft", "-legacy"] {
        let Some(scene) = Scene::without_rules("fallback").await else { return };
        let tools = iptables(kind);
        let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
        let output = init(&scene, 0, &tools, &[]).await;
        assert_eq!(output.code, Some(0), "{kind}: {output:?}");
        assert!(output.stderr.contains("taking iptables"), "{kind}: {output:?}");
        for to in scene.peer.both(8080) {
            assert_eq!(scene.call(APP_UID, to).await, format!("outbound {to}"), "{kind}");
        }
        for to in scene.pod.both(15006) {
            assert!(scene.call_from_peer(to).await.contains("refused"), "{kind}");
        }
        for action in ["--check", "--cleanup"] {
            let output = init(&scene, 0, &tools, &[action]).await;
            assert_eq!(output.code, Some(0), "{kind}: {output:?}");
        }
        let to = scene.peer.v6(8080);
        assert_eq!(scene.call(APP_UID, to).await, format!("peer {to}"), "{kind}");
    }
}

#[tokio::test]
async fn where_the_kernel_refuses_nft_iptables_is_taken() {
    let Some(scene) = Scene::without_rules("a kernel without nft").await else { return };
    let tools = iptables("");
    let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
    // What nft says where the kernel knows nothing of it.
    let words = "#!/bin/sh\necho 'netlink: Error: cache initialization failed' >&2\nexit 1\n";
    let refuses = scene.network.directory().join("tools-4-0").join("nft");
    fs::create_dir_all(refuses.parent().unwrap()).unwrap();
    fs::write(&refuses, words).unwrap();
    fs::set_permissions(&refuses, fs::Permissions::from_mode(0o755)).unwrap();
    for action in [&[][..], &["--check"]] {
        let output = init(&scene, 0, &tools, action).await;
        assert_eq!(output.code, Some(0), "{output:?}");
    }
    let to = scene.peer.v4(8080);
    assert_eq!(scene.call(APP_UID, to).await, format!("outbound {to}"));
    let output = init(&scene, 0, &tools, &["--backend=nft"]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("cache initialization failed"), "{output:?}");
}
