//! Judges traces: does every workload hand its context on? Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Category, Check};
use crate::admin::BrokenTraces;

/// What is done about it.
pub(crate) const MEND: &str = "have it copy traceparent and tracestate (or b3) from each request to the calls that follow from it: \
                               an OpenTelemetry SDK does; its traces end there until then";
/// Bound: workloads in one line.
const SHOWN: usize = 5;

/// One check for each service that does not, by its name, with the workloads that were seen.
pub(super) fn judge(broken: &[BrokenTraces]) -> Category {
    let mut services: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for one in broken {
        services.entry((&one.namespace, &one.name)).or_default().insert(&one.workload);
    }
    let mut checks: Vec<Check> = services
        .into_iter()
        .map(|((namespace, name), workloads)| {
            let more = if workloads.len() > SHOWN { " …" } else { "" };
            let seen: Vec<&str> = workloads.into_iter().take(SHOWN).collect();
            let seen = seen.join(", ");
            Check::warning(
                format!("{name} in {namespace} hands trace context on"),
                format!("it receives traceparent and calls on without it ({seen}{more})"),
                MEND,
            )
        })
        .collect();
    if checks.is_empty() {
        checks.push(Check::good("no workload is seen to break traces"));
    }
    Category { category_name: "traces", checks }
}
