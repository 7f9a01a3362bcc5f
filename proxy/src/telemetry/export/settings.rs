//! What the `OTEL_*` variables say of the way to collectors, for one kind of items: a variable of the kind's own
//! (`OTEL_EXPORTER_OTLP_TRACES_…`) goes before the one for all. Read by `trace::settings` and `access_log` at start;
//! reads no environment itself.

use std::path::PathBuf;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Limit on one call to a collector (`OTEL_EXPORTER_OTLP_TIMEOUT`).
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where items go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// `http://host:4317`, or of HTTP `http://host:4318`, to which the kind's path is added; or `https://`.
    pub endpoint: String,
    /// `None`: as the environment says, else by the endpoint's port.
    pub protocol: Option<Protocol>,
    /// The endpoint is the kind's own, and over HTTP taken as it is.
    pub exact: bool,
    /// Who signs its certificate, as PEM; `None`: as the environment says, else whom the system believes.
    pub authorities: Option<String>,
}

/// Files of TLS to collectors. Each is PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Who signs the collector's certificate (`OTEL_EXPORTER_OTLP_CERTIFICATE`).
    pub authorities: Option<PathBuf>,
    /// What we show (`OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`).
    pub certificate: Option<PathBuf>,
    /// The key of that (`OTEL_EXPORTER_OTLP_CLIENT_KEY`).
    pub key: Option<PathBuf>,
}

/// How OTLP travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`.
    Grpc,
    /// `http/protobuf`.
    HttpProtobuf,
}

/// The way to a collector, whichever it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Otlp {
    /// The environment's collector; goes before the mesh's.
    pub collector: Option<Collector>,
    /// What a collector speaks that does not say; `None`: by its port.
    pub protocol: Option<Protocol>,
    /// TLS to those that are `https://`.
    pub tls: Tls,
    /// Headers of every call.
    pub headers: HeaderMap,
    /// Limit on one call.
    pub timeout: Duration,
    /// How items are collected into calls.
    pub batch: Batch,
}

/// How items are collected into exports (`OTEL_BSP_*`, `OTEL_BLRP_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Bound on items that wait; more are dropped.
    pub queue: usize,
    /// Most items in one export.
    pub size: usize,
    /// Longest wait of an item for company.
    pub delay: Duration,
    /// Limit on one export.
    pub timeout: Duration,
}

impl Collector {
    /// One that says nothing of its protocol.
    #[must_use]
    pub fn at(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), protocol: None, exact: false, authorities: None }
    }

    /// What it speaks: what it says, else what the environment says. Else 4318 is OTLP's port for HTTP, and whatever has
    /// a path is HTTP; the rest is gRPC.
    #[must_use]
    pub fn protocol_of(&self, usual: Option<Protocol>) -> Protocol {
        self.protocol.or(usual).unwrap_or_else(|| {
            let uri = self.endpoint.parse::<http::Uri>().ok();
            let is_http =
                |uri: &http::Uri| uri.port_u16() == Some(4318) || !matches!(uri.path(), "" | "/");
            match uri.as_ref().is_some_and(is_http) {
                true => Protocol::HttpProtobuf,
                false => Protocol::Grpc,
            }
        })
    }
}

impl Protocol {
    /// Reads OpenTelemetry's word for it.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "grpc" => Some(Self::Grpc),
            "http/protobuf" => Some(Self::HttpProtobuf),
            _ => None,
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            queue: 2048,
            size: 512,
            delay: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
        }
    }
}

impl Batch {
    /// Log lines wait less: somebody may be watching them.
    pub(crate) fn of_logs() -> Self {
        Self { delay: Duration::from_secs(1), ..Self::default() }
    }
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            collector: None,
            protocol: None,
            tls: Tls::default(),
            headers: HeaderMap::new(),
            timeout: TIMEOUT,
            batch: Batch::default(),
        }
    }
}

/// Reads a variable that is not empty.
pub(crate) type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Otlp {
    /// Of a kind (`TRACES`, `LOGS`) whose batches have variables of that prefix (`OTEL_BSP`). What cannot be heeded is
    /// told in words and left at its default; with a protocol that is not spoken there is no collector, and `None` is
    /// returned beside.
    pub(crate) fn read(
        (kind, prefix): (&str, &str),
        default: Batch,
        read: Read<'_>,
        problems: &mut Vec<String>,
    ) -> Option<Self> {
        let own = |what: &str| read(&format!("OTEL_EXPORTER_OTLP_{kind}_{what}"));
        let any = |what: &str| read(&format!("OTEL_EXPORTER_OTLP_{what}"));
        let either = |what: &str| own(what).or_else(|| any(what));
        let protocol = match either("PROTOCOL") {
            None => None,
            Some(word) => match Protocol::parse(word.trim()) {
                Some(protocol) => Some(protocol),
                None => {
                    problems.push(format!(
                        "OTEL_EXPORTER_OTLP_PROTOCOL={word}: only grpc and http/protobuf are spoken; nothing is exported"
                    ));
                    return None;
                }
            },
        };
        let exact = own("ENDPOINT");
        let collector = exact.clone().or_else(|| any("ENDPOINT")).map(|endpoint| Collector {
            protocol,
            exact: exact.is_some(),
            ..Collector::at(endpoint.trim())
        });
        let file = |what: &str| either(what).map(|path| PathBuf::from(path.trim()));
        let tls = Tls {
            authorities: file("CERTIFICATE"),
            certificate: file("CLIENT_CERTIFICATE"),
            key: file("CLIENT_KEY"),
        };
        let timeout = match either("TIMEOUT").map(|text| text.trim().parse::<u32>()) {
            Some(Ok(millis @ 1..)) => Duration::from_millis(millis.into()),
            Some(_) => {
                problems.push("OTEL_EXPORTER_OTLP_TIMEOUT is no number of milliseconds".to_owned());
                TIMEOUT
            }
            None => TIMEOUT,
        };
        if either("COMPRESSION").is_some_and(|word| word.trim() != "none") {
            problems.push("OTEL_EXPORTER_OTLP_COMPRESSION: nothing is compressed".to_owned());
        }
        let headers = headers(&either("HEADERS").unwrap_or_default(), problems);
        let batch = batch(prefix, default, read, problems);
        Some(Self { collector, protocol, tls, headers, timeout, batch })
    }
}

/// `key=value,key=value`, percent-encoded.
fn headers(list: &str, problems: &mut Vec<String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for pair in list.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = HeaderName::try_from(name.trim());
        match (name, HeaderValue::try_from(decode(value.trim()))) {
            (Ok(name), Ok(value)) => {
                headers.append(name, value);
            }
            // The value may be a secret.
            (Err(_), _) | (_, Err(_)) => {
                problems.push("OTEL_EXPORTER_OTLP_HEADERS: a pair is no header".to_owned());
            }
        }
    }
    headers
}

fn batch(prefix: &str, default: Batch, read: Read<'_>, problems: &mut Vec<String>) -> Batch {
    let mut number = |name: &str, default: usize| {
        let name = format!("{prefix}_{name}");
        match read(&name) {
            None => default,
            Some(text) => match text.trim().parse() {
                // Bound: a queue is memory.
                Ok(number) if (1..=1_000_000).contains(&number) => number,
                _ => {
                    problems.push(format!("{name}={text} is no number from 1 to 1000000"));
                    default
                }
            },
        }
    };
    let millis = |time: Duration| usize::try_from(time.as_millis()).unwrap_or(usize::MAX);
    let queue = number("MAX_QUEUE_SIZE", default.queue);
    let size = number("MAX_EXPORT_BATCH_SIZE", default.size);
    let delay = number("SCHEDULE_DELAY", millis(default.delay));
    let timeout = number("EXPORT_TIMEOUT", millis(default.timeout));
    Batch {
        queue,
        size: size.min(queue),
        delay: Duration::from_millis(delay as u64),
        timeout: Duration::from_millis(timeout as u64),
    }
}

/// Undoes percent-encoding; what is no encoding stays as it is.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.extend(u8::try_from(high * 16 + low));
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests;
