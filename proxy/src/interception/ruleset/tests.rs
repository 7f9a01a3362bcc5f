//! The table, letter for letter: what is in it decides where a pod's traffic goes.

use super::{Settings, removal, table, transaction};

fn full() -> Settings {
    Settings {
        skip_inbound_ports: "22,9000-9100".parse().unwrap(),
        skip_outbound_ports: "4567,8000-8100,8050-8200".parse().unwrap(),
        skip_outbound_cidrs: "10.1.0.0/16,10.0.0.0/8,fd00::/8,192.0.2.1".parse().unwrap(),
        skip_uids: vec![7, 0],
        ..Settings::default()
    }
    .settle()
    .unwrap()
}

const PLAIN: &str = r#"add table inet weft
delete table inet weft
table inet weft {
	set skip_inbound_ports {
		type inet_service
		flags interval
	}
	set skip_outbound_ports {
		type inet_service
		flags interval
	}
	set skip_outbound_v4 {
		type ipv4_addr
		flags interval
	}
	set skip_outbound_v6 {
		type ipv6_addr
		flags interval
	}
	chain inbound {
		type nat hook prerouting priority -100; policy accept;
		iifname "lo" return comment "loopback"
		tcp dport { 15001, 15006, 15020 } return comment "ports of the sidecar"
		tcp dport @skip_inbound_ports return
		meta l4proto tcp socket wildcard 0 counter redirect to :15006
		meta l4proto tcp socket wildcard 1 counter redirect to :15006
	}
	chain outbound {
		type nat hook output priority -100; policy accept;
		meta skuid 1980 return comment "the sidecar itself"
		oifname "lo" return comment "loopback and the pod itself"
		tcp dport @skip_outbound_ports return
		ip daddr @skip_outbound_v4 return
		ip6 daddr @skip_outbound_v6 return
		meta l4proto tcp counter redirect to :15001
	}
	chain guard {
		type filter hook input priority 0; policy accept;
		tcp dport { 15001, 15006 } ct status & dnat == 0 counter reject with tcp reset
	}
}
"#;

#[test]
fn the_whole_transaction_by_default() {
    assert_eq!(transaction(&Settings::default()), PLAIN);
}

#[test]
fn every_list_has_its_place() {
    let text = transaction(&full());
    for expected in [
        "\t\telements = { 22, 9000-9100 }\n",
        "\t\telements = { 4567, 8000-8200 }\n",
        "\t\telements = { 10.0.0.0/8, 192.0.2.1/32 }\n",
        "\t\telements = { fd00::/8 }\n",
        "\t\tmeta skuid { 0, 7 } return\n",
    ] {
        assert_eq!(text.matches(expected).count(), 1, "{expected}{text}");
    }
    assert_eq!(text.matches("elements").count(), 4, "{text}");
}

#[test]
fn ports_and_user_are_where_they_count() {
    let settings = Settings {
        outbound_port: 1,
        inbound_port: 2,
        health_port: 3,
        proxy_uid: 4,
        ..Settings::default()
    };
    let text = transaction(&settings);
    for expected in [
        "tcp dport { 1, 2, 3 } return",
        "redirect to :1\n",
        "wildcard 0 counter redirect to :2\n",
        "wildcard 1 counter redirect to :2\n",
        "meta skuid 4 return",
        "tcp dport { 1, 2 } ct status",
    ] {
        assert_eq!(text.matches(expected).count(), 1, "{expected}\n{text}");
    }
    assert!(!text.contains("150") && !text.contains("1980"), "{text}");
}

#[test]
fn nothing_is_left_alone_before_the_sidecar_itself() {
    let text = transaction(&full());
    let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word}"));
    let order =
        ["skuid 1980", "oifname", "skuid { 0", "@skip_outbound_ports", "redirect to :15001"];
    assert!(order.windows(2).all(|pair| place(pair[0]) < place(pair[1])), "{text}");
}

#[test]
fn a_trial_is_the_same_but_dormant() {
    let trial = table(&full(), "weft_check_1", true);
    assert!(trial.starts_with("table inet weft_check_1 {\n\tflags dormant\n"), "{trial}");
    let real = table(&full(), "weft", false);
    assert_eq!(trial.replace("\tflags dormant\n", "").replace("weft_check_1", "weft"), real);
    assert_eq!(removal("x"), "add table inet x\ndelete table inet x\n");
}
