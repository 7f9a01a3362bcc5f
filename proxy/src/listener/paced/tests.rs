//! Frames in pieces of every size, and turns.

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::io::Io;
use crate::listener::wire::DEFAULT_WINDOW;

const START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, 0, 0, 0, 0, 0], payload].concat()
}

#[test]
fn the_last_word_about_windows_counts_in_pieces_of_any_size() {
    let mut bytes = START.to_vec();
    bytes.extend(frame(SETTINGS, &[0, 3, 0, 0, 0, 9, 0, 4, 0, 0, 0, 7]));
    bytes.extend(frame(0, &[0, 4, 0, 0, 0, 1]));
    bytes.extend(frame(SETTINGS, &[]));
    let all = [bytes.clone(), frame(SETTINGS, &[0, 4, 0, 0, 1, 0])].concat();
    for (bytes, expected) in [(&bytes[..33], DEFAULT_WINDOW), (&bytes, 7), (&all, 256)] {
        for size in 1..40 {
            let wire = Wire::new();
            let mut frames = Frames::new(Arc::clone(&wire));
            for piece in bytes.chunks(size) {
                assert_eq!(frames.read(piece), piece.len());
            }
            assert_eq!(wire.initial_window(), expected, "in pieces of {size}");
        }
    }
}

#[test]
fn a_turn_ends_with_the_frame_that_fills_it() {
    let block = |kind, length| frame(kind, &vec![0xbe; length]);
    let bytes = [
        START.to_vec(),
        block(HEADERS, 1_500),
        block(0, 9_000),
        block(CONTINUATION, 600),
        block(HEADERS, 5_000),
        block(0, 100),
        block(HEADERS, 10),
    ];
    let first: usize = bytes[..4].iter().map(Vec::len).sum();
    let second = first + bytes[4].len();
    let bytes = bytes.concat();
    for size in [1, 7, 1_000, bytes.len()] {
        let mut frames = Frames::new(Wire::new());
        let (mut at, mut ends) = (0, Vec::new());
        while at < bytes.len() {
            at += frames.read(&bytes[at..bytes.len().min(at + size)]);
            if frames.is_full() {
                ends.push(at);
                frames.blocks = 0;
            }
        }
        assert_eq!(ends, [first, second], "in pieces of {size}");
    }
}

#[tokio::test]
async fn what_is_held_back_comes_in_its_turn_and_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let (mut paced, wire) = Paced::new(Lingering::new(Io::Plain(server)));
    let mut bytes = START.to_vec();
    for number in 0..50_u8 {
        bytes.extend(frame(HEADERS, &vec![number; 700]));
        bytes.extend(frame(0, &vec![number; usize::from(number)]));
    }
    let sent = bytes.clone();
    tokio::spawn(async move {
        tokio::io::AsyncWriteExt::write_all(&mut client, &sent).await.unwrap();
    });
    let mut read = Vec::new();
    paced.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, bytes);
    assert!(paced.held.is_empty());
    assert_eq!(wire.take_read(), bytes.len());
    assert_eq!(wire.take_read(), 0);
}
