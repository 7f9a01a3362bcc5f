//! What can be typed, and what cannot.

use std::time::Duration;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn flags_of_every_command_stand_before_or_behind_it() {
    for line in ["weft --mesh dev -o json stat", "weft stat --mesh dev -o json"] {
        let cli = parse(line).unwrap();
        assert_eq!(cli.globals.mesh.as_deref(), Some("dev"), "{line}");
        assert_eq!(cli.globals.output, Format::Json, "{line}");
    }
}

#[test]
fn durations_are_read_as_people_type_them() {
    for (text, milliseconds) in
        [("20s", 20_000), ("500ms", 500), ("1m30s", 90_000), ("2h", 7_200_000), ("0s", 0)]
    {
        assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in
        ["", "20", "s", "1d", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615h"]
    {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn a_window_is_a_second_or_more_or_everything() {
    assert_eq!(Window::parse("1m"), Ok(Window::Seconds(60)));
    assert_eq!(Window::parse("all"), Ok(Window::All));
    assert!(Window::parse("900ms").is_err());
}

#[test]
fn the_program_of_run_stands_behind_two_dashes_with_its_own_flags() {
    let line = "weft run --workload web.default --upstream 127.0.0.1:15101=a.b:80 -- ./web -o json";
    let Command::Run(run) = parse(line).unwrap().command else { panic!("not run") };
    assert_eq!(run.program, ["./web", "-o", "json"]);
    assert!(parse("weft run --workload web.default").is_err(), "a program is needed");
    assert!(parse("weft run --workload a.b --inbound nonsense -- x").is_err());
}

#[test]
fn wait_takes_files_and_a_time() {
    let Command::Wait(wait) =
        parse("weft wait -f a.yaml -f - --timeout 2m -n shop").unwrap().command
    else {
        panic!("not wait")
    };
    assert_eq!(wait.filename, ["a.yaml", "-"].map(std::path::PathBuf::from));
    assert_eq!((wait.timeout, wait.namespace.as_deref()), (Duration::from_secs(120), Some("shop")));
    assert!(parse("weft wait").is_err(), "a file is needed");
}

#[test]
fn a_question_and_a_trial_are_told_apart() {
    let authz = |line: &[&str]| match Cli::try_parse_from(line).map(|cli| cli.command) {
        Ok(Command::Authz(authz)) => Ok(authz),
        Ok(_) => panic!("not authz"),
        Err(error) => Err(error.exit_code()),
    };
    let asked = authz(&["weft", "authz", "--request", "get /carts/7?x=1"]).unwrap();
    let request = asked.request.clone().unwrap();
    assert_eq!((&*request.method, &*request.path), ("GET", "/carts/7?x=1"));
    assert!(!asked.is_trial());
    let tried =
        authz(&["weft", "authz", "--try", "a.yaml", "--try", "-", "--since", "5m"]).unwrap();
    assert_eq!((tried.tried.len(), tried.since), (2, Duration::from_secs(300)));
    assert!(tried.is_trial());
    assert!(authz(&["weft", "authz", "--delete", "AccessPolicy/a/b"]).unwrap().is_trial());
    for wrong in [
        &["--try", "a", "--from", "a/b"][..],
        &["--request", "GET"],
        &["--request", "GET carts"],
        &["--since", "11m"],
        &["--since", "0s"],
    ] {
        assert_eq!(authz(&[&["weft", "authz"], wrong].concat()).unwrap_err(), 2, "{wrong:?}");
    }
}

#[test]
fn wrong_usage_exits_with_two() {
    assert_eq!(parse("weft stat nonsense").unwrap_err().exit_code(), 2);
    assert_eq!(parse("weft demo --rate 5000").unwrap_err().exit_code(), 2);
}

#[test]
fn what_becomes_part_of_a_manifest_is_checked() {
    for good in [
        "--registry localhost:5000",
        "--registry r.example.org/a/b",
        "--registry [::1]:5000/a",
        "--version 0.1.0-rc.1",
    ] {
        assert!(parse(&format!("weft install {good}")).is_ok(), "{good}");
    }
    for bad in [
        "--registry R",
        "--registry a/",
        "--registry a//b",
        "--registry a\"b",
        "--version .1",
        "--version a:b",
    ] {
        assert!(parse(&format!("weft install {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn naming_a_cluster_means_it() {
    let means = |line: &str| match parse(line).unwrap().command {
        Command::Check(check) => check.place.means_a_cluster(),
        _ => panic!("not check"),
    };
    for line in ["weft check --kubernetes", "weft check --context a", "weft check --kubeconfig f"] {
        assert!(means(line), "{line}");
    }
    assert!(!means("weft check"));
}

#[test]
fn why_tells_an_id_from_who_called_what() {
    let why = |line: &str| match parse(line).map(|cli| cli.command) {
        Ok(Command::Why(why)) => Ok((why.asked(), why.path, why.method)),
        Ok(_) => panic!("not why"),
        Err(error) => Err(error.exit_code()),
    };
    let edge = |from: Option<&str>, to: &str| Asked::Edge(from.map(str::to_owned), to.to_owned());
    assert_eq!(why("weft why abc").unwrap().0, Asked::Id("abc".to_owned()));
    assert_eq!(why("weft why").unwrap().0, Asked::Lately);
    assert_eq!(why("weft why --to payment").unwrap().0, edge(None, "payment"));
    let (asked, path, method) = why("weft why order payment --path /a?b --method post").unwrap();
    assert_eq!(asked, edge(Some("order"), "payment"));
    assert_eq!((path.as_deref(), method.as_deref()), (Some("/a"), Some("POST")));
    for wrong in
        ["weft why a --to b", "weft why a b --path c", "weft why --since 2d", "weft why a b c"]
    {
        assert_eq!(why(wrong), Err(2), "{wrong}");
    }
}

#[test]
fn tap_takes_statuses_and_classes_of_them() {
    let status = |text: &str| match parse(&format!("weft tap order --status {text}")) {
        Ok(Cli { command: Command::Tap(tap), .. }) => tap.status,
        Ok(_) => panic!("not tap"),
        Err(_) => None,
    };
    assert_eq!((status("503"), status("5xx")), (Some(503), Some(5)));
    for wrong in ["6xx", "xx", "99", "600", "5xxx"] {
        assert_eq!(status(wrong), None, "{wrong}");
    }
    assert!(parse("weft tap --most 0").is_err() && parse("weft tap --max 0").is_err());
}

/// What is written of commands in the documentation and in runbooks, in backticks or on a line of its own.
fn written(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2).map(str::to_owned);
    let lines = text.lines().filter(|line| !line.contains('`')).map(|line| line.trim().to_owned());
    let is_command =
        |words: &String| words.starts_with("weft ") && !words.contains(['…', '"', '\'', '[']);
    let cut = |words: String| {
        // What Prometheus fills in.
        let parts = words.split("{{").map(|part| part.split("}}").last().unwrap_or_default());
        let words = parts.collect::<Vec<_>>().join("x");
        let ends = [" |", " #", " >", " &", ";", "   "];
        match ends.iter().filter_map(|end| words.find(end)).min() {
            Some(end) => words[..end].to_owned(),
            None => words,
        }
    };
    quoted.chain(lines).filter(is_command).map(cut).collect()
}

#[test]
fn what_the_documentation_says_can_be_typed_can_be_typed() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let reference = std::fs::read_dir(root.join("docs/reference")).unwrap();
    let mut files: Vec<_> = reference.map(|entry| entry.unwrap().path()).collect();
    files.extend(
        ["README.md", "SECURITY.md", "k8s/prometheus/alerts.yaml"].map(|name| root.join(name)),
    );
    let mut count = 0;
    for file in files {
        for line in written(&std::fs::read_to_string(&file).unwrap()) {
            count += 1;
            let Err(error) = parse(&line) else { continue };
            let is_short = matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::MissingSubcommand
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            // `--flag` alone, where its value is not the point.
            let is_short = is_short || error.to_string().contains("a value is required");
            assert!(is_short, "{}: `{line}`: {error}", file.display());
        }
    }
    assert!(count > 60, "{count} commands");
}
