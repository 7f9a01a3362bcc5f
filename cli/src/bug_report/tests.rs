//! What is in the archive.

use std::io::Read;

use flate2::read::GzDecoder;

use super::*;
use crate::golden;

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

/// Of a mesh on this machine; and of a cluster whose control plane answers to half of it.
#[test]
fn contents_and_what_is_told_of_them() {
    let there = |name: String| Piece::new(name, Ok::<_, io::Error>(String::new()));
    let of = |place: &str| {
        let folder = answers::folder(place);
        answers::names().into_iter().map(move |name| there(format!("{folder}/{name}")))
    };
    let here: Vec<Piece> = of("/run/user/1000/weft/demo/control-plane/admin.sock").collect();
    golden::json("bug_report", "here", &shape(Path::new("report.tar.gz"), &here));
    golden::plain("bug_report", "here", &notes(&here).join("\n"));

    let silent = || {
        Err(io::Error::other(
            "nothing answers at pod weft-control-plane-7d4: no answer within 45 s",
        ))
    };
    let mut cluster: Vec<Piece> = of("pod weft-control-plane-7d4").take(6).collect();
    cluster.push(Piece::new("pod-weft-control-plane-7d4/metrics.txt", silent()));
    let forbidden =
        io::Error::other("events is forbidden: User \"ada\" cannot list resource \"events\"");
    cluster.push(Piece::new("cluster/events.txt", Err(forbidden)));
    cluster.push(there("cluster/MeshConfig.yaml".to_owned()));
    golden::json("bug_report", "cluster", &shape(Path::new("report.tar.gz"), &cluster));
    golden::plain("bug_report", "cluster", &notes(&cluster).join("\n"));
}
