//! What is written down without doing anything. That the rules hold is shown in namespaces, in
//! `tests/interception.rs`.

use super::{Action, Backend, Init, Settings, run, unique};

fn dry_run(backend: Backend) -> String {
    let init = Init { settings: Settings::default(), backend, action: Action::DryRun };
    let mut out = Vec::new();
    run(&init, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_dry_run_writes_what_the_backend_gets() {
    for backend in [Backend::Auto, Backend::Nft] {
        assert!(dry_run(backend).starts_with("add table inet weft\n"));
    }
    let text = dry_run(Backend::Iptables);
    assert!(text.starts_with("# iptables-restore --noflush\n*filter\n"), "{text}");
    assert!(text.contains("COMMIT\n# ip6tables-restore --noflush\n"), "{text}");
}

#[test]
fn a_name_of_a_trial_fits_a_chain() {
    // iptables takes 28 characters.
    let name = format!("WEFT_OUTBOUND_{}", unique());
    assert!(name.len() <= 28, "{name}");
}
