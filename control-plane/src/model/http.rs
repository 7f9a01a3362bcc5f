//! Limits of HTTP connections, as far as the mesh sets them; the proxies have defaults for the rest.

use std::time::Duration;

/// `limits.http` of `MeshConfig`. What is absent is left to the proxies, whose own flags count first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpLimits {
    /// From the first byte of an HTTP/1 head to its last.
    pub head_timeout: Option<Duration>,
    /// Header fields of a request.
    pub header_fields: Option<u32>,
    /// Streams of one HTTP/2 connection side by side.
    pub streams: Option<u32>,
    /// Request headers held for one HTTP/2 connection, KiB.
    pub header_budget: Option<u32>,
    /// Memory of all HTTP/2 connections of a proxy, MiB.
    pub memory: Option<u32>,
    /// Streams that a client may make a proxy reset.
    pub local_resets: Option<u32>,
    /// How long the data of an HTTP/2 response may wait.
    pub stall_timeout: Option<Duration>,
}
