//! Cluster → [`ClusterSpec`].

mod health;
mod limits;
mod outlier;
mod policy;

use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use weft_proto::envoy::cluster::Cluster;
use weft_proto::envoy::cluster::cluster::{
    ClusterDiscoveryType, DiscoveryType, EdsClusterConfig, TransportSocketMatch,
};
use weft_proto::envoy::http_options::{
    HttpProtocolOptions, http_protocol_options::UpstreamProtocolOptions,
};
use weft_proto::google::{Any, Struct, Value, value};
use weft_proto::names::metadata as keys;
use weft_proto::origin::Origin;

use super::reject::{At, Reject, each, nothing_else};
use super::tls;
use super::value::{ads, duration, metadata_text, origin, required, unpack};
use crate::model::ClusterSpec;

/// Envoy's own default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Decodes one cluster; its endpoints have its own name.
pub(super) fn cluster(mut cluster: Cluster) -> Result<ClusterSpec, Reject> {
    let name = take(&mut cluster.name);
    cluster.alt_stat_name = String::new();
    match cluster.cluster_discovery_type.take() {
        Some(ClusterDiscoveryType::Type(kind)) if kind == DiscoveryType::Eds as i32 => {}
        _ => return Err(Reject::new("type", "only EDS is supported")),
    }
    eds(&name, cluster.eds_cluster_config.take()).at("eds_cluster_config")?;
    let metadata = cluster.metadata.take();
    let origin = origin(metadata.as_ref())
        .unwrap_or_else(|| Origin { name: name.clone(), ..Origin::default() });
    let connect_timeout =
        duration("connect_timeout", &mut cluster.connect_timeout)?.unwrap_or(CONNECT_TIMEOUT);
    if connect_timeout.is_zero() {
        return Err(Reject::new("connect_timeout", "0 is not allowed"));
    }
    let (balancer, slow_start) = policy::balancer(&mut cluster)?;
    let prefer_local = match metadata_text(metadata.as_ref(), keys::LOCALITY, "mode") {
        "" => false,
        keys::PREFER_LOCAL => true,
        mode => {
            let reason = format!("mode: {mode:?} is not supported by weft-proxy");
            return Err(Reject::new(format!("metadata.{}", keys::LOCALITY), reason));
        }
    };
    let health_check = health::check(take(&mut cluster.health_checks))?.map(Arc::new);
    let outlier = outlier::detection(cluster.outlier_detection.take()).at("outlier_detection")?;
    let (mut limits, budget) =
        limits::breakers(cluster.circuit_breakers.take()).at("circuit_breakers")?;
    limits::queue(metadata.as_ref(), &mut limits).at("metadata")?;
    http_options(take(&mut cluster.typed_extension_protocol_options))
        .at("typed_extension_protocol_options")?;
    each("transport_socket_matches", take(&mut cluster.transport_socket_matches), socket)?;
    nothing_else(&cluster)?;
    Ok(ClusterSpec {
        name,
        origin,
        connect_timeout,
        balancer,
        prefer_local,
        slow_start,
        health_check,
        limits,
        outlier,
        budget,
    })
}

fn eds(cluster: &str, config: Option<EdsClusterConfig>) -> Result<(), Reject> {
    let mut config = config.unwrap_or_default();
    ads("eds_config", config.eds_config.take())?;
    let service = take(&mut config.service_name);
    if !service.is_empty() && service != cluster {
        return Err(Reject::new("service_name", "must be the cluster's own name"));
    }
    nothing_else(&config)
}

/// HTTP/1.1 stays HTTP/1.1 and HTTP/2 stays HTTP/2: the only thing this proxy does, so no other wish is taken.
fn http_options(options: std::collections::HashMap<String, Any>) -> Result<(), Reject> {
    for (key, any) in options {
        if key != HTTP_OPTIONS {
            return Err(Reject::new(key, "not supported by weft-proxy"));
        }
        let mut options: HttpProtocolOptions = unpack(HTTP_OPTIONS, Some(any))?;
        match options.upstream_protocol_options.take() {
            Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(mut version)) => {
                // Trailers pass in any case.
                if let Some(http1) = &mut version.http_protocol_options {
                    http1.enable_trailers = false;
                }
                take_default(&mut version.http_protocol_options);
                take_default(&mut version.http2_protocol_options);
                nothing_else(&version).at("use_downstream_protocol_config").at(HTTP_OPTIONS)?;
            }
            Some(
                UpstreamProtocolOptions::ExplicitHttpConfig(_)
                | UpstreamProtocolOptions::AutoConfig(_),
            )
            | None => {
                let reason = "only `use_downstream_protocol_config` is supported";
                return Err(Reject::new(HTTP_OPTIONS, reason));
            }
        }
        nothing_else(&options).at(HTTP_OPTIONS)?;
    }
    Ok(())
}

fn take_default<M: Default + PartialEq>(field: &mut Option<M>) {
    field.take_if(|set| *set == M::default());
}

/// `mesh: "true"` takes mutual TLS, everything else plaintext: the rule by which endpoints are decoded.
fn socket(mut socket: TransportSocketMatch) -> Result<(), Reject> {
    socket.name = String::new();
    let wanted = socket.r#match.take().unwrap_or_default();
    let transport = required("transport_socket", &mut socket.transport_socket)?;
    nothing_else(&socket)?;
    if wanted == Struct::default() {
        tls::plaintext(transport).at("transport_socket")
    } else if wanted == mesh() {
        tls::upstream(transport).at("transport_socket")
    } else {
        Err(Reject::new("match", "only `mesh: \"true\"` and the empty match are supported"))
    }
}

fn mesh() -> Struct {
    let yes = Value { kind: Some(value::Kind::StringValue("true".to_owned())) };
    Struct { fields: [("mesh".to_owned(), yes)].into() }
}
