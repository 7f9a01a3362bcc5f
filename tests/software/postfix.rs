//! postfix, which speaks first, with the SMTP client of Python. Its master is root's, as ever; mail goes nowhere.

use std::net::SocketAddr;
use std::path::Path;

use super::product::{
    Counted, Facts, Product, Server, Session, Step, command, host_and_port, listening, shell, step,
};

pub(crate) struct Postfix;

/// A home for it in `$1`: no names are looked up, everybody may send to anybody, and all of it is thrown away.
const CONFIGURE: &str = r#"
chmod 755 "$1"
mkdir "$1/etc" "$1/queue" "$1/data"
chown postfix "$1/data"
cat >"$1/etc/main.cf" <<END
compatibility_level = 3.6
queue_directory = $1/queue
data_directory = $1/data
myhostname = mail.plain.test
mydestination =
mynetworks = 0.0.0.0/0 [::]/0
inet_protocols = all
smtpd_peername_lookup = no
default_transport = discard
relay_transport = discard
maillog_file = /dev/stdout
alias_maps =
alias_database =
END
cat >"$1/etc/master.cf" <<END
smtp      inet      n - n - -   smtpd
pickup    unix      n - n 60 1  pickup
cleanup   unix      n - n - 0   cleanup
qmgr      unix      n - n 300 1 qmgr
rewrite   unix      - - n - -   trivial-rewrite
bounce    unix      - - n - 0   bounce
defer     unix      - - n - 0   bounce
trace     unix      - - n - 0   bounce
discard   unix      - - n - -   discard
error     unix      - - n - -   error
proxymap  unix      - - n - -   proxymap
anvil     unix      - - n - 1   anvil
postlog   unix-dgram n - n - 1  postlogd
END
"#;

/// Fifty letters over one connection.
const SEND: &str = r"
import smtplib, sys
client = smtplib.SMTP(sys.argv[1], int(sys.argv[2]), local_hostname='client.plain.test')
for number in range(50):
    client.mail('app@plain.test')
    client.rcpt('somebody@plain.test')
    code, said = client.data('Subject: plainly-written\r\n\r\n' + 'a line of it\r\n' * 500)
    assert code == 250 and b'queued as' in said, (code, said)
print('50 queued', client.quit()[0])
";

impl Product for Postfix {
    fn facts(&self) -> Facts {
        Facts {
            name: "postfix",
            needs: &[("postfix", "postfix"), ("python3", "python3"), ("nc", "netcat-openbsd")],
            user: "root",
            port: 25,
            protocol: "smtp",
            counted: Counted::Connections,
            words: &["ESMTP Postfix", "plainly-written", "queued as"],
        }
    }

    fn server(&self, home: &Path) -> Server {
        let etc = home.join("etc").display().to_string();
        Server {
            before: vec![shell(CONFIGURE, &[&home.display().to_string()])],
            start: vec![command(&["postfix", "-c", &etc, "start-fg"])],
            ready: listening(25),
        }
    }

    fn client(&self, at: SocketAddr) -> Vec<Step> {
        let (host, port) = host_and_port(at);
        vec![step(command(&["/usr/bin/python3", "-c", SEND, &host, &port]), &["50 queued 221"])]
    }

    fn session(&self, at: SocketAddr) -> Option<Session> {
        let (host, port) = host_and_port(at);
        Some(Session {
            run: command(&["nc", &host, &port]),
            ask: |number| match number {
                0 => "EHLO client.plain.test\r\nVRFY answer-0@plain.test\r".into(),
                number => format!("VRFY answer-{number}@plain.test\r"),
            },
            answer: |number| format!("answer-{number}@plain.test"),
        })
    }
}
