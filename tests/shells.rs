//! `weft` where people type it: in a shell, on a terminal, into a pipe that somebody closes. What needs no mesh is here; `stat -w`
//! on a terminal is in `cli`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Output, Program, Terminal, binary, run};

const DEADLINE: Duration = Duration::from_secs(60);

/// A directory for what is made, with a `shop` in which more is wrong than a pipe takes at once, and a `quiet` in which nothing is.
fn files() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (shop, quiet) = (directory.path().join("shop"), directory.path().join("quiet"));
    let mut text = String::new();
    for number in 0..300 {
        let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute";
        let spec = "spec: {parentRefs: [{group: '', kind: Service, name: gone}]}";
        write!(text, "{route}\nmetadata: {{name: r{number}, namespace: shop}}\n{spec}\n---\n")
            .unwrap();
    }
    for (path, text) in [(&shop, text.as_str()), (&quiet, "# Nothing yet.\n")] {
        std::fs::create_dir(path).unwrap();
        std::fs::write(path.join("all.yaml"), text).unwrap();
    }
    directory
}

/// What bash does with `script`, in `directory`, where `weft` is on the PATH and there is no mesh and no cluster.
async fn bash(directory: &Path, script: &str, variables: &[(&str, &str)]) -> Output {
    let weft = binary("weft");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", weft.parent().unwrap().display());
    let root = directory.to_string_lossy();
    let own = [("PATH", &*path), ("HOME", "/nonexistent"), ("XDG_RUNTIME_DIR", &*root)];
    let program = Program {
        name: script.to_owned(),
        path: "/bin/bash".into(),
        args: ["-c".into(), format!("cd '{}'; {script}", directory.display()).into()].into(),
        variables: own
            .iter()
            .chain(variables)
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        log: "".into(),
    };
    run(&program, DEADLINE).await
}

#[tokio::test]
async fn a_pipe_that_is_closed_ends_it_without_a_word() {
    let files = files();
    for command in [
        "weft analyze shop",
        "weft analyze shop -o json",
        "weft completion bash",
        "weft install",
        "weft --help",
        "weft check",
    ] {
        // One that reads nothing at all, and one that reads a line.
        for reader in ["true", "head -n 1"] {
            let script = format!("{command} | {reader}; echo status ${{PIPESTATUS[0]}}");
            let output = bash(files.path(), &script, &[]).await;
            assert_eq!(output.stderr, "", "{command} | {reader}");
            let code = output.stdout.lines().last().unwrap_or_default();
            // Of what is written before the reader has gone nobody can say more than that it was said.
            assert!(["status 0", "status 3"].contains(&code), "{command} | {reader}: {output:?}");
        }
    }
    let full = bash(files.path(), "weft analyze shop > /dev/full; echo $?", &[]).await;
    assert_eq!(full.stdout, "1\n");
    assert!(full.stderr.contains("No space left"), "{full:?}");
}

#[tokio::test]
async fn colours_go_where_somebody_can_see_them_and_wants_to() {
    const ANALYZE: &str = "weft analyze shop | head -n 2";
    let files = files();
    for (variables, script, expected) in [
        (&[][..], ANALYZE, false),
        (&[("CLICOLOR_FORCE", "1")], ANALYZE, true),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], ANALYZE, false),
        (&[("NO_COLOR", "1")], "weft analyze shop --color always | head -n 2", true),
        (&[("CLICOLOR_FORCE", "1")], "weft analyze shop --color never | head -n 2", false),
        (&[("CLICOLOR_FORCE", "1")], "weft analyze shop -o json", false),
    ] {
        let output = bash(files.path(), script, variables).await;
        assert!(output.stdout.lines().count() >= 2, "{output:?}");
        let found = output.stdout.contains('\u{1b}');
        assert_eq!(found, expected, "{variables:?} {script}: {}", &output.stdout[..200]);
    }
    let shown = async |variables: &[(&str, &str)]| {
        let command = format!(
            "'{}' analyze '{}'",
            binary("weft").display(),
            files.path().join("quiet").display()
        );
        let mut terminal = Terminal::start(&command, (24, 80), variables);
        assert!(terminal.ended(DEADLINE).await.success(), "{}", terminal.written());
        let written = terminal.written();
        assert!(written.contains("quiet"), "{written:?}");
        written.contains('\u{1b}')
    };
    assert!(shown(&[("TERM", "xterm-256color")]).await);
    assert!(!shown(&[("TERM", "dumb")]).await);
    assert!(!shown(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]).await);
}

#[tokio::test]
async fn json_is_json_and_nothing_else_is_on_stdout() {
    let files = files();
    std::fs::write(files.path().join("pods.yaml"), PODS).unwrap();
    for (command, code) in [
        ("weft analyze shop", 3),
        ("weft analyze quiet", 0),
        ("weft check", 0),
        ("weft check --kubernetes", 3),
        ("weft version", 0),
        ("weft install --ha", 0),
        ("weft inject -f pods.yaml", 0),
        ("weft uninject -f pods.yaml", 0),
        ("weft man pages", 0),
        ("weft bug-report --file report.tar.gz", 0),
    ] {
        let output = bash(files.path(), &format!("{command} -o json"), &[]).await;
        assert_eq!(output.code, Some(code), "{command}: {output:?}");
        let value: Result<Value, _> = serde_json::from_str(&output.stdout);
        assert!(value.is_ok(), "{command}: {value:?}\n{}", output.stdout);
    }
    let unfit = bash(files.path(), "weft completion bash -o json", &[]).await;
    assert_eq!((unfit.code, unfit.stdout.as_str()), (Some(2), ""), "{unfit:?}");
}

const PODS: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: a}]}\n---\n\
                    apiVersion: v1\nkind: Pod\nmetadata: {name: b}\nspec: {containers: [{name: b, image: b}]}\n";

#[tokio::test]
async fn shells_complete_what_can_be_typed() {
    // Completes the last of the words, as each shell does when somebody presses the tab key.
    let in_bash = "source <(weft completion bash); complete -p weft >/dev/null || exit 1
        COMP_WORDS=($1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE=$1; COMP_POINT=${#1}
        _weft weft \"${COMP_WORDS[-1]}\" \"${COMP_WORDS[-2]}\"; echo \"${COMPREPLY[@]}\"";
    let files = files();
    for (line, expected) in [
        ("weft st", "stat"),
        ("weft demo", "demo"),
        ("weft proxy-c", "proxy-config"),
        ("weft trust ro", "rotate"),
        ("weft stat ed", "edges"),
        ("weft stat --wat", "--watch"),
        ("weft completion f", "fish"),
    ] {
        let script = format!("press_tab() {{ {in_bash}\n}}; press_tab '{line}'");
        let output = bash(files.path(), &script, &[]).await;
        assert_eq!(output.stderr, "", "{line}");
        assert_eq!(output.stdout.trim(), expected, "{line}");
    }
    // Where there are others.
    let zsh = "autoload -U compinit; compinit -u -D; source <(weft completion zsh); print ${_comps[weft]}";
    let fish = "weft completion fish | source; complete -C 'weft st' | string split -f1 \\t";
    for (shell, script, expected) in [("zsh", zsh, "_weft"), ("fish", fish, "stat")] {
        let there = bash(files.path(), &format!("command -v {shell}"), &[]).await;
        if there.code != Some(0) {
            println!("no {shell} here");
            continue;
        }
        let command = format!("{shell} -c \"$SCRIPT\"");
        let output = bash(files.path(), &command, &[("SCRIPT", script)]).await;
        assert_eq!((output.stdout.trim(), &*output.stderr), (expected, ""), "{shell}");
    }
}

#[tokio::test]
async fn man_renders_every_page_without_a_warning() {
    let files = files();
    let script = "weft --quiet man pages && command -v groff >/dev/null || exit 7
        for page in pages/*.1; do groff -t -man -ww -Tutf8 -rLL=100n -P-cbou \"$page\" > /dev/null || exit 1; done
        groff -man -Tutf8 -rLL=100n -P-cbou pages/weft.1";
    let output = bash(files.path(), script, &[]).await;
    if output.code == Some(7) {
        return println!("no groff here");
    }
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    let help = bash(files.path(), "weft --help", &[]).await;
    let commands = help.stdout.split("Commands:").nth(1).and_then(|rest| rest.split("\n\n").next());
    // The rest of a long description stands farther in.
    let lines = commands.unwrap().lines().filter(|line| !line.starts_with("   "));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    let mut count = 0;
    for name in names.filter(|name| *name != "help") {
        assert!(output.stdout.contains(&format!("weft-{name}(1)")), "{name}: {}", output.stdout);
        count += 1;
    }
    assert!(count > 20, "{}", help.stdout);
}
