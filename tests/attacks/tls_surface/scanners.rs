//! Scanners of others, where they are installed: sslscan, and testssl.sh, which takes minutes.

use std::time::Duration;

use serde_json::Value;

use super::{pair, ports};
use crate::harness::{Output, Program, loud, run};

/// Runs one of Debian's; `None` if it is not installed.
async fn scan(name: &str, path: &str, args: &[&str]) -> Option<Output> {
    if !std::path::Path::new(path).exists() {
        loud(&format!("SKIPPED: S21 by {name}: it is not installed"));
        return None;
    }
    let program = Program {
        name: name.to_owned(),
        path: path.into(),
        args: args.iter().map(Into::into).collect(),
        // testssl.sh asks for a terminal's type.
        variables: vec![("TERM".to_owned(), "dumb".to_owned())],
        log: "".into(),
    };
    Some(run(&program, Duration::from_secs(560)).await)
}

#[tokio::test]
async fn sslscan_finds_nothing_old() {
    let mesh = pair().mtls("STRICT").start().await;
    for port in ports(&mesh) {
        let args = ["--no-colour", "--xml=-", &port.to.to_string()];
        let Some(scanned) = scan("sslscan", "/usr/bin/sslscan", &args).await else { return };
        let text = &scanned.stdout;
        let enabled = |kind: &str, version: &str| {
            text.contains(&format!("<protocol type=\"{kind}\" version=\"{version}\" enabled=\"1\""))
        };
        assert!(enabled("tls", "1.3"), "{scanned:?}");
        for (kind, version) in
            [("ssl", "2"), ("ssl", "3"), ("tls", "1.0"), ("tls", "1.1"), ("tls", "1.2")]
        {
            assert!(!enabled(kind, version), "{}: {kind} {version}: {text}", port.name);
        }
        let ciphers: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("<cipher "))
            .filter_map(|line| line.split("cipher=\"").nth(1)?.split('"').next())
            .collect();
        for cipher in &ciphers {
            assert!(cipher.starts_with("TLS_"), "{}: {cipher}: {text}", port.name);
        }
        assert!(!ciphers.is_empty(), "{text}");
        assert!(!text.contains("vulnerable=\"1\""), "{text}");
        assert!(!text.contains("<compression supported=\"1\""), "{text}");
        eprintln!("S21 sslscan, {}: TLS 1.3 only: {ciphers:?}", port.name);
    }
}

/// What it says of a certificate is about names of hosts and public authorities, which a mesh has none of.
fn is_of_certificates(id: &str) -> bool {
    id.starts_with("cert") || ["DNS", "OCSP", "engine", "scan"].iter().any(|part| id.contains(part))
}

#[tokio::test]
#[ignore = "long; run by tests/run --all"]
async fn testssl_finds_nothing_old() {
    let mesh = pair().mtls("STRICT").start().await;
    for port in ports(&mesh) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("found.json").to_string_lossy().into_owned();
        let to = port.to.to_string();
        let args = [
            "--quiet",
            "--color",
            "0",
            "--warnings",
            "batch",
            "--nodns",
            "none",
            "--jsonfile",
            &file,
            "-p",
            "-s",
            "-f",
            "-U",
            &to,
        ];
        let Some(scanned) = scan("testssl.sh", "/usr/bin/testssl", &args).await else { return };
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        let found: Vec<Value> =
            serde_json::from_str(&found).unwrap_or_else(|error| panic!("{error}: {scanned:?}"));
        let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let of = |id: &str| {
            let one = found.iter().find(|one| one["id"] == id);
            one.map(|one| text(one, "finding")).unwrap_or_default()
        };
        for old in ["SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2"] {
            assert!(of(old).contains("not offered"), "{}: {old}: {:?}", port.name, of(old));
        }
        assert!(of("TLS1_3").contains("offered") && !of("TLS1_3").contains("not"), "{scanned:?}");
        let bad: Vec<String> = found
            .iter()
            .filter(|one| matches!(&*text(one, "severity"), "MEDIUM" | "HIGH" | "CRITICAL"))
            .filter(|one| !is_of_certificates(&text(one, "id")))
            .map(|one| format!("{}: {}", text(one, "id"), text(one, "finding")))
            .collect();
        eprintln!("S21 testssl.sh, {}: {} findings, of which bad: {bad:?}", port.name, found.len());
        assert!(bad.is_empty() && found.len() > 20, "{}: {bad:?} of {}", port.name, found.len());
    }
}
