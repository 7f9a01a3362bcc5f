//! The program's own name in hints.

use super::*;

/// That of somebody who has built Weft and typed `{typed} demo` beside it.
pub(crate) fn of_demo(typed: &str) -> Environment {
    Environment {
        args: vec![typed.into(), "demo".into()],
        run_root: "/run/user/1000/weft".into(),
        current_dir: "/home/ada/weft".into(),
        executable: "/home/ada/weft/target/release/weft".into(),
        has_kubeconfig: false,
        otlp_endpoint: None,
        smart_terminal: true,
    }
}

fn invoked(typed: &str) -> String {
    of_demo(typed).invoked_as()
}

#[test]
fn hints_name_the_program_as_it_was_typed() {
    assert_eq!(invoked("weft"), "weft");
    assert_eq!(invoked("target/release/weft"), "target/release/weft");
    assert_eq!(invoked("/home/ada/weft/target/release/weft"), "target/release/weft");
    assert_eq!(invoked("/opt/weft"), "/opt/weft");
}

#[test]
fn a_program_in_the_working_directory_keeps_a_path_that_a_shell_will_run() {
    assert_eq!(invoked("/home/ada/weft/weft"), "/home/ada/weft/weft");
}

#[test]
fn names_with_spaces_are_quoted_for_the_shell() {
    assert_eq!(invoked("/opt/my weft/it's"), r"'/opt/my weft/it'\''s'");
}
