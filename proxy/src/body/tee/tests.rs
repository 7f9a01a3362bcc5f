//! Copies are whole, or break off.

use std::future::poll_fn;

use super::*;

async fn read(mut copy: Copied) -> Result<usize, BodyError> {
    let mut bytes = 0;
    while let Some(frame) = poll_fn(|cx| copy.poll_frame(cx)).await {
        bytes += length(&frame?);
    }
    Ok(bytes)
}

fn chunk(bytes: usize) -> Frame<Bytes> {
    Frame::data(vec![b'x'; bytes].into())
}

#[tokio::test]
async fn a_copy_that_keeps_up_is_whole() {
    let mut tee = Tee::default();
    let copies = [tee.copy(SizeHint::new()), tee.copy(SizeHint::new())].map(read).map(tokio::spawn);
    for _ in 0..100 {
        tee.pass(&chunk(10_000));
        tokio::task::yield_now().await;
    }
    tee.end();
    for copy in copies {
        assert_eq!(copy.await.unwrap().unwrap(), 1_000_000);
    }
}

#[tokio::test]
async fn one_that_falls_behind_breaks_off_and_holds_no_more_than_its_bound() {
    let mut tee = Tee::default();
    let (slow, quick) = (tee.copy(SizeHint::new()), tee.copy(SizeHint::new()));
    let quick = tokio::spawn(read(quick));
    for _ in 0..100 {
        tee.pass(&chunk(10_000));
        tokio::task::yield_now().await;
    }
    assert!(slow.pieces.len() * 10_000 <= MAX_BEHIND);
    tee.end();
    assert_eq!(quick.await.unwrap().unwrap(), 1_000_000, "the other is none the worse");
    assert!(read(slow).await.is_err(), "half a body must not look whole");
}

#[tokio::test]
async fn a_body_that_breaks_off_breaks_its_copies_off() {
    let mut tee = Tee::default();
    let copy = tee.copy(SizeHint::new());
    tee.pass(&chunk(1));
    drop(tee);
    assert!(read(copy).await.is_err());
}
