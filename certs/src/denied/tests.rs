//! How serial numbers are written, and who is denied by what.

use super::*;
use crate::testing::shop;

#[test]
fn a_serial_number_is_the_same_however_it_is_written() {
    let plain: Serial = "4f0a00ff".parse().unwrap();
    for text in ["4F0A00FF", "4f:0a:00:ff", "4F:0a:00:FF", "004f0a00ff", "00:4f:0a:00:ff"] {
        assert_eq!(text.parse(), Ok(plain.clone()), "{text}");
    }
    assert_eq!(plain.to_string(), "4f0a00ff");
    assert_eq!(plain, Serial::new(&[0, 0x4f, 0x0a, 0, 0xff]));
    assert_eq!("abc".parse::<Serial>().unwrap().to_string(), "0abc");
    assert_eq!("0".parse::<Serial>().unwrap(), Serial::new(&[0]));
    assert_eq!(Serial::new(&[]).to_string(), "00");
}

#[test]
fn what_is_no_serial_number_is_refused() {
    for text in ["", ":", "4f:", ":4f", "4f:a", "4f::0a", "0x4f", "4g", "4f 0a", "4f-0a", "é", "+1"]
    {
        assert_eq!(text.parse::<Serial>(), Err(SerialError::Digits), "{text:?}");
    }
    assert_eq!("1".repeat(41).parse::<Serial>(), Err(SerialError::TooLong));
    assert!("f".repeat(40).parse::<Serial>().is_ok());
    assert!(format!("00{}", "f".repeat(40)).parse::<Serial>().is_ok());
}

#[test]
fn an_identity_is_denied_with_every_certificate_and_a_certificate_alone() {
    let (one, other) = (Serial::new(&[1]), Serial::new(&[2]));
    let mut list = DenyList::default();
    assert!(list.is_empty());
    list.deny_identity(shop("payment"), "key leaked");
    list.deny_identity(shop("payment"), "written twice");
    list.deny_serial(one.clone(), "");
    assert_eq!(list.len(), 2);

    let denial = list.peer(&shop("payment"), &other).unwrap();
    let expected = "the identity spiffe://demo.local/ns/shop/sa/payment is denied: key leaked";
    assert_eq!(denial.to_string(), expected);
    let denial = list.peer(&shop("product"), &one).unwrap();
    assert_eq!(denial.to_string(), "the certificate 01 is denied");
    assert_eq!(list.peer(&shop("product"), &other), None);
    assert_eq!(list.identity(&shop("payments")), None, "names are compared as a whole");
}

#[test]
fn a_denial_is_read_by_whom_it_is_about() {
    let (id, serial) = (shop("payment"), Serial::new(&[0x4f]));
    for what in [Denied::Identity(id.clone()), Denied::Serial(serial.clone())] {
        for reason in ["", "key leaked: see 4711"] {
            let denial = Denial { what: what.clone(), reason: reason.into() };
            let text = denial.to_string();
            assert_eq!(Denial::parse(&text, &id, &serial), Some(denial));
            assert_eq!(Denial::parse(&text, &shop("pay"), &Serial::new(&[4])), None);
        }
    }
    assert_eq!(Denial::parse("the certificate 4f is denied by", &id, &serial), None);
}
