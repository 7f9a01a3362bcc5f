//! The control plane's own numbers in Prometheus' text format. All of its metric names stand here and in [`trust`].
//!
//! Read from the parts when asked: nothing is counted a second time for the sake of this page.

mod page;
mod process;
mod trust;

use std::collections::BTreeMap;

use self::page::Page;
use super::View;
use crate::clock;
use crate::finding::Severity;
use crate::model::RouteKind;
use crate::translate::ResourceType;

/// Of the answer.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page.
pub(super) fn text(view: &View) -> String {
    let mut page = Page::default();
    build(&mut page);
    mesh(&mut page, view);
    findings(&mut page, view);
    publishing(&mut page, view);
    proxies(&mut page, view);
    responses(&mut page, view);
    certificates(&mut page, view);
    trust::roots(&mut page, &view.trust.here());
    telemetry(&mut page, view);
    injection(&mut page, view);
    process::write(&mut page);
    page.into_text()
}

fn build(page: &mut Page) {
    page.family(
        "weft_control_plane_build_info",
        "gauge",
        "Version of the control plane; always 1.",
    );
    page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
}

fn mesh(page: &mut Page, view: &View) {
    let mesh = view.mesh.borrow().clone();
    page.family("weft_control_plane_objects", "gauge", "Objects of the mesh in force, by kind.");
    let routes = |kind| mesh.routes.iter().filter(|route| route.kind == kind).count();
    for (kind, count) in [
        ("Service", mesh.services.len()),
        ("MeshWorkload", mesh.workloads.len()),
        ("HTTPRoute", routes(RouteKind::Http)),
        ("GRPCRoute", routes(RouteKind::Grpc)),
        ("TrafficPolicy", mesh.traffic_policies.len()),
        ("InboundPolicy", mesh.inbound_policies.len()),
        ("AccessPolicy", mesh.access_policies.len()),
        ("TelemetryPolicy", mesh.telemetry_policies.len() + mesh.route_telemetry.len()),
    ] {
        page.sample(&[("kind", kind)], count as u64);
    }
}

fn findings(page: &mut Page, view: &View) {
    let findings = view.findings.borrow().clone();
    page.family("weft_control_plane_findings", "gauge", "Findings about the configuration.");
    for severity in [Severity::Error, Severity::Warning, Severity::Info] {
        let count = findings.iter().filter(|finding| finding.severity() == severity).count();
        page.sample(&[("severity", severity.as_str())], count as u64);
    }
}

fn publishing(page: &mut Page, view: &View) {
    page.family(
        "weft_control_plane_config_generation",
        "gauge",
        "Counts the configurations that changed something for proxies; 0 before the first.",
    );
    page.sample(&[], *view.generation.borrow());
    let help = "Time from a change of the mesh until proxies are being told.";
    page.family("weft_control_plane_publish_seconds", "histogram", help);
    page.histogram(&view.latency.0);
}

fn proxies(page: &mut Page, view: &View) {
    let proxies = view.registry.list();
    let connected: Vec<_> = proxies.iter().filter(|proxy| proxy.connected).collect();
    page.family("weft_control_plane_proxies", "gauge", "Proxies with an open xDS stream.");
    page.sample(&[], connected.len() as u64);

    let (mut behind, mut rejecting) = (BTreeMap::new(), BTreeMap::new());
    for kind in connected.iter().flat_map(|proxy| &proxy.resources) {
        *behind.entry(kind.kind).or_insert(0) += u64::from(kind.acked != Some(kind.sent));
        *rejecting.entry(kind.kind).or_insert(0) += u64::from(kind.rejected.is_some());
    }
    for (name, help, counts) in [
        (
            "weft_control_plane_proxies_behind",
            "Connected proxies that have not acknowledged the last push, by resource type.",
            behind,
        ),
        (
            "weft_control_plane_proxies_rejecting",
            "Connected proxies that refused the last push, by resource type.",
            rejecting,
        ),
    ] {
        page.family(name, "gauge", help);
        for kind in ResourceType::ALL {
            let count = counts.get(&kind).copied().unwrap_or(0);
            page.sample(&[("type", kind.plural())], count);
        }
    }
}

fn responses(page: &mut Page, view: &View) {
    let counts = view.registry.counts();
    let help = "Responses of xDS that were sent, by resource type.";
    page.family("weft_control_plane_responses_total", "counter", help);
    for kind in ResourceType::ALL {
        page.sample(&[("type", kind.plural())], counts.of(kind).0);
    }
    let help = "Responses of xDS that a proxy refused (NACK), by resource type; what is not refused applies all the same.";
    page.family("weft_control_plane_nacks_total", "counter", help);
    for kind in ResourceType::ALL {
        page.sample(&[("type", kind.plural())], counts.of(kind).1);
    }
    let help = "Time from sending a response of xDS until the proxy answered it.";
    page.family("weft_control_plane_answer_seconds", "histogram", help);
    page.histogram(&counts.answered);
}

fn certificates(page: &mut Page, view: &View) {
    let ca = view.ca.numbers();
    let requests = "weft_control_plane_certificate_requests_total";
    page.family(requests, "counter", "Certificate requests of workloads, by result.");
    for (result, count) in [("issued", ca.issued), ("refused", ca.refused), ("failed", ca.failed)] {
        page.sample(&[("result", result)], count);
    }
    page.family("weft_control_plane_join_tokens", "gauge", "Join tokens not used yet.");
    page.sample(&[], ca.tokens as u64);
    let end = "weft_control_plane_issuing_certificate_not_after_seconds";
    page.family(end, "gauge", "End of the CA's issuing certificate, seconds since the epoch.");
    page.sample(&[], clock::unix(ca.not_after));
}

fn telemetry(page: &mut Page, view: &View) {
    let (edges, dropped) = view.telemetry.size();
    page.family("weft_control_plane_telemetry_edges", "gauge", "Edges with golden metrics.");
    page.sample(&[], edges as u64);
    let name = "weft_control_plane_telemetry_dropped_total";
    page.family(name, "counter", "Reported increments that were not counted: full, or malformed.");
    page.sample(&[], dropped);
}

fn injection(page: &mut Page, view: &View) {
    let Some(injector) = &view.injector else { return };
    let numbers = injector.counts.numbers();
    let help = "Pods that the API server asked about, by outcome.";
    page.family("weft_injection_total", "counter", help);
    for (outcome, count) in [
        ("injected", numbers.injected),
        ("skipped", numbers.skipped),
        ("denied", numbers.denied),
        ("failed", numbers.failed),
    ] {
        page.sample(&[("outcome", outcome)], count);
    }
    page.family("weft_injection_warnings_total", "counter", "Warnings in the injector's answers.");
    page.sample(&[], numbers.warnings);
    let help = "Events about pods without a sidecar that were not written.";
    page.family("weft_injection_events_dropped_total", "counter", help);
    page.sample(&[], numbers.events_dropped);
    let help = "ConfigMaps with the mesh's roots that were written, by result.";
    page.family("weft_trust_bundle_writes_total", "counter", help);
    page.sample(&[("result", "written")], numbers.bundles_written);
    page.sample(&[("result", "failed")], numbers.bundles_failed);
    let help = "End of the injector's certificate, seconds since the epoch; 0 before the first.";
    page.family("weft_webhook_certificate_not_after_seconds", "gauge", help);
    page.sample(&[], numbers.not_after);
}
