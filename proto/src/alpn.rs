//! ALPN protocols of connections between sidecars. They mark a connection as the mesh's own and say what
//! travels inside it. Used by the proxy's connector and acceptor and by `translate`, never negotiated with
//! anything outside the mesh.

/// HTTP/1.1 inside mesh mTLS.
pub const HTTP1: &[u8] = b"weft-http/1.1";
/// HTTP/2 inside mesh mTLS.
pub const HTTP2: &[u8] = b"weft-h2";
/// Opaque bytes inside mesh mTLS.
pub const TCP: &[u8] = b"weft-tcp";

/// Opened before it is known what will travel: the first bytes of the caller say it, see [`word`].
pub const OPEN: &[u8] = b"weft-open";

/// What the caller says on a connection of [`OPEN`], one byte each. The application is not dialled before the first of
/// them. Behind [`SILENT`](word::SILENT) comes one of the others, when the caller knows more; behind that, the bytes.
pub mod word {
    /// The caller's client has said nothing yet: perhaps the server speaks first.
    pub const SILENT: u8 = b's';
    /// Opaque bytes.
    pub const TCP: u8 = b't';
    /// HTTP/1.1.
    pub const HTTP1: u8 = b'1';
}

/// What clients of the mesh say that are no sidecars (gRPC programs that speak xDS themselves). Taken only where nothing
/// but mutual TLS is: elsewhere it may as well be the application's own TLS.
pub const FOREIGN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Every mesh protocol that is named in configurations, in the order in which an acceptor prefers them.
pub const ALL: [&[u8]; 3] = [HTTP2, HTTP1, TCP];
