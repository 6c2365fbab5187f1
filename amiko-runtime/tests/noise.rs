//! Nodes on an encrypted transport, and peers that aren't what they should be.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use amiko_runtime::{Noise, SecretKey, Transport};
use common::*;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const COUNT: u64 = 200;

fn key(seed: u8) -> SecretKey {
    SecretKey::new([seed; 32])
}

async fn start_noise(name: &str, dial: Option<String>, seed: u8, settings: amiko_runtime::RuntimeSettings) -> Running {
    let protocol = TalkProtocol { dice: false, open: false };
    start_on(engine(name, dial), settings, protocol, Noise::new(key(seed))).await
}

fn at(seed: u8, address: SocketAddr) -> Option<String> {
    Some(format!("{}@{address}", key(seed).public()))
}

/// Forwards one socket after the other; each time one byte further on of what the dialler says is changed, for as long as
/// there are faults left.
async fn flipping_proxy(listener: TcpListener, to: SocketAddr, faults: usize) {
    for fault in 0.. {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(to).await.unwrap();
        let ((mut near_out, mut near_in), (mut far_out, mut far_in)) = (near.into_split(), far.into_split());
        let there = async {
            let mut position = 0;
            while let Ok(byte) = near_out.read_u8().await {
                let changed = fault < faults && position == fault * 23;
                position += 1;
                if far_in.write_u8(if changed { byte ^ 1 } else { byte }).await.is_err() {
                    return;
                }
            }
        };
        let back = tokio::io::copy(&mut far_out, &mut near_in);
        tokio::select! {
            () = there => {}
            _ = back => {}
        }
    }
}

#[test]
fn each_message_acts_once_though_bytes_are_changed_on_the_way() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let mut one = start_noise("x", None, 1, settings()).await;
        tokio::task::spawn_local(flipping_proxy(listener, one.address, 20));
        let mut two = start_noise("x", at(1, proxy), 2, settings()).await;
        for number in 0..COUNT {
            one.say("x", number).await;
            two.say("x", number).await;
        }
        for node in [&mut one, &mut two] {
            node.noticed(2 * COUNT as usize).await;
            node.until(settled).await;
            let talker = node.talker("x").await;
            assert_eq!((talker.heard, talker.answered), ((0..COUNT).collect(), (0..COUNT).collect()));
        }
        // The first byte says which handshake it is; the others are of the handshake, and then of frames.
        one.logged("Refused").await;
        one.logged("error: Handshake }").await;
        one.logged("error: Frame }").await;
    });
}

#[test]
fn a_node_that_has_another_key_is_not_talked_to() {
    run(async {
        let mut one = start_noise("x", None, 1, settings()).await;
        let mut two = start_noise("x", at(3, one.address), 2, settings()).await;
        let line = one.logged("Refused").await;
        assert!(line.contains("expected a handshake of a peer that has its key and knows ours"), "{line}");
        let line = two.logged("DialFailed").await;
        assert!(line.contains("error: HandshakeTruncated }") && line.contains("may expect another key"), "{line}");
    });
}

#[test]
fn a_peer_that_doesnt_shake_hands_in_time_is_dialled_again() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = settings();
        settings.conversation.handshake = Duration::from_millis(30);
        let mut one = start_noise("x", at(2, listener.local_addr().unwrap()), 1, settings).await;
        for _ in 0..2 {
            let _silent = listener.accept().await.unwrap();
            let line = one.logged("DialFailed").await;
            assert!(line.contains("expected an answer within 30ms, found none"), "{line}");
        }
    });
}

#[test]
fn an_address_without_a_key_is_not_dialled() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut one = start_noise("x", Some(listener.local_addr().unwrap().to_string()), 1, settings()).await;
        let line = one.logged("DialFailed").await;
        assert!(line.contains("expected an address with the public key of the peer"), "{line}");
        tokio::select! {
            biased;
            _ = listener.accept() => panic!("it was dialled"),
            () = tokio::task::yield_now() => {}
        }
    });
}

#[test]
fn a_peer_in_plain_text_is_sent_away_without_an_answer() {
    run(async {
        let mut one = start_noise("x", None, 1, settings()).await;
        let mut raw = Raw::dial(one.address).await;
        raw.send(&hello("x", None)).await;
        raw.expect_end().await;
        let line = one.logged("Refused").await;
        assert!(line.contains("Pattern { found: 123 }") && line.contains("it may speak plain text"), "{line}");
    });
}

#[test]
fn one_deadline_is_for_the_handshake_and_the_first_line_together() {
    run(async {
        let mut settings = settings();
        settings.conversation.handshake = Duration::from_millis(150);
        let mut one = start_noise("x", None, 1, settings).await;
        let limit = "expected a hello within 150ms, found none";
        // A byte now and then, and the handshake doesn't come to its end.
        let mut slow = TcpStream::connect(one.address).await.unwrap();
        let begun = std::time::Instant::now();
        let trickle = async {
            slow.write_all(&[1]).await.unwrap();
            while slow.write_all(&[0]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let line = tokio::select! {
            line = one.logged("Refused") => line,
            () = trickle => one.logged("Refused").await,
        };
        assert!(line.contains(limit), "{line}");
        // The handshake in time, and then a line that doesn't come to its end.
        let mut slow = Noise::new(key(2)).dial(&at(1, one.address).unwrap()).await.unwrap();
        let trickle = async {
            while slow.write_all(b" ").await.is_ok() && slow.flush().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let line = tokio::select! {
            line = one.logged("Refused") => line,
            () = trickle => one.logged("Refused").await,
        };
        assert!(line.contains(limit), "{line}");
        assert!(begun.elapsed() >= Duration::from_millis(300));
    });
}
