//! Peers that are silent, slow, gone or elsewhere.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::*;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

const QUICK: Duration = Duration::from_millis(60);

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[test]
fn an_idle_peer_that_doesnt_answer_is_given_up() {
    run(async {
        let mut settings = settings();
        settings.conversation.silence = QUICK;
        let mut node = start(engine("x", None), settings).await;
        let mut raw = Raw::resume(node.address, "x", [0, 0, 0], [0, 0, 0]).await;
        raw.expect(&stands("ping", [0, 0, 0])).await;
        raw.expect_end().await;
        node.logged("expected a sign of life within 60ms").await;
    });
}

#[test]
fn an_idle_peer_that_answers_is_kept() {
    run(async {
        let mut settings = settings();
        settings.conversation.silence = 4 * QUICK;
        let node = start(engine("x", None), settings).await;
        let mut raw = Raw::resume(node.address, "x", [0, 0, 0], [0, 0, 0]).await;
        for _ in 0..4 {
            raw.expect(&stands("ping", [0, 0, 0])).await;
            raw.send(&stands("pong", [0, 0, 0])).await;
        }
        assert_eq!(node.handle.connected().await.unwrap(), ["x"]);
    });
}

#[test]
fn whoever_asks_is_answered_with_what_was_received_and_sent() {
    run(async {
        let node = start(engine("x", None), settings()).await;
        let mut raw = Raw::resume(node.address, "x", [0, 0, 0], [0, 0, 0]).await;
        raw.send(&stands("ping", [0, 0, 0])).await;
        raw.expect(&stands("pong", [0, 0, 0])).await;
        raw.say(0, 7).await;
        raw.expect(r#"{"received":0}"#).await;
        raw.expect(&answer(0, 7)).await;
        // A confirmation that was lost is made good.
        raw.send(&stands("ping", [1, 0, 1])).await;
        raw.expect(&stands("pong", [1, 0, 1])).await;
        node.until(settled).await;
    });
}

#[test]
fn bytes_without_a_line_are_no_sign_of_life() {
    run(async {
        let mut settings = settings();
        settings.conversation.silence = QUICK;
        let mut node = start(engine("x", None), settings).await;
        let raw = Raw::resume(node.address, "x", [0, 0, 0], [0, 0, 0]).await;
        let (_reading, mut writing) = raw.split();
        let drip = tokio::task::spawn_local(async move {
            while writing.write_all(b" ").await.is_ok() {
                sleep(Duration::from_millis(5)).await;
            }
        });
        node.logged("expected a sign of life within 60ms").await;
        drip.await.unwrap();
    });
}

/// Dials with pauses of 2, 4, 8, … ms between them.
const DIALS: u32 = 9;

/// How long it takes until a peer that does this with each socket has been dialled so often.
async fn dialled<F: Future<Output = ()>>(handshake: Duration, with: impl Fn(Raw) -> F) -> Duration {
    let (listener, address) = listener().await;
    let mut settings = settings();
    settings.conversation.handshake = handshake;
    (settings.conversation.back_off_first, settings.conversation.back_off_limit) =
        (Duration::from_millis(2), Duration::from_secs(10));
    let _node = start(engine("x", Some(address)), settings).await;
    let begun = Instant::now();
    for _ in 0..DIALS {
        with(Raw::new(listener.accept().await.unwrap().0)).await;
    }
    begun.elapsed()
}

#[test]
fn a_peer_that_accepts_and_never_answers_is_the_same_as_down() {
    run(async {
        // Of the pauses chance may take half.
        let least = Duration::from_millis((2 << (DIALS - 1)) - 2) / 2;
        let silent = |mut raw: Raw| async move { while raw.line().await.is_some() {} };
        let took = dialled(Duration::from_millis(5), silent).await;
        assert!(took >= least, "{took:?}: a peer that doesn't answer");
        let took = dialled(Duration::from_secs(5), |raw| async move { drop(raw) }).await;
        assert!(took >= least, "{took:?}: a peer that closes");
        let resume_and_close = |mut raw: Raw| async move { raw.send(&stands("resume", [0, 0, 0])).await };
        let took = dialled(Duration::from_secs(5), resume_and_close).await;
        assert!(took >= least, "{took:?}: a peer that closes after a greeting");
    });
}

#[test]
fn a_peer_that_doesnt_answer_is_named() {
    run(async {
        let (_listener, address) = listener().await;
        let mut settings = settings();
        settings.conversation.handshake = Duration::from_millis(20);
        let mut node = start(engine("x", Some(address)), settings).await;
        node.logged("expected the peer to say where it stands within 20ms").await;
    });
}

#[test]
fn a_success_ends_the_row_of_failures() {
    run(async {
        let (listener, address) = listener().await;
        let mut settings = settings();
        (settings.conversation.back_off_first, settings.conversation.back_off_limit) =
            (Duration::from_millis(1), Duration::from_secs(10));
        let _node = start(engine("x", Some(address)), settings).await;
        for _ in 0..9 {
            drop(listener.accept().await.unwrap());
        }
        // The next pause but one would be 256 to 512 ms.
        let mut raw = Raw::new(listener.accept().await.unwrap().0);
        raw.line().await.unwrap();
        raw.send(&stands("resume", [0, 0, 0])).await;
        raw.say(0, 7).await;
        while raw.line().await.unwrap() != answer(0, 7) {}
        drop(raw);
        let begun = Instant::now();
        listener.accept().await.unwrap();
        assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_peer_that_moves_is_dialled_at_its_new_address() {
    run(async {
        let ((old, first), (gone, nowhere)) = (listener().await, listener().await);
        drop(gone);
        let mut node = start(engine("x", Some(first)), settings()).await;
        let mut raw = Raw::new(old.accept().await.unwrap().0);
        raw.line().await.unwrap();
        raw.send(&stands("resume", [0, 0, 0])).await;
        raw.line().await.unwrap();
        node.handle.command(meet("x", Some(nowhere))).await.unwrap();
        // Who is at the old address isn't believed any more, though nobody is at the new one.
        raw.expect_end().await;
        node.logged("the connection is for another address now").await;
        node.logged("DialFailed").await;
        // And from there it moves on.
        let (new, second) = listener().await;
        node.handle.command(meet("x", Some(second))).await.unwrap();
        new.accept().await.unwrap();
    });
}
