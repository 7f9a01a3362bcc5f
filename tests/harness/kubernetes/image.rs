//! Makes an image of files of this machine: one layer, as an OCI archive that containerd imports. The same files make
//! the same bytes, and an archive that is there already is not made again; it is known by what went into it. Nothing is
//! compressed: it only goes from one directory to another.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::digest::{self, SHA256};
use serde_json::{Value, json};

/// An image, and what it is made of.
#[derive(Debug)]
pub(super) struct Image {
    /// With its tag, as a pod asks for it.
    pub(super) name: String,
    /// What runs.
    pub(super) entrypoint: Vec<String>,
    /// Its arguments, if the pod gives none.
    pub(super) command: Vec<String>,
    /// `NAME=value`.
    pub(super) variables: Vec<String>,
    /// User and group, by number.
    pub(super) user: String,
    /// Its root file system.
    pub(super) content: Content,
}

/// A root file system.
#[derive(Debug)]
pub(super) enum Content {
    /// What the script `rootfs` makes of a program.
    Rootfs {
        /// The script.
        script: PathBuf,
        /// Its first argument.
        image: String,
        /// What changes the result: it lies in the directory that is the second argument.
        program: PathBuf,
    },
    /// Executables that need nothing else, and where they are in the image.
    Files(Vec<(PathBuf, String)>),
    /// Busybox under all its names.
    Busybox(PathBuf),
}

impl Image {
    /// Its archive, below `cache`; made if it is not there.
    ///
    /// # Errors
    /// A file is missing, or a program fails; names it.
    pub(super) fn archive(&self, cache: &Path) -> Result<PathBuf> {
        self.make(cache).with_context(|| self.name.clone())
    }

    fn make(&self, cache: &Path) -> Result<PathBuf> {
        let slug = self.name.replace(['/', ':'], "_");
        let archive = cache.join(format!("{slug}-{}.tar", &self.key()?[..16]));
        if archive.exists() {
            return Ok(archive);
        }
        fs::create_dir_all(cache)?;
        let work = tempfile::Builder::new().prefix(".image-").tempdir_in(cache)?;
        let root = work.path().join("root");
        self.content.assemble(&root)?;
        let layout = work.path().join("layout");
        self.lay_out(&root, &layout)?;
        let made = work.path().join("archive.tar");
        tar(&layout, &made)?;
        // Bound: of each image one archive, the newest.
        for old in fs::read_dir(cache)?.flatten() {
            if old.file_name().to_string_lossy().starts_with(&format!("{slug}-")) {
                let _ = fs::remove_file(old.path());
            }
        }
        fs::rename(made, &archive)?;
        Ok(archive)
    }

    /// Of everything that changes the archive.
    fn key(&self) -> Result<String> {
        let mut context = digest::Context::new(&SHA256);
        context.update(format!("{self:?}").as_bytes());
        // Which libraries this machine has.
        context.update(&fs::read("/etc/ld.so.cache").unwrap_or_default());
        for path in self.content.inputs() {
            let file = fs::read(path).with_context(|| path.display().to_string())?;
            context.update(digest::digest(&SHA256, &file).as_ref());
        }
        Ok(hex(context.finish().as_ref()))
    }

    /// The directory that an OCI archive holds.
    fn lay_out(&self, root: &Path, layout: &Path) -> Result<()> {
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        let layer = blobs.join(".layer");
        tar(root, &layer)?;
        let layer = blob(&blobs, &fs::read(&layer)?, "layer.v1.tar").and_then(|described| {
            fs::remove_file(&layer)?;
            Ok(described)
        })?;
        let platform = json!({"architecture": architecture(), "os": "linux"});
        let config = json!({
            "architecture": platform["architecture"], "os": platform["os"],
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
            "config": {"Entrypoint": self.entrypoint, "Cmd": self.command, "User": self.user, "Env": self.variables},
        });
        let config = blob(&blobs, &serde_json::to_vec(&config)?, "config.v1+json")?;
        let manifest = json!({"schemaVersion": 2, "mediaType": media("manifest.v1+json"),
            "config": config, "layers": [layer]});
        let mut manifest = blob(&blobs, &serde_json::to_vec(&manifest)?, "manifest.v1+json")?;
        manifest["platform"] = platform;
        manifest["annotations"] = json!({"io.containerd.image.name": self.name});
        let index = json!({"schemaVersion": 2, "mediaType": media("index.v1+json"), "manifests": [manifest]});
        fs::write(layout.join("index.json"), serde_json::to_vec(&index)?)?;
        fs::write(layout.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(())
    }
}

impl Content {
    fn inputs(&self) -> Vec<&Path> {
        match self {
            Self::Rootfs { script, program, .. } => vec![script, program],
            Self::Files(files) => files.iter().map(|(from, _)| from.as_path()).collect(),
            Self::Busybox(program) => vec![program],
        }
    }

    fn assemble(&self, root: &Path) -> Result<()> {
        match self {
            Self::Rootfs { script, image, program } => {
                let binaries = program.parent().context("a program lies in a directory")?;
                succeed(Command::new(script).arg(image).arg(binaries).arg(root)).map(drop)
            }
            Self::Files(files) => {
                // Some programs want to write; containers have no other place.
                fs::create_dir_all(root.join("tmp"))?;
                fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
                files.iter().try_for_each(|(from, to)| {
                    install(from, &root.join(to.trim_start_matches('/')))
                })
            }
            Self::Busybox(program) => {
                let directory = root.join("bin");
                install(program, &directory.join("busybox"))?;
                let names = succeed(Command::new(program).arg("--list"))?;
                for name in names.lines().filter(|name| *name != "busybox") {
                    symlink("busybox", directory.join(name))?;
                }
                Ok(())
            }
        }
    }
}

fn install(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file lies in a directory")?)?;
    let mut source = File::open(from).with_context(|| from.display().to_string())?;
    io::copy(&mut source, &mut File::create(to)?)?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o755))?)
}

/// Packs a directory; the same files make the same bytes.
fn tar(directory: &Path, to: &Path) -> Result<()> {
    let fixed =
        ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];
    succeed(Command::new("tar").args(fixed).arg("-C").arg(directory).arg("-cf").arg(to).arg("."))
        .map(drop)
}

fn blob(blobs: &Path, bytes: &[u8], kind: &str) -> Result<Value> {
    let digest = hex(digest::digest(&SHA256, bytes).as_ref());
    fs::write(blobs.join(&digest), bytes)?;
    Ok(json!({"mediaType": media(kind), "digest": format!("sha256:{digest}"), "size": bytes.len()}))
}

fn media(kind: &str) -> String {
    format!("application/vnd.oci.image.{kind}")
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn succeed(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?} cannot be started"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
