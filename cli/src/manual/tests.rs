//! What is in a script and among the pages.

use clap_complete::Shell;

use super::*;

#[test]
fn every_command_can_be_completed_and_what_nobody_types_cannot() {
    let command = Cli::command();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
        let script = script(shell);
        for command in command.get_subcommands() {
            let (name, hidden) = (command.get_name(), command.is_hide_set());
            assert_eq!(script.contains(name), !hidden, "{shell}: {name}");
        }
        assert!(script.contains("kubeconfig") && script.contains("status"), "{shell}");
    }
}

#[test]
fn there_is_a_page_for_every_command() {
    let directory = tempfile::tempdir().unwrap();
    clap_mangen::generate_to(Cli::command(), directory.path()).unwrap();
    let mut found: Vec<String> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut named = names(&Cli::command(), "weft");
    found.sort();
    named.sort();
    assert_eq!(found, named);
    assert!(named.contains(&"weft-trust-rotate.1".to_owned()), "{named:?}");
    let first = std::fs::read_to_string(directory.path().join("weft.1")).unwrap();
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("weft\\-{}(1)", command.get_name().replace('-', "\\-"));
        assert!(first.contains(&name), "weft.1 does not name {name}");
    }
}
