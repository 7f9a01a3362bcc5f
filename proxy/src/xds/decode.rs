//! Envoy v3 → the proxy's own model, one resource at a time.
//!
//! Every decoder takes out of a message what it honours and then asks that nothing is left (`nothing_else`), so
//! nothing is ignored in silence. Taken and not looked at are only: names of virtual hosts, filters, filter
//! chains, policies and sockets; `stat_prefix`, `alt_stat_name`, `observability_name`; a listener's addresses and
//! `bind_to_port` (the flags say where this proxy listens) and how long it waits for first bytes; `ConfigSource.initial_fetch_timeout`; a locality
//! group's `metadata` and weight (endpoints have their own); metadata under keys that are not Weft's.
//! Pure: no I/O, no clock; must never panic, whatever the bytes.

mod access;
mod addresses;
mod affinity;
mod cluster;
mod denied;
mod endpoint;
mod http;
mod inbound;
mod listener;
mod rate_limit;
mod reject;
mod route;
mod secret;
mod settings;
mod telemetry;
mod tls;
mod value;

use prost::Message;
use weft_certs::{TrustBundle, TrustDomain};
use weft_proto::envoy::cluster::Cluster;
use weft_proto::envoy::core::TrafficDirection;
use weft_proto::envoy::endpoint::ClusterLoadAssignment;
use weft_proto::envoy::listener::Listener;
use weft_proto::envoy::route::RouteConfiguration;
use weft_proto::envoy::tls::Secret;
use weft_proto::google::Any;

pub(crate) use reject::Reject;

use super::{Change, Kind};
use crate::model::Addresses;

/// Kind and name of a resource.
pub(crate) type Key = (Kind, String);

/// A resource in our words.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) payload: Payload,
    /// What must be there before it can take force.
    pub(crate) references: Vec<Key>,
}

/// Whom a resource is for.
#[derive(Debug)]
pub(crate) enum Payload {
    /// The data path.
    Change(Box<Change>),
    /// The identity component.
    TrustBundle(TrustBundle),
}

/// What decoding depends on besides the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) trust_domain: TrustDomain,
    /// The only inbound listener that is ours.
    pub(crate) inbound_listener: String,
}

/// Decodes the resource `name`.
pub(crate) fn decode(
    kind: Kind,
    name: &str,
    any: &Any,
    context: &Context,
) -> Result<Decoded, Reject> {
    check_type(kind, any)?;
    let decoded = match kind {
        Kind::Secret => trust_bundle(&any.value)?,
        Kind::Endpoints => {
            let found = endpoint::endpoints(value::message(&any.value)?, &context.trust_domain)?;
            check_name("cluster_name", &found.cluster, name)?;
            change(Change::Endpoints(found), Vec::new())
        }
        Kind::Cluster => {
            let found = cluster::cluster(value::message(&any.value)?)?;
            check_name("name", &found.name, name)?;
            let references = vec![(Kind::Endpoints, found.name.clone())];
            change(Change::Cluster(found), references)
        }
        Kind::Routes => {
            let found = route::table(value::message(&any.value)?)?;
            check_name("name", &found.name, name)?;
            let real =
                found.clusters.iter().filter(|name| !name.starts_with(route::INVALID_CLUSTER));
            let references = real.map(|name| (Kind::Cluster, name.clone())).collect();
            change(Change::Routes(found), references)
        }
        Kind::Listener => listener(value::message(&any.value)?, name, context)?,
        Kind::Addresses => {
            change(Change::Addresses(vec![decode_addresses(name, any)?]), Vec::new())
        }
        Kind::DenyList => {
            let found = denied::deny_list(value::message(&any.value)?)?;
            change(Change::DenyList(found), Vec::new())
        }
    };
    Ok(decoded)
}

/// The same of addresses alone: there are many.
pub(crate) fn decode_addresses(name: &str, any: &Any) -> Result<Addresses, Reject> {
    check_type(Kind::Addresses, any)?;
    addresses::addresses(value::message(&any.value)?, name)
}

/// Two resources that say the same. Their bytes may differ: the order of map fields means nothing.
pub(crate) fn is_same(kind: Kind, one: &Any, other: &Any) -> bool {
    fn equal<M: Message + Default + PartialEq>(one: &[u8], other: &[u8]) -> bool {
        one == other || matches!((M::decode(one), M::decode(other)), (Ok(a), Ok(b)) if a == b)
    }
    let (one, other) = (one.value.as_slice(), other.value.as_slice());
    match kind {
        Kind::Secret => equal::<Secret>(one, other),
        Kind::Endpoints => equal::<ClusterLoadAssignment>(one, other),
        Kind::Cluster => equal::<Cluster>(one, other),
        Kind::Routes => equal::<RouteConfiguration>(one, other),
        Kind::Listener => equal::<Listener>(one, other),
        Kind::Addresses | Kind::DenyList => one == other,
    }
}

fn change(change: Change, references: Vec<Key>) -> Decoded {
    Decoded { payload: Payload::Change(Box::new(change)), references }
}

fn trust_bundle(bytes: &[u8]) -> Result<Decoded, Reject> {
    let bundle = secret::trust_bundle(value::message(bytes)?)?;
    Ok(Decoded { payload: Payload::TrustBundle(bundle), references: Vec::new() })
}

fn listener(listener: Listener, name: &str, context: &Context) -> Result<Decoded, Reject> {
    check_name("name", &listener.name, name)?;
    match TrafficDirection::try_from(listener.traffic_direction) {
        Ok(TrafficDirection::Outbound) => {
            let found = listener::outbound(listener)?;
            let routes = found.routes.iter().map(|name| (Kind::Routes, name.clone()));
            let cluster = found.tcp_cluster.iter().map(|name| (Kind::Cluster, name.clone()));
            let references = routes.chain(cluster).collect();
            Ok(change(Change::Outbound(found), references))
        }
        Ok(TrafficDirection::Inbound) if name != context.inbound_listener => {
            Err(Reject::new("name", format!("must be {}", context.inbound_listener)))
        }
        Ok(TrafficDirection::Inbound) => {
            let found = inbound::inbound(listener, &context.trust_domain)?;
            Ok(change(Change::Inbound(found), Vec::new()))
        }
        Ok(TrafficDirection::Unspecified) | Err(_) => {
            Err(Reject::new("traffic_direction", "must be INBOUND or OUTBOUND"))
        }
    }
}

fn check_type(kind: Kind, any: &Any) -> Result<(), Reject> {
    if any.type_url == kind.type_url() {
        Ok(())
    } else {
        Err(Reject::new("", format!("type {} instead of {}", any.type_url, kind.type_url())))
    }
}

fn check_name(field: &str, inner: &str, outer: &str) -> Result<(), Reject> {
    if inner == outer {
        Ok(())
    } else {
        Err(Reject::new(field, format!("{inner:?} in a resource that is called {outer:?}")))
    }
}

#[cfg(test)]
mod tests;
