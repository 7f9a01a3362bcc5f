//! nginx with curl: HTTP/1.1, with what curl asks for when it would rather have HTTP/2, or HTTP/2 from the first byte.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::product::{
    Counted, Facts, Product, Server, Session, Step, command, listening, shell, step,
};

/// A server of one version of HTTP: what nginx of this age does on one port in plaintext.
pub(crate) enum Nginx {
    Http1,
    Http2,
}

const CONFIGURATION: &str = r#"
daemon off;
pid HOME/pid;
error_log stderr warn;
worker_processes 1;
events {}
http {
    access_log off;
    client_body_temp_path HOME/body;
    proxy_temp_path HOME/proxy;
    fastcgi_temp_path HOME/fastcgi;
    uwsgi_temp_path HOME/uwsgi;
    scgi_temp_path HOME/scgi;
    client_max_body_size 16m;
    server {
        listen 0.0.0.0:PORT;
        listen [::]:PORT;
        root HOME;
        location /say/ { default_type text/plain; return 200 "$uri by $server_protocol, plainly-answered $http_x_asked\n"; }
        location /kept/ { dav_methods PUT; create_full_put_path on; }
    }
}
"#;

/// One answer, and where the server saw the question.
const ONE: &str = r#"curl -sS -i "$2" -H "x-asked: plainly-asked" "$1/say/hello""#;

/// 4 MiB there and back, and nothing of it is lost or changed.
const MUCH: &str = r#"
there=$(mktemp) back=$(mktemp)
trap 'rm -f "$there" "$back"' EXIT
head -c 4M /dev/urandom >"$there"
curl -sS -f "$2" -T "$there" "$1/kept/much"
curl -sS -f "$2" -o "$back" "$1/kept/much"
cmp "$there" "$back" && echo "the same"
"#;

/// Forty at once, over several connections.
const PARALLEL: &str = r#"curl -sS -f -Z "$1/say/[1-40]" | grep -c plainly-answered"#;

/// Fifteen hundred, twenty at once on each of two connections; after a thousand on one nginx goes away from it. curl of
/// this age cannot, with or without a mesh; and h2load by itself writes an authority of IPv6 without its brackets,
/// which is refused.
const MULTIPLEXED: &str = r#"h2load -n 1500 -c 2 -m 20 -H ':authority: nginx' "$1/say/hello""#;

impl Nginx {
    /// What curl is told.
    fn version(&self) -> &'static str {
        match self {
            Self::Http1 => "--http1.1",
            Self::Http2 => "--http2-prior-knowledge",
        }
    }
}

impl Product for Nginx {
    fn facts(&self) -> Facts {
        let (name, protocol) = match self {
            Self::Http1 => ("nginx", "http"),
            Self::Http2 => ("nginx-http2", "http2"),
        };
        Facts {
            name,
            needs: &[
                ("nginx", "nginx"),
                ("curl", "curl"),
                ("h2load", "nghttp2-client"),
                ("nc", "netcat-openbsd"),
            ],
            user: "www-data",
            port: 8080,
            protocol,
            counted: Counted::Requests,
            // HTTP/2 packs headers, so that what was asked shows in the answer's body alone.
            words: &["plainly-answered", "plainly-asked"],
        }
    }

    fn server(&self, home: &Path) -> Server {
        let listen = match self {
            Self::Http1 => "8080",
            Self::Http2 => "8080 http2",
        };
        let file = home.join("nginx.conf");
        let text =
            CONFIGURATION.replace("PORT", listen).replace("HOME", &home.display().to_string());
        fs::write(&file, text).expect("the home is there");
        Server {
            before: vec![],
            start: vec![command(&["nginx", "-e", "stderr", "-c", &file.display().to_string()])],
            ready: listening(8080),
        }
    }

    fn client(&self, at: SocketAddr) -> Vec<Step> {
        let to = format!("http://{at}");
        let version = self.version();
        let shown = match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        };
        let answer = format!("/say/hello by {shown}, plainly-answered plainly-asked");
        let mut steps = vec![
            step(shell(ONE, &[&to, version]), &["200", &answer]),
            step(shell(MUCH, &[&to, version]), &["the same"]),
        ];
        match self {
            Self::Http1 => {
                steps.push(step(shell(PARALLEL, &[&to]), &["40"]));
                // An upgrade that the server does not want.
                steps.push(step(shell(ONE, &[&to, "--http2"]), &["HTTP/1.1 200", &answer]));
            }
            Self::Http2 => {
                steps.push(step(shell(MULTIPLEXED, &[&to]), &["1500 succeeded, 0 failed"]));
            }
        }
        steps
    }

    fn session(&self, at: SocketAddr) -> Option<Session> {
        let (host, port) = super::product::host_and_port(at);
        matches!(self, Self::Http1).then(|| Session {
            run: command(&["nc", &host, &port]),
            ask: |number| format!("GET /say/{number} HTTP/1.1\r\nHost: nginx\r\n\r"),
            answer: |number| format!("/say/{number} by HTTP/1.1"),
        })
    }
}
