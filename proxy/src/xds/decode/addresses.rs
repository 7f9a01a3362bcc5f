//! Weft's own `Addresses` → [`Addresses`].

use std::net::{IpAddr, SocketAddr};

use weft_proto::config;

use super::reject::{Reject, each};
use crate::model::Addresses;

/// Decodes the addresses of the listener `name`.
pub(super) fn addresses(message: config::Addresses, name: &str) -> Result<Addresses, Reject> {
    let config::Addresses { service, endpoints } = message;
    Ok(Addresses {
        listener: name.into(),
        service: each("service", service, |address| one(&address))?,
        endpoints: each("endpoints", endpoints, |address| one(&address))?,
    })
}

fn one(address: &config::Address) -> Result<SocketAddr, Reject> {
    let bytes = address.ip.as_slice();
    let four = || <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let sixteen = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    let ip = four()
        .or_else(|_| sixteen())
        .map_err(|_| Reject::new("ip", format!("{} bytes, not 4 or 16", bytes.len())))?;
    let port = u16::try_from(address.port).ok().filter(|port| *port != 0);
    let port = port.ok_or_else(|| Reject::new("port", format!("{} is no port", address.port)))?;
    Ok(SocketAddr::new(ip, port))
}
