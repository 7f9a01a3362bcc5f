//! An echo over WebSocket, client and server of Python's `websockets`: a connection that HTTP begins.

use std::net::SocketAddr;
use std::path::Path;

use super::product::{Counted, Facts, Product, Server, Session, Step, command, listening, step};

pub(crate) struct WebSocket;

const SERVER: &str = r"
import asyncio, websockets
async def echo(socket):
    async for message in socket:
        await socket.send(message)
async def main():
    async with websockets.serve(echo, None, 8080, compression=None):
        await asyncio.Future()
asyncio.run(main())
";

/// A thousand short messages, one long one, and an end that both agree on.
const CLIENT: &str = r"
import asyncio, os, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1], compression=None) as socket:
        for number in range(1000):
            await socket.send(f'plainly-echoed {number}')
            assert await socket.recv() == f'plainly-echoed {number}'
        long = os.urandom(1 << 19)
        await socket.send(long)
        assert await socket.recv() == long
    print('closed with', socket.close_code)
asyncio.run(main())
";

/// Sends what it reads, and prints what comes back.
const SESSION: &str = r"
import asyncio, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1]) as socket:
        while line := await asyncio.to_thread(sys.stdin.readline):
            await socket.send(line.strip())
            print(await socket.recv(), flush=True)
asyncio.run(main())
";

impl Product for WebSocket {
    fn facts(&self) -> Facts {
        Facts {
            name: "websocket",
            needs: &[
                ("/usr/bin/python3", "python3"),
                ("/usr/lib/python3/dist-packages/websockets/__init__.py", "python3-websockets"),
            ],
            user: "nobody",
            port: 8080,
            protocol: "http",
            counted: Counted::Requests,
            // What clients send is masked by the protocol.
            words: &["sec-websocket-accept", "plainly-echoed"],
        }
    }

    fn server(&self, _home: &Path) -> Server {
        Server {
            before: vec![],
            start: vec![command(&["/usr/bin/python3", "-c", SERVER])],
            ready: listening(8080),
        }
    }

    fn client(&self, at: SocketAddr) -> Vec<Step> {
        let to = format!("ws://{at}/");
        vec![step(command(&["/usr/bin/python3", "-c", CLIENT, &to]), &["closed with 1000"])]
    }

    fn session(&self, at: SocketAddr) -> Option<Session> {
        Some(Session {
            run: command(&["/usr/bin/python3", "-c", SESSION, &format!("ws://{at}/")]),
            ask: |number| format!("answer-{number}"),
            answer: |number| format!("answer-{number}"),
        })
    }
}
