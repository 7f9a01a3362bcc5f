//! The chains, letter for letter, and what is read back of them.

use super::{Family, Present, Settings, end_of_trial, installation, listed, removal, trial};

const PLAIN: &str = "*filter
:WEFT_GUARD - [0:0]
-A WEFT_GUARD -p tcp --dport 15001 -m conntrack ! --ctstate DNAT -j REJECT --reject-with tcp-reset
-A WEFT_GUARD -p tcp --dport 15006 -m conntrack ! --ctstate DNAT -j REJECT --reject-with tcp-reset
-I INPUT -p tcp -j WEFT_GUARD
COMMIT
*nat
:WEFT_INBOUND - [0:0]
-A WEFT_INBOUND -i lo -j RETURN
-A WEFT_INBOUND -p tcp --dport 15001 -j RETURN
-A WEFT_INBOUND -p tcp --dport 15006 -j RETURN
-A WEFT_INBOUND -p tcp --dport 15020 -j RETURN
-A WEFT_INBOUND -p tcp -j REDIRECT --to-ports 15006
-I PREROUTING -p tcp -j WEFT_INBOUND
:WEFT_OUTBOUND - [0:0]
-A WEFT_OUTBOUND -m owner --uid-owner 1980 -j RETURN
-A WEFT_OUTBOUND -o lo -j RETURN
-A WEFT_OUTBOUND -p tcp -j REDIRECT --to-ports 15001
-I OUTPUT -p tcp -j WEFT_OUTBOUND
COMMIT
";

#[test]
fn the_whole_script_by_default() {
    let settings = Settings::default();
    for family in [Family::V4, Family::V6] {
        assert_eq!(installation(&settings, family, Present::default()), PLAIN);
    }
}

#[test]
fn every_list_has_its_place_and_family() {
    let settings = Settings {
        skip_inbound_ports: "22".parse().unwrap(),
        skip_outbound_ports: "8000-8100".parse().unwrap(),
        skip_outbound_cidrs: "10.0.0.0/8,fd00::/8".parse().unwrap(),
        skip_uids: vec![7],
        ..Settings::default()
    };
    let script = |family| installation(&settings, family, Present::default());
    let (v4, v6) = (script(Family::V4), script(Family::V6));
    for text in [&v4, &v6] {
        for expected in [
            "-A WEFT_INBOUND -p tcp --dport 22:22 -j RETURN\n",
            "-A WEFT_OUTBOUND -p tcp --dport 8000:8100 -j RETURN\n",
            "-A WEFT_OUTBOUND -m owner --uid-owner 7 -j RETURN\n",
        ] {
            assert_eq!(text.matches(expected).count(), 1, "{expected}{text}");
        }
    }
    assert!(v4.contains("-d 10.0.0.0/8 -j RETURN") && !v4.contains("fd00"), "{v4}");
    assert!(v6.contains("-d fd00::/8 -j RETURN") && !v6.contains("10.0"), "{v6}");
}

const LISTING: &str = "-P INPUT ACCEPT
-N WEFT_GUARD
-A INPUT -p tcp -j WEFT_GUARD
-A INPUT -p tcp -j OTHER
-P PREROUTING ACCEPT
-N WEFT_OUTBOUND
-N WEFT_OUTBOUND_1f
-A OUTPUT -p tcp -j WEFT_OUTBOUND
-A OUTPUT -p tcp -j WEFT_OUTBOUND
-A WEFT_OUTBOUND -o lo -j RETURN
-A WEFT_OUTBOUND_1f -o lo -j RETURN
-A WEFT_OUTBOUND_1f -p tcp -j REDIRECT --to-ports 15001
";

#[test]
fn what_is_there_is_read_and_replaced() {
    let present = Present::read(LISTING);
    assert_eq!(present, Present { chains: [true, false, true], jumps: [1, 0, 2] });
    assert!(present.is_any() && !Present::default().is_any());
    let script = installation(&Settings::default(), Family::V4, present);
    assert_eq!(script.matches("-D OUTPUT -p tcp -j WEFT_OUTBOUND\n").count(), 2);
    assert_eq!(script.matches("-I OUTPUT -p tcp -j WEFT_OUTBOUND\n").count(), 1);
    assert_eq!(script.matches("-D PREROUTING").count(), 0);
}

#[test]
fn only_what_is_there_is_removed() {
    assert_eq!(
        removal(Present::read(LISTING)),
        "*filter\n-D INPUT -p tcp -j WEFT_GUARD\n-F WEFT_GUARD\n-X WEFT_GUARD\nCOMMIT\n*nat\n\
         -D OUTPUT -p tcp -j WEFT_OUTBOUND\n-D OUTPUT -p tcp -j WEFT_OUTBOUND\n\
         -F WEFT_OUTBOUND\n-X WEFT_OUTBOUND\nCOMMIT\n"
    );
}

#[test]
fn a_trial_leads_nothing_anywhere_and_ends() {
    let text = trial(&Settings::default(), Family::V4, "_1f");
    for builtin in ["INPUT", "PREROUTING", "OUTPUT"] {
        assert!(!text.contains(&format!(" {builtin} ")), "{text}");
    }
    assert_eq!(text.matches("_1f").count(), PLAIN.matches("WEFT_").count() - 3);
    assert_eq!(end_of_trial("_1f").matches("-X WEFT_").count(), 3);
}

#[test]
fn rules_are_listed_by_chain() {
    let rules =
        |suffix| listed(LISTING, suffix).into_iter().map(|(_, rule)| rule).collect::<Vec<_>>();
    assert_eq!(rules(""), ["-o lo -j RETURN"]);
    assert_eq!(rules("_1f"), ["-o lo -j RETURN", "-p tcp -j REDIRECT --to-ports 15001"]);
}
