//! The network of pods itself: what other tests conclude from it holds only if it is as it says.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::harness::{
    APP_UID, App, PROXY_UID, PodNetwork, Process, Program, TcpApp, eventually, exchange, get,
};

#[tokio::test]
async fn pods_reach_each_other_and_no_service() {
    let Some(network) = PodNetwork::create("pods reach each other") else { return };
    let (first, second) = (network.pod("first"), network.pod("second"));
    for to in [second.both(8080), first.both(8081), network.router().both(8082)].concat() {
        let all = [&second, &first, network.router()];
        let host = all.into_iter().find(|pod| pod.both(to.port()).contains(&to)).unwrap();
        let _app = host.on(TcpApp::reversing(to)).await.unwrap();
        for client in [&first, &second, network.router()] {
            let answer = client.on(exchange_owned(to)).await.unwrap();
            assert_eq!(answer, b"cba", "{} to {to}", client.name());
        }
    }
    for to in [PodNetwork::service_v4(1, 80), PodNetwork::service_v6(1, 80)] {
        let error = first.on(exchange_owned(to)).await.unwrap_err().to_string();
        assert!(error.contains("unreachable") || error.contains("No route"), "{to}: {error}");
    }
}

async fn exchange_owned(to: std::net::SocketAddr) -> anyhow::Result<Vec<u8>> {
    exchange(to, b"abc").await
}

#[tokio::test]
async fn an_application_of_the_harness_serves_in_a_pod() {
    let Some(network) = PodNetwork::create("an application in a pod") else { return };
    let (server, client) = (network.pod("server"), network.pod("client"));
    let to = server.v6(8080);
    let _app = server.on(App::start("shop", to)).await.unwrap();
    let answer = client.on(async move { get(to, "/").await }).await.unwrap();
    assert!(answer.status.is_success(), "{answer:?}");
}

#[tokio::test]
async fn a_program_runs_in_a_pod_as_its_user() {
    let Some(network) = PodNetwork::create("a program in a pod") else { return };
    let pod = network.pod("pod");
    let home = pod.home(PROXY_UID);
    let program = Program {
        name: "sh".to_owned(),
        path: network.installed(Path::new("/bin/sh")),
        args: vec!["-c".into(), "echo mine > mine; id -u; ip -o addr; exec sleep 600".into()],
        variables: Vec::new(),
        log: home.join("log"),
    };
    let args = ["--chdir".into(), home.clone().into(), program.path.clone().into()];
    let args = args.into_iter().chain(program.args.clone()).collect();
    let program = Program { path: PathBuf::from("/usr/bin/env"), args, ..program };
    let process = Process::start(pod.program(PROXY_UID, program)).unwrap();
    let pid = process.pid().unwrap();
    assert_sleeps(pid).await;
    let (log, address) = (process.log(), pod.v4(0).ip().to_string());
    assert!(log.starts_with("1980\n") && log.contains(&address), "{log}");
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(home.join("mine")).unwrap());
    assert_eq!(owner, PROXY_UID);
}

/// The program that a pod starts has the process id of whoever took it there.
async fn assert_sleeps(pid: nix::unistd::Pid) {
    eventually("it runs by its own process id", Duration::from_secs(10), async || {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"))?;
        ensure!(name.trim() == "sleep", "{name}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_capture_has_what_passed_and_nothing_of_loopback() {
    let Some(network) = PodNetwork::create("a capture") else { return };
    let (server, client) = (network.pod("server"), network.pod("client"));
    for to in server.both(8080) {
        let capture = client.capture();
        let _app = server.on(TcpApp::reversing(to)).await.unwrap();
        // Longer than any packet, so that it is found across them.
        let text = b"plain".repeat(40_000);
        let sent = text.clone();
        client.on(async move { exchange(to, &sent).await }).await.unwrap();
        let local = "127.0.0.1:8080".parse().unwrap();
        let _local = client.on(TcpApp::reversing(local)).await.unwrap();
        client.on(async move { exchange(local, b"only loopback").await }).await.unwrap();
        let captured = capture.end();
        let reversed: Vec<u8> = text.iter().rev().copied().collect();
        assert!(captured.has(&text) && captured.has(&reversed), "{}", captured.frames());
        assert!(!captured.has(b"only loopback") && !captured.has(b"never sent"));
        let there = captured.flows().iter().find(|((_, receiver), _)| *receiver == to);
        assert_eq!(there.map(|(_, flow)| flow.len()), Some(text.len()));
    }
}

#[tokio::test]
async fn a_user_owns_the_sockets_of_its_future() {
    let Some(network) = PodNetwork::create("users of sockets") else { return };
    let pod = network.pod("pod");
    for uid in [APP_UID, PROXY_UID, 0] {
        let to = "127.0.0.1:1".parse().unwrap();
        let rule = format!("add rule inet t o meta skuid {uid} reject with tcp reset");
        for command in
            ["add table inet t", "add chain inet t o { type filter hook output priority 0 ; }"]
                .into_iter()
                .chain([&*rule])
        {
            let args: Vec<&str> = command.split(' ').collect();
            assert_eq!(pod.run(Path::new("nft"), &args).await.code, Some(0), "{command}");
        }
        let _app = pod.on_as(7, TcpApp::reversing(to)).await.unwrap();
        assert!(pod.on_as(uid, exchange_owned(to)).await.is_err(), "{uid}");
        assert_eq!(pod.on_as(8, exchange_owned(to)).await.unwrap(), b"cba", "{uid}");
        let done = pod.run(Path::new("nft"), &["delete", "table", "inet", "t"]).await;
        assert_eq!(done.code, Some(0), "{done:?}");
    }
}

#[tokio::test]
async fn everything_goes_after_a_panic_too() {
    let Some(network) = PodNetwork::create("everything goes") else { return };
    let pod = network.pod("pod");
    let names = [pod.namespace().to_owned(), network.router().namespace().to_owned()];
    let directory = network.directory().to_owned();
    let sleep = Program {
        name: "sleep".to_owned(),
        path: PathBuf::from("sleep"),
        args: vec!["600".into()],
        variables: Vec::new(),
        log: directory.join("log"),
    };
    let process = Process::start(pod.program(0, sleep)).unwrap();
    let pid = process.pid().unwrap();
    assert_sleeps(pid).await;
    assert!(names.iter().all(|name| Path::new("/run/netns").join(name).exists()));
    // Nobody ends this one but the network.
    std::mem::forget(process);
    let panic = catch_unwind(AssertUnwindSafe(move || {
        let _ours = (pod, network);
        std::panic::resume_unwind(Box::new("as a failing test does"));
    }));
    assert!(panic.is_err());
    assert!(names.iter().all(|name| !Path::new("/run/netns").join(name).exists()), "{names:?}");
    assert!(!directory.exists(), "{}", directory.display());
    eventually("its processes end", Duration::from_secs(5), async || {
        // Killed, but nobody has asked how it ended: a zombie.
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).context("gone")?;
        ensure!(status.contains(") Z "), "{status}");
        Ok(())
    })
    .await;
}
