//! ALPN protocols of connections between sidecars. They mark a connection as the mesh's own and say what
//! travels inside it. Used by the proxy's connector and acceptor and by `translate`, never negotiated with
//! anything outside the mesh.

/// HTTP/1.1 inside mesh mTLS.
pub const HTTP1: &[u8] = b"weft-http/1.1";
/// HTTP/2 inside mesh mTLS.
pub const HTTP2: &[u8] = b"weft-h2";
/// Opaque bytes inside mesh mTLS.
pub const TCP: &[u8] = b"weft-tcp";

/// Every mesh protocol, in the order in which an acceptor prefers them.
pub const ALL: [&[u8]; 3] = [HTTP2, HTTP1, TCP];
