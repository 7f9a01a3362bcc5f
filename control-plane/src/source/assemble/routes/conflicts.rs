//! What becomes of routes that want the same requests.

use std::collections::BTreeMap;

use crate::finding::Code;
use crate::model::{Key, Route, RouteKind, RouteMatch};
use crate::source::object::{Kind, ObjectId};

use super::{Attached, Notes};

/// Of the kinds of routes on one port only the most specific counts (GEP-1294, "Route types"): where there is a
/// GRPCRoute, HTTPRoutes are detached. Routes of producers and of each consuming namespace are apart.
pub(super) fn one_kind_on_a_port(all: &mut [Attached<'_>], notes: &mut Notes<'_>) {
    let mut grpc: BTreeMap<((Key, u16), String), &ObjectId> = BTreeMap::new();
    for one in all.iter().filter(|one| one.draft.route.kind == RouteKind::Grpc) {
        for place in &one.places {
            let group = (place.port.clone(), one.id.key.namespace.clone());
            grpc.entry(group).or_insert(one.id);
        }
    }
    for one in all.iter_mut().filter(|one| one.draft.route.kind == RouteKind::Http) {
        let id = one.id;
        one.places.retain(|place| {
            let group = (place.port.clone(), id.key.namespace.clone());
            let Some(winner) = grpc.get(&group) else { return true };
            let (service, port) = &place.port;
            let message = format!("{winner} is in force for port {port} of Service {service}");
            let field = format!("spec.parentRefs[{}]", place.parent);
            notes.add(id, field, Code::RouteConflicted, message);
            false
        });
    }
}

/// A match by the port, host name and callers' namespace where it counts.
type Claim<'a> = (&'a (Key, u16), &'a str, &'a str);

/// Says which rules come behind rules that match the same, wherever they apply.
pub(super) fn find_unreachable(routes: &[Route], notes: &mut Notes<'_>) {
    let mut claims: BTreeMap<Claim<'_>, BTreeMap<&RouteMatch, (&Route, usize)>> = BTreeMap::new();
    for route in routes {
        let id = id_of(route);
        let hostnames: Vec<&str> = match route.hostnames.as_slice() {
            [] => vec!["*"],
            names => names.iter().map(String::as_str).collect(),
        };
        for (index, rule) in route.rules.iter().enumerate() {
            let mut before = None;
            let mut reachable = false;
            for parent in &route.parents {
                for hostname in &hostnames {
                    let known = claims.entry((parent, hostname, &route.key.namespace)).or_default();
                    for wanted in &rule.matches {
                        match known.get(wanted) {
                            Some(earlier) => before = before.or(Some(*earlier)),
                            None => {
                                reachable = true;
                                known.insert(wanted, (route, index));
                            }
                        }
                    }
                }
            }
            if let (Some((earlier, number)), false) = (before, reachable) {
                let message = format!(
                    "rule {} of {} matches the same requests before it",
                    earlier.rules[number].name,
                    id_of(earlier)
                );
                notes.add(&id, format!("spec.rules[{index}]"), Code::UnreachableRule, message);
            }
        }
    }
}

fn id_of(route: &Route) -> ObjectId {
    let kind = match route.kind {
        RouteKind::Http => Kind::HttpRoute,
        RouteKind::Grpc => Kind::GrpcRoute,
    };
    ObjectId::new(kind, &route.key)
}
