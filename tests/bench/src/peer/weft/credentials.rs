//! Certificates for the tests of refusal, made as Weft makes its own: the genuine ones by the mesh's CA, whose
//! directory is ours to read, the forged ones by a CA of the same trust domain that nobody trusts. All four
//! differ from a sidecar's in nothing but that.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use weft_certs::{Authority, Lifetimes, SpiffeId, TrustDomain};

use crate::peer::{CLIENT, Credentials, SERVER, Subject};
use crate::pki::Identity;

/// Longer than any run.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Issues all of them into `dir`.
pub(super) fn issue(ca: &Path, dir: PathBuf) -> Result<Credentials> {
    fs::create_dir_all(&dir)?;
    let trust_domain: TrustDomain = super::manifests::TRUST_DOMAIN.parse()?;
    let now = SystemTime::now();
    let genuine = Issuer { authority: Authority::load_or_create(ca, &trust_domain, now)?, dir };
    let rogue = Authority::create(&trust_domain, now, Lifetimes::default())?;
    let rogue = Issuer { authority: rogue, dir: genuine.dir.clone() };
    Ok(Credentials {
        client: genuine.leaf("client", CLIENT)?,
        server: genuine.leaf("server", SERVER)?,
        rogue_client: rogue.leaf("rogue-client", CLIENT)?,
        rogue_server: rogue.leaf("rogue-server", SERVER)?,
    })
}

struct Issuer {
    authority: Authority,
    dir: PathBuf,
}

impl Issuer {
    fn leaf(&self, name: &str, subject: Subject<'_>) -> Result<Identity> {
        let id = SpiffeId::parse(subject.spiffe_id)?;
        let leaf = self.authority.leaf_for(&id, LIFETIME, SystemTime::now())?;
        let file = self.dir.join(format!("{name}.pem"));
        let mut private =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
        private.write_all(leaf.to_pem().as_bytes())?;
        Ok(Identity { certificate: file.clone(), key: file.clone(), combined: file })
    }
}
