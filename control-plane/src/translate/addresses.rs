//! Where the applications find a Service port: the index by which a proxy that intercepts their connections tells
//! where each of them wants to go. Only proxies that intercept ask for it.
//!
//! A workload may be dialled at its own address (a headless Service, a StatefulSet, a controller that chooses pods
//! itself). It then stands for the Service port that it belongs to, if that is exactly one, else for itself
//! ([`super::ports::alone`]).

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use weft_proto::config::{Address, Addresses};

use super::ports::Port;
use super::{Resource, encode::encode};

/// The addresses of one port; `None` if it can only be called by name. `shared`: where others are found too.
pub(super) fn addresses(port: &Port<'_>, shared: &HashSet<SocketAddr>) -> Option<Resource> {
    let service = port.addresses.iter();
    let endpoints = port.dialled().filter(|address| !shared.contains(address));
    let addresses = Addresses {
        service: service.map(|ip| encoded(SocketAddr::new(*ip, port.number))).collect(),
        endpoints: endpoints.map(encoded).collect(),
    };
    let nowhere = addresses.service.is_empty() && addresses.endpoints.is_empty();
    let encoded = || encode(&port.name, addresses).made_from(port.endpoint_origins());
    (!nowhere).then(encoded)
}

fn encoded(address: SocketAddr) -> Address {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    Address { ip, port: address.port().into() }
}

#[cfg(test)]
mod tests;
