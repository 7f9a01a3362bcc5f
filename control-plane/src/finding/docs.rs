//! `docs/reference/findings.md`, made from the table of codes. Only a test is here: it fails when the page is stale and says
//! how to make it anew.

use std::fmt::Write as _;
use std::path::Path;

use super::Code;

fn page() -> String {
    let mut page = "<!-- Made from the code; change it there and run: \
                    UPDATE_DOCS=1 cargo test -p weft-control-plane findings -->\n\n\
                    # Findings\n\n\
                    What `weft analyze` says of files and of a mesh, `GET /v1/analysis` of the control plane, and its log. A code is never \
                    reused and never changes its meaning. An `error` is not in force, a `warning` is but is probably not what was \
                    meant, an `info` is worth knowing.\n\n\
                    | code | severity | what | what to do |\n|---|---|---|---|\n"
        .to_owned();
    for info in Code::ALL {
        let (id, severity) = (info.id, info.severity.as_str());
        let _ = writeln!(page, "| `{id}` | {severity} | {} | {} |", info.title, info.remedy);
    }
    page
}

#[test]
fn the_page_of_findings_is_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/findings.md");
    if option_env!("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page(),
        "docs/reference/findings.md is stale; run: UPDATE_DOCS=1 cargo test -p weft-control-plane findings"
    );
}
