//! The last-good rules, one scene each.

use std::time::Duration;

use crate::model::{Key, MtlsMode};
use crate::source::testing::object;

use super::*;

/// A store that is told of files by name and text; `None` deletes.
#[derive(Default)]
struct Scene {
    store: Store,
    hours: u64,
}

impl Scene {
    fn change(&mut self, files: &[(&str, Option<&str>)]) -> &mut Self {
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        for (name, text) in files {
            match text {
                Some(text) => changed.push(((*name).to_owned(), Reading::Text((*text).to_owned()))),
                None => gone.push((*name).to_owned()),
            }
        }
        self.hours += 1;
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(self.hours * 3600);
        self.store.apply(changed, &gone, now);
        self
    }

    /// `name:port@generation` of every Service in force.
    fn services(&self) -> Vec<String> {
        let (mesh, _) = self.store.mesh();
        let one = |service: &crate::model::Service| {
            format!("{}:{}@{}", service.key.name, service.ports[0].port, service.origin.generation)
        };
        mesh.services.values().map(one).collect()
    }

    /// Messages of findings with this code.
    fn say(&self, code: Code) -> Vec<String> {
        let (_, findings) = self.store.mesh();
        findings
            .into_iter()
            .filter(|finding| finding.code == code)
            .map(|found| found.message)
            .collect()
    }
}

fn service(name: &str, port: u16) -> String {
    object("Service", name, &format!("{{selector: {{app: x}}, ports: [{{port: {port}}}]}}"))
}

fn broken(name: &str) -> String {
    object("Service", name, "{ports: none}")
}

const NOT_YAML: &str = "a: [\n---\n";

#[test]
fn generation_counts_changes_of_content_only() {
    let mut scene = Scene::default();
    let a = service("a", 1);
    assert_eq!(scene.change(&[("f", Some(&a))]).services(), ["a:1@1"]);
    let moved = format!("# a comment\n\n{a}");
    assert_eq!(scene.change(&[("f", Some(&moved))]).services(), ["a:1@1"]);
    assert_eq!(scene.change(&[("f", None), ("g", Some(&a))]).services(), ["a:1@1"], "moved");
    assert_eq!(scene.change(&[("g", Some(&service("a", 2)))]).services(), ["a:2@2"]);
    assert_eq!(scene.change(&[("g", Some(&a))]).services(), ["a:1@3"]);
    assert_eq!(scene.change(&[("g", None)]).services(), Vec::<String>::new());
    assert_eq!(scene.change(&[("g", Some(&a))]).services(), ["a:1@1"], "a new object");
}

#[test]
fn a_broken_object_keeps_its_last_good_version_and_its_neighbours_go_on() {
    let mut scene = Scene::default();
    scene.change(&[("f", Some(&(service("a", 1) + &service("b", 1))))]);
    scene.change(&[("f", Some(&(broken("a") + &service("b", 2))))]);
    assert_eq!(scene.services(), ["a:1@1", "b:2@2"]);
    let said = scene.say(Code::InvalidObject);
    assert_eq!(said.len(), 1);
    assert!(
        said[0].ends_with(
            "; the object's last good version, generation 1 from 1970-01-01T01:00:00Z, stays in force"
        ),
        "{said:?}"
    );
    // Breaking it differently, and again, changes nothing; mending it does.
    scene.change(&[("f", Some(&(object("Service", "a", "7") + &service("b", 2))))]);
    assert_eq!(scene.services(), ["a:1@1", "b:2@2"]);
    scene.change(&[("f", Some(&(service("a", 3) + &service("b", 2))))]);
    assert_eq!(scene.services(), ["a:3@2", "b:2@2"]);
    assert!(scene.say(Code::InvalidObject).is_empty());
}

#[test]
fn a_broken_object_that_was_never_good_is_not_in_force_and_that_is_told() {
    let mut scene = Scene::default();
    scene.change(&[("f", Some(&(broken("a") + &service("b", 1))))]);
    assert_eq!(scene.services(), ["b:1@1"]);
    assert!(scene.say(Code::InvalidObject)[0].ends_with("; this object is not in force"));
}

#[test]
fn a_file_that_is_no_yaml_keeps_everything_that_was_read_from_it() {
    let mut scene = Scene::default();
    scene.change(&[
        ("f", Some(&(service("a", 1) + &service("b", 1)))),
        ("g", Some(&service("c", 1))),
    ]);
    scene.change(&[("f", Some(NOT_YAML))]);
    assert_eq!(scene.services(), ["a:1@1", "b:1@1", "c:1@1"]);
    let said = scene.say(Code::InvalidYaml);
    assert!(
        said[0].ends_with("; the last good versions of 2 objects of this file stay in force"),
        "{said:?}"
    );
    // Another file changes meanwhile: still held.
    scene.change(&[("g", Some(&service("c", 2)))]);
    assert_eq!(scene.services(), ["a:1@1", "b:1@1", "c:2@2"]);
    scene.change(&[("f", None)]);
    assert_eq!(scene.services(), ["c:2@2"]);
}

#[test]
fn an_unreadable_file_is_held_like_a_broken_one() {
    let mut scene = Scene::default();
    scene.change(&[("f", Some(&service("a", 1)))]);
    let finding = Finding::new(Code::FileUnreadable, "permission denied").at("f", 0);
    scene.store.apply(
        vec![("f".to_owned(), Reading::Unreadable(finding))],
        &[],
        SystemTime::UNIX_EPOCH,
    );
    assert_eq!(scene.services(), ["a:1@1"]);
    assert!(scene.say(Code::FileUnreadable)[0].contains("1 object"));
}

#[test]
fn what_can_still_be_read_in_a_broken_file_counts() {
    let mut scene = Scene::default();
    scene.change(&[("f", Some(&(service("a", 1) + &service("b", 1))))]);
    // `b` may be the broken document; `a` is there and has changed.
    scene.change(&[("f", Some(&(service("a", 2) + NOT_YAML)))]);
    assert_eq!(scene.services(), ["a:2@2", "b:1@1"]);
    // Without the broken document `b` is deleted indeed.
    scene.change(&[("f", Some(&service("a", 2)))]);
    assert_eq!(scene.services(), ["a:2@2"]);
}

#[test]
fn an_object_that_moves_out_of_a_broken_file_is_that_of_its_new_file() {
    let mut scene = Scene::default();
    scene.change(&[("f", Some(&service("a", 1)))]);
    scene.change(&[("f", Some(NOT_YAML)), ("g", Some(&service("a", 2)))]);
    assert_eq!(scene.services(), ["a:2@2"]);
}

#[test]
fn an_object_that_breaks_while_it_moves_is_held() {
    let mut scene = Scene::default();
    scene.change(&[("f", Some(&service("a", 1)))]);
    scene.change(&[("f", None), ("g", Some(&broken("a")))]);
    assert_eq!(scene.services(), ["a:1@1"]);
    assert!(scene.say(Code::InvalidObject)[0].contains("stays in force"));
}

#[test]
fn of_two_the_first_by_path_is_in_force_and_the_other_is_told() {
    let mut scene = Scene::default();
    scene.change(&[("b", Some(&service("x", 2))), ("a", Some(&service("x", 1)))]);
    assert_eq!(scene.services(), ["x:1@1"]);
    assert_eq!(scene.say(Code::DuplicateObject), ["already written at a:1, which is in force"]);
    // While the first is broken its last good version goes before the other.
    scene.change(&[("a", Some(&broken("x")))]);
    assert_eq!(scene.services(), ["x:1@1"]);
    scene.change(&[("a", None)]);
    assert_eq!(scene.services(), ["x:2@2"]);
    assert!(scene.say(Code::DuplicateObject).is_empty());
}

#[test]
fn a_good_object_is_not_taken_down_by_a_broken_one_of_the_same_name() {
    let mut scene = Scene::default();
    scene.change(&[("a", Some(&broken("x"))), ("b", Some(&service("x", 2)))]);
    assert_eq!(scene.services(), ["x:2@1"]);
    assert!(scene.say(Code::InvalidObject)[0].ends_with("; this object is not in force"));
    scene.change(&[("b", Some(&service("x", 3)))]);
    assert_eq!(scene.services(), ["x:3@2"]);
}

#[test]
fn an_object_that_is_written_as_nothing_for_weft_is_gone() {
    let mut scene = Scene::default();
    scene.change(&[("f", Some(&service("a", 1)))]);
    let alias = object("Service", "a", "{type: ExternalName, externalName: b.example}");
    scene.change(&[("f", Some(&(alias + NOT_YAML)))]);
    assert_eq!(scene.services(), Vec::<String>::new());
}

#[test]
fn a_route_that_asks_for_what_weft_lacks_keeps_its_last_good_version() {
    let route = |filter: &str| {
        let spec = format!(
            "{{parentRefs: [{{group: '', kind: Service, name: a}}], rules: [{{{filter} backendRefs: [{{name: a, port: 1}}]}}]}}"
        );
        service("a", 1) + &object("HTTPRoute", "r", &spec)
    };
    let mut scene = Scene::default();
    scene.change(&[("f", Some(&route("")))]);
    scene.change(&[("f", Some(&route("filters: [{type: CORS, cors: {}}],")))]);
    let (mesh, _) = scene.store.mesh();
    assert_eq!(mesh.routes.len(), 1);
    assert_eq!(mesh.routes[0].parents, [(Key::new("shop", "a"), 1)]);
    assert!(scene.say(Code::UnsupportedValue)[0].contains("stays in force"));
}

#[test]
fn findings_stay_within_their_bound_and_the_worst_are_kept() {
    let mut findings = vec![Finding::new(Code::NoEndpoints, "w"); 3];
    for number in 0..MAX_FINDINGS {
        findings.push(Finding::new(Code::WorkloadNotSelected, number.to_string()));
    }
    findings.push(Finding::new(Code::InvalidYaml, "e"));
    let kept = in_order(findings);
    assert!(kept.len() <= MAX_FINDINGS);
    assert!(kept.iter().any(|finding| finding.code == Code::InvalidYaml));
    assert_eq!(
        kept.iter().filter(|finding| finding.code == Code::NoEndpoints).count(),
        1,
        "each once"
    );
}

#[test]
fn whom_broken_settings_deny_is_denied_beside_whom_the_last_good_ones_did() {
    let config = |spec: &str| {
        format!(
            "apiVersion: weft.dev/v1alpha1\nkind: MeshConfig\n\
             metadata: {{name: default, namespace: weft-system}}\nspec: {spec}\n"
        )
    };
    let denied = |scene: &Scene| {
        let (mesh, _) = scene.store.mesh();
        (mesh.config.mtls, mesh.config.denied.len(), mesh.config.origin.generation)
    };
    let good = config("{mtls: STRICT, denied: {serials: [{serial: '01'}]}}");
    let slip = config("{mtls: STRICTLY, denied: {serials: [{serial: '02'}, {serial: '0x3'}]}}");
    let mended = config("{mtls: STRICT, denied: {serials: [{serial: '02'}]}}");
    let mut scene = Scene::default();
    scene.change(&[("m.yaml", Some(&good))]);
    assert_eq!(denied(&scene), (MtlsMode::Strict, 1, 1));
    for _ in 0..2 {
        scene.change(&[("m.yaml", Some(&slip))]);
        assert_eq!(denied(&scene), (MtlsMode::Strict, 2, 2));
    }
    let said = scene.say(Code::InvalidObject).remove(0);
    assert!(said.contains("whom it denies is denied all the same"), "{said}");
    assert!(said.contains("stays in force"), "{said}");
    scene.change(&[("m.yaml", Some(&mended))]);
    assert_eq!(denied(&scene), (MtlsMode::Strict, 1, 3));
}
