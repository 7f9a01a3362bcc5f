//! MariaDB, which speaks first, with its own client.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::product::{
    Counted, Facts, Product, Server, Session, Step, command, host_and_port, step,
};

pub(crate) struct MariaDb;

/// Everybody may come: the pod is all the world it has. A statement is a line.
const ACCOUNTS: &str = "\
CREATE USER app@'%';
GRANT ALL ON *.* TO app@'%';
CREATE DATABASE shop;
";

const STATEMENTS: &str = "
CREATE OR REPLACE TABLE plainly_named (number INT PRIMARY KEY, word VARCHAR(40));
INSERT INTO plainly_named SELECT seq, CONCAT('plain-word-', seq) FROM seq_1_to_10000;
SELECT COUNT(*), SUM(number), MAX(word) FROM plainly_named;
SELECT word FROM plainly_named ORDER BY number;
";

impl Product for MariaDb {
    fn facts(&self) -> Facts {
        Facts {
            name: "mariadb",
            needs: &[("mariadbd", "mariadb-server"), ("mariadb", "mariadb-client")],
            user: "mysql",
            port: 3306,
            protocol: "mysql",
            counted: Counted::Connections,
            words: &["mysql_native_password", "plainly_named", "plain-word-7777"],
        }
    }

    fn server(&self, home: &Path) -> Server {
        let path = |name: &str| home.join(name).display().to_string();
        fs::write(home.join("accounts.sql"), ACCOUNTS).expect("the home is there");
        let (data, socket) = (path("data"), path("socket"));
        let data_option = format!("--datadir={data}");
        let install = [
            "mariadb-install-db",
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            &data_option,
        ];
        let start = [
            "mariadbd",
            "--no-defaults",
            &data_option,
            &format!("--socket={socket}"),
            &format!("--pid-file={}", path("pid")),
            &format!("--init-file={}", path("accounts.sql")),
            "--bind-address=*",
            "--port=3306",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0",
        ];
        // Somebody of this name on localhost alone would come first; root is there anyhow.
        let ready =
            ["mariadb", "--no-defaults", "--socket", &socket, "-u", "root", "shop", "-e", ""];
        Server {
            before: vec![command(&install)],
            start: vec![command(&start)],
            ready: command(&ready),
        }
    }

    fn client(&self, at: SocketAddr) -> Vec<Step> {
        let run = [Self::connect(at), command(&["-e", STATEMENTS])].concat();
        vec![step(run, &["10000\t50005000\tplain-word-9999", "\nplain-word-10000\n"])]
    }

    fn session(&self, at: SocketAddr) -> Option<Session> {
        Some(Session {
            run: [Self::connect(at), command(&["--unbuffered", "--skip-reconnect"])].concat(),
            ask: |number| format!("SELECT CONCAT('answer-', {number});"),
            answer: |number| format!("answer-{number}"),
        })
    }
}

impl MariaDb {
    fn connect(at: SocketAddr) -> Vec<String> {
        let (host, port) = host_and_port(at);
        command(&[
            "mariadb",
            "--no-defaults",
            "-h",
            &host,
            "-P",
            &port,
            "-u",
            "app",
            "-N",
            "-B",
            "shop",
        ])
    }
}
