//! That a key which is gone is gone: this process looks through all of its own memory for it. One test at a time: what
//! one reads memory into would hold a key of the other, also when that one has let go of it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustls::pki_types::pem::SectionKind;
use zeroize::Zeroizing;

use super::super::PrivateKey;
use crate::testing::{Ca, domain, shop};
use crate::tls::{ClientAuth, KeyExchange};
use crate::{Authority, Change, Leaf, TrustBundle, pem};

/// The other way round, so that what looks for a secret does not hold it.
type Masked = Vec<u8>;

/// Bytes at a time, each piece with the end of the one before.
const PIECE: usize = 1 << 20;
/// The least that other tests can have given back of what was memory a moment ago.
const PAGE: u64 = 4096;

/// Until it is dropped, nobody else looks.
fn alone() -> MutexGuard<'static, ()> {
    static LOOKING: Mutex<()> = Mutex::new(());
    LOOKING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn secret(key: &PrivateKey) -> Masked {
    secrets(&key.to_pem()).remove(0)
}

/// The private number of each key in a text: 32 bytes behind the tag of the octet string in the EC key of its PKCS #8.
fn secrets(text: &str) -> Vec<Masked> {
    let sections = pem::sections(text).unwrap();
    let keys = sections.iter().filter(|(kind, _)| *kind == SectionKind::PrivateKey);
    keys.map(|(_, der)| number(der)).collect()
}

fn number(der: &[u8]) -> Masked {
    let tag = [0x02, 0x01, 0x01, 0x04, 0x20];
    let start = der.windows(tag.len()).position(|at| at == tag).unwrap() + tag.len();
    der[start..start + 32].iter().map(|byte| !byte).collect()
}

/// How often the secret lies in memory that can be written.
fn copies(secret: &Masked) -> usize {
    let mut maps = String::new();
    File::open("/proc/self/maps").unwrap().read_to_string(&mut maps).unwrap();
    let memory = File::open("/proc/self/mem").unwrap();
    let mut piece = Zeroizing::new(vec![0_u8; PIECE + 32]);
    let own = piece.as_ptr() as u64..piece.as_ptr() as u64 + piece.len() as u64;
    let mut found = 0;
    for line in maps
        .lines()
        .filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw")))
    {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let (mut at, end) = (number(start), number(end));
        while at < end {
            let wanted = usize::try_from(end - at).unwrap().min(piece.len());
            // Other tests give memory back meanwhile, of which the next page need not be part.
            let length = memory.read_at(&mut piece[..wanted], at).unwrap_or(0);
            if length == 0 {
                at = (at / PAGE + 1) * PAGE;
                continue;
            }
            let hits = piece[..length].windows(32).enumerate();
            let hits = hits.filter(|(_, at)| {
                at[0] == !secret[0] && at.iter().zip(secret).all(|(one, other)| *one == !other)
            });
            // What it reads into is memory too.
            found += hits.filter(|(offset, _)| !own.contains(&(at + *offset as u64))).count();
            at += u64::try_from(if length > 32 { length - 31 } else { length }).unwrap();
        }
    }
    found
}

#[test]
fn a_key_that_is_dropped_is_nowhere_in_memory() {
    let _alone = alone();
    let now = SystemTime::now();
    let ca = Ca::new(now);
    let leaf = ca.leaf("product", now);
    let secret = secret(leaf.key());
    assert!(copies(&secret) > 0, "what is alive is found");

    // Written and read as for the state directory, and handed to rustls on both sides.
    let again = Leaf::from_pem(&leaf.to_pem()).unwrap();
    let bundle: &TrustBundle = ca.bundle();
    let kx = KeyExchange::default();
    let server = kx.server_config(&again, bundle, ClientAuth::Required, &[b"h2"]).unwrap();
    let client = kx.client_config(Some(&leaf), bundle, &[b"h2"]).unwrap();
    eprintln!("in use: {} copies of the key", copies(&secret));
    drop((server, client, again, leaf));
    assert_eq!(copies(&secret), 0, "copies of a key that nobody has any more");
    assert_eq!(shop("product").service_account(), "product");
}

/// 32 letters of the second line of each key in a text.
fn letters(text: &str) -> Vec<Masked> {
    let keys = text.split("-----BEGIN PRIVATE KEY-----\n").skip(1);
    let masked = |line: &str| line.bytes().take(32).map(|byte| !byte).collect();
    keys.map(|key| masked(key.lines().nth(1).unwrap())).collect()
}

#[test]
fn the_roots_key_is_in_memory_only_while_the_ca_is_read_or_changed() {
    let _alone = alone();
    let (now, domain) = (SystemTime::now(), domain());
    let state = Authority::new_state(&domain, now).unwrap();
    let changed = Authority::change_state(&state, &domain, now, &Change::Stage);
    let (authority, staged) = changed.unwrap();
    let staged = staged.unwrap();
    let (numbers, letters) = (secrets(&staged), letters(&staged));
    let [root, issuing, next] = &numbers[..] else { panic!("{} keys", numbers.len()) };
    assert!(letters.iter().all(|letters| copies(letters) > 0), "what is alive is found");
    drop((state, staged));
    let left: Vec<_> = letters.iter().chain([root, next]).map(copies).collect();
    assert_eq!(left, [0; 5], "copies of the texts, and of the keys of roots");
    assert!(copies(issuing) > 0, "the key that signs is in use");
    drop(authority);
    assert_eq!(copies(issuing), 0, "copies of the key that signed");
}
