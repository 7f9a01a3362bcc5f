//! Redis with its own client: answers in the order of requests that are sent without waiting, and what is published.

use std::net::SocketAddr;
use std::path::Path;

use super::product::{
    Counted, Facts, Product, Server, Session, Step, command, host_and_port, shell, step,
};

pub(crate) struct Redis;

/// 3,000 requests in one write, then 3,000 answers.
const PIPELINE: &str = r#"
redis-cli -h "$1" -p "$2" DEL plainly-counted
for number in {1..3000}; do echo "INCR plainly-counted"; done | redis-cli -h "$1" -p "$2" --pipe
redis-cli -h "$1" -p "$2" GET plainly-counted
"#;

/// Repeats what is published until the subscriber is there to hear it.
const PUBLISH: &str = r#"
coproc redis-cli -h "$1" -p "$2" SUBSCRIBE plainly-published
until [ "$(redis-cli -h "$1" -p "$2" PUBLISH plainly-published news-of-the-day)" -ge 1 ]; do :; done
while read -r line <&"${COPROC[0]}"; do
    echo "$line"
    [ "$line" != news-of-the-day ] || break
done
kill "$COPROC_PID"
"#;

impl Product for Redis {
    fn facts(&self) -> Facts {
        Facts {
            name: "redis",
            needs: &[("redis-server", "redis-server"), ("redis-cli", "redis-tools")],
            user: "redis",
            port: 6379,
            protocol: "redis",
            counted: Counted::Connections,
            words: &["plainly-counted", "plainly-published", "news-of-the-day"],
        }
    }

    fn server(&self, home: &Path) -> Server {
        let dir = home.display().to_string();
        Server {
            before: vec![],
            start: vec![command(&[
                "redis-server",
                "--bind",
                "* -::*",
                "--protected-mode",
                "no",
                "--save",
                "",
                "--dir",
                &dir,
            ])],
            ready: command(&["redis-cli", "PING"]),
        }
    }

    fn client(&self, at: SocketAddr) -> Vec<Step> {
        let (host, port) = host_and_port(at);
        vec![
            step(shell(PIPELINE, &[&host, &port]), &["errors: 0, replies: 3000", "\n3000\n"]),
            step(shell(PUBLISH, &[&host, &port]), &["news-of-the-day"]),
        ]
    }

    fn session(&self, at: SocketAddr) -> Option<Session> {
        let (host, port) = host_and_port(at);
        Some(Session {
            run: command(&["redis-cli", "-h", &host, "-p", &port]),
            ask: |number| format!("ECHO answer-{number}"),
            answer: |number| format!("answer-{number}"),
        })
    }
}
