//! nats-server, which speaks first, with netcat: its protocol is lines of text.

use std::net::SocketAddr;
use std::path::Path;

use super::product::{
    Counted, Facts, Product, Server, Session, Step, command, host_and_port, listening, shell, step,
};

pub(crate) struct Nats;

/// A subscriber hears a thousand messages of a publisher.
const PUBLISH: &str = r#"
coproc nc "$1" "$2"
read -r line <&"${COPROC[0]}"
[[ $line == INFO* ]]
printf 'CONNECT {"verbose":false}\r\nSUB plainly.named 1\r\nPING\r\n' >&"${COPROC[1]}"
until [[ $line == PONG* ]]; do read -r line <&"${COPROC[0]}"; done
{
    printf 'CONNECT {"verbose":false}\r\n'
    for number in {1..1000}; do printf 'PUB plainly.named 10\r\nnews-%05d\r\n' "$number"; done
    printf 'PING\r\n'
} | nc -q 0 "$1" "$2" | sed '/^PONG/q' >/dev/null &
heard=0
while [ "$heard" -lt 1000 ]; do
    read -r line <&"${COPROC[0]}"
    [[ $line != news-* ]] || heard=$((heard + 1))
done
echo "heard $heard, at last ${line%?}"
kill "$COPROC_PID"
"#;

impl Product for Nats {
    fn facts(&self) -> Facts {
        Facts {
            name: "nats",
            needs: &[("nats-server", "nats-server"), ("nc", "netcat-openbsd")],
            user: "nats",
            port: 4222,
            protocol: "nats",
            counted: Counted::Connections,
            words: &["INFO {", "plainly.named", "news-00777"],
        }
    }

    fn server(&self, _home: &Path) -> Server {
        Server {
            before: vec![],
            start: vec![command(&["nats-server", "-a", "::", "-p", "4222"])],
            ready: listening(4222),
        }
    }

    fn client(&self, at: SocketAddr) -> Vec<Step> {
        let (host, port) = host_and_port(at);
        vec![step(shell(PUBLISH, &[&host, &port]), &["heard 1000, at last news-01000"])]
    }

    fn session(&self, at: SocketAddr) -> Option<Session> {
        let (host, port) = host_and_port(at);
        Some(Session {
            run: command(&["nc", &host, &port]),
            ask: |number| match number {
                0 => "CONNECT {\"verbose\":false}\r\nSUB kept 1\r\nPUB kept 8\r\nanswer-0\r".into(),
                number => format!("PUB kept 8\r\nanswer-{number}\r"),
            },
            answer: |number| format!("answer-{number}"),
        })
    }
}
