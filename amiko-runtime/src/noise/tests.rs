//! Streams whose bytes the test controls: flipped, cut, repeated, sent back.

use super::handshake::{Pattern, initiate, respond};
use super::stream::{FRAME, LONGEST, REKEY};
use super::{NoiseError, NoiseStream, SecretKey, TAG};
use amiko_core::PublicKey;
use snow::{Builder, TransportState};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

const HEAD: usize = 2 + TAG;
const PATTERNS: [Pattern; 2] = [Pattern::Mutual, Pattern::Anonymous];

fn key(seed: u8) -> SecretKey {
    SecretKey::new([seed; 32])
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // A test that hangs fails instead.
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await.unwrap() })
}

type Dialled = io::Result<NoiseStream<DuplexStream>>;
type Answered = io::Result<(NoiseStream<DuplexStream>, Option<PublicKey>)>;

/// A dialler with key 1 and a listener with key 2; the test controls the bytes between them.
async fn meet<R>(pattern: Pattern, wire: impl AsyncFnOnce(DuplexStream, DuplexStream) -> R) -> (Dialled, Answered, R) {
    let (dialler, near) = duplex(1 << 20);
    let (far, listener) = duplex(1 << 20);
    let (one, two) = (key(1), key(2));
    tokio::join!(initiate(dialler, pattern, &one, two.public()), respond(listener, &two), wire(near, far))
}

/// Two streams after their handshake, and the wire between them.
async fn connected(pattern: Pattern) -> (NoiseStream<DuplexStream>, NoiseStream<DuplexStream>, Wire) {
    let lengths = match pattern {
        Pattern::Mutual => (49, 48, 64),
        Pattern::Anonymous => (49, 48, 0),
    };
    let wire = async |near, far| {
        let mut wire = Wire { near, far };
        wire.there(lengths.0).await;
        wire.back(lengths.1).await;
        wire.there(lengths.2).await;
        wire
    };
    let (dialled, answered, wire) = meet(pattern, wire).await;
    let (answered, peer) = answered.unwrap();
    assert_eq!(peer, (pattern == Pattern::Mutual).then(|| key(1).public()));
    (dialled.unwrap(), answered, wire)
}

/// The test's ends of the wire.
struct Wire {
    near: DuplexStream,
    far: DuplexStream,
}

impl Wire {
    async fn there(&mut self, bytes: usize) -> Vec<u8> {
        let carried = take(&mut self.near, bytes).await;
        self.far.write_all(&carried).await.unwrap();
        carried
    }

    async fn back(&mut self, bytes: usize) -> Vec<u8> {
        let carried = take(&mut self.far, bytes).await;
        self.near.write_all(&carried).await.unwrap();
        carried
    }
}

async fn take(stream: &mut DuplexStream, bytes: usize) -> Vec<u8> {
    let mut taken = vec![0; bytes];
    stream.read_exact(&mut taken).await.unwrap();
    taken
}

async fn say(stream: &mut NoiseStream<DuplexStream>, text: &[u8]) {
    stream.write_all(text).await.unwrap();
    stream.flush().await.unwrap();
}

/// What arrives until the stream ends, and how it ends.
async fn hear(stream: &mut NoiseStream<DuplexStream>) -> (Vec<u8>, Result<(), NoiseError>) {
    let mut text = Vec::new();
    loop {
        match stream.read_buf(&mut text).await {
            Ok(0) => return (text, Ok(())),
            Ok(_) => {}
            Err(error) => return (text, Err(error.downcast().unwrap())),
        }
    }
}

fn broken<T>(outcome: io::Result<T>) -> NoiseError {
    outcome.err().unwrap().downcast().unwrap()
}

const fn frame(text: usize) -> usize {
    HEAD + text + TAG
}

#[test]
fn each_pattern_carries_texts_of_any_length_both_ways() {
    run(async {
        for pattern in PATTERNS {
            let (mut one, mut two, Wire { near, far }) = connected(pattern).await;
            let (mut near, mut far) = (near, far);
            let text: Vec<u8> = (0..300_000_usize).map(|index| index.to_le_bytes()[0]).collect();
            let carry = tokio::io::copy_bidirectional(&mut near, &mut far);
            let talk = async {
                for length in [1, 100, LONGEST, LONGEST + 1, text.len()] {
                    let (mut there, mut back) = (vec![0; length], vec![0; length]);
                    say(&mut one, &text[..length]).await;
                    two.read_exact(&mut there).await.unwrap();
                    say(&mut two, &there).await;
                    one.read_exact(&mut back).await.unwrap();
                    assert!(back == text[..length]);
                }
            };
            tokio::select! {
                _ = carry => panic!("the wire ended"),
                () = talk => {}
            }
        }
    });
}

#[test]
fn a_long_text_goes_in_frames_of_the_longest_kind() {
    run(async {
        let (mut one, _two, mut wire) = connected(Pattern::Mutual).await;
        say(&mut one, &vec![7; LONGEST + 1]).await;
        let sent = take(&mut wire.near, frame(LONGEST) + frame(1)).await;
        assert_eq!(sent.len(), HEAD + FRAME + frame(1));
        assert!(!sent.windows(8).any(|bytes| bytes == [7; 8]), "nothing is readable");
    });
}

#[test]
fn whoever_expects_another_key_is_not_answered() {
    run(async {
        for pattern in PATTERNS {
            let (near, mut far) = (duplex(1024), duplex(1024));
            let (one, two) = (key(1), key(2));
            let dial = async {
                let dialled = initiate(near.0, pattern, &one, key(3).public());
                let answer = async {
                    let mut near = near.1;
                    far.0.write_all(&take(&mut near, 49).await).await.unwrap();
                    assert_eq!(broken(respond(far.1, &two).await), NoiseError::Handshake);
                    let mut answer = Vec::new();
                    far.0.read_to_end(&mut answer).await.unwrap();
                    assert!(answer.is_empty());
                };
                tokio::join!(dialled, answer).0
            };
            assert_eq!(broken(dial.await), NoiseError::HandshakeTruncated);
        }
    });
}

#[test]
fn a_first_byte_that_begins_no_handshake_ends_the_stream() {
    run(async {
        for found in [0, 3, b'{', b'G', 255] {
            let (mut near, far) = duplex(1024);
            near.write_all(&[found; 200]).await.unwrap();
            assert_eq!(broken(respond(far, &key(2)).await), NoiseError::Pattern { found });
            let mut answer = Vec::new();
            near.read_to_end(&mut answer).await.unwrap();
            assert!(answer.is_empty());
        }
    });
}

/// Carries bytes in one direction until they end, and changes one of them.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, change: Option<(usize, u8)>) {
    let mut position = 0;
    while let Ok(mut byte) = from.read_u8().await {
        if let Some((at, by)) = change
            && at == position
        {
            byte ^= by;
        }
        position += 1;
        if to.write_u8(byte).await.is_err() {
            return;
        }
    }
    drop(to.shutdown().await);
}

/// What both sides send and receive if the byte at `at`, counted over all that the dialler or the listener sends, is changed.
async fn changed(pattern: Pattern, of_dialler: bool, at: usize, by: u8) {
    let (one, two) = (key(1), key(2));
    let (dialler, near) = duplex(1024);
    let (far, listener) = duplex(1024);
    let dialler = async {
        let mut stream = initiate(dialler, pattern, &one, two.public()).await?;
        // The other side may have gone by now.
        let said = async {
            stream.write_all(b"one").await?;
            stream.write_all(b"two").await
        };
        drop(said.await);
        let (text, end) = hear(&mut stream).await;
        assert!(b"three".starts_with(&text[..]));
        end.map_err(io::Error::from)
    };
    let listener = async {
        let (mut stream, _) = respond(listener, &two).await?;
        let said = async {
            stream.write_all(b"three").await?;
            stream.shutdown().await
        };
        drop(said.await);
        let (text, end) = hear(&mut stream).await;
        assert!(b"onetwo".starts_with(&text[..]));
        end.map_err(io::Error::from)
    };
    let (near_out, near_in) = tokio::io::split(near);
    let (far_out, far_in) = tokio::io::split(far);
    let wire = async {
        let (there, back) = (of_dialler.then_some((at, by)), (!of_dialler).then_some((at, by)));
        tokio::join!(carry(near_out, far_in, there), carry(far_out, near_in, back));
    };
    let (dialled, answered, ()) = tokio::join!(dialler, listener, wire);
    let noticed = if of_dialler { answered.is_err() } else { dialled.is_err() };
    assert!(noticed, "{pattern:?}: byte {at} of the {}", if of_dialler { "dialler" } else { "listener" });
}

#[test]
fn a_byte_that_was_changed_anywhere_is_noticed_and_nothing_false_is_heard() {
    run(async {
        for pattern in PATTERNS {
            let handshake = if pattern == Pattern::Mutual { 113 } else { 49 };
            for at in 0..handshake + 2 * frame(3) {
                changed(pattern, true, at, 1 << (at % 8)).await;
            }
            for at in 0..48 + frame(5) {
                changed(pattern, false, at, 1 << (at % 8)).await;
            }
            // The byte that chooses the handshake becomes that of the other one.
            changed(pattern, true, 0, 3).await;
        }
    });
}

#[test]
fn a_stream_that_was_cut_anywhere_but_between_frames_ends_with_an_error() {
    run(async {
        for pattern in PATTERNS {
            let (mut one, _two, mut wire) = connected(pattern).await;
            say(&mut one, b"one").await;
            say(&mut one, b"two").await;
            drop(one);
            let sent = take(&mut wire.near, 2 * frame(3)).await;
            for cut in 0..sent.len() {
                let (mut again, mut listener, wire) = connected(pattern).await;
                say(&mut again, b"one").await;
                say(&mut again, b"two").await;
                let Wire { mut near, mut far } = wire;
                let bytes = take(&mut near, cut).await;
                far.write_all(&bytes).await.unwrap();
                drop(far);
                let expected = if cut % frame(3) == 0 { Ok(()) } else { Err(NoiseError::FrameTruncated) };
                let (text, end) = hear(&mut listener).await;
                assert_eq!((text.len(), end), (cut / frame(3) * 3, expected), "cut after {cut}");
            }
            let handshake = if pattern == Pattern::Mutual { 113 } else { 49 };
            for cut in [0, 1, 2, 48, handshake - 1] {
                let wire = async |near, far| {
                    let mut wire = Wire { near, far };
                    wire.there(cut.min(49)).await;
                    if cut > 49 {
                        wire.back(48).await;
                        wire.there(cut - 49).await;
                    }
                };
                let (_, answered, ()) = meet(pattern, wire).await;
                assert_eq!(broken(answered), NoiseError::HandshakeTruncated, "cut after {cut}");
            }
        }
    });
}

#[test]
fn a_frame_that_is_replayed_left_out_or_sent_back_ends_the_stream() {
    run(async {
        for pattern in PATTERNS {
            let two_frames = async || {
                let (mut one, two, mut wire) = connected(pattern).await;
                say(&mut one, b"one").await;
                say(&mut one, b"two").await;
                let first = take(&mut wire.near, frame(3)).await;
                let second = take(&mut wire.near, frame(3)).await;
                (one, two, wire, first, second)
            };
            // Replayed.
            let (_one, mut two, mut wire, first, _) = two_frames().await;
            wire.far.write_all(&[first.clone(), first].concat()).await.unwrap();
            assert_eq!(hear(&mut two).await, (b"one".to_vec(), Err(NoiseError::Frame)));
            // Inserted. What follows the error isn't read, although it would be valid.
            let (_one, mut two, mut wire, first, _) = two_frames().await;
            wire.far.write_all(&[vec![0; HEAD], first].concat()).await.unwrap();
            for _ in 0..2 {
                assert_eq!(hear(&mut two).await, (Vec::new(), Err(NoiseError::Frame)));
            }
            // Left out.
            let (_one, mut two, mut wire, first, second) = two_frames().await;
            wire.far.write_all(&[second, first].concat()).await.unwrap();
            assert_eq!(hear(&mut two).await, (Vec::new(), Err(NoiseError::Frame)));
            // Sent back.
            let (mut one, _two, mut wire, first, _) = two_frames().await;
            wire.near.write_all(&first).await.unwrap();
            assert_eq!(hear(&mut one).await, (Vec::new(), Err(NoiseError::Frame)));
        }
    });
}

#[test]
fn a_handshake_that_is_replayed_or_sent_back_gets_nowhere() {
    run(async {
        for pattern in PATTERNS {
            // Everything that a dialler once sent, replayed by somebody else.
            let recorded = {
                let (dialler, near) = duplex(1024);
                let (far, listener) = duplex(1024);
                let mut wire = Wire { near, far };
                let (one, two) = (key(1), key(2));
                let dial = async {
                    let mut stream = initiate(dialler, pattern, &one, two.public()).await.unwrap();
                    say(&mut stream, b"pay").await;
                };
                let carry = async {
                    let mut said = wire.there(49).await;
                    wire.back(48).await;
                    let rest = if pattern == Pattern::Mutual { 64 } else { 0 };
                    said.extend(wire.there(rest).await);
                    said.extend(wire.there(frame(3)).await);
                    said
                };
                tokio::join!(dial, respond(listener, &two), carry).2
            };
            let (mut near, far) = duplex(1024);
            near.write_all(&recorded).await.unwrap();
            let error = match respond(far, &key(2)).await {
                Err(error) => error.downcast().unwrap(),
                Ok((mut stream, None)) => {
                    let (text, end) = hear(&mut stream).await;
                    assert!(text.is_empty());
                    end.unwrap_err()
                }
                Ok((_, Some(peer))) => panic!("taken for {peer}"),
            };
            let expected = if pattern == Pattern::Mutual { NoiseError::Handshake } else { NoiseError::Frame };
            assert_eq!(error, expected);

            // A dialler that receives its own bytes.
            let (dialler, mut near) = duplex(1024);
            let echo = async {
                let said = take(&mut near, 49).await;
                near.write_all(&said[1..]).await.unwrap();
            };
            let (one, two) = (key(1), key(2).public());
            let (dialled, ()) = tokio::join!(initiate(dialler, pattern, &one, two), echo);
            assert_eq!(broken(dialled), NoiseError::Handshake);
        }
    });
}

/// An independent listener, written from the documentation of the wire alone.
async fn by_hand(wire: &mut DuplexStream) -> TransportState {
    let name = "Noise_XK_25519_ChaChaPoly_SHA256";
    let prologue = [b"amiko-net 1 \x01", name.as_bytes()].concat();
    let secret = key(2);
    let builder = Builder::new(name.parse().unwrap()).prologue(&prologue).unwrap();
    let mut state = builder.local_private_key(secret.expose()).unwrap().build_responder().unwrap();
    let first = take(wire, 49).await;
    assert_eq!(first[0], 1);
    state.read_message(&first[1..], &mut []).unwrap();
    let mut second = [0; 48];
    assert_eq!(state.write_message(&[], &mut second), Ok(48));
    wire.write_all(&second).await.unwrap();
    state.read_message(&take(wire, 64).await, &mut []).unwrap();
    state.into_transport_mode().unwrap()
}

#[test]
fn keys_change_after_each_thousand_encryptions_in_each_direction() {
    run(async {
        let (dialler, mut wire) = duplex(1 << 20);
        let (one, two) = (key(1), key(2).public());
        let (dialled, mut keys) = tokio::join!(initiate(dialler, Pattern::Mutual, &one, two), by_hand(&mut wire));
        let mut dialled = dialled.unwrap();
        let mut text = [0; 2];
        for number in 0..REKEY * 2 + 10 {
            dialled.write_all(b"x").await.unwrap();
            dialled.flush().await.unwrap();
            let sent = take(&mut wire, frame(1)).await;
            if number > 0 && number.is_multiple_of(REKEY / 2) {
                // The previous key doesn't open it any more.
                assert!(keys.read_message(&sent[..HEAD], &mut text).is_err(), "frame {number}");
                keys.rekey_incoming();
                keys.rekey_outgoing();
            }
            assert_eq!(keys.read_message(&sent[..HEAD], &mut text), Ok(2), "frame {number}");
            assert_eq!(keys.read_message(&sent[HEAD..], &mut text), Ok(1));
            let mut answer = [0; frame(1)];
            keys.write_message(&[0, 1], &mut answer[..HEAD]).unwrap();
            keys.write_message(b"y", &mut answer[HEAD..]).unwrap();
            wire.write_all(&answer).await.unwrap();
            assert_eq!(dialled.read_u8().await.unwrap(), b'y');
        }
    });
}

#[test]
fn a_frame_that_is_too_long_or_empty_ends_the_stream() {
    run(async {
        for (length, found) in [([0xff, 0xff], FRAME), ([0xff, 0xf0], LONGEST + 1), ([0, 0], 0)] {
            let (dialler, mut wire) = duplex(1 << 20);
            let (one, two) = (key(1), key(2).public());
            let (dialled, mut keys) = tokio::join!(initiate(dialler, Pattern::Mutual, &one, two), by_hand(&mut wire));
            let mut head = [0; HEAD];
            keys.write_message(&length, &mut head).unwrap();
            wire.write_all(&head).await.unwrap();
            let expected = NoiseError::Length { found, limit: LONGEST };
            assert_eq!(hear(&mut dialled.unwrap()).await, (Vec::new(), Err(expected)));
        }
    });
}

#[test]
fn nothing_shows_a_secret_key() {
    let shown = format!("{:?} {:?}", key(0xab), super::Noise::new(key(0xab)));
    assert!(!shown.contains("ab, ") && !shown.contains("171") && !shown.contains("abab"), "{shown}");
}

/// A stream that counts the reads that returned data.
struct Counting {
    stream: DuplexStream,
    reads: usize,
}

impl AsyncRead for Counting {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.reads += usize::from(buffer.filled().len() > before);
        outcome
    }
}

impl AsyncWrite for Counting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[test]
fn frames_that_have_arrived_are_read_at_once() {
    run(async {
        let (dialler, stream) = duplex(1 << 20);
        let (one, two) = (key(1), key(2));
        let answering = respond(Counting { stream, reads: 0 }, &two);
        let (speaking, answered) = tokio::join!(initiate(dialler, Pattern::Anonymous, &one, two.public()), answering);
        let (mut speaking, mut hearing) = (speaking.unwrap(), answered.unwrap().0);
        let handshake = hearing.stream().reads;
        for _ in 0..100 {
            say(&mut speaking, b"ten bytes.").await;
        }
        let mut text = [0; 1_000];
        hearing.read_exact(&mut text).await.unwrap();
        assert_eq!(text, *b"ten bytes.".repeat(100));
        assert_eq!(hearing.stream().reads - handshake, 1);
    });
}
