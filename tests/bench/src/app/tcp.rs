//! The application's opaque port. The first byte of an order says what is wanted: `e`, that everything after it comes
//! back; `d` and a length of eight bytes, so many bytes; `u` and a length, that so many bytes are taken and checked,
//! and their number said. After `d` and `u` another order may follow.

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::pattern;

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;
/// Bytes of an echo read at once: many connections hold one.
const SMALL: usize = 1024;

/// Serves until the process is killed.
pub(super) async fn serve(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // A connection that ends in an error is seen and counted at its other end.
        tokio::spawn(async move {
            let _ = connection(stream).await;
        });
    }
}

async fn connection(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    loop {
        match stream.read_u8().await? {
            b'e' => return echo(stream).await,
            b'd' => send(&mut stream).await?,
            b'u' => take(&mut stream).await?,
            other => bail!("an order that begins with {other}"),
        }
    }
}

async fn echo(mut stream: TcpStream) -> Result<()> {
    let mut buffer = [0; SMALL];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
    }
}

async fn send(stream: &mut TcpStream) -> Result<()> {
    let mut wanted = pattern::Stream::new(stream.read_u64().await?);
    while wanted.left() > 0 {
        let sent = stream.write(wanted.next()).await?;
        wanted.advance(sent);
    }
    Ok(())
}

async fn take(stream: &mut TcpStream) -> Result<()> {
    let length = stream.read_u64().await?;
    let mut expected = pattern::Stream::new(length);
    let mut buffer = vec![0; BUFFER];
    while expected.left() > 0 {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            bail!("the stream ends {} bytes early", expected.left());
        }
        expected.check(&buffer[..read])?;
    }
    Ok(stream.write_u64(length).await?)
}
