//! What comes out is what went in, whatever pieces it comes in, and only bulk gets a buffer.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

/// As rustls reads.
const PIECE: usize = 4096;

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

fn allowed(far: DuplexStream) -> Ahead<DuplexStream> {
    let mut far = Ahead::new(far);
    far.allow();
    far
}

#[tokio::test]
async fn bulk_comes_out_as_it_went_in() {
    let (mut near, far) = duplex(200_000);
    let mut far = allowed(far);
    let sent = bytes(1_000_003);
    let expected = sent.clone();
    let send = tokio::spawn(async move {
        for piece in sent.chunks(77_777) {
            near.write_all(piece).await.unwrap();
        }
    });
    let (mut received, mut piece, mut was_ahead) = (Vec::new(), vec![0; PIECE], false);
    loop {
        let count = far.read(&mut piece).await.unwrap();
        was_ahead |= far.buffer.is_some();
        if count == 0 {
            break;
        }
        received.extend_from_slice(&piece[..count]);
    }
    send.await.unwrap();
    assert!(received == expected, "{} bytes", received.len());
    assert!(was_ahead);
    assert!(far.buffer.is_none(), "a buffer outlives the end");
}

#[tokio::test]
async fn small_messages_need_no_buffer() {
    let (mut near, far) = duplex(200_000);
    let mut far = allowed(far);
    let mut piece = vec![0; PIECE];
    for length in [1, 100, PIECE, 100, PIECE, 1] {
        near.write_all(&bytes(length)).await.unwrap();
        assert_eq!(far.read(&mut piece).await.unwrap(), length);
        assert!(far.buffer.is_none());
    }
}

#[tokio::test]
async fn the_buffer_goes_when_nothing_more_comes() {
    let (mut near, far) = duplex(200_000);
    let mut far = allowed(far);
    near.write_all(&bytes(3 * PIECE + 5)).await.unwrap();
    let mut piece = vec![0; PIECE];
    for left in [PIECE, PIECE, PIECE, 5] {
        assert_eq!(far.read(&mut piece).await.unwrap(), left);
    }
    assert!(far.buffer.is_some());
    let waits = std::future::poll_fn(|cx| {
        Poll::Ready(Pin::new(&mut far).poll_read(cx, &mut ReadBuf::new(&mut piece)).is_pending())
    });
    assert!(waits.await);
    assert!(far.buffer.is_none());
    near.write_all(b"later").await.unwrap();
    assert_eq!(far.read(&mut piece).await.unwrap(), 5);
    assert_eq!(&piece[..5], b"later");
}

#[tokio::test]
async fn nothing_is_read_ahead_unless_allowed() {
    let (mut near, far) = duplex(200_000);
    let mut far = Ahead::new(far);
    near.write_all(&bytes(5 * PIECE)).await.unwrap();
    let mut piece = vec![0; PIECE];
    for _ in 0..5 {
        assert_eq!(far.read(&mut piece).await.unwrap(), PIECE);
        assert!(far.buffer.is_none());
    }
}
