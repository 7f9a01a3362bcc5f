//! Real files in a real directory, waited for with a deadline; nothing sleeps.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::scan::Listing;
use super::*;
use crate::finding::Code;
use crate::model::Key;

/// Far above what any of this takes, so that a slow machine does not fail it.
const DEADLINE: Duration = Duration::from_secs(20);

struct Running {
    dir: TempDir,
    mesh: watch::Receiver<Arc<Mesh>>,
    findings: watch::Receiver<Arc<Vec<Finding>>>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    /// Runs a source on a directory `conf` inside a temporary one; it looks on events only.
    fn start(prepare: impl FnOnce(&Path)) -> Self {
        Self::start_with(prepare, |source| source.poll = Duration::from_secs(3600))
    }

    fn start_with(prepare: impl FnOnce(&Path), change: impl FnOnce(&mut DirectorySource)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let conf = dir.path().join("conf");
        if !conf.exists() {
            fs::create_dir(&conf).unwrap();
        }
        prepare(&conf);
        let mut source = DirectorySource::open(&conf).unwrap();
        change(&mut source);
        let (mesh, findings) = (source.mesh(), source.findings());
        Self { dir, mesh, findings, task: tokio::spawn(source.run()) }
    }

    fn conf(&self) -> PathBuf {
        self.dir.path().join("conf")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.conf().join(name), text).unwrap();
    }

    async fn until(&mut self, what: &str, holds: impl FnMut(&Arc<Mesh>) -> bool) -> Arc<Mesh> {
        let waited = timeout(DEADLINE, self.mesh.wait_for(holds)).await;
        let found = waited.map(|found| found.expect("the source runs").clone());
        found.unwrap_or_else(|_| {
            panic!("waited for {what}; findings: {:#?}", self.findings.borrow())
        })
    }

    async fn until_finding(&mut self, code: Code) -> Finding {
        let has =
            |findings: &Arc<Vec<Finding>>| findings.iter().any(|finding| finding.code == code);
        let waited = timeout(DEADLINE, self.findings.wait_for(has)).await;
        let found = waited.unwrap_or_else(|_| panic!("waited for {code}")).unwrap();
        found.iter().find(|finding| finding.code == code).unwrap().clone()
    }

    async fn until_names(&mut self, expected: &[&str]) -> Arc<Mesh> {
        let what = format!("Services {expected:?}");
        self.until(&what, |mesh| names(mesh) == expected).await
    }
}

fn names(mesh: &Mesh) -> Vec<&str> {
    mesh.services.keys().map(|key| key.name.as_str()).collect()
}

fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{selector: {{app: x}}, ports: [{{port: {port}}}]}}\n---\n"
    )
}

fn port(mesh: &Mesh, name: &str) -> Option<u16> {
    mesh.services.get(&Key::new("default", name)).map(|service| service.ports[0].port)
}

#[tokio::test]
async fn what_open_reads_is_there_at_once_and_hidden_and_other_files_are_not_read() {
    let running = Running::start(|conf| {
        fs::create_dir_all(conf.join("sub/deep")).unwrap();
        fs::create_dir(conf.join(".git")).unwrap();
        for (path, name) in [
            ("a.yaml", "a"),
            ("sub/b.yml", "b"),
            ("sub/deep/c.yaml", "c"),
            (".git/d.yaml", "d"),
            (".e.yaml", "e"),
            ("f.yaml~", "f"),
            ("g.txt", "g"),
        ] {
            fs::write(conf.join(path), service(name, 1)).unwrap();
        }
    });
    assert_eq!(names(&running.mesh.borrow()), ["a", "b", "c"]);
    let findings = running.findings.borrow();
    assert!(findings.iter().all(|finding| finding.code == Code::NoEndpoints), "{findings:?}");
    assert_eq!(findings[1].file, "sub/b.yml");
}

#[tokio::test]
async fn a_directory_that_is_not_there_cannot_be_opened() {
    let error = DirectorySource::open("/nonexistent/weft").unwrap_err();
    assert!(error.to_string().contains("/nonexistent/weft"), "{error}");
}

#[tokio::test]
async fn files_written_renamed_over_and_deleted_are_followed() {
    let mut running = Running::start(|_| {});
    running.write("a.yaml", &service("a", 1));
    running.until_names(&["a"]).await;

    let draft = running.dir.path().join("draft");
    fs::write(&draft, service("a", 2)).unwrap();
    fs::rename(&draft, running.conf().join("a.yaml")).unwrap();
    let mesh = running.until("the new port", |mesh| port(mesh, "a") == Some(2)).await;
    assert_eq!(mesh.services[&Key::new("default", "a")].origin.generation, 2);

    running.write("b.yaml", &service("b", 1));
    running.until_names(&["a", "b"]).await;
    fs::remove_file(running.conf().join("a.yaml")).unwrap();
    running.until_names(&["b"]).await;
}

#[tokio::test]
async fn without_events_the_poll_finds_changes() {
    let deaf = |source: &mut DirectorySource| {
        source.wake = Arc::new(Notify::new());
        source.poll = Duration::from_millis(10);
    };
    let mut running = Running::start_with(|_| {}, deaf);
    running.write("a.yaml", &service("a", 1));
    running.until_names(&["a"]).await;
    running.write("a.yaml", &service("a", 2));
    running.until("the new port", |mesh| port(mesh, "a") == Some(2)).await;
}

#[tokio::test]
async fn directories_made_later_are_followed_too() {
    let mut running = Running::start(|_| {});
    fs::create_dir_all(running.conf().join("x/y")).unwrap();
    running.write("x/y/a.yaml", &service("a", 1));
    running.until_names(&["a"]).await;
    running.write("x/y/a.yaml", &service("a", 2));
    running.until("the new port", |mesh| port(mesh, "a") == Some(2)).await;
    fs::remove_dir_all(running.conf().join("x")).unwrap();
    running.until_names(&[]).await;
}

#[tokio::test]
async fn links_are_swapped_as_kubernetes_does_with_config_maps() {
    let mut running = Running::start(|conf| {
        fs::create_dir(conf.join("..1")).unwrap();
        fs::write(conf.join("..1/a.yaml"), service("a", 1)).unwrap();
        symlink("..1", conf.join("..data")).unwrap();
        symlink("..data/a.yaml", conf.join("a.yaml")).unwrap();
    });
    assert_eq!(port(&running.mesh.borrow(), "a"), Some(1));
    let conf = running.conf();
    fs::create_dir(conf.join("..2")).unwrap();
    fs::write(conf.join("..2/a.yaml"), service("a", 2)).unwrap();
    symlink("..2", conf.join("..data_tmp")).unwrap();
    fs::rename(conf.join("..data_tmp"), conf.join("..data")).unwrap();
    fs::remove_dir_all(conf.join("..1")).unwrap();
    running.until("the new port", |mesh| port(mesh, "a") == Some(2)).await;
}

#[tokio::test]
async fn a_link_that_leads_back_is_walked_once() {
    let running = Running::start(|conf| {
        fs::write(conf.join("a.yaml"), service("a", 1)).unwrap();
        symlink(".", conf.join("again")).unwrap();
    });
    let findings = running.findings.borrow();
    assert!(findings.iter().all(|finding| finding.code == Code::NoEndpoints), "{findings:?}");
}

#[tokio::test]
async fn a_broken_file_keeps_its_objects_until_it_is_mended_or_deleted() {
    let mut running = Running::start(|conf| {
        fs::write(conf.join("a.yaml"), service("a", 1)).unwrap();
    });
    running.write("a.yaml", "a: [");
    running.write("b.yaml", &service("b", 1));
    let finding = running.until_finding(Code::InvalidYaml).await;
    assert!(finding.message.contains("last good version of 1 object"), "{finding}");
    running.until_names(&["a", "b"]).await;

    running.write("a.yaml", &service("a", 2));
    let mesh = running.until("the new port", |mesh| port(mesh, "a") == Some(2)).await;
    assert_eq!(names(&mesh), ["a", "b"]);
    running.write("a.yaml", "a: [");
    running.until_finding(Code::InvalidYaml).await;
    fs::remove_file(running.conf().join("a.yaml")).unwrap();
    running.until_names(&["b"]).await;
}

#[tokio::test]
async fn a_file_that_is_not_text_too_large_or_a_dangling_link_is_told_and_kept() {
    let mut running = Running::start(|conf| {
        for name in ["a", "b", "c"] {
            fs::write(conf.join(format!("{name}.yaml")), service(name, 1)).unwrap();
        }
    });
    fs::write(running.conf().join("a.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    assert_eq!(running.until_finding(Code::FileUnreadable).await.file, "a.yaml");
    running.write("b.yaml", &"#".repeat(5 * 1024 * 1024));
    assert_eq!(running.until_finding(Code::FileTooLarge).await.file, "b.yaml");
    fs::remove_file(running.conf().join("c.yaml")).unwrap();
    running.until_names(&["a", "b"]).await;
    symlink("nowhere", running.conf().join("c.yaml")).unwrap();
    let told =
        |findings: &Arc<Vec<Finding>>| findings.iter().any(|finding| finding.file == "c.yaml");
    timeout(DEADLINE, running.findings.wait_for(told)).await.unwrap().unwrap();
    running.until_names(&["a", "b"]).await;
}

#[tokio::test]
async fn a_directory_that_goes_away_forgets_nothing_and_is_found_again() {
    let mut running = Running::start(|conf| {
        fs::write(conf.join("a.yaml"), service("a", 1)).unwrap();
    });
    let aside = running.dir.path().join("aside");
    fs::rename(running.conf(), &aside).unwrap();
    let finding = running.until_finding(Code::FileUnreadable).await;
    assert!(finding.message.contains("last good content stays in force"), "{finding}");
    assert_eq!(names(&running.mesh.borrow()), ["a"]);

    fs::create_dir(running.conf()).unwrap();
    running.write("b.yaml", &service("b", 1));
    running.until_names(&["b"]).await;
    running.write("b.yaml", &service("b", 2));
    running.until("the new port", |mesh| port(mesh, "b") == Some(2)).await;
}

#[tokio::test]
async fn a_file_left_empty_is_believed_without_another_event() {
    let mut running = Running::start(|conf| {
        fs::write(conf.join("a.yaml"), service("a", 1)).unwrap();
        fs::write(conf.join("b.yaml"), service("b", 1)).unwrap();
    });
    running.write("a.yaml", "");
    running.until_names(&["b"]).await;
}

#[tokio::test]
async fn a_scan_leaves_a_freshly_emptied_file_for_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.yaml");
    fs::write(&path, service("a", 1)).unwrap();
    let mut scanner = Scanner::new(dir.path().to_owned());
    assert_eq!(scanner.scan(SystemTime::now(), &mut |_| {}).changed.len(), 1);

    fs::write(&path, "").unwrap();
    let emptied = fs::metadata(&path).unwrap().modified().unwrap();
    let found = scanner.scan(emptied + Duration::from_millis(10), &mut |_| {});
    assert!(found.unsettled && found.changed.is_empty() && found.gone.is_empty());
    let found = scanner.scan(emptied + Duration::from_secs(1), &mut |_| {});
    assert!(!found.unsettled && found.changed.len() == 1);
    let found = scanner.scan(emptied + Duration::from_secs(2), &mut |_| {});
    assert!(found.changed.is_empty(), "nothing changed since");
}

#[tokio::test]
async fn what_is_written_while_a_scan_is_under_way_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.yaml");
    let modified = || fs::metadata(&path).unwrap().modified().unwrap();
    let moment = Duration::from_millis(10);
    fs::write(&path, service("a", 1)).unwrap();
    let mut scanner = Scanner::new(dir.path().to_owned());
    let mut read = |now| scanner.scan(now, &mut |_| {}).changed.len();
    assert_eq!(read(modified() - moment), 1);
    // It may have been written again since, with the same time.
    assert_eq!(read(modified() + Duration::from_secs(1)), 1);
    assert_eq!(read(modified() + Duration::from_secs(2)), 0);

    fs::write(&path, "").unwrap();
    let found = scanner.scan(modified() - moment, &mut |_| {});
    assert!(found.unsettled && found.changed.is_empty());
}

#[tokio::test]
async fn a_sub_directory_that_may_not_be_read_keeps_its_files() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/a.yaml"), service("a", 1)).unwrap();
    let mut scanner = Scanner::new(dir.path().to_owned());
    scanner.scan(SystemTime::now(), &mut |_| {});
    // Permissions cannot show it: the tests may be run by the superuser.
    let listing = Listing { unreadable: vec!["sub/".to_owned()], ..Listing::default() };
    assert_eq!(scanner.compare(listing, SystemTime::now()).gone, Vec::<String>::new());
    assert_eq!(scanner.compare(Listing::default(), SystemTime::now()).gone, ["sub/a.yaml"]);
}

#[tokio::test]
async fn analyze_directory_reads_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), service("a", 1) + "kind: [").unwrap();
    let (mesh, findings) = analyze_directory(dir.path()).unwrap();
    assert_eq!(names(&mesh), ["a"]);
    let codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::NoEndpoints, Code::InvalidYaml]);
    assert!(analyze_directory(&dir.path().join("none")).is_err());
}
