//! Opaque bytes, as the load generator speaks to the application's opaque port (`app::tcp`).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Outcome, PATIENCE, Tally, Target};
use crate::cell::Direction;
use crate::pattern;
use crate::process::Probe;

/// Bytes of one order for bulk: long beside the buffers on the way, short beside a cell.
const ORDER: u64 = 64 << 20;
/// Bytes read at once.
const BUFFER: usize = 256 * 1024;
/// The longest word.
const WORD: usize = 1024;

/// A kept connection on which the application sends back what it gets.
pub(crate) struct Echo {
    stream: TcpStream,
    /// Has the order been given?
    ordered: bool,
}

impl Echo {
    /// Connects; the order goes with the first word.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        Ok(Self { stream: connect(address).await?, ordered: false })
    }

    /// One word there and back.
    pub(crate) async fn exchange(&mut self, word: &[u8]) -> Result<()> {
        if self.ordered {
            self.stream.write_all(word).await.context("write")?;
        } else {
            // Together, so that a connection of one round trip is one packet each way.
            self.stream.write_all(&[b"e", word].concat()).await.context("write")?;
            self.ordered = true;
        }
        let mut buffer = [0; WORD];
        let answer = buffer.get_mut(..word.len()).context("a word of too many bytes")?;
        self.stream.read_exact(answer).await.context("read")?;
        ensure!(answer == word, "the word came back changed");
        Ok(())
    }

    /// The connection itself, between two words.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

/// One round trip on a connection of its own.
pub(super) async fn fresh(address: SocketAddr, word: &[u8]) -> Result<()> {
    Echo::open(address).await?.exchange(word).await
}

/// One connection, order after order until the time is over.
pub(super) async fn bulk(
    target: &Target,
    direction: Direction,
    duration: Duration,
    probe: &Probe,
) -> Result<Outcome> {
    let mut stream = connect(target.address).await?;
    let mut buffer = vec![0; BUFFER];
    let mut tally = Tally::default();
    let before = probe.sample()?;
    let started = Instant::now();
    while started.elapsed() < duration && tally.errors.is_empty() {
        let sent = Instant::now();
        let order = async {
            match direction {
                Direction::Down => down(&mut stream, &mut buffer).await,
                Direction::Up => up(&mut stream).await,
            }
        };
        match timeout(duration + PATIENCE, order).await.context("not carried in time") {
            Ok(Ok(())) => {
                tally.answered(sent.elapsed());
                tally.bytes += ORDER;
            }
            Ok(Err(error)) | Err(error) => tally.errors.push(format!("{error:#}")),
        }
    }
    let (elapsed, after) = (started.elapsed(), probe.sample()?);
    Ok(Outcome { elapsed, cpu: after - before, tally })
}

async fn down(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
    order(stream, b'd').await?;
    let mut expected = pattern::Stream::new(ORDER);
    while expected.left() > 0 {
        let read = stream.read(buffer).await.context("read")?;
        ensure!(read > 0, "the stream ends {} bytes early", expected.left());
        expected.check(&buffer[..read])?;
    }
    Ok(())
}

async fn up(stream: &mut TcpStream) -> Result<()> {
    order(stream, b'u').await?;
    let mut wanted = pattern::Stream::new(ORDER);
    while wanted.left() > 0 {
        let sent = stream.write(wanted.next()).await.context("write")?;
        wanted.advance(sent);
    }
    let taken = stream.read_u64().await.context("the application did not take what was sent")?;
    ensure!(taken == ORDER, "the application took {taken} bytes");
    Ok(())
}

async fn order(stream: &mut TcpStream, what: u8) -> Result<()> {
    let order: Bytes = [&[what], &ORDER.to_be_bytes()[..]].concat().into();
    stream.write_all(&order).await.context("write")
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await.context("connect")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
