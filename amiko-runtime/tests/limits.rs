//! What one peer may take from the others: each limit, reached.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use amiko_runtime::{AskError, Runtime, Tcp};
use common::*;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

#[test]
fn a_peer_that_says_too_much_a_second_waits_and_loses_nothing() {
    run(async {
        let mut settings = settings();
        (settings.rate, settings.burst) = (100, 5);
        let mut node = start(engine("x", None), settings).await;
        let begun = Instant::now();
        let mut raw = Raw::resume(node.address, "x", [0, 0, 0], [0, 0, 0]).await;
        for number in 0..23 {
            raw.say(number, number).await;
        }
        node.noticed(23).await;
        // Twenty-four lines after the hello, of which five may come at once.
        assert!(begun.elapsed() >= Duration::from_millis(190), "{:?}", begun.elapsed());
        assert_eq!(node.talker("x").await.heard, (0..23).collect::<Vec<_>>());
    });
}

#[test]
fn a_peer_that_floods_the_node_doesnt_keep_out_another() {
    const FLOOD: u64 = 600;
    run(async {
        let mut settings = settings();
        (settings.waiting, settings.group) = (4, 10);
        let mut node = start(engine("x", None), settings).await;
        node.handle.command(meet("y", None)).await.unwrap();
        let mut loud = Raw::resume(node.address, "x", [0, 0, 0], [0, 0, 0]).await;
        let mut quiet = Raw::resume(node.address, "y", [0, 0, 0], [0, 0, 0]).await;
        while node.handle.connected().await.unwrap().len() < 2 {}
        node.disk.hold();
        for number in 0..FLOOD {
            loud.say(number, if number == 0 { POISON } else { number }).await;
        }
        // The first one is rejected, so the flood has come.
        node.logged("poison").await;
        turns().await;
        quiet.say(0, FLOOD).await;
        turns().await;
        node.disk.let_go();
        let mut before = 0;
        while node.notices.recv().await.unwrap().is_ok_and(|notice| *notice != FLOOD) {
            before += 1;
        }
        // A group that is on its way to the disk, the next one, and what waited of this peer; and more on a slow machine.
        assert!((1..FLOOD / 4).contains(&before), "{before} lines of a flood went first");
        node.noticed((FLOOD - 1 - before) as usize).await;
    });
}

#[test]
fn callers_that_flood_the_node_dont_keep_out_a_peer() {
    const FLOOD: u64 = 500;
    run(async {
        let mut settings = settings();
        settings.group = 10;
        let mut node = start(engine("x", None), settings).await;
        let mut raw = Raw::resume(node.address, "x", [0, 0, 0], [0, 0, 0]).await;
        raw.say(0, 7).await;
        node.noticed(1).await;
        node.disk.hold();
        let mut callers = tokio::task::JoinSet::new();
        for number in 0..FLOOD {
            let handle = node.handle.clone();
            callers.spawn_local(async move { drop(handle.command(say("x", number)).await.unwrap()) });
        }
        turns().await;
        raw.say(1, 8).await;
        turns().await;
        node.disk.let_go();
        node.noticed(1).await;
        let mut before = 0;
        while callers.try_join_next().is_some() {
            before += 1;
        }
        // Of two groups half are calls; and more on a slow machine.
        assert!(before < FLOOD / 2, "{before} calls of a flood went first");
        while callers.join_next().await.is_some() {}
    });
}

#[test]
fn of_too_many_sockets_of_one_address_the_last_goes() {
    run(async {
        let mut settings = settings();
        settings.sockets_per_address = 2;
        let mut node = start(engine("x", None), settings).await;
        node.handle.command(meet("y", None)).await.unwrap();
        let mut first = Raw::resume(node.address, "x", [0, 0, 0], [0, 0, 0]).await;
        let second = Raw::resume(node.address, "y", [0, 0, 0], [0, 0, 0]).await;
        let mut third = Raw::dial(node.address).await;
        third.expect_end().await;
        node.logged("expected at most 2 sockets of one address, found more").await;
        first.say(0, 7).await;
        first.expect(r#"{"received":0}"#).await;
        drop(second);
        node.logged("Disconnected").await;
        let mut line = None;
        while line.is_none() {
            line = Raw::hello(node.address, "y").await.line().await;
        }
    });
}

#[test]
fn a_handshake_has_one_deadline_however_many_bytes_and_lines_it_has() {
    // Where a hello comes first there is time for it on a slow machine, too.
    for (begin, millis, error) in [
        (None, 80, "expected a hello within 80ms"),
        (Some(hello("x", None)), 800, "expected the peer to say where it stands within 800ms"),
    ] {
        run(async {
            let mut settings = settings();
            settings.conversation.handshake = Duration::from_millis(millis);
            let mut node = start(engine("x", None), settings).await;
            let mut raw = Raw::dial(node.address).await;
            if let Some(line) = begin {
                raw.send(&line).await;
            }
            let (_reading, mut writing) = raw.split();
            let drip = tokio::task::spawn_local(async move {
                while writing.write_all(b" ").await.is_ok() {
                    sleep(Duration::from_millis(5)).await;
                }
            });
            node.logged(error).await;
            drip.await.unwrap();
        });
    }
}

#[test]
fn while_so_many_lines_wait_for_the_node_nothing_more_is_read() {
    /// Far more than the operating system keeps for a socket.
    const MOST: u64 = 64 << 20;
    alone(async {
        let mut settings = settings();
        (settings.inbound, settings.group) = (4, 1);
        // So that only the one limit holds.
        (settings.waiting, settings.rate, settings.burst) = (1 << 20, 1 << 30, 1 << 30);
        let mut node = start(engine("x", None), settings).await;
        let mut raw = Raw::resume(node.address, "x", [0, 0, 0], [0, 0, 0]).await;
        raw.say(0, 7).await;
        node.noticed(1).await;
        node.disk.hold();
        let (_reading, mut writing) = raw.split();
        let (mut sent, mut index) = (0, 0);
        let (text, before) = ("x".repeat(60_000), resident());
        while sent < MOST {
            index += 1;
            let line = format!("{{\"index\":{index},\"message\":{{\"_class\":\"Note\",\"text\":\"{text}\"}}}}\n");
            match timeout(Duration::from_millis(500), writing.write_all(line.as_bytes())).await {
                Ok(written) => written.unwrap(),
                Err(_) => break,
            }
            sent += line.len() as u64;
        }
        assert!(sent < MOST, "all was read");
        let grown = resident().saturating_sub(before);
        assert!(grown < 16 << 20, "{grown} bytes more, of {sent} that were sent");
        node.disk.let_go();
    });
}

#[test]
fn while_so_many_calls_wait_for_the_node_callers_wait_too() {
    run(async {
        let (engine, _disk) = engine("x", None);
        let mut settings = settings();
        settings.calls = 2;
        let protocol = TalkProtocol { dice: false, open: false };
        let runtime = Runtime::with_settings(engine, settings).with_network(protocol, Tcp).await.unwrap();
        let handle = runtime.handle();
        // The node doesn't take any yet. Those that have a place are carried out, though nobody waits for them any more;
        // those that wait for one aren't.
        let mut callers: Vec<_> = (0..5).map(|number| Box::pin(handle.command(say("x", number)))).collect();
        for caller in &mut callers {
            assert!(timeout(Duration::ZERO, caller).await.is_err());
        }
        drop(callers);
        let task = tokio::task::spawn_local(runtime.run());
        let said = |engine: &amiko_core::Engine<Talk, Disk>| engine.connections().next().unwrap().1.sent;
        assert_eq!(handle.query(said).await.unwrap(), 2);
        handle.stop();
        task.await.unwrap().unwrap();
    });
}

#[test]
fn one_watched_value_too_many_ends_at_once() {
    run(async {
        let mut settings = settings();
        settings.watchers = 1;
        let node = start(engine("x", None), settings).await;
        let met = |talk: &Talk| talk.met;
        let mut first = node.handle.watch(met).await;
        assert_eq!(first.value(), Ok(1));
        assert_eq!(node.handle.watch(met).await.value(), Err(AskError::Stopped));
        // One that has gone leaves its place to the next.
        drop(first);
        assert_eq!(node.handle.watch(met).await.value(), Ok(1));
    });
}

#[test]
fn a_peer_that_doesnt_close_its_end_holds_up_a_node_that_stops_for_a_moment_only() {
    run(async {
        let mut settings = settings();
        settings.farewell = Duration::from_millis(100);
        let node = start(engine("x", None), settings).await;
        let mut raw = Raw::resume(node.address, "x", [0, 0, 0], [0, 0, 0]).await;
        node.say("x", 7).await;
        raw.expect(&said(0, 7)).await;
        let begun = Instant::now();
        node.stop().await;
        assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
        // It has heard the node's end by then.
        raw.expect_end().await;
    });
}
