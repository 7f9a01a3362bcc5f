//! Kafka with its own Java client. A client learns the broker's address from the broker: the first connection goes to
//! the Service, the others to the pod itself.

use std::net::SocketAddr;
use std::path::Path;

use super::folder::{Folder, maven};
use super::product::{
    Counted, Facts, Product, Server, Session, Step, command, listening, shell, step,
};

pub(crate) struct Kafka {
    folder: Folder,
}

/// A broker that is its own controller, in `$1`; `$2` are its classes.
const CONFIGURE: &str = r#"
address=$(hostname -I | cut -d ' ' -f 1)
cat >"$1/kafka.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
listeners=PLAINTEXT://:9092,CONTROLLER://127.0.0.1:9093
advertised.listeners=PLAINTEXT://$address:9092
controller.listener.names=CONTROLLER
log.dirs=$1/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
END
java -cp "$2" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c "$1/kafka.properties"
"#;

/// 10,000 messages are produced, and consumed in their order.
const PROGRAM: &str = r#"
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;

class Client {
    public static void main(String[] arguments) throws Exception {
        String topic = "plainly-named-" + UUID.randomUUID();
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("group.id", topic);
        settings.put("auto.offset.reset", "earliest");
        StringSerializer out = new StringSerializer();
        StringDeserializer in = new StringDeserializer();
        try (var producer = new KafkaProducer<String, String>(settings, out, out)) {
            for (int number = 0; number < 10000; number++)
                producer.send(new ProducerRecord<>(topic, String.format("message-%05d", number)));
        }
        int consumed = 0;
        try (var consumer = new KafkaConsumer<String, String>(settings, in, in)) {
            consumer.subscribe(List.of(topic));
            while (consumed < 10000)
                for (var record : consumer.poll(Duration.ofSeconds(1)))
                    if (!record.value().equals(String.format("message-%05d", consumed++)))
                        throw new IllegalStateException(consumed + ": " + record.value());
        }
        System.out.println("consumed " + consumed);
    }
}
"#;

/// What it reads is produced, consumed and printed. The client would connect again without a word, so it may not: it
/// ends with an error instead.
const SESSION: &str = r#"
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

class Kept {
    public static void main(String[] arguments) throws Exception {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("reconnect.backoff.ms", 3600000L);
        settings.put("reconnect.backoff.max.ms", 3600000L);
        settings.put("delivery.timeout.ms", 20000);
        settings.put("request.timeout.ms", 15000);
        StringSerializer out = new StringSerializer();
        StringDeserializer in = new StringDeserializer();
        TopicPartition kept = new TopicPartition("kept", 0);
        try (var producer = new KafkaProducer<String, String>(settings, out, out);
                var consumer = new KafkaConsumer<String, String>(settings, in, in)) {
            Scanner lines = new Scanner(System.in);
            for (long offset = 0; lines.hasNextLine(); offset++) {
                producer.send(new ProducerRecord<>("kept", lines.nextLine())).get();
                consumer.assign(List.of(kept));
                consumer.seek(kept, offset);
                ConsumerRecords<String, String> records;
                do records = consumer.poll(Duration.ofSeconds(1)); while (records.isEmpty());
                for (var record : records) System.out.println(record.value());
            }
        }
    }
}
"#;

impl Kafka {
    /// Kafka of this version, from Maven; `None` if it may not be fetched.
    pub(crate) fn fetched() -> Option<Self> {
        let jars = maven("org.apache.kafka:kafka_2.13:3.9.1")?;
        Some(Self {
            folder: Folder::new()
                .copy(&jars)
                .with("Client.java", PROGRAM)
                .with("Kept.java", SESSION),
        })
    }

    fn classes(&self) -> String {
        self.folder.path("jars/*")
    }
}

impl Product for Kafka {
    fn facts(&self) -> Facts {
        Facts {
            name: "kafka",
            needs: &[("java", "openjdk-17-jdk-headless"), ("hostname", "hostname")],
            user: "nobody",
            port: 9092,
            protocol: "kafka",
            counted: Counted::Connections,
            words: &["plainly-named", "message-07777"],
        }
    }

    fn server(&self, home: &Path) -> Server {
        let (home, classes) = (home.display().to_string(), self.classes());
        let settings = format!("{home}/kafka.properties");
        Server {
            before: vec![shell(CONFIGURE, &[&home, &classes])],
            start: vec![command(&["java", "-Xmx512m", "-cp", &classes, "kafka.Kafka", &settings])],
            ready: listening(9092),
        }
    }

    fn client(&self, at: SocketAddr) -> Vec<Step> {
        let (program, classes) = (self.folder.path("Client.java"), self.classes());
        let run = command(&["java", "-Xmx256m", "-cp", &classes, &program, &at.to_string()]);
        vec![step(run, &["consumed 10000"])]
    }
    fn session(&self, at: SocketAddr) -> Option<Session> {
        let (program, classes) = (self.folder.path("Kept.java"), self.classes());
        Some(Session {
            run: command(&["java", "-Xmx256m", "-cp", &classes, &program, &at.to_string()]),
            ask: |number| format!("answer-{number}"),
            answer: |number| format!("answer-{number}"),
        })
    }
}
