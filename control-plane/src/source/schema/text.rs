//! Texts that stand for something else, as the schemas of our kinds describe them: durations, names, headers.
//!
//! Only `JsonSchema` is here, for `#[schemars(with = "…")]` on fields that are read as text; what a text means
//! is read by `duration` and `names`. A pattern says what those take, so that the API server refuses what they
//! would refuse.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use weft_proto::names::ACCESS_LOG_FIELDS;

/// GEP-2257: at most four parts of at most five digits.
const DURATION: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";
/// Four parts of five digits and `ms`. Also bounds what a rule costs the API server.
const MAX_DURATION: usize = 28;

/// A rule in CEL, and what who breaks it is told.
pub(super) fn rule(rule: &str, message: &str) -> Value {
    json!({ "rule": rule, "message": message })
}

/// A duration within bounds that a rule states.
fn duration(within: &str, message: &str) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": DURATION,
        "maxLength": MAX_DURATION,
        "x-kubernetes-validations": [rule(within, message)],
    })
}

/// Defines types that are nothing but a schema.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $schema:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

texts! {
    /// As [`duration::positive`](crate::source::duration::positive) takes it.
    PositiveDuration = duration("duration(self) > duration('0s')", "must be more than zero");
    /// `healthCheck.interval` and `.timeout`.
    HealthCheckTime = duration("duration(self) >= duration('100ms')", "must be at least 100ms");
    /// `sessionAffinity.cookie.ttl`.
    CookieLifetime = duration("duration(self) >= duration('1s')", "cookies live for whole seconds");
    /// `rateLimits[].per`.
    RatePeriod = duration(
        "duration(self) >= duration('50ms') && duration(self) <= duration('1h')",
        "must be within 50ms and 1h"
    );
    /// `leafLifetime`.
    LeafLifetime = duration(
        "duration(self) >= duration('1s') && duration(self) <= duration('720h')",
        "must be within 1s and 720h"
    );
    /// `denied.identities[].identity`.
    DeniedName = json_schema!({
        "type": "string",
        "minLength": 3,
        "maxLength": 2048,
        "pattern": "^(spiffe://[a-z0-9._-]{1,255}/ns/[0-9A-Za-z._-]+/sa/[0-9A-Za-z._-]+\
                    |[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?)$",
    });
    /// `denied.serials[].serial`.
    SerialNumber = json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 62,
        "pattern": "^([0-9A-Fa-f]{1,42}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){0,20})$",
    });
    /// The times of `limits.http`.
    LimitTimeout = duration(
        "duration(self) > duration('0s') && duration(self) <= duration('1h')",
        "must be more than zero and at most 1h"
    );
    /// RFC 9110 token.
    Token = json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 256,
        "pattern": "^[0-9A-Za-z!#$%&'*+.^_`|~-]+$",
    });
    /// Path of a request, without query and fragment; what more it must not hold `names::path` says.
    HttpPath = json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 1024,
        "pattern": r"^/[-A-Za-z0-9/._~!$&'()*+,=:@%{}]*$",
    });
    /// Name of an object or host.
    Subdomain = json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "pattern": r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$",
    });
    /// A word or status of `retries.conditions`.
    RetryCondition = json_schema!({
        "x-kubernetes-int-or-string": true,
        "minimum": 400,
        "maximum": 599,
        "pattern": "^(connect-failure|refused-stream|reset|gateway-error|5xx|cancelled|deadline-exceeded|internal|\
                    resource-exhausted|unavailable|[45][0-9][0-9])$",
    });
    /// `accessLog.fields[]`.
    LogField = json_schema!({ "type": "string", "enum": ACCESS_LOG_FIELDS });
    /// How OTLP travels.
    OtlpProtocol = json_schema!({ "type": "string", "enum": ["grpc", "http/protobuf"] });
    /// Number or name of a port.
    PortSection = json_schema!({ "x-kubernetes-int-or-string": true });
    /// `rateLimits[].key`. A structural schema has no "this text or that object": what each keyword says holds
    /// for values of its own type only, so together they are that.
    LimitKey = json_schema!({
        "x-kubernetes-preserve-unknown-fields": true,
        "pattern": "^CallerIdentity$",
        "required": ["header"],
        "maxProperties": 1,
        "properties": { "header": Token::json_schema(&mut SchemaGenerator::default()) },
    });
    /// A field that other kinds of Kubernetes have there and that Weft refuses. It is named so that the API
    /// server refuses it too: a field that it does not know it drops, and a selector without it selects more.
    Unsupported = json_schema!({
        "type": "array",
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    });
}
