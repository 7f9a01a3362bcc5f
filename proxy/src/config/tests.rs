//! Command lines, good and bad.

use std::time::Duration;

use super::{Command, parse};

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
         --upstream 127.0.0.1:15101=product.shop:8080 --workers 1 --drain-grace 500ms")
        .unwrap()
    else {
        panic!("not a run")
    };
    assert_eq!(config.inbound[0].listen.port(), 8080);
    assert_eq!(config.upstream[0].service, "product.shop:8080");
    assert_eq!((config.workers, config.drain_grace), (1, Duration::from_millis(500)));
    assert!(!config.is_on_demand());
    assert_eq!(config.upstream_idle, Duration::from_secs(600));
    assert_eq!(config.otel.len(), 1);
}

#[test]
fn drain_needs_a_state_directory_only() {
    assert!(matches!(run("weft-proxy drain --state-dir s"), Ok(Command::Drain { .. })));
}

#[test]
fn mistakes_say_what_was_expected() {
    let start = "weft-proxy --bootstrap b --state-dir s";
    for (rest, expected) in [
        ("--upstream 127.0.0.1:1=product", "product.shop:8080"),
        ("--inbound 127.0.0.1=x", "ADDRESS:PORT"),
        ("--drain-grace 5", "no unit"),
        ("--workers 0", "1..=64"),
    ] {
        let error = run(&format!("{start} {rest}")).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    assert!(run("weft-proxy").unwrap_err().contains("--bootstrap"));
}
