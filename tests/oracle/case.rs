//! What a case is: the configuration of one Service, requests to it, and what the upstream does with each. Made by
//! `cases` and `generate`, run by `run`. Data only.

use bytes::Bytes;
use http::Method;

/// One Service with its own route and policy, and the cases that are asked of it one after the other. State that a
/// proxy keeps of a Service (budgets, ejections) is therefore a group's own.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Name of the Service; a DNS label.
    pub(crate) service: String,
    /// Its endpoints: letters of [`super::upstream::BACKENDS`], [`super::upstream::REFUSING`], or nothing.
    pub(crate) pool: &'static str,
    /// Further YAML documents: routes, and whatever they refer to.
    pub(crate) documents: Vec<String>,
    /// Spec of its TrafficPolicy, indented by two.
    pub(crate) policy: String,
    /// Codes of what the control plane finds wrong with it; anything else that it finds fails the suite, because a
    /// case whose route was dropped would prove nothing.
    pub(crate) findings: Vec<&'static str>,
    /// What is asked.
    pub(crate) cases: Vec<Case>,
}

/// Requests, one after the other, whose answers and arrivals are compared.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Unique in its group; says what is tried.
    pub(crate) name: String,
    /// One at least.
    pub(crate) steps: Vec<Step>,
    /// All steps at once instead.
    pub(crate) at_once: bool,
    /// What is compared.
    pub(crate) view: View,
    /// Equal, or knowingly not.
    pub(crate) expect: Expect,
}

/// What the two proxies' answers and arrivals must have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// Everything; backends of a Service with several only by whether two attempts went to the same one, because
    /// which of them is first is left to chance.
    Everything,
    /// Everything, with the very backend.
    Backend,
    /// The backends' shares of all steps, within eight standard deviations of these percentages.
    Shares(&'static [(&'static str, u32)]),
    /// How many answers there are of a backend, or of a status, or how many arrived (`at a`): from, to. Of what is not
    /// named, any number.
    Counts(&'static [(&'static str, u32, u32)]),
}

/// What must come of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// No difference.
    Agreement,
    /// A difference, and why it is right: one line. Every differing line holds one of these words; without any,
    /// whatever differs.
    Difference(&'static str, &'static [&'static str]),
}

/// One request and its fate.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// HTTP version of the client.
    pub(crate) version: Wire,
    /// Method.
    pub(crate) method: Method,
    /// Path and query, as sent.
    pub(crate) target: String,
    /// `Host` or `:authority`.
    pub(crate) host: String,
    /// Further headers.
    pub(crate) headers: Vec<(String, String)>,
    /// Body.
    pub(crate) body: Bytes,
    /// Trailers.
    pub(crate) trailers: Vec<(String, String)>,
    /// What the upstream does with the first attempt, the second, and so on; the last one stays in force.
    pub(crate) script: Vec<Act>,
    /// What this backend does with every attempt instead.
    pub(crate) but: Option<(char, Act)>,
    /// Sends back the cookies of earlier answers.
    pub(crate) keeps_cookies: bool,
    /// Milliseconds before it is sent.
    pub(crate) pause: u64,
    /// Attempts that arrive after the answer may; so many are waited for.
    pub(crate) arrivals: usize,
    /// Status that both must answer with, so that agreement in being broken is none.
    pub(crate) status: Option<u16>,
    /// The client's address; loopback.
    pub(crate) source: [u8; 4],
}

/// What the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// These bytes, as they are (`$ID` is the request's number); HTTP/1.1 or not at all.
    Raw(&'static str),
}

/// What the upstream does with one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// This status, with these headers and a body.
    Answer(u16, &'static [(&'static str, &'static str)]),
    /// 200 after so many milliseconds.
    Late(u64),
    /// Nothing, until the proxy gives up.
    Hang,
    /// The connection ends before the head; on HTTP/2 the stream is reset.
    Close,
    /// HTTP/2: `REFUSED_STREAM`; HTTP/1.1: as [`Act::Close`].
    Refuse,
    /// A head, half of the body, and the connection or stream ends.
    BreakOff,
    /// 101 where an upgrade is asked for, and then back what comes.
    Upgrade,
    /// 200 with a body and a trailer, `x-trailer`.
    Trailing,
    /// gRPC: trailers only, with this status.
    GrpcError(u32),
    /// gRPC: the messages back, then this status in the trailers.
    GrpcEcho(u32),
}

/// 200.
pub(crate) const OK: Act = Act::Answer(200, &[]);

impl Group {
    /// A Service over `pool` without a route, and without outlier detection.
    pub(crate) fn new(service: impl Into<String>, pool: &'static str) -> Self {
        Self {
            service: service.into(),
            pool,
            documents: Vec::new(),
            policy: "  outlierDetection: {consecutiveFailures: 0}\n".to_owned(),
            findings: Vec::new(),
            cases: Vec::new(),
        }
    }

    /// With an HTTPRoute of these rules, indented by two.
    pub(crate) fn rules(self, rules: &str) -> Self {
        let name = format!("{}-{}", self.service, self.documents.len());
        self.route("HTTPRoute", &name, "", rules)
    }

    /// With an HTTPRoute for these hosts.
    pub(crate) fn hosts(self, hosts: &[&str], rules: &str) -> Self {
        let name = format!("{}-{}", self.service, self.documents.len());
        let hosts = hosts.iter().map(|host| format!("{host:?}")).collect::<Vec<_>>().join(", ");
        self.route("HTTPRoute", &name, &format!("  hostnames: [{hosts}]\n"), rules)
    }

    /// With any route.
    pub(crate) fn route(mut self, kind: &str, name: &str, spec: &str, rules: &str) -> Self {
        self.documents.push(format!(
            "\
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: {name}, namespace: shop}}
spec:
  parentRefs: [{{group: \"\", kind: Service, name: {service}, port: 8080}}]
{spec}  rules:
{rules}",
            service = self.service,
        ));
        self
    }

    /// With this TrafficPolicy, indented by two.
    pub(crate) fn policy(mut self, spec: &str) -> Self {
        spec.clone_into(&mut self.policy);
        self
    }

    /// The control plane finds this wrong with it.
    pub(crate) fn finding(mut self, code: &'static str) -> Self {
        self.findings.push(code);
        self
    }

    /// More cases.
    pub(crate) fn cases(mut self, cases: impl IntoIterator<Item = Case>) -> Self {
        self.cases.extend(cases);
        self
    }
}

impl Case {
    /// One request.
    pub(crate) fn new(name: impl Into<String>, step: Step) -> Self {
        Self::steps(name, vec![step])
    }

    /// Several.
    pub(crate) fn steps(name: impl Into<String>, steps: Vec<Step>) -> Self {
        let (view, expect) = (View::Everything, Expect::Agreement);
        Self { name: name.into(), steps, at_once: false, view, expect }
    }

    /// The proxies differ here, and this is why.
    pub(crate) fn differs(self, reason: &'static str) -> Self {
        Self { expect: Expect::Difference(reason, &[]), ..self }
    }

    /// The proxies differ here in lines with these words only, and this is why.
    pub(crate) fn differs_in(self, words: &'static [&'static str], reason: &'static str) -> Self {
        Self { expect: Expect::Difference(reason, words), ..self }
    }

    /// All steps at once.
    pub(crate) fn at_once(self) -> Self {
        Self { at_once: true, ..self }
    }

    /// Compared by this.
    pub(crate) fn view(self, view: View) -> Self {
        Self { view, ..self }
    }
}

impl Step {
    /// GET over HTTP/1.1, answered 200.
    pub(crate) fn get(target: &str) -> Self {
        Self {
            version: Wire::Http1,
            method: Method::GET,
            target: target.to_owned(),
            host: "shop.test".to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            trailers: Vec::new(),
            script: vec![OK],
            but: None,
            keeps_cookies: false,
            pause: 0,
            arrivals: 0,
            status: None,
            source: [127, 0, 0, 1],
        }
    }

    /// POST of a body.
    pub(crate) fn post(target: &str, body: &str) -> Self {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Self { method: Method::POST, body, ..Self::get(target) }
    }

    /// A gRPC call of `/service/method` with one message.
    pub(crate) fn grpc(target: &str) -> Self {
        let step = Self::post(target, "\0\0\0\0\u{5}hello").script(&[Act::GrpcEcho(0)]);
        step.http2().header("content-type", "application/grpc").header("te", "trailers")
    }

    /// These bytes.
    pub(crate) fn raw(bytes: &'static str) -> Self {
        Self { version: Wire::Raw(bytes), ..Self::get("/") }
    }

    /// Over HTTP/2.
    pub(crate) fn http2(self) -> Self {
        Self { version: Wire::Http2, ..self }
    }

    /// With another method.
    pub(crate) fn method(self, method: &str) -> Self {
        Self { method: method.parse().expect("it is a token"), ..self }
    }

    /// To another host.
    pub(crate) fn host(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With one more trailer.
    pub(crate) fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Met so.
    pub(crate) fn script(self, script: &[Act]) -> Self {
        Self { script: script.to_vec(), ..self }
    }

    /// This backend does otherwise.
    pub(crate) fn but(self, backend: char, act: Act) -> Self {
        Self { but: Some((backend, act)), ..self }
    }

    /// Sent so many milliseconds after the answer to the one before.
    pub(crate) fn pause(self, pause: u64) -> Self {
        Self { pause, ..self }
    }

    /// With the cookies of earlier answers.
    pub(crate) fn keeps_cookies(self) -> Self {
        Self { keeps_cookies: true, ..self }
    }

    /// From this address.
    pub(crate) fn source(self, source: [u8; 4]) -> Self {
        Self { source, ..self }
    }

    /// So many attempts and copies arrive, maybe after the answer.
    pub(crate) fn arrivals(self, arrivals: usize) -> Self {
        Self { arrivals, ..self }
    }

    /// Both must answer so.
    pub(crate) fn answers(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }
}
