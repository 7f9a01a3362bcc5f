//! PostgreSQL with psql: in plaintext, where psql first asks for TLS and is told no, and with TLS of its own.

use std::net::SocketAddr;
use std::path::Path;

use super::product::{
    Counted, Facts, Product, Server, Session, Step, command, find, host_and_port, shell, step,
};

pub(crate) enum Postgresql {
    Plain,
    Tls,
}

const SERVER: &str = "/usr/lib/postgresql/*/bin/postgres";

/// A data directory; `$1` is that of the programs, `$2` ours, `$3` what a line for clients begins with.
const INITIALISE: &str = r#"
"$1/initdb" -D "$2" -U app -A trust -N
echo "$3 all all all trust" >>"$2/pg_hba.conf"
[ "$3" = host ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -subj /CN=postgresql -keyout "$2/server.key" -out "$2/server.crt"
"#;

const STATEMENTS: &str = "
DROP TABLE IF EXISTS plainly_named;
CREATE TABLE plainly_named (number INT PRIMARY KEY, word TEXT);
INSERT INTO plainly_named SELECT n, 'plain-word-' || n FROM generate_series(1, 10000) n;
SELECT count(*), sum(number), max(word) FROM plainly_named;
SELECT 'tls', ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid();
COPY plainly_named TO STDOUT;
";

impl Product for Postgresql {
    fn facts(&self) -> Facts {
        let (name, words): (_, &[_]) = match self {
            Self::Plain => ("postgresql", &["plainly_named", "plain-word-7777"]),
            Self::Tls => ("postgresql-tls", &[]),
        };
        Facts {
            name,
            needs: &[(SERVER, "postgresql"), ("psql", "postgresql-client"), ("openssl", "openssl")],
            user: "postgres",
            port: 5432,
            protocol: "postgresql",
            counted: Counted::Connections,
            words,
        }
    }

    fn server(&self, home: &Path) -> Server {
        let server = find(SERVER).expect("it was asked for before");
        let programs = server.parent().expect("a file is in a folder").display().to_string();
        let (home, data) = (home.display().to_string(), home.join("data").display().to_string());
        let (clients, tls) = match self {
            Self::Plain => ("host", "ssl=off"),
            Self::Tls => ("hostssl", "ssl=on"),
        };
        let sockets = format!("unix_socket_directories={home}");
        let server = server.display().to_string();
        let start = [&*server, "-D", &data, "-c", "listen_addresses=*", "-c", &sockets, "-c", tls];
        let ready = format!("{programs}/pg_isready");
        Server {
            before: vec![shell(INITIALISE, &[&programs, &data, clients])],
            start: vec![command(&[&start[..], &["-c", "fsync=off"]].concat())],
            ready: command(&[&ready, "-h", &home]),
        }
    }

    fn client(&self, at: SocketAddr) -> Vec<Step> {
        let tls = match self {
            Self::Plain => "tls|f",
            Self::Tls => "tls|t",
        };
        let expected = ["10000|50005000|plain-word-9999", tls, "\n10000\tplain-word-10000\n"];
        vec![step([self.connect(at), command(&["-c", STATEMENTS])].concat(), &expected)]
    }

    fn session(&self, at: SocketAddr) -> Option<Session> {
        Some(Session {
            run: self.connect(at),
            ask: |number| format!("SELECT 'answer-' || {number};"),
            answer: |number| format!("answer-{number}"),
        })
    }
}

impl Postgresql {
    fn connect(&self, at: SocketAddr) -> Vec<String> {
        let (host, port) = host_and_port(at);
        let tls = match self {
            Self::Plain => "prefer",
            Self::Tls => "require",
        };
        let to = format!("host={host} port={port} user=app dbname=postgres sslmode={tls}");
        command(&["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", &to])
    }
}
