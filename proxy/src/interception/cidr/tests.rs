//! Lists of networks, good and bad.

use super::Cidrs;

fn read(text: &str) -> Result<String, String> {
    let cidrs: Cidrs = text.parse()?;
    let all = cidrs.of_family(true).chain(cidrs.of_family(false));
    Ok(all.map(ToString::to_string).collect::<Vec<_>>().join(","))
}

#[test]
fn lists_become_ascending_networks_apart() {
    for (text, expected) in [
        ("", ""),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("fd00::1", "fd00::1/128"),
        ("fd00::/8, 10.0.0.0/8", "10.0.0.0/8,fd00::/8"),
        ("10.1.0.0/16,10.0.0.0/8,10.0.0.0/8,10.2.3.4", "10.0.0.0/8"),
        ("10.0.0.0/9,10.128.0.0/9", "10.0.0.0/9,10.128.0.0/9"),
        ("10.0.0.0/16,10.0.0.0/8,11.0.0.0/8", "10.0.0.0/8,11.0.0.0/8"),
        ("0.0.0.0/0,1.2.3.4,::/0,fe80::/10", "0.0.0.0/0,::/0"),
        // Of different families nothing contains anything.
        ("0.0.0.0/0,fd00::/8", "0.0.0.0/0,fd00::/8"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn mistakes_say_what_was_expected() {
    for (text, expected) in [
        ("10.0.0.0/33", "0 to 32"),
        ("10.0.0.0/999", "0 to 32"),
        ("fd00::/129", "0 to 128"),
        ("10.0.0.0/", "0 to 32"),
        ("10.0.0.0/+8", "10.0.0.0/8"),
        ("10.0.0.0/-1", "10.0.0.0/8"),
        ("10.0.0/8", "10.0.0.0/8"),
        ("fd00::/8/8", "10.0.0.0/8"),
        ("fe80::1%eth0/64", "10.0.0.0/8"),
        ("product.shop", "10.0.0.0/8"),
        ("10.1.2.3/8", "write 10.0.0.0/8 or 10.1.2.3/32"),
        ("fd00::1/8", "write fd00::/8 or fd00::1/128"),
        ("::ffff:10.0.0.0/104", "IPv4 written as IPv6"),
        ("10.0.0.0/8,", "empty entry"),
        ("10.0.0.0/8 } ; flush ruleset ; #", "no network"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
