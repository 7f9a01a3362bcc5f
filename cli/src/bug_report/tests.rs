//! What is in the archive.

use std::io::Read;

use flate2::read::GzDecoder;

use super::*;

#[test]
fn what_was_gathered_is_in_the_archive_and_what_was_not_says_why() {
    let pieces = [
        Piece::new("a/b.json", Ok::<_, io::Error>("{}".to_owned())),
        Piece::new("c.txt", Err(io::Error::other("nobody answers"))),
        Piece::new("long.log", Ok::<_, io::Error>("x".repeat(MAX_PIECE) + "the end")),
    ];
    assert!(!pieces[0].is_missing() && pieces[1].is_missing());
    let mut packed = Vec::new();
    pack(&mut packed, "report", &pieces).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(packed.as_slice()));
    let found: Vec<(String, String)> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), text)
        })
        .collect();
    assert_eq!(found[0], ("report/a/b.json".to_owned(), "{}".to_owned()));
    assert_eq!(found[1], ("report/c.txt.missing".to_owned(), "nobody answers\n".to_owned()));
    assert_eq!((found[2].0.as_str(), found[2].1.len()), ("report/long.log", MAX_PIECE));
    assert!(found[2].1.ends_with("xthe end"), "the end is kept");
}
