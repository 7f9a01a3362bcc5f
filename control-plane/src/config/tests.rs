//! Which command lines are taken, and what the others are told.

use std::ffi::OsString;

use super::{Config, LogFormat};

fn parse(arguments: &[&str]) -> Result<Config, String> {
    let required = ["--config-dir", "/c", "--state-dir", "/s"];
    let all = required.iter().chain(arguments).map(OsString::from);
    Config::from_arguments(all.collect::<Vec<_>>()).map_err(|error| error.to_string())
}

#[test]
fn two_directories_are_enough() {
    let config = parse(&[]).unwrap();
    assert_eq!(config.listen, "127.0.0.1:15010".parse().unwrap());
    assert_eq!((config.advertise, config.trust_domain), (None, None));
    assert_eq!((&*config.mesh, config.log.format), ("default", LogFormat::Auto));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (arguments, words) in [
        (&["--listen", "here"] as &[&str], "--listen"),
        (&["--mesh", "My Mesh"], "--mesh \"My Mesh\""),
        (&["--mesh", ""], "--mesh"),
        (&["--mesh=-a"], "--mesh \"-a\""),
        (&["--trust-domain", "Demo"], "'D'"),
        (&["--listen", "0.0.0.0:15010"], "--advertise HOST:PORT"),
        (&["--listen", "[::]:0"], "--advertise HOST:PORT"),
        (&["--advertise", "host"], "--advertise \"host\""),
        (&["--advertise", "host:0"], "--advertise"),
        (&["--advertise", "me@host:1"], "--advertise"),
        (&["--advertise", "0.0.0.0:15010"], "--advertise"),
        (&["--log-format", "xml"], "--log-format"),
        (&["--bogus"], "--bogus"),
    ] {
        let error = parse(arguments).unwrap_err();
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
    let error = Config::from_arguments(std::iter::empty()).unwrap_err().to_string();
    assert!(error.contains("--config-dir") && error.contains("--state-dir"), "{error}");
}

#[test]
fn every_address_can_be_listened_on_when_one_is_advertised() {
    for advertise in ["control-plane.weft:15010", "10.0.0.1:15010", "[fd00::1]:15010"] {
        let config = parse(&["--listen", "0.0.0.0:0", "--advertise", advertise]).unwrap();
        assert_eq!(config.advertise.as_deref(), Some(advertise));
    }
}

#[test]
fn help_names_every_flag_and_shows_how_to_go_on() {
    let help = Config::from_arguments([OsString::from("--help")]).unwrap_err().to_string();
    for word in ["--config-dir", "--trust-domain", "--log-format", "admin.sock", "curl"] {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
}
