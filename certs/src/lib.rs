//! Identity that both planes of Weft share: SPIFFE ids, keys, CSRs, the CA, trust bundles, and the
//! check of a peer's certificate.
//!
//! Called by the control plane (it runs the [`Authority`] and terminates TLS) and by the proxy (it
//! makes keys and CSRs, and both accepts and opens mutual TLS). This crate knows no network, no xDS
//! and no configuration: what it needs arrives as arguments, the time included.
//!
//! The life of an identity, and where to read it:
//!
//! 1. [`PrivateKey::generate`] in the proxy; the key never leaves it.
//! 2. [`csr::create`] asks for exactly one name, [`csr::verify`] reads that in the control plane.
//! 3. [`Authority::issue`] signs it if the name is the one that the caller proved.
//! 4. [`Leaf`] puts chain and key together; [`TrustBundle`] says whose chains are believed.
//! 5. [`tls::server_config`] and [`tls::client_config`] turn both into rustls configurations.
//! 6. [`verify::peer`] after **every** handshake, a resumed one too: rustls calls no certificate
//!    verifier on resumption, so identity and expiry are looked at again by the caller.
//!
//! What holds throughout: keys are ECDSA P-256; the name of a workload is its URI SAN and never a
//! common name; private keys are never printed by `Debug`; no function here panics on input.

mod authority;
mod bundle;
mod clock;
pub mod csr;
mod denied;
mod key;
mod leaf;
pub mod life;
mod pem;
mod serving;
mod spiffe;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod verify;
mod x509;

pub use authority::{
    Authority, AuthorityError, Change, Curve, ExternalIssuer, IssueError, Issued, IssuerFault,
    Lifetimes, Root, RootState, Signer, SignerError, StoreError,
};
pub use bundle::{BundleError, TrustBundle};
pub use denied::{Denial, Denied, Denies, DenyList, Serial, SerialError};
pub use key::{KeyError, PrivateKey};
pub use leaf::{Leaf, LeafError};
pub use pem::PemError;
pub use serving::{ServingAuthorities, ServingCertificate, ServingError};
pub use spiffe::{IdError, SpiffeId, TrustDomain};
pub use verify::{ExpiredPeer, Peer, PeerError, Standing};
pub use x509::CertificateError;
