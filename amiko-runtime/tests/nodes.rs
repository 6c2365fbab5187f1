//! Nodes that talk to each other: whatever happens to the wire, each message acts once.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use amiko_core::Id;
use amiko_runtime::{AskError, BindError, Handle, Missed, Runtime, SendError, Tcp};
use common::*;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const COUNT: u64 = 200;

fn numbers(count: u64) -> Vec<u64> {
    (0..count).collect()
}

#[test]
fn two_nodes_talk_both_ways() {
    run(async {
        let mut one = start(engine("x", None), settings()).await;
        let mut two = start(engine("x", Some(one.address.to_string())), settings()).await;
        for number in 0..COUNT {
            one.say("x", number).await;
            two.say("x", number).await;
        }
        for node in [&mut one, &mut two] {
            node.noticed(2 * COUNT as usize).await;
            node.until(settled).await;
            let talker = node.talker("x").await;
            assert_eq!((talker.heard, talker.answered), (numbers(COUNT), numbers(COUNT)));
            assert_eq!(node.handle.connected().await.unwrap(), ["x"]);
        }
    });
}

/// Forwards one socket after the other, and cuts each when it has carried so many bytes: in the middle of a line, mostly.
async fn cutting_proxy(listener: TcpListener, to: SocketAddr) {
    let mut budget = 0_usize;
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(to).await.unwrap();
        budget += 501;
        let mut left = budget;
        let (mut there, mut back) = ([0; 64], [0; 64]);
        while left > 0 {
            let carried = tokio::select! {
                read = near.read(&mut there) => forward(read, &there, &mut far).await,
                read = far.read(&mut back) => forward(read, &back, &mut near).await,
            };
            left = if carried == 0 { 0 } else { left.saturating_sub(carried) };
        }
    }
}

async fn forward(read: io::Result<usize>, bytes: &[u8], to: &mut TcpStream) -> usize {
    let read = read.unwrap_or(0);
    if to.write_all(&bytes[..read]).await.is_ok() { read } else { 0 }
}

#[test]
fn each_message_acts_once_however_often_the_socket_is_cut() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let mut one = start(engine("x", None), settings()).await;
        tokio::task::spawn_local(cutting_proxy(listener, one.address));
        let mut two = start(engine("x", Some(proxy.to_string())), settings()).await;
        for number in 0..COUNT {
            one.say("x", number).await;
            two.say("x", number).await;
        }
        for node in [&mut one, &mut two] {
            node.noticed(2 * COUNT as usize).await;
            node.until(settled).await;
            let talker = node.talker("x").await;
            assert_eq!((talker.heard, talker.answered), (numbers(COUNT), numbers(COUNT)));
        }
        // It was cut indeed.
        for _ in 0..3 {
            two.logged("Disconnected").await;
        }
    });
}

#[test]
fn each_message_acts_once_though_a_node_crashes() {
    run(async {
        let mut one = start(engine("x", None), settings()).await;
        let mut two = start(engine("x", Some(one.address.to_string())), settings()).await;
        for number in 0..COUNT {
            one.say("x", number).await;
            two.say("x", number).await;
            if number % 50 == 25 {
                // Its task is dropped wherever it stands, and what wasn't synced with it.
                let store = two.crash().await;
                two = start(reopen(store), settings()).await;
            }
        }
        one.noticed(2 * COUNT as usize).await;
        one.until(settled).await;
        two.until(settled).await;
        for node in [&one, &two] {
            let talker = node.talker("x").await;
            assert_eq!((talker.heard, talker.answered), (numbers(COUNT), numbers(COUNT)));
        }
    });
}

#[test]
fn a_node_that_was_stopped_goes_on_where_it_was() {
    run(async {
        let one = start(engine("x", None), settings()).await;
        one.say("x", 7).await;
        let (address, mut again) = (one.address, settings());
        let store = one.stop().await.into_store().crash();
        again.listen = Some(address);
        let one = start(reopen(store), again).await;
        let mut two = start(engine("x", Some(address.to_string())), settings()).await;
        two.noticed(1).await;
        one.until(settled).await;
        assert_eq!(one.talker("x").await.answered, [7]);
    });
}

#[test]
fn both_sides_dial_at_once_and_one_socket_stays() {
    const FEW: u64 = 30;
    for _ in 0..20 {
        run(async {
            let both = || TalkProtocol { dice: true, open: false };
            // Each has to know the other's port before it is there.
            let mut one = start_with(engine("x", None), settings(), both()).await;
            let mut two = start_with(engine("x", None), settings(), both()).await;
            let (first, second) = (Some(two.address.to_string()), Some(one.address.to_string()));
            let (first, second) =
                tokio::join!(one.handle.command(meet("x", first)), two.handle.command(meet("x", second)));
            assert!(first.is_ok() && second.is_ok());
            for number in 0..FEW {
                one.say("x", number).await;
                two.say("x", number).await;
            }
            for node in [&mut one, &mut two] {
                node.noticed(2 * FEW as usize).await;
                node.until(settled).await;
                assert_eq!(node.talker("x").await.heard, numbers(FEW));
                assert_eq!(node.handle.connected().await.unwrap(), ["x"]);
            }
        });
    }
}

/// A node that has dialled us, and nothing more yet.
async fn dialled_by_node() -> (Running, Raw) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let protocol = TalkProtocol { dice: true, open: false };
    let node = start_with(engine("x", Some(address)), by_index(), protocol).await;
    let (stream, _) = listener.accept().await.unwrap();
    let mut raw = Raw::new(stream);
    let hello = raw.line().await.unwrap();
    assert!(hello.contains("\"index\":null") && hello.contains("\"dice\":\"!x"), "{hello}");
    (node, raw)
}

#[test]
fn the_larger_dice_win() {
    run(async {
        let (node, mut theirs) = dialled_by_node().await;
        let mut ours = Raw::dial(node.address).await;
        ours.send(&hello("x", Some("ffffffff"))).await;
        ours.say(0, 7).await;
        ours.expect(r#"{"received":0}"#).await;
        theirs.expect_end().await;
    });
}

#[test]
fn the_smaller_dice_lose() {
    run(async {
        let (mut node, mut theirs) = dialled_by_node().await;
        let mut ours = Raw::dial(node.address).await;
        ours.send(&hello("x", Some("00000000"))).await;
        ours.expect_end().await;
        node.logged("has a socket with a larger tie-breaker").await;
        theirs.say(0, 7).await;
        theirs.expect(r#"{"received":0}"#).await;
    });
}

#[test]
fn a_peer_that_dials_again_gets_through_whatever_its_dice() {
    run(async {
        let protocol = TalkProtocol { dice: true, open: false };
        let node = start_with(engine("x", None), by_index(), protocol).await;
        let mut old = Raw::dial(node.address).await;
        old.send(&hello("x", Some("ffffffff"))).await;
        old.say(0, 7).await;
        old.expect(r#"{"received":0}"#).await;
        // The old socket is still open, as after a crash that the network didn't tell of.
        let mut new = Raw::dial(node.address).await;
        new.send(&hello("x", Some("00000000"))).await;
        new.expect(&answer(0, 7)).await;
    });
}

#[test]
fn a_peer_that_owes_a_confirmation_for_too_long_is_dialled_again() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = by_index();
        settings.conversation.silence = Duration::from_millis(20);
        let mut node = start(engine("x", Some(listener.local_addr().unwrap().to_string())), settings).await;
        node.say("x", 7).await;
        for _ in 0..2 {
            let mut raw = Raw::new(listener.accept().await.unwrap().0);
            assert!(raw.line().await.unwrap().contains("Hello"));
            raw.expect(&said(0, 7)).await;
            raw.expect_end().await;
            node.logged("expected a sign of life within 20ms").await;
        }
    });
}

#[test]
fn a_peer_that_cant_be_reached_is_dialled_until_it_can() {
    run(async {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = gone.local_addr().unwrap();
        drop(gone);
        let mut two = start(engine("x", Some(address.to_string())), settings()).await;
        two.logged("DialFailed").await;
        two.logged("DialFailed").await;
        let mut settings = settings();
        settings.listen = Some(address);
        let mut one = start(engine("x", None), settings).await;
        one.logged("Connected").await;
        two.logged("Connected").await;
    });
}

#[test]
fn a_timer_fires_while_nothing_else_happens() {
    run(async {
        let node = start(engine("x", None), by_index()).await;
        let mut raw = Raw::hello(node.address, "x").await;
        node.handle.command(envelope("x", TalkerMessage::SayLater { number: 7, millis: 30 })).await.unwrap();
        raw.expect(&said(0, 7)).await;
    });
}

#[test]
fn a_rejected_command_says_why() {
    run(async {
        let node = start(engine("x", None), settings()).await;
        let error = node.handle.command(say("nobody", 7)).await.unwrap_err();
        assert!(matches!(error, SendError::Rejected(_)), "{error}");
        assert!(error.to_string().contains("expected talker nobody, found none"), "{error}");
    });
}

#[test]
fn a_node_that_has_stopped_says_so() {
    run(async {
        let node = start(engine("x", None), settings()).await;
        let (handle, mut notices) = (node.handle.clone(), node.handle.notices().await);
        node.stop().await;
        assert!(matches!(handle.command(say("x", 7)).await, Err(SendError::Stopped)));
        assert_eq!(handle.query(|_| ()).await, Err(AskError::Stopped));
        assert_eq!(handle.connected().await, Err(AskError::Stopped));
        assert!(notices.recv().await.is_none());
        assert!(handle.notices().await.recv().await.is_none());
    });
}

#[test]
fn who_doesnt_take_its_notices_in_time_is_told_how_many_were_missed_and_goes_on() {
    run(async {
        let mut settings = by_index();
        settings.notices = 2;
        let mut node = start(engine("x", None), settings).await;
        let mut raw = Raw::hello(node.address, "x").await;
        for number in 0..4 {
            raw.say(number, number).await;
        }
        node.until(|engine| engine.connections().all(|(_, connection)| connection.received == 4)).await;
        assert_eq!(node.notices.recv().await.unwrap(), Err(Missed(2)));
        assert_eq!(*node.notices.recv().await.unwrap().unwrap(), 2);
        assert_eq!(*node.notices.recv().await.unwrap().unwrap(), 3);
        raw.say(4, 4).await;
        assert_eq!(*node.notices.recv().await.unwrap().unwrap(), 4);
    });
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    run(async {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let mut settings = settings();
        settings.listen = Some(address);
        let protocol = TalkProtocol { dice: false, open: false };
        let error =
            Runtime::with_settings(engine("x", None).0, settings).with_network(protocol, Tcp).await.err().unwrap();
        assert!(matches!(&error, BindError::Listen { address: found, .. } if *found == address));
        let expected =
            format!("can't listen on {address}: another process has it: stop that one, or choose another port");
        assert_eq!(error.to_string(), expected);
    });
}

#[test]
fn a_log_that_panics_ends_nothing() {
    run(async {
        let (alone, _disk) = engine("x", None);
        let mut panicking = settings();
        let (told, tells) = std::sync::mpsc::channel();
        panicking.log = Some(Arc::new(move |event| {
            told.send(event.name()).unwrap();
            std::panic::panic_any(event.name());
        }));
        let protocol = TalkProtocol { dice: false, open: false };
        let runtime = Runtime::with_settings(alone, panicking).with_network(protocol, Tcp).await.unwrap();
        let (address, handle) = (runtime.local_addr().unwrap(), runtime.handle());
        let task = tokio::task::spawn_local(runtime.run());
        let mut other = start(engine("x", Some(address.to_string())), settings()).await;
        other.say("x", 7).await;
        other.noticed(1).await;
        other.until(settled).await;
        assert!(tells.try_iter().any(|name| name == "connected"));
        handle.stop();
        task.await.unwrap().unwrap();
    });
}

#[test]
fn handles_go_to_other_threads() {
    fn check<T: Send + Sync + Clone + 'static>(_: &T) {}
    run(async {
        let node = start(engine("x", None), settings()).await;
        let handle: Handle<Talk, Disk> = node.handle.clone();
        check(&handle);
        let (told, tells) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = told.send(runtime.block_on(async {
                handle.send(&Id::<Talker>::new("x"), TalkerMessage::Say { number: 7 }).await.unwrap()
            }));
        });
        assert_eq!(tells.await.unwrap(), 7);
        thread.join().unwrap();
    });
}
