//! Rules that come again, change, go, are damaged, and stand beside those of others.

use crate::harness::{APP_UID, Output};

use super::scene::{BACKENDS, Scene};

/// Every list once, so that every kind of rule is there.
const LISTS: [&str; 5] = [
    "--skip-inbound-ports=22,8000-8100",
    "--skip-outbound-ports=9100-9110,9105-9120,4567",
    "--skip-outbound-cidrs=10.0.0.0/8,10.1.0.0/16,192.0.2.7,fd00::/16,fd77::b",
    "--skip-uids=7,0",
    "--health-port=15021",
];

#[tokio::test]
async fn once_or_twice_is_the_same_and_other_settings_replace() {
    for backend in BACKENDS {
        let Some(scene) = Scene::start("again", backend, &LISTS).await else { return };
        let once = scene.rules(backend).await;
        let again = [&["--backend", backend], &LISTS[..]].concat();
        for _ in 0..2 {
            assert_eq!(scene.init(&again).await.code, Some(0));
            assert_eq!(scene.rules(backend).await, once);
        }
        assert_check(&scene, backend, &LISTS, None).await;
        // The auto of `--check` finds out by itself.
        assert_check(&scene, "auto", &LISTS, None).await;
        assert_eq!(scene.init(&["--backend", backend]).await.code, Some(0));
        assert_ne!(scene.rules(backend).await, once);
        let to = scene.peer.v4(4567);
        assert!(scene.call(APP_UID, to).await.starts_with("outbound"), "{backend}");
    }
}

#[tokio::test]
async fn cleanup_leaves_nothing_and_may_come_twice() {
    for backend in BACKENDS {
        let Some(scene) = Scene::without_rules("cleanup").await else { return };
        let before = scene.rules(backend).await;
        assert_eq!(scene.init(&["--cleanup"]).await.code, Some(0), "nothing is there yet");
        for named in [backend, "auto"] {
            assert_eq!(
                scene.init(&[&["--backend", backend], &LISTS[..]].concat()).await.code,
                Some(0)
            );
            let output = scene.init(&["--cleanup", "--backend", named]).await;
            assert_eq!(output.code, Some(0), "{output:?}");
            assert_eq!(scene.rules(backend).await, before);
            assert_eq!(scene.init(&["--cleanup"]).await.code, Some(0));
            let to = scene.peer.v4(8080);
            assert_eq!(scene.call(APP_UID, to).await, format!("peer {to}"), "{backend}");
        }
        assert_check(&scene, "auto", &[], Some("there is no table and no chain of ours")).await;
    }
}

#[tokio::test]
async fn check_finds_what_is_missing_and_what_differs() {
    let damages: [(&str, &[(&str, &str)]); 2] = [
        (
            "nft",
            &[
                ("nft flush chain inet weft outbound", "missing in chain outbound: oifname \"lo\""),
                ("nft delete chain inet weft guard", "missing in chain guard: tcp dport"),
                ("nft insert rule inet weft inbound accept", "not ours in chain inbound: accept"),
                (
                    "nft add element inet weft skip_outbound_ports { 80 }",
                    "not ours in set skip_outbound_ports: elements = { 80, 4567, 9100-9120 }",
                ),
                ("nft delete table inet weft", "the table inet weft is missing"),
            ],
        ),
        (
            "iptables",
            &[
                ("iptables -t nat -F WEFT_OUTBOUND", "iptables: missing in WEFT_OUTBOUND: -o lo"),
                (
                    "ip6tables -t nat -D PREROUTING -p tcp -j WEFT_INBOUND",
                    "ip6tables: missing in PREROUTING: -p tcp -j WEFT_INBOUND",
                ),
                ("iptables -F WEFT_GUARD", "iptables: missing in WEFT_GUARD: -p tcp"),
                (
                    "ip6tables -t nat -I WEFT_INBOUND -j ACCEPT",
                    "ip6tables: not ours in WEFT_INBOUND: -j ACCEPT",
                ),
                (
                    "iptables -t nat -I OUTPUT -p tcp -j WEFT_OUTBOUND",
                    "iptables: not ours in OUTPUT: -p tcp -j WEFT_OUTBOUND",
                ),
            ],
        ),
    ];
    for (backend, damages) in damages {
        let Some(scene) = Scene::without_rules("check").await else { return };
        assert_eq!(scene.init(&["--check", "--backend", backend]).await.code, Some(1));
        for (damage, expected) in damages {
            let install = [&["--backend", backend], &LISTS[..]].concat();
            assert_eq!(scene.init(&install).await.code, Some(0));
            let whole = scene.rules(backend).await;
            assert_check(&scene, backend, &LISTS, None).await;
            scene.tool(damage).await;
            let damaged = scene.rules(backend).await;
            assert_check(&scene, backend, &LISTS, Some(expected)).await;
            assert_eq!(scene.rules(backend).await, damaged, "a check changes nothing");
            assert_eq!(scene.init(&install).await.code, Some(0));
            assert_eq!(scene.rules(backend).await, whole, "init mends {damage}");
        }
        assert_check(&scene, backend, &[], Some("4567")).await;
    }
}

/// `init --check` with these settings finds this, or nothing.
async fn assert_check(scene: &Scene, backend: &str, flags: &[&str], expected: Option<&str>) {
    let output = scene.init(&[&["--check", "--backend", backend], flags].concat()).await;
    let Output { code, stdout, .. } = &output;
    match expected {
        None => assert!(*code == Some(0) && stdout.contains("is in force"), "{output:?}"),
        Some(finding) => {
            assert!(*code == Some(1) && stdout.contains(finding), "{finding}: {output:?}");
        }
    }
}

#[tokio::test]
async fn rules_of_others_are_untouched() {
    let Some(scene) = Scene::without_rules("others").await else { return };
    for command in [
        "nft add table inet weft2",
        "nft add chain inet weft2 outbound { type nat hook output priority -90 ; }",
        "nft add rule inet weft2 outbound tcp dport 1 counter redirect to :2",
        "nft add table ip weft",
        "iptables -t nat -N WEFT_OTHER",
        "iptables -t nat -A OUTPUT -p tcp --dport 1 -j WEFT_OTHER",
        "iptables -A INPUT -p udp --dport 1 -j DROP",
        "ip6tables -A INPUT -p udp --dport 1 -j DROP",
    ] {
        scene.tool(command).await;
    }
    let before = [scene.rules("nft").await, scene.rules("iptables").await];
    for backend in BACKENDS {
        for _ in 0..2 {
            assert_eq!(scene.init(&["--backend", backend]).await.code, Some(0));
        }
        assert_check(&scene, backend, &[], None).await;
        assert_all_there(&before, &[scene.rules("nft").await, scene.rules("iptables").await]);
        assert_eq!(scene.init(&["--cleanup"]).await.code, Some(0));
    }
    let after = [scene.rules("nft").await, scene.rules("iptables").await];
    assert_all_there(&before, &after);
    for ours in ["table inet weft {", "WEFT_GUARD", "WEFT_INBOUND", "WEFT_OUTBOUND"] {
        assert!(!after.concat().contains(ours), "{ours} is left: {after:?}");
    }
}

/// iptables makes its built-in chains when it is first asked for one, so there may be more.
fn assert_all_there(before: &[String; 2], now: &[String; 2]) {
    for (before, now) in before.iter().zip(now) {
        for line in before.lines() {
            assert!(now.lines().any(|found| found == line), "{line} is gone:\n{now}");
        }
    }
}

#[tokio::test]
async fn the_other_backend_leaves_nothing() {
    for (first, second) in [("nft", "iptables"), ("iptables", "nft")] {
        let Some(scene) = Scene::start("change of backend", first, &LISTS).await else { return };
        assert_eq!(scene.init(&["--backend", second]).await.code, Some(0));
        let rules = scene.rules(first).await;
        let gone = if first == "nft" { "table inet weft {" } else { "WEFT_" };
        assert!(!rules.contains(gone), "{rules}");
        assert_check(&scene, "auto", &[], None).await;
        let to = scene.peer.v4(8080);
        assert_eq!(scene.call(APP_UID, to).await, format!("outbound {to}"));
    }
}
