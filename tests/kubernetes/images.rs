//! The images that tests make are those of the Containerfile, and the same files make the same bytes.

use std::fs;

use crate::harness::kubernetes::{Stage, busybox, containerfile, final_stages};

#[test]
fn the_containerfile_has_four_images_without_root_but_where_rules_are_made() {
    let text = fs::read_to_string(containerfile()).unwrap();
    let stages = final_stages(&text).unwrap();
    let users: Vec<_> =
        stages.iter().map(|stage| (stage.name.as_str(), stage.user.as_str())).collect();
    let expected = [
        ("weft-proxy", "1980:1980"),
        ("weft-init", "0:0"),
        ("weft-control-plane", "1980:1980"),
        ("weft", "1980:1980"),
    ];
    assert_eq!(users, expected);
}

#[test]
fn final_stages_are_read() {
    let text = "# A comment\nFROM rust AS build\nRUN a \\\n  b\n\nFROM scratch AS one\n\
                COPY --from=build /rootfs/one /\nENV A=b\nUSER 1:2\nENTRYPOINT [\"/one\", \"x\"]\n";
    let expected = Stage {
        name: "one".to_owned(),
        root: "/rootfs/one".to_owned(),
        variables: vec!["A=b".to_owned()],
        user: "1:2".to_owned(),
        entrypoint: vec!["/one".to_owned(), "x".to_owned()],
    };
    assert_eq!(final_stages(text).unwrap(), [expected]);
}

#[test]
fn what_is_not_understood_is_an_error() {
    let whole =
        "FROM scratch AS one\nCOPY --from=build /rootfs/one /\nUSER 1\nENTRYPOINT [\"/one\"]\n";
    assert!(final_stages(whole).is_ok());
    for (line, error) in [
        ("RUN true", "not understood"),
        ("COPY x /", "only `--from=build DIRECTORY /`"),
        ("COPY --from=build /rootfs/two /", "copied twice"),
        ("ENTRYPOINT /one", "expected value"),
    ] {
        let found = format!("{:#}", final_stages(&format!("{whole}{line}\n")).unwrap_err());
        assert!(found.starts_with(&format!("one: {line}: ")) && found.contains(error), "{found}");
    }
    for missing in ["COPY", "USER", "ENTRYPOINT"] {
        let lines: Vec<&str> = whole.lines().filter(|line| !line.starts_with(missing)).collect();
        let found = final_stages(&lines.join("\n")).unwrap_err().to_string();
        assert!(found.starts_with("one lacks something"), "{missing}: {found}");
    }
}

#[test]
fn the_same_files_make_the_same_bytes() {
    let caches = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [first, second] = caches.each_ref().map(|cache| busybox(cache.path()).unwrap());
    assert_eq!(first.file_name(), second.file_name());
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());
    // One that is there is not made again.
    let made = fs::metadata(&first).unwrap().modified().unwrap();
    assert_eq!(busybox(caches[0].path()).unwrap(), first);
    assert_eq!(fs::metadata(&first).unwrap().modified().unwrap(), made);
}
