//! Each variable, what it changes, and what is said of values that cannot be heeded.

use super::{Formats, Sampler, Settings};

fn read(vars: &[(&str, &str)]) -> (Settings, Vec<String>) {
    Settings::from_vars(|name| {
        vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn nothing_set_is_the_default() {
    assert_eq!(read(&[]), (Settings::default(), vec![]));
    assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), (Settings::default(), vec![]));
}

#[test]
fn what_turns_spans_off() {
    for (vars, disabled, problems) in [
        ([("OTEL_SDK_DISABLED", "True")], true, 0),
        ([("OTEL_SDK_DISABLED", "1")], false, 0),
        ([("OTEL_TRACES_EXPORTER", "none")], true, 0),
        ([("OTEL_TRACES_EXPORTER", "otlp")], false, 0),
        ([("OTEL_TRACES_EXPORTER", "zipkin")], true, 1),
        ([("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], false, 0),
        ([("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], false, 0),
        ([("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")], true, 1),
    ] {
        let (settings, told) = read(&vars);
        assert_eq!((settings.disabled, told.len()), (disabled, problems), "{vars:?}");
    }
}

#[test]
fn names_and_attributes_of_the_resource() {
    let attributes =
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=a%2Cb, service.name=web,x=5%");
    let (settings, problems) = read(&[attributes]);
    assert_eq!(settings.service_name.as_deref(), Some("web"));
    let pairs = [("deployment.environment.name", "a,b"), ("x", "5%")];
    assert_eq!(settings.resource, pairs.map(|(k, v)| (k.to_owned(), v.to_owned())));
    assert_eq!(problems, [""; 0]);
    let (settings, _) = read(&[attributes, ("OTEL_SERVICE_NAME", "shop")]);
    assert_eq!(settings.service_name.as_deref(), Some("shop"));
    assert_eq!(read(&[("OTEL_RESOURCE_ATTRIBUTES", "novalue")]).1.len(), 1);
}

#[test]
fn samplers() {
    let arg = |value| ("OTEL_TRACES_SAMPLER_ARG", value);
    for (name, arg, parent_based, ratio, problems) in [
        ("always_on", arg("0.5"), false, Some(1.0), 0),
        ("always_off", arg(""), false, Some(0.0), 0),
        ("traceidratio", arg("0.25"), false, Some(0.25), 0),
        ("parentbased_always_on", arg(""), true, Some(1.0), 0),
        ("parentbased_always_off", arg(""), true, Some(0.0), 0),
        ("parentbased_traceidratio", arg("0.25"), true, Some(0.25), 0),
        ("parentbased_traceidratio", arg(""), true, Some(1.0), 0),
        ("parentbased_traceidratio", arg("2"), true, None, 1),
        ("traceidratio", arg("NaN"), true, None, 1),
        ("jaeger_remote", arg(""), true, None, 1),
    ] {
        let (settings, told) = read(&[("OTEL_TRACES_SAMPLER", name), arg]);
        assert_eq!(settings.sampler, Sampler { parent_based, ratio }, "{name} {arg:?}");
        assert_eq!(told.len(), problems, "{name} {arg:?}");
    }
}

#[test]
fn propagators_are_read_and_written_alike() {
    let (settings, problems) = read(&[("OTEL_PROPAGATORS", "b3multi, baggage,jaeger")]);
    let formats = Formats { b3_multi: true, ..Formats::default() };
    assert_eq!((settings.formats, settings.always_written), (formats, formats));
    assert_eq!(problems.len(), 1);
    assert_eq!(read(&[("OTEL_PROPAGATORS", "none")]).0.formats, Formats::default());
}
