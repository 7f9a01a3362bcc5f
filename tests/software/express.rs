//! An Express app, with the HTTP client of Node.

use std::net::SocketAddr;
use std::path::Path;

use super::folder::{Folder, npm};
use super::product::{
    Counted, Facts, Product, Server, Session, Step, command, host_and_port, listening, step,
};

pub(crate) struct Express {
    folder: Folder,
}

const APP: &str = r"
const express = require('express');
const app = express();
app.use(express.json({ limit: '2mb' }));
app.post('/orders', (request, response) => {
    response.status(201).json({ ...request.body, state: 'plainly-stored' });
});
app.get('/pages', async (request, response) => {
    for (let number = 0; number < 100; number++) {
        response.write(`page ${number}\n`);
        await new Promise(setImmediate);
    }
    response.end();
});
app.get('/kept/:number', (request, response) => response.send(`answer-${request.params.number}\n`));
// A connection that nobody uses stays: the test decides when it is used next.
app.listen(8080, '::').keepAliveTimeout = 600000;
";

const CLIENT: &str = r"
const to = process.argv[1];
async function order(number) {
    const body = JSON.stringify({ number, item: 'plainly-ordered', filling: 'x'.repeat(5000) });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${to}/orders`, { method: 'POST', headers, body });
    const stored = await answer.json();
    if (answer.status !== 201 || stored.number !== number) throw new Error(JSON.stringify(stored));
}
async function main() {
    for (let round = 0; round < 20; round++) {
        await Promise.all(Array.from({ length: 10 }, (_, number) => order(10 * round + number)));
    }
    const pages = await (await fetch(`${to}/pages`)).text();
    console.log('200 orders,', pages.trim().split('\n').length, 'pages');
}
main().catch((error) => { console.error(error); process.exit(1); });
";

impl Express {
    /// Express of this version, from npm; `None` if it may not be fetched.
    pub(crate) fn fetched() -> Option<Self> {
        let modules = npm("express@4.21.2")?;
        Some(Self { folder: Folder::new().copy(&modules).with("app.js", APP) })
    }
}

impl Product for Express {
    fn facts(&self) -> Facts {
        Facts {
            name: "express",
            needs: &[("node", "nodejs"), ("nc", "netcat-openbsd")],
            user: "nobody",
            port: 8080,
            protocol: "http",
            counted: Counted::Requests,
            words: &["x-powered-by: Express", "plainly-ordered", "plainly-stored"],
        }
    }

    fn server(&self, _home: &Path) -> Server {
        Server {
            before: vec![],
            start: vec![command(&["node", &self.folder.path("app.js")])],
            ready: listening(8080),
        }
    }

    fn client(&self, at: SocketAddr) -> Vec<Step> {
        let run = command(&["node", "-e", CLIENT, &format!("http://{at}")]);
        vec![step(run, &["200 orders, 100 pages"])]
    }
    fn session(&self, at: SocketAddr) -> Option<Session> {
        let (host, port) = host_and_port(at);
        Some(Session {
            run: command(&["nc", &host, &port]),
            ask: |number| format!("GET /kept/{number} HTTP/1.1\r\nHost: express\r\n\r"),
            answer: |number| format!("answer-{number}"),
        })
    }
}
