//! `weft` for people (tables), for programs (JSON), and for scripts (exit codes).

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::manifests::{backend, http_route};
use crate::harness::{Builder, Mesh, Output, Terminal, binary, eventually, get};

fn shop() -> Builder {
    let split = [backend("product-v1", 3), backend("product-v2", 1)].join(", ");
    Mesh::builder().service("product", &["v1", "v2"]).caller("gateway").file(
        "route.yaml",
        &http_route("product", "product", &format!("  - backendRefs: [{split}]\n")),
    )
}

#[track_caller]
fn assert_shows(output: &Output, words: &[&str]) {
    assert_eq!(output.code, Some(0), "{output:?}");
    for word in words {
        assert!(output.stdout.contains(word), "no {word} in:\n{}", output.stdout);
    }
    assert!(!output.stdout.contains('\u{1b}'), "no colours into a pipe: {output:?}");
}

#[tokio::test]
async fn stat_shows_workloads_edges_and_routes() {
    let mesh = shop().start().await;
    for _ in 0..20 {
        get(mesh.entry("gateway", "product"), "/").await.unwrap();
    }
    let stat = eventually("all requests are counted", Duration::from_secs(10), async || {
        let stat = mesh.weft(&["stat", "-t", "all", "-o", "json"]).await.json();
        let total = |list: &str| {
            let all = stat[list].as_array().into_iter().flatten();
            all.filter_map(|one| one["requests"].as_u64()).sum::<u64>()
        };
        let counts = [total("workloads"), total("edges"), total("routes")];
        ensure!(counts == [20; 3], "{counts:?}: {stat}");
        Ok(stat)
    })
    .await;
    assert_eq!(stat["schema_version"], 1);
    let golden = include_str!("../cli/src/stat/golden/all.json");
    for list in ["workloads", "edges", "routes"] {
        assert_same_fields(golden, list, &stat);
    }
    let routes = stat["routes"].as_array().unwrap();
    assert!(routes.iter().all(|route| route["route"].as_str().unwrap().contains("shop/product")));
    for (args, words) in [
        (&["stat", "-t", "1m"][..], &["NAME", "product", "100"][..]),
        (&["stat", "edges", "-t", "1m"], &["gateway", "product"]),
        (&["stat", "routes", "-t", "1m"], &["product-v1", "product-v2"]),
    ] {
        // A minute may be over on a machine that is very slow: then there is more to show.
        eventually("the last minute is shown", Duration::from_secs(120), async || {
            let output = mesh.weft(args).await;
            if !words.iter().all(|word| output.stdout.contains(word)) {
                get(mesh.entry("gateway", "product"), "/").await?;
                anyhow::bail!("{output:?}");
            }
            assert_shows(&output, words);
            Ok(())
        })
        .await;
    }
    let only = mesh.weft(&["stat", "edges", "-o", "json"]).await.json();
    assert!(only["edges"].is_array() && only["routes"].is_null(), "{only}");
    watched_on_a_terminal(&mesh).await;
}

/// Every object of a list has the fields that the golden file's first one has, neither more nor fewer.
#[track_caller]
fn assert_same_fields(golden: &str, list: &str, found: &Value) {
    let golden: Value = serde_json::from_str(golden).unwrap();
    let fields = |one: &Value| one.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let rows = found[list].as_array().unwrap();
    assert!(!rows.is_empty(), "{list}: {found}");
    for row in rows {
        assert_eq!(fields(row), fields(&golden[list][0]), "{list}: {row}");
    }
}

/// Each table stands over the last one, never beyond the bottom, whatever the size; and nothing is left behind.
async fn watched_on_a_terminal(mesh: &Mesh) {
    const DEADLINE: Duration = Duration::from_secs(20);
    const CLEAR: &str = "\u{1b}[2J";
    let command = format!("exec '{}' stat --watch -t all", binary("weft").display());
    let root = mesh.run_root();
    let variables = [("XDG_RUNTIME_DIR", root.as_str()), ("TERM", "xterm"), ("NO_COLOR", "1")];
    let mut terminal = Terminal::start(&command, (24, 100), &variables);
    eventually("some tables", DEADLINE, async || {
        let written = terminal.written();
        let frames = written.matches("\u{1b}[J").count();
        ensure!(frames > 2 && written.matches(CLEAR).count() == 1, "{written:?}");
        ensure!(written.contains("product") && !written.contains("lines more"), "{written:?}");
        Ok(())
    })
    .await;
    terminal.resize((3, 100));
    eventually("a smaller one", DEADLINE, async || {
        let written = terminal.written();
        let last = written.rsplit_once(CLEAR).map_or("", |(_, last)| last).to_owned();
        let first = last.split("\u{1b}[J").next().unwrap_or_default();
        ensure!(written.matches(CLEAR).count() == 2 && last.contains("\u{1b}[J"), "{written:?}");
        ensure!(first.matches('\n').count() == 2 && first.contains("lines more"), "{last:?}");
        Ok(())
    })
    .await;
    terminal.type_in("\u{3}").await;
    assert!(terminal.ended(DEADLINE).await.success(), "{}", terminal.written());
    let written = terminal.written();
    assert!(written.contains("^C\r\u{1b}[K"), "the last line is empty: {written:?}");
    for left in ["\u{1b}[?", "\u{1b}[3", "\u{1b}[1m"] {
        assert!(!written.contains(left), "no mode is set, and no colour shown: {written:?}");
    }
}

#[tokio::test]
async fn proxy_config_shows_what_a_sidecar_really_has() {
    let mesh = shop().start().await;
    let config = async |section: &str, name: &str| {
        mesh.weft(&["proxy-config", section, name, "-o", "json"]).await.json().to_string()
    };
    let routes = config("routes", "gateway").await;
    assert!(
        routes.contains("shop/product") && routes.contains("product-v1.shop:8080 75%"),
        "{routes}"
    );
    let clusters = config("clusters", "gateway.shop").await;
    assert!(clusters.contains("product-v2.shop:8080"), "{clusters}");
    let endpoints = config("endpoints", "gateway").await;
    assert!(endpoints.contains(&mesh.workload_address("product-v1").to_string()), "{endpoints}");
    let certificate = config("certificate", "product-v1").await;
    assert!(certificate.contains(mesh.id("product").as_str()), "{certificate}");
    let listeners = config("listeners", "product-v1").await;
    assert!(listeners.contains("inbound"), "{listeners}");
    for section in ["routes", "clusters", "endpoints", "certificate", "listeners"] {
        let table = mesh.weft(&["proxy-config", section, "gateway"]).await;
        assert_eq!(table.code, Some(0), "{table:?}");
    }
    let nobody = mesh.weft(&["proxy-config", "routes", "nobody"]).await;
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("gateway.shop"), "it names those there are: {nobody:?}");
}

#[tokio::test]
async fn proxy_status_check_and_version_look_at_the_running_mesh() {
    let mesh = shop().start().await;
    let version = eventually("all have told of themselves", Duration::from_secs(20), async || {
        let check = mesh.weft(&["check"]).await;
        ensure!(check.code == Some(0) && check.stdout.contains("3 are connected"), "{check:?}");
        let version = mesh.weft(&["version", "-o", "json"]).await.json();
        ensure!(version["sidecars"].as_array().map(Vec::len) == Some(3), "{version}");
        Ok(version)
    })
    .await;
    assert_eq!(version["weft"], version["control_plane"]);
    let status = mesh.weft(&["proxy-status"]).await;
    assert_shows(&status, &["gateway.shop", "product-v1.shop", "connected", "synced"]);
    let status = mesh.weft(&["proxy-status", "-o", "json"]).await.json();
    assert_eq!(status.as_array().unwrap().len(), 3, "{status}");

    mesh.proxy("product-v2").process().kill();
    eventually("the loss is seen", Duration::from_secs(15), async || {
        let check = mesh.weft(&["check"]).await;
        ensure!(check.code == Some(3) && check.stdout.contains("product-v2.shop"), "{check:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn exit_codes_tell_a_mistake_from_a_failure() {
    let mesh = Mesh::builder().start().await;
    assert_eq!(mesh.weft(&["no-such-command"]).await.code, Some(2));
    assert_eq!(mesh.weft(&["stat", "--window", "a while"]).await.code, Some(2));
    assert_eq!(mesh.weft(&["analyze", "/no/such/directory"]).await.code, Some(1));
    assert_eq!(mesh.weft(&["analyze", mesh.config_dir().to_str().unwrap()]).await.code, Some(0));
    mesh.control_plane().process().kill();
    let stat = mesh.weft(&["stat"]).await;
    assert_eq!(stat.code, Some(1), "{stat:?}");
    assert!(!stat.stderr.is_empty() && stat.stdout.is_empty(), "{stat:?}");
}

#[tokio::test]
async fn run_puts_a_sidecar_beside_a_program_of_ones_own() {
    let mesh = Mesh::builder().service("product", &["v1"]).absent_caller("web").start().await;
    let entry = mesh.spare_address(23999);
    let upstream = format!("{entry}=product.shop:8080");
    let script = format!(
        "exec 3<>/dev/tcp/{}/{} && printf 'GET /from-run HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n' >&3 \
         && cat <&3 && exit 7",
        entry.ip(),
        entry.port()
    );
    let args =
        ["run", "--workload", "web.shop", "--upstream", &upstream, "--", "bash", "-c", &script];
    let output = mesh.weft(&args).await;
    assert_eq!(output.code, Some(7), "the program's own exit code: {output:?}");
    let (_, body) = output.stdout.split_once("\r\n\r\n").unwrap();
    let echo: Value = serde_json::from_str(body.trim()).unwrap();
    assert_eq!(echo["path"], "/from-run");
    let certificate = echo["headers"]["x-forwarded-client-cert"].as_str().unwrap();
    assert!(certificate.contains(mesh.id("web").as_str()), "{certificate}");
    assert!(std::net::TcpStream::connect(entry).is_err(), "the sidecar ends with the program");
}

#[tokio::test]
async fn analyze_without_a_directory_says_what_is_wrong_with_what_is_in_force() {
    let mesh = shop().start().await;
    let nothing = mesh.weft(&["analyze"]).await;
    assert_shows(&nothing, &["WEFT0403", "shop/gateway", "1 note in the configuration in force."]);
    let gone =
        http_route("gone", "product", &format!("  - backendRefs: [{}]\n", backend("gone", 1)));
    mesh.write("gone.yaml", &gone);
    let found = eventually("it is found", Duration::from_secs(10), async || {
        let found = mesh.weft(&["analyze", "-o", "json"]).await;
        ensure!(found.code == Some(3), "{found:?}");
        Ok(found.json())
    })
    .await;
    let mut findings = found["findings"].as_array().into_iter().flatten();
    let finding = findings.find(|finding| finding["code"] == "WEFT0101").unwrap();
    assert_eq!(finding["file"], "gone.yaml", "{finding}");
    assert_same_fields(include_str!("../cli/src/analyze/golden/live.json"), "findings", &found);
    assert!(finding["line"].as_u64() > Some(0) && finding["hint"] != "", "{finding}");
    let codes = include_str!("../docs/reference/findings.md");
    assert!(codes.contains("`WEFT0101`"), "every code is documented");
}

/// The names and the texts of a report's files.
fn unpacked(archive: &std::path::Path) -> Vec<(String, String)> {
    let file = std::fs::File::open(archive).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut text).unwrap();
        let name = entry.path().unwrap().display().to_string();
        (name, String::from_utf8_lossy(&text).into_owned())
    });
    entries.collect()
}

#[tokio::test]
async fn a_bug_report_has_what_the_mesh_says_and_no_key() {
    let mesh = shop().start().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.tar.gz");
    let file = path.to_string_lossy().into_owned();
    let output = mesh.weft(&["bug-report", "--file", &file]).await;
    assert_shows(&output, &[&file]);
    let found = unpacked(&path);
    for name in [
        "about.txt",
        "version.json",
        "analysis.json",
        "proxies.json",
        "stat.json",
        "trust.json",
        "metrics.txt",
    ] {
        let one = found.iter().find(|(path, _)| path.ends_with(name));
        assert!(one.is_some_and(|(_, text)| !text.is_empty()), "{name}: {output:?}");
    }
    let proxies = found.iter().find(|(path, _)| path.ends_with("proxies.json")).unwrap();
    assert!(proxies.1.contains("gateway.shop"), "{}", proxies.1);
    for (name, text) in &found {
        assert!(!text.contains("PRIVATE KEY") && !name.ends_with(".missing"), "{name}: {text}");
    }
    let again = mesh.weft(&["bug-report", "--file", &file]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("cannot make"), "{again:?}");

    // Whoever waits for one that does not answer, and gives up, finds nothing half done.
    mesh.control_plane().process().signal(Signal::SIGSTOP);
    let half = directory.path().join("half.tar.gz");
    let weft = mesh.start_weft(&["bug-report", "--file", &half.to_string_lossy()], "half.log");
    eventually("it has begun", Duration::from_secs(10), async || {
        ensure!(half.exists() && weft.log().contains("asking"), "{}", weft.log());
        Ok(())
    })
    .await;
    weft.signal(Signal::SIGINT);
    assert_eq!(weft.ended(Duration::from_secs(10)).await.code(), Some(130));
    assert!(!half.exists(), "it is in nobody's way");
    mesh.control_plane().process().signal(Signal::SIGCONT);
}
