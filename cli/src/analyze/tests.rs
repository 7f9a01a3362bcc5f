//! How findings are told, of a mesh and of files that somebody has left in every state.

use std::fs;

use super::*;
use crate::golden;

fn finding(severity: &str, file: &str, line: u64) -> Finding {
    Finding {
        code: "WEFT0101".to_owned(),
        severity: severity.to_owned(),
        file: file.to_owned(),
        line,
        object: "HTTPRoute shop/product".to_owned(),
        field: "spec.rules[0].backendRefs[1].name".to_owned(),
        message: "Service shop/product-v3 does not exist".to_owned(),
        hint: "correct the name".to_owned(),
    }
}

fn of(findings: Vec<Finding>, directory: Option<&str>) -> Analysis {
    let place = directory.map_or(Place::Mesh, |directory| Place::Directory(directory.into()));
    Analysis::new(place, findings)
}

#[test]
fn findings_of_a_mesh_say_what_where_and_how_to_mend_it() {
    let of_service = Finding {
        object: "Service shop/größe".to_owned(),
        field: String::new(),
        hint: String::new(),
        ..finding("info", "", 0)
    };
    let all =
        vec![finding("error", "shop.yaml", 14), finding("warning", "sub/a.yaml", 0), of_service];
    let found = of(all, None);
    golden::plain("analyze", "live", &draw(&found));
    golden::colored("analyze", "live", &draw(&found));
    golden::json("analyze", "live", &found.to_json());
    golden::plain("analyze", "nothing", &draw(&of(Vec::new(), None)));
    golden::json("analyze", "nothing", &of(Vec::new(), None).to_json());
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {ports: [{port: 80}]}\n";

/// A route whose second backend, on line 11, is not there.
const ROUTE: &str = "# The shop's.\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web, namespace: shop}\n\
                     spec:\n  parentRefs: [{group: '', kind: Service, name: web}]\n  rules:\n  - backendRefs:\n    - name: web\n      port: 80\n    \
                     - name: gone\n      port: 80\n";

fn analysis(files: &[(&str, &[u8])]) -> Analysis {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let found = read(&[directory.path().to_owned()]).unwrap();
    Analysis { place: Place::Directory("k8s/shop".into()), ..found }
}

#[test]
fn lines_are_right_whatever_wrote_the_file() {
    let crlf = format!("{SERVICE}---\n{}", ROUTE.replace("web, namespace", "crlf, namespace"));
    let marked = format!("\u{feff}{}", ROUTE.replace("web, namespace", "marked, namespace"));
    let found = analysis(&[
        ("crlf.yaml", crlf.replace('\n', "\r\n").as_bytes()),
        ("byte-order-mark.yaml", marked.as_bytes()),
        ("sub/plain.yml", ROUTE.as_bytes()),
        // Not read, or nothing to say of.
        ("empty.yaml", b""),
        ("comments.yaml", b"# later\r\n---\r\n"),
        (".hidden.yaml", b"a: ["),
        ("notes.txt", b"a: ["),
        // Broken, each in its own way; what stands beside it is read.
        (
            "broken.yaml",
            format!(
                "{}---\r\nkind: Service\r\nmetadata: [\r\n---\r\n{}",
                "# one\r\n",
                ROUTE.replace("web, namespace", "beside, namespace")
            )
            .as_bytes(),
        ),
        ("tabs.yaml", b"kind: Service\nspec:\n\tports: []\n"),
        ("utf-16.yaml", b"\xff\xfek\0i\0n\0d\0"),
        ("no-kind.yaml", b"\n\nmetadata: {name: web}\n"),
        ("text.yaml", b"hello\n"),
    ]);
    golden::plain("analyze", "files", &draw(&found));
    golden::json("analyze", "files", &found.to_json());
    let at = |file: &str| {
        let mut of_file = found.findings.iter().filter(|finding| finding.file == file);
        of_file.find(|finding| finding.code == "WEFT0101").map(|finding| finding.line)
    };
    // The key stands on line 11 of the route; of crlf.yaml it is behind a Service and a `---`.
    assert_eq!(at("sub/plain.yml"), Some(11));
    assert_eq!(at("byte-order-mark.yaml"), Some(11));
    assert_eq!(at("crlf.yaml"), Some(16));
    assert_eq!(at("broken.yaml"), Some(16));
}

#[test]
fn of_a_thousand_findings_none_is_lost() {
    let routes: String = (0..1000)
        .map(|number| {
            format!("{}---\n", ROUTE.replace("web, namespace", &format!("r{number}, namespace")))
        })
        .collect();
    let found = analysis(&[("all.yaml", format!("{SERVICE}---\n{routes}").as_bytes())]);
    let missing: Vec<u64> = found
        .findings
        .iter()
        .filter(|finding| finding.code == "WEFT0101")
        .map(|finding| finding.line)
        .collect();
    assert_eq!(missing, (0..1000).map(|number| 16 + 13 * number).collect::<Vec<u64>>());
    let text = draw(&found);
    assert!(text.contains("k8s/shop/all.yaml:13003"), "{}", &text[text.len() - 300..]);
    assert!(
        text.lines().last().unwrap().starts_with("1000 errors"),
        "{}",
        &text[text.len() - 300..]
    );
}

#[test]
fn a_directory_in_which_there_is_nothing_is_not_praised() {
    for files in [&[][..], &[("web.json", SERVICE.as_bytes()), ("empty.yaml", b"")]] {
        let text = draw(&analysis(files));
        golden::plain("analyze", "no-objects", &text);
    }
    assert!(draw(&analysis(&[("a.yaml", SERVICE.as_bytes())])).contains("WEFT"));
}

#[test]
fn what_a_file_says_drives_no_terminal() {
    let text = b"apiVersion: v1\nkind: \"a\\e[2J\\x9b2J\\nb\"\nmetadata: {name: \"\\e]0;x\\a\"}\n";
    let found = analysis(&[("a\u{1b}[2J.yaml", text)]);
    let plain = anstream::adapter::strip_str(&draw(&found)).to_string();
    assert!(plain.contains('\u{fffd}'), "{plain:?}");
    let colored = draw(&found).replace('\n', "");
    let commands = colored.split("\x1b[").skip(1).filter(|rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
    });
    assert_eq!(commands.count(), colored.matches('\x1b').count(), "colours only: {colored:?}");
    assert!(!colored.contains('\u{9b}'), "{colored:?}");
}

#[test]
fn what_is_not_there_is_an_error_not_a_finding() {
    let scratch = tempfile::tempdir().unwrap();
    let nowhere = scratch.path().join("nowhere");
    for paths in [&[nowhere.clone()][..], &[scratch.path().to_owned(), nowhere]] {
        let error = read(paths).unwrap_err().to_string();
        assert!(error.contains("nowhere"), "{error}");
    }
}

#[test]
fn files_and_directories_are_one_configuration() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    // Named, so it is read, whatever its name ends with.
    let route = file("route.txt", ROUTE);
    let services = file("services/sub/web.yaml", SERVICE);
    let services = services.parent().unwrap().parent().unwrap().to_owned();
    let found = |paths: &[PathBuf]| {
        let found = read(paths).unwrap();
        let codes: Vec<_> = found.findings.iter().map(|one| one.code.clone()).collect();
        (codes, found)
    };
    let (codes, alone) = found(std::slice::from_ref(&route));
    assert_eq!(codes, ["WEFT0104", "WEFT0101", "WEFT0101"]);
    assert!(alone.may_lack_the_rest());
    let (codes, whole) = found(&[route.clone(), services]);
    assert_eq!(codes, ["WEFT0101", "WEFT0405"]);
    let text = anstream::adapter::strip_str(&draw(&whole)).to_string();
    assert!(text.contains(&format!("{}:11", route.display())), "{text}");
    assert!(text.contains("services/sub/web.yaml"), "{text}");
}
