//! The images that tests need on a node: Weft's four, of the programs under test and by the same Containerfile as
//! everybody's; busybox; CoreDNS; and Jaeger under the name that `k8s/jaeger.yaml` asks for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::final_stages;
use super::image::{Content, Image};
use crate::harness::{binary, built, tool};

/// A shell and its tools, for applications in tests. Run as it is it does nothing for ever, so it is the sandbox too.
pub(crate) const BUSYBOX: &str = "weft.test/busybox:1";

/// Version of Weft's images.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Archives of all images that a node has from the beginning.
pub(super) fn of_node() -> Result<Vec<PathBuf>> {
    let mut archives: Vec<_> = weft()?.into_iter().map(|(_, archive)| archive).collect();
    archives.push(busybox(&cache())?);
    for image in [Some(coredns()), jaeger()].into_iter().flatten() {
        archives.push(image.archive(&cache())?);
    }
    Ok(archives)
}

/// Archives of Weft's own, by their names.
fn weft() -> Result<Vec<(String, PathBuf)>> {
    let stages = final_stages(&fs::read_to_string(containerfile())?)?;
    let archive = |stage: super::Stage| {
        let image = Path::new(&stage.root).file_name().context("a stage copies a directory")?;
        let image = image.to_string_lossy().into_owned();
        let content = Content::Rootfs {
            script: containerfile().with_file_name("rootfs"),
            program: binary(if image == "weft-init" { "weft-proxy" } else { &image }),
            image,
        };
        let image = Image {
            name: format!("weft.dev/{}:{VERSION}", stage.name),
            entrypoint: stage.entrypoint,
            command: Vec::new(),
            variables: stage.variables,
            user: stage.user,
            content,
        };
        Ok((stage.name, image.archive(&cache())?))
    };
    stages.into_iter().map(archive).collect()
}

/// Weft's own images: the name of each and its size in bytes, which is of all files in it, nothing compressed.
pub(crate) fn sizes() -> Result<Vec<(String, u64)>> {
    weft()?.into_iter().map(|(name, archive)| Ok((name, archive.metadata()?.len()))).collect()
}

/// The Containerfile of Weft's images.
pub(crate) fn containerfile() -> PathBuf {
    checkout().join("k8s/images/Containerfile")
}

/// Archive of the application of Gateway API's conformance suite, under the name that its manifests ask for. It wants a
/// certificate, and nobody looks at it.
pub(crate) fn echo() -> Result<PathBuf> {
    let name = fs::read_to_string(tool("echo-image"))?.trim().to_owned();
    let certificate = cache().join("echo.crt");
    let key = cache().join("echo-key");
    if !key.exists() {
        fs::create_dir_all(cache())?;
        let made = rcgen::generate_simple_self_signed(vec!["echo".to_owned()])?;
        fs::write(&certificate, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
    }
    let content = Content::Files(vec![
        (tool("echo-server"), "/usr/local/bin/server".to_owned()),
        (tool("echo-client"), "/usr/local/bin/client".to_owned()),
        (certificate, "/cert.crt".to_owned()),
        (key, "/cert.key".to_owned()),
    ]);
    Image { entrypoint: vec!["/usr/local/bin/server".to_owned()], ..image(name, content) }
        .archive(&cache())
}

/// Archive of a program that serves gRPC, with its health service: `weft.test/etcd:1`, which the cluster has anyway.
pub(crate) fn server_of_grpc() -> Result<PathBuf> {
    let content = Content::Files(vec![(tool("etcd"), "/etcd".to_owned())]);
    Image { entrypoint: vec!["/etcd".to_owned()], ..image("weft.test/etcd:1".to_owned(), content) }
        .archive(&cache())
}

/// Archive of busybox, below `cache`.
pub(crate) fn busybox(cache: &Path) -> Result<PathBuf> {
    let command = ["/bin/busybox", "sleep", "inf"].map(str::to_owned).to_vec();
    let content = Content::Busybox("/usr/bin/busybox".into());
    Image { command, ..image(BUSYBOX.to_owned(), content) }.archive(cache)
}

fn coredns() -> Image {
    let content = Content::Files(vec![(tool("coredns"), "/coredns".to_owned())]);
    let entrypoint = vec!["/coredns".to_owned()];
    Image { entrypoint, ..image("weft.test/coredns:1".to_owned(), content) }
}

/// As the official image is laid out, of the same program.
fn jaeger() -> Option<Image> {
    let manifest = fs::read_to_string(checkout().join("k8s/jaeger.yaml")).ok()?;
    let name = manifest.lines().find_map(|line| {
        let image = line.trim().trim_start_matches("- ").strip_prefix("image:")?.trim();
        image.contains("jaegertracing/jaeger").then(|| image.trim_matches('"').to_owned())
    })?;
    let program = "/cmd/jaeger/jaeger-linux".to_owned();
    let image = image(qualified(&name), Content::Files(vec![(tool("jaeger"), program.clone())]));
    let variables =
        [image.variables.clone(), vec!["JAEGER_LISTEN_HOST=0.0.0.0".to_owned()]].concat();
    Some(Image { entrypoint: vec![program], variables, user: "10001".to_owned(), ..image })
}

/// What a container engine makes of a name without a registry.
fn qualified(name: &str) -> String {
    let registry = name.split_once('/').map_or("", |(registry, _)| registry);
    if registry.contains(['.', ':']) { name.to_owned() } else { format!("docker.io/{name}") }
}

fn image(name: String, content: Content) -> Image {
    let variables = vec!["PATH=/usr/local/bin:/usr/bin:/bin".to_owned()];
    Image {
        name,
        entrypoint: Vec::new(),
        command: Vec::new(),
        variables,
        user: String::new(),
        content,
    }
}

/// Beside what cargo has built.
fn cache() -> PathBuf {
    built().join("images")
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout")
}
