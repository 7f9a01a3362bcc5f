//! Java's own HTTP client, which asks every server in plaintext for an upgrade to HTTP/2, and nginx, which has none.

use std::net::SocketAddr;
use std::path::Path;

use super::folder::Folder;
use super::nginx::Nginx;
use super::product::{Facts, Product, Server, Step, command, step};

pub(crate) struct JavaClient {
    folder: Folder,
}

/// A hundred at once, then a body there and back.
const PROGRAM: &str = r#"
import java.net.URI;
import java.net.http.*;
import java.util.*;
import java.util.concurrent.CompletableFuture;

class Client {
    public static void main(String[] arguments) throws Exception {
        URI to = URI.create(arguments[0]);
        HttpClient client = HttpClient.newHttpClient();
        List<CompletableFuture<HttpResponse<String>>> answers = new ArrayList<>();
        for (int number = 0; number < 100; number++) {
            HttpRequest request = HttpRequest.newBuilder(to.resolve("/say/" + number))
                .header("x-asked", "plainly-asked").build();
            answers.add(client.sendAsync(request, HttpResponse.BodyHandlers.ofString()));
        }
        for (int number = 0; number < 100; number++) {
            String body = answers.get(number).get().body();
            if (!body.startsWith("/say/" + number + " by HTTP/1.1, plainly-answered plainly-asked"))
                throw new IllegalStateException(body);
        }
        byte[] much = new byte[1 << 20];
        new Random().nextBytes(much);
        HttpRequest put = HttpRequest.newBuilder(to.resolve("/kept/java"))
            .PUT(HttpRequest.BodyPublishers.ofByteArray(much)).build();
        int status = client.send(put, HttpResponse.BodyHandlers.discarding()).statusCode();
        HttpRequest get = HttpRequest.newBuilder(to.resolve("/kept/java")).build();
        byte[] back = client.send(get, HttpResponse.BodyHandlers.ofByteArray()).body();
        System.out.println("100 answers, " + status / 100 + "xx, " + Arrays.equals(much, back));
    }
}
"#;

impl JavaClient {
    pub(crate) fn new() -> Self {
        Self { folder: Folder::new().with("Client.java", PROGRAM) }
    }
}

impl Product for JavaClient {
    fn facts(&self) -> Facts {
        Facts {
            name: "java-client",
            needs: &[("nginx", "nginx"), ("java", "openjdk-17-jdk-headless")],
            ..Nginx::Http1.facts()
        }
    }

    fn server(&self, home: &Path) -> Server {
        Nginx::Http1.server(home)
    }

    fn client(&self, at: SocketAddr) -> Vec<Step> {
        let program = self.folder.path("Client.java");
        let run = command(&["java", "-XX:TieredStopAtLevel=1", &program, &format!("http://{at}/")]);
        vec![step(run, &["100 answers, 2xx, true"])]
    }
}
