//! When the Secret is good, and what replaces it.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn at(days: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + DAY * 20_000 + DAY * days
}

fn names() -> Vec<String> {
    super::super::service_names("weft-system")
}

type Data = BTreeMap<String, ByteString>;

fn made(days: u32) -> Data {
    replaced(judge(None, &names(), at(days)).unwrap()).0
}

fn replaced(verdict: Verdict) -> (Data, &'static str) {
    match verdict {
        Verdict::Replace(data, why) => (data, why),
        Verdict::Keep(held) => panic!("kept {held:?}"),
    }
}

fn kept(data: &Data, days: u32) -> Arc<Held> {
    match judge(Some(data), &names(), at(days)).unwrap() {
        Verdict::Keep(held) => held,
        Verdict::Replace(_, why) => panic!("replaced because {why}"),
    }
}

#[test]
fn it_is_kept_for_two_thirds_of_a_year_and_replaced_in_the_last() {
    let data = made(0);
    let keys: Vec<&str> = data.keys().map(String::as_str).collect();
    assert_eq!(keys, ["ca.crt", "tls.crt", "tls.key"], "the CA's key is not kept");
    let held = kept(&data, 243);
    assert_eq!(held.not_after, at(365) - Duration::from_secs(60));
    let (_, why) = replaced(judge(Some(&data), &names(), at(244)).unwrap());
    assert_eq!(why, "it is in the last third of its life");
}

#[test]
fn the_bundle_names_the_authority_before_while_it_is_valid() {
    let (first, second) = (made(0), replaced(judge(Some(&made(0)), &names(), at(250)).unwrap()).0);
    let renewed = replaced(judge(Some(&first), &names(), at(250)).unwrap()).0;
    let bundle = |data: &Data| text(data, "ca.crt").to_owned();
    assert!(
        bundle(&renewed).ends_with(&bundle(&first))
            && bundle(&renewed).len() > bundle(&first).len()
    );
    let old = kept(&first, 0);
    let both = ServingAuthorities::from_pem(&bundle(&renewed)).unwrap();
    assert!(both.signed(&old.certificate) && both.signed(&kept(&renewed, 250).certificate));
    assert!(!both.signed(&kept(&second, 250).certificate), "of another CA");
    let late = replaced(judge(Some(&renewed), &names(), at(550)).unwrap()).0;
    let late = ServingAuthorities::from_pem(&bundle(&late)).unwrap();
    assert!(!late.signed(&old.certificate), "its CA was over");
    assert!(late.signed(&kept(&renewed, 251).certificate));
}

#[test]
fn the_bundle_does_not_grow_for_ever() {
    let mut data = made(0);
    for round in 1..10 {
        data.insert("tls.crt".to_owned(), ByteString(b"broken".to_vec()));
        data = replaced(judge(Some(&data), &names(), at(round)).unwrap()).0;
    }
    assert_eq!(text(&data, "ca.crt").matches("BEGIN CERTIFICATE").count(), MOST_AUTHORITIES);
}

#[test]
fn what_is_damaged_is_replaced() {
    let (good, other) = (made(0), made(0));
    let with = |key: &str, value: Option<&ByteString>| {
        let mut data = good.clone();
        match value {
            Some(value) => data.insert(key.to_owned(), value.clone()),
            None => data.remove(key),
        };
        data
    };
    for (damaged, what) in [
        (Data::new(), "empty"),
        (with("tls.key", None), "no key"),
        (with("tls.key", Some(&other["tls.key"])), "another key"),
        (with("ca.crt", Some(&other["ca.crt"])), "another CA"),
        (with("tls.crt", Some(&ByteString(vec![0xff]))), "no text"),
    ] {
        let (data, why) = replaced(judge(Some(&damaged), &names(), at(1)).unwrap());
        assert_eq!(why, "it is damaged", "{what}");
        kept(&data, 1);
    }
    let mut more = names();
    more.push("localhost".to_owned());
    let (data, why) = replaced(judge(Some(&good), &more, at(1)).unwrap());
    assert_eq!(why, "it is for other names");
    assert!(matches!(judge(Some(&data), &more, at(1)), Ok(Verdict::Keep(_))));
}
