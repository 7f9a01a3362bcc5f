//! RabbitMQ with Python's pika.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::product::{
    Counted, Facts, Product, Server, Session, Step, command, host_and_port, listening, step,
};

pub(crate) struct RabbitMq;

/// 10,000 messages are published, and consumed in their order.
const CLIENT: &str = r"
import pika, sys
connection = pika.BlockingConnection(pika.ConnectionParameters(sys.argv[1], int(sys.argv[2])))
channel = connection.channel()
channel.queue_declare('plainly-named')
channel.queue_purge('plainly-named')
for number in range(10000):
    channel.basic_publish('', 'plainly-named', f'message-{number:05}'.encode())
consumed = 0
for method, _, body in channel.consume('plainly-named'):
    assert body == f'message-{consumed:05}'.encode(), body
    channel.basic_ack(method.delivery_tag)
    consumed += 1
    if consumed == 10000:
        break
connection.close()
print('consumed', consumed)
";

/// What it reads goes through a queue, and is printed; both over one connection.
const SESSION: &str = r"
import pika, sys
connection = pika.BlockingConnection(pika.ConnectionParameters(sys.argv[1], int(sys.argv[2])))
channel = connection.channel()
channel.queue_declare('kept')
for line in sys.stdin:
    channel.basic_publish('', 'kept', line.strip().encode())
    body = None
    while body is None:
        _, _, body = channel.basic_get('kept', auto_ack=True)
    print(body.decode(), flush=True)
";

impl Product for RabbitMq {
    fn facts(&self) -> Facts {
        Facts {
            name: "rabbitmq",
            needs: &[
                ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server"),
                ("/usr/lib/python3/dist-packages/pika/__init__.py", "python3-pika"),
            ],
            user: "rabbitmq",
            port: 5672,
            protocol: "amqp",
            counted: Counted::Connections,
            words: &["AMQP\0\0\u{9}\u{1}", "plainly-named", "message-07777"],
        }
    }

    fn server(&self, home: &Path) -> Server {
        let path = |name: &str| home.join(name).display().to_string();
        let settings = "loopback_users = none\nlisteners.tcp.1 = :::5672\n";
        fs::write(home.join("rabbitmq.conf"), settings).expect("the home is there");
        let variables = [
            "RABBITMQ_NODENAME=rabbit@localhost".to_owned(),
            format!("RABBITMQ_CONF_ENV_FILE={}", path("none")),
            format!("RABBITMQ_CONFIG_FILE={}", path("rabbitmq.conf")),
            format!("RABBITMQ_ENABLED_PLUGINS_FILE={}", path("plugins")),
            format!("RABBITMQ_MNESIA_BASE={}", path("data")),
            format!("RABBITMQ_PID_FILE={}", path("pid")),
            "RABBITMQ_LOGS=-".to_owned(),
        ];
        let variables: Vec<&str> = variables.iter().map(String::as_str).collect();
        let program = ["/usr/lib/rabbitmq/bin/rabbitmq-server"];
        Server {
            before: vec![],
            start: vec![command(&[&["env"], &variables[..], &program].concat())],
            ready: listening(5672),
        }
    }

    fn client(&self, at: SocketAddr) -> Vec<Step> {
        let (host, port) = host_and_port(at);
        let run = command(&["/usr/bin/python3", "-c", CLIENT, &host, &port]);
        vec![step(run, &["consumed 10000"])]
    }

    fn session(&self, at: SocketAddr) -> Option<Session> {
        let (host, port) = host_and_port(at);
        Some(Session {
            run: command(&["/usr/bin/python3", "-c", SESSION, &host, &port]),
            ask: |number| format!("answer-{number}"),
            answer: |number| format!("answer-{number}"),
        })
    }
}
