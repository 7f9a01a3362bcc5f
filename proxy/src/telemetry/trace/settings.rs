//! The environment's say in tracing: `OTEL_*` of the OpenTelemetry specification, as far as they concern
//! spans. Read by `config` at start and handed to [`super::Tracing`]; reads no environment itself. What they say of
//! collectors is read in [`crate::telemetry::export`].

use std::str::FromStr;

use super::context::Formats;
use crate::telemetry::export::settings::{Read, decode};
use crate::telemetry::export::{Batch, Otlp};

/// What the environment asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `OTEL_SDK_DISABLED`, or a `OTEL_TRACES_EXPORTER` other than `otlp`: no spans, headers pass untouched.
    pub disabled: bool,
    /// The way to collectors.
    pub otlp: Otlp,
    /// `service.name`; goes before the workload's.
    pub service_name: Option<String>,
    /// Further attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// Who is sampled.
    pub sampler: Sampler,
    /// Formats that are read.
    pub formats: Formats,
    /// Formats that are written whether they arrived or not.
    pub always_written: Formats,
}

/// Who is sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// The caller's decision counts, if it made one.
    pub parent_based: bool,
    /// Share of the other traces, 0 to 1; `None`: what the mesh says.
    pub ratio: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            disabled: false,
            otlp: Otlp::default(),
            service_name: None,
            resource: Vec::new(),
            sampler: Sampler { parent_based: true, ratio: None },
            formats: Formats { w3c: true, b3: true, b3_multi: true },
            always_written: Formats { w3c: true, ..Formats::default() },
        }
    }
}

impl Settings {
    /// Reads the variables with `read`. What cannot be heeded is told in words and left at its default.
    pub fn from_vars(read: impl Fn(&str) -> Option<String>) -> (Self, Vec<String>) {
        // By the specification an empty variable is one that is not set.
        let read = |name: &str| read(name).filter(|value| !value.trim().is_empty());
        let mut problems = Vec::new();
        let mut settings = Self::default();
        match Otlp::read(("TRACES", "OTEL_BSP"), Batch::default(), &read, &mut problems) {
            Some(otlp) => settings.otlp = otlp,
            None => settings.disabled = true,
        }
        settings.read_switches(&read, &mut problems);
        settings.read_resource(&read, &mut problems);
        settings.read_sampler(&read, &mut problems);
        if let Some(list) = read("OTEL_PROPAGATORS") {
            settings.read_propagators(&list, &mut problems);
        }
        (settings, problems)
    }

    fn read_switches(&mut self, read: Read<'_>, problems: &mut Vec<String>) {
        self.disabled |=
            read("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        match read("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => {}
            Some("none") => self.disabled = true,
            Some(other) => {
                self.disabled = true;
                problems.push(format!(
                    "OTEL_TRACES_EXPORTER={other}: only otlp and none are known; no spans"
                ));
            }
        }
    }

    fn read_resource(&mut self, read: Read<'_>, problems: &mut Vec<String>) {
        let list = read("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        for pair in list.split(',').filter(|pair| !pair.trim().is_empty()) {
            match pair.split_once('=').filter(|(key, _)| !key.trim().is_empty()) {
                Some((key, value)) => {
                    self.resource.push((decode(key.trim()), decode(value.trim())));
                }
                None => {
                    problems.push(format!("OTEL_RESOURCE_ATTRIBUTES: `{pair}` is no key=value"))
                }
            }
        }
        let named = self.resource.iter().position(|(key, _)| key == "service.name");
        let named = named.map(|position| self.resource.remove(position).1);
        self.service_name = read("OTEL_SERVICE_NAME").or(named);
    }

    fn read_sampler(&mut self, read: Read<'_>, problems: &mut Vec<String>) {
        let Some(name) = read("OTEL_TRACES_SAMPLER") else { return };
        let ratio = || match read("OTEL_TRACES_SAMPLER_ARG").map(|arg| f64::from_str(arg.trim())) {
            None => Ok(1.0),
            Some(Ok(ratio)) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
            Some(_) => Err("OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1".to_owned()),
        };
        let (parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name.as_str()),
        };
        let ratio = match root {
            "always_on" => Ok(1.0),
            "always_off" => Ok(0.0),
            "traceidratio" => ratio(),
            _ => Err(format!("OTEL_TRACES_SAMPLER={name} is not known")),
        };
        match ratio {
            Ok(ratio) => self.sampler = Sampler { parent_based, ratio: Some(ratio) },
            Err(problem) => problems.push(problem),
        }
    }

    fn read_propagators(&mut self, list: &str, problems: &mut Vec<String>) {
        let mut formats = Formats::default();
        for name in list.split(',').map(str::trim) {
            match name {
                "tracecontext" => formats.w3c = true,
                "b3" => formats.b3 = true,
                "b3multi" => formats.b3_multi = true,
                // Baggage passes through untouched in any case.
                "baggage" | "none" | "" => {}
                other => problems.push(format!("OTEL_PROPAGATORS: {other} is not known")),
            }
        }
        (self.formats, self.always_written) = (formats, formats);
    }
}

#[cfg(test)]
mod tests;
