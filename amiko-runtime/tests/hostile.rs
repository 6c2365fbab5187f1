//! Peers that mean harm, on encrypted streams: each is refused or bounded, with its line in the log, and however often it
//! comes, the memory of the node doesn't grow.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod common;

use amiko_runtime::{Noise, RuntimeSettings, SecretKey, Transport};
use common::*;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How often an attack comes before memory is measured, and from then on.
const BEFORE: usize = 200;
const AFTER: usize = 500;

/// By how much the node may have grown after all the attacks of the second part: much less than they sent, or than a place
/// for each of them would take.
const GROWTH: usize = 3 << 20;

/// Bytes of what a dialler says in a handshake, and of what it is answered.
const FIRST: usize = 49;
const ANSWER: usize = 48;
const LAST: usize = 64;

fn key(seed: u8) -> SecretKey {
    SecretKey::new([seed; 32])
}

fn at(seed: u8, address: SocketAddr) -> String {
    format!("{}@{address}", key(seed).public())
}

async fn start_noise(settings: RuntimeSettings) -> Running {
    let protocol = TalkProtocol { dice: false, open: false };
    start_on(engine("x", None), settings, protocol, Noise::new(key(1))).await
}

/// Who means well gets through all the same.
async fn gets_through(node: &mut Running) {
    let mut stream = Noise::new(key(2)).dial(&at(1, node.address)).await.unwrap();
    let lines = format!("{}\n{}\n{}\n", hello("x", None), stands("resume", [0, 0, 0]), said(0, 7));
    stream.write_all(lines.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    node.noticed(1).await;
    assert_eq!(node.talker("x").await.heard, [7]);
}

/// Lets the same attack come again and again. Each has its line in the log; together they leave nothing.
async fn again_and_again(attack: impl AsyncFn(SocketAddr), words: &str) {
    let mut node = start_noise(settings()).await;
    let mut before = 0;
    for count in 0..BEFORE + AFTER {
        if count == BEFORE {
            before = resident();
        }
        attack(node.address).await;
        let line = node.logged("Refused").await;
        assert!(line.contains(words), "expected {words:?}, found {line}");
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes more after {AFTER} more attacks");
    assert_eq!(node.handle.query(|engine| engine.version().0).await.unwrap(), 1, "an attack has changed something");
    gets_through(&mut node).await;
}

/// Says something to the node, and waits until it has closed the socket. Gives what it answered.
async fn say(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The node may have had enough in the middle of it.
    drop(stream.write_all(bytes).await);
    drop(stream.shutdown().await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    answer
}

/// Everything that somebody with the right keys said in a conversation that went well.
async fn recorded() -> Vec<u8> {
    let mut node = start_noise(settings()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, to) = (at(1, listener.local_addr().unwrap()), node.address);
    let dial = async {
        let mut stream = Noise::new(key(2)).dial(&address).await.unwrap();
        let lines = format!("{}\n{}\n{}\n", hello("x", None), stands("resume", [0, 0, 0]), said(0, 7));
        stream.write_all(lines.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        node.noticed(1).await;
        stream
    };
    let mut record = Vec::new();
    let carry = async {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(to).await.unwrap();
        let ((mut near_out, mut near_in), (mut far_out, mut far_in)) = (near.into_split(), far.into_split());
        let there = async {
            loop {
                let from = record.len();
                near_out.read_buf(&mut record).await.unwrap();
                far_in.write_all(&record[from..]).await.unwrap();
            }
        };
        tokio::select! {
            () = there => {}
            _ = tokio::io::copy(&mut far_out, &mut near_in) => {}
        }
    };
    tokio::select! {
        () = carry => panic!("the node has closed the socket"),
        _stream = dial => {}
    }
    record
}

#[test]
fn a_conversation_that_is_replayed_is_refused() {
    alone(async {
        let recorded = recorded().await;
        assert!(recorded.len() > FIRST + LAST + 100, "{}", recorded.len());
        let replay = async |address| drop(say(address, &recorded).await);
        again_and_again(replay, "error: Handshake }").await;
    });
}

#[test]
fn a_node_that_hears_its_own_words_refuses_them() {
    alone(async {
        // As the dialler: whoever is dialled sends back what it hears.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dial = at(2, listener.local_addr().unwrap());
        let protocol = TalkProtocol { dice: false, open: false };
        let mut node = start_on(engine("x", Some(dial)), settings(), protocol, Noise::new(key(1))).await;
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut first = [0; FIRST];
            stream.read_exact(&mut first).await.unwrap();
            stream.write_all(&first[1..]).await.unwrap();
            let line = node.logged("DialFailed").await;
            assert!(line.contains("error: Handshake }") && line.contains("compare the keys on both sides"), "{line}");
        }
        // As the listener: whoever has dialled sends back what it is answered.
        let recorded = recorded().await;
        let reflect = async |address| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&recorded[..FIRST]).await.unwrap();
            let mut answer = [0; LAST];
            stream.read_exact(&mut answer[..ANSWER]).await.unwrap();
            stream.write_all(&answer).await.unwrap();
            let mut rest = Vec::new();
            drop(stream.read_to_end(&mut rest).await);
            assert!(rest.is_empty());
        };
        again_and_again(reflect, "error: Handshake }").await;
    });
}

#[test]
fn somebody_with_another_key_of_the_node_is_refused_and_not_answered() {
    alone(async {
        let another = async |address| assert!(Noise::new(key(2)).dial(&at(3, address)).await.is_err());
        again_and_again(another, "error: Handshake }").await;
    });
}

#[test]
fn a_handshake_that_is_truncated_is_refused() {
    alone(async {
        let recorded = recorded().await;
        let cuts = std::cell::Cell::new(0);
        let truncated = async |address| {
            cuts.set(cuts.get() + 1);
            // Also one that only begins with the right first message.
            let cut = cuts.get() % (FIRST + LAST);
            let answer = say(address, &recorded[..cut]).await;
            assert_eq!(answer.len(), if cut < FIRST { 0 } else { ANSWER }, "cut after {cut}");
        };
        again_and_again(truncated, "error: HandshakeTruncated }").await;
    });
}

#[test]
fn frames_of_nobody_are_refused() {
    alone(async {
        let garbage = async |address| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            drop(stream.write_all(&[1; 100_000]).await);
            let mut answer = Vec::new();
            drop(stream.read_to_end(&mut answer).await);
            assert!(answer.is_empty());
        };
        again_and_again(garbage, "error: Handshake }").await;
    });
}

#[test]
fn handshakes_that_are_never_ended_have_a_number_and_a_deadline() {
    alone(async {
        let mut settings = settings();
        settings.conversation.strangers = 16;
        settings.conversation.handshake = Duration::from_millis(300);
        let mut node = start_noise(settings).await;
        let mut open = VecDeque::new();
        let mut after_some = 0;
        for count in 0..3_000 {
            let mut stream = TcpStream::connect(node.address).await.unwrap();
            // Half a first message; every other one says nothing at all.
            if count % 2 == 0 {
                stream.write_all(&[1; 30]).await.unwrap();
            }
            open.push_back(stream);
            if open.len() > 100 {
                open.pop_front();
            }
            if count == 500 {
                after_some = resident();
            }
        }
        let grown = resident().saturating_sub(after_some);
        assert!(grown < GROWTH, "{grown} bytes more after 2,500 more of them");
        node.logged("expected at most 16 peers that haven't said hello, found more").await;
        // Those that are left have a deadline, one byte after the other or not.
        node.logged("expected a hello within 300ms, found none").await;
        gets_through(&mut node).await;
    });
}

#[test]
fn a_peer_that_never_reads_is_given_no_more_than_a_batch_and_is_given_up() {
    /// Of a megabyte each: more than the operating system keeps for a socket whose peer keeps next to nothing.
    const COUNT: u64 = 15;
    alone(async {
        let mut settings = settings();
        (settings.conversation.silence, settings.conversation.line) = (Duration::from_millis(400), 2 << 20);
        // Encryption changes nothing here, and takes most of the time.
        let mut node = start(engine("x", None), settings).await;
        for _ in 0..COUNT {
            let text = "x".repeat(1 << 20);
            node.handle.command(envelope("x", TalkerMessage::Shout { text })).await.unwrap();
        }
        let (before, mut most) = (resident(), 0);
        for _ in 0..3 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
            let mut stream = socket.connect(node.address).await.unwrap();
            let greeting = format!("{}\n{}\n", hello("x", None), stands("resume", [0, 0, 0]));
            stream.write_all(greeting.as_bytes()).await.unwrap();
            // It goes on talking, so only what it doesn't take can tell.
            let talk = async {
                let ping = format!("{}\n", stands("ping", [0, 0, 0]));
                while stream.write_all(ping.as_bytes()).await.is_ok() {
                    most = most.max(resident());
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = talk => {}
                _ = node.logged("expected a sign of life within 400ms") => {}
            }
        }
        let grown = most.saturating_sub(before);
        assert!(grown < GROWTH, "{grown} bytes more");
    });
}
