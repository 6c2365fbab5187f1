//! Nothing leaves before it is on disk.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use amiko_core::{Id, Time};
use amiko_runtime::{Durability, RunError, SendError};
use common::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A node whose next sync fails.
async fn failing(name: &str) -> Running {
    let (engine, disk) = engine(name, None);
    disk.fail_next_sync();
    start((engine, disk), by_index()).await
}

#[test]
fn a_message_isnt_sent_before_the_sync() {
    run(async {
        let node = failing("x").await;
        let mut raw = Raw::hello(node.address, "x").await;
        while node.handle.connected().await.unwrap().is_empty() {}
        let error = node.handle.command(say("x", 7)).await.unwrap_err();
        assert!(matches!(error, SendError::Unknown), "{error}");
        raw.expect_end().await;
        assert!(matches!(node.task.await.unwrap(), Err(RunError::Sync(_))));
    });
}

#[test]
fn a_message_isnt_confirmed_or_answered_before_the_sync() {
    run(async {
        let mut node = failing("x").await;
        let mut raw = Raw::hello(node.address, "x").await;
        raw.say(0, 7).await;
        raw.expect_end().await;
        assert!(matches!(node.task.await.unwrap(), Err(RunError::Sync(_))));
        assert_eq!(node.notices.recv().await, None);
    });
}

#[test]
fn a_query_sees_only_what_is_on_disk() {
    run(async {
        let node = failing("x").await;
        let (said, asked) = tokio::join!(
            node.handle.command(say("x", 7)),
            node.handle.query(|engine| (engine.version().0, engine.durable().0)),
        );
        assert!(said.is_err());
        assert!(asked.is_err());
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    run(async {
        let node = start(engine("x", None), by_index()).await;
        let mut raw = Raw::hello(node.address, "x").await;
        for number in 0..20 {
            raw.say(number, number).await;
            raw.expect(&format!(r#"{{"received":{number}}}"#)).await;
            raw.expect(&answer(number, number)).await;
            raw.send(&format!(r#"{{"received":{number}}}"#)).await;
        }
        let node = start(reopen(node.crash().await), by_index()).await;
        assert_eq!(node.talker("x").await.heard, (0..20).collect::<Vec<_>>());
        let mut raw = Raw::hello(node.address, "x").await;
        raw.say(19, 19).await;
        // The last confirmations may have been lost with the crash, so answers may come again; nothing acts twice.
        while raw.line().await.unwrap() != r#"{"received":19}"# {}
        assert_eq!(node.talker("x").await.heard.len(), 20);
    });
}

/// So many commands at once.
async fn say_all(node: &Running, count: u64) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..count {
        let handle = node.handle.clone();
        tasks.spawn_local(async move { handle.command(say("x", number)).await.unwrap() });
    }
    while let Some(replies) = tasks.join_next().await {
        assert!(replies.unwrap().is_some());
    }
}

#[test]
fn what_comes_together_is_synced_together() {
    run(async {
        let node = start(engine("x", None), by_index()).await;
        let before = node.disk.syncs();
        say_all(&node, 500).await;
        let syncs = node.disk.syncs() - before;
        assert!(syncs <= 3, "{syncs} syncs");
    });
}

#[test]
fn a_store_that_is_full_is_synced_and_takes_the_rest() {
    run(async {
        let node = start(engine("x", None), by_index()).await;
        node.disk.limit(3);
        say_all(&node, 50).await;
        let mut raw = Raw::hello(node.address, "x").await;
        for index in 0..50 {
            assert!(raw.line().await.unwrap().starts_with(&format!("{{\"index\":{index},")));
        }
        for number in 0..50 {
            raw.say(number, number).await;
        }
        node.until(|engine| engine.connections().all(|(_, connection)| connection.received == 50)).await;
    });
}

#[test]
fn due_timers_go_before_what_comes_in() {
    run(async {
        let clock = Arc::new(AtomicU64::new(1_000));
        let mut settings = by_index();
        let read = Arc::clone(&clock);
        settings.clock = Arc::new(move || Time::from_millis(read.load(Ordering::Relaxed)));
        let node = start(engine("x", None), settings).await;
        let mut raw = Raw::hello(node.address, "x").await;
        for millis in [200, 100] {
            let later = TalkerMessage::SayLater { number: millis, millis };
            node.handle.command(envelope("x", later)).await.unwrap();
        }
        clock.fetch_add(99, Ordering::Relaxed);
        node.say("x", 1).await;
        raw.expect(&said(0, 1)).await;
        clock.fetch_add(500, Ordering::Relaxed);
        node.say("x", 2).await;
        raw.expect(&said(1, 100)).await;
        raw.expect(&said(2, 200)).await;
        raw.expect(&said(3, 2)).await;
    });
}

#[test]
fn events_go_on_while_the_disk_is_at_work_and_nothing_leaves() {
    run(async {
        let mut node = start(engine("x", None), by_index()).await;
        let mut raw = Raw::hello(node.address, "x").await;
        node.say("x", 1).await;
        raw.expect(&said(0, 1)).await;

        node.disk.hold();
        let handle = node.handle.clone();
        let first = tokio::task::spawn_local(async move { handle.command(say("x", 2)).await });
        raw.send(r#"{"received":0}"#).await;
        raw.say(0, 10).await;
        // The rules say no to it at once: so what came before has been processed.
        raw.send(r#"{"index":1,"message":{"_class":"Unknown"}}"#).await;
        node.logged("rejected").await;
        let handle = node.handle.clone();
        let second = tokio::task::spawn_local(async move { handle.command(say("x", 3)).await });
        tokio::task::yield_now().await;
        assert!(!first.is_finished() && !second.is_finished());
        assert!(raw.nothing_yet().await);

        node.disk.let_go();
        assert_eq!(first.await.unwrap().unwrap().unwrap().read::<u64>().unwrap(), 2);
        assert_eq!(second.await.unwrap().unwrap().unwrap().read::<u64>().unwrap(), 3);
        // Each in its turn.
        let mut lines = Vec::new();
        while !lines.contains(&said(3, 3)) {
            lines.push(raw.line().await.unwrap());
        }
        let at = |line: &str| lines.iter().position(|found| found == line).unwrap();
        assert!(at(&said(1, 2)) < at(&said(3, 3)), "{lines:?}");
    });
}

#[test]
fn what_nobody_waits_for_goes_with_the_next_sync() {
    run(async {
        let mut settings = by_index();
        settings.commit_delay = Duration::from_secs(3_600);
        settings.conversation.confirmation_delay = Duration::ZERO;
        let mut node = start(engine("x", None), settings).await;
        let mut raw = Raw::hello(node.address, "x").await;
        node.say("x", 1).await;
        raw.expect(&said(0, 1)).await;
        let before = node.disk.syncs();
        raw.send(r#"{"received":0}"#).await;
        // It is used up, and to be confirmed. The confirmation before it has been processed, then.
        raw.send(r#"{"index":0,"message":{"_class":"Unknown"}}"#).await;
        node.logged("rejected").await;
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(node.disk.syncs(), before);
        assert!(raw.nothing_yet().await);
        node.say("x", 2).await;
        assert_eq!(node.disk.syncs(), before + 1);
        raw.expect(r#"{"received":0}"#).await;
        raw.expect(&said(1, 2)).await;
        // Who asks doesn't wait for the delay, either.
        raw.send(r#"{"received":1}"#).await;
        node.until(settled).await;
        assert_eq!(node.disk.syncs(), before + 2);
    });
}

#[test]
fn what_nobody_waits_for_is_synced_when_the_delay_is_over() {
    run(async {
        let node = start(engine("x", None), by_index()).await;
        let mut raw = Raw::hello(node.address, "x").await;
        node.say("x", 1).await;
        raw.expect(&said(0, 1)).await;
        raw.send(r#"{"received":0}"#).await;
        while !settled(&reopen(node.disk.crash()).0) {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn quick_syncs_are_done_in_the_loop_and_others_on_a_thread() {
    run(async {
        let here = std::thread::current().id();
        for (quick, inside) in [(Duration::from_secs(3_600), true), (Duration::ZERO, false)] {
            let mut settings = by_index();
            settings.quick_sync = quick;
            let node = start(engine("x", None), settings).await;
            // How quick the disk is, is seen then.
            node.say("x", 1).await;
            node.disk.take_workers();
            for number in 2..10 {
                node.say("x", number).await;
            }
            let workers = node.disk.take_workers();
            assert!(workers.len() == 8 && workers.iter().all(|worker| (*worker == here) == inside), "{workers:?}");
            // Of many that come together, the first ones: the others gather while a thread is at it.
            say_all(&node, 100).await;
            assert!(node.disk.take_workers().iter().any(|worker| *worker != here));
        }
    });
}

#[test]
fn a_sync_that_fails_or_panics_ends_the_node_wherever_it_is_done() {
    run(async {
        for quick in [Duration::from_secs(3_600), Duration::ZERO] {
            for panics in [false, true] {
                let mut settings = by_index();
                settings.quick_sync = quick;
                let node = start(engine("x", None), settings).await;
                node.say("x", 1).await;
                if panics {
                    node.disk.panic_at_next_sync();
                } else {
                    node.disk.fail_next_sync();
                }
                // Another input comes while the disk is at it.
                let (said, other) = tokio::join!(node.handle.command(say("x", 2)), node.handle.connected());
                let error = said.unwrap_err();
                assert!(matches!(error, SendError::Unknown), "{error}");
                assert!(other.is_err());
                let error = node.task.await.unwrap().err().unwrap();
                assert!(
                    matches!((&error, panics), (RunError::DiskThread, true) | (RunError::Sync(_), false)),
                    "{error}"
                );
            }
        }
    });
}

#[test]
fn a_command_that_is_refused_at_once_waits_for_no_delay() {
    run(async {
        let mut settings = by_index();
        settings.commit_delay = Duration::from_secs(3_600);
        let node = start(engine("x", None), settings).await;
        let mut raw = Raw::hello(node.address, "x").await;
        let talker = Id::<Talker>::new("x");
        node.handle.send(&talker, TalkerMessage::Say { number: 1 }).key("key").await.unwrap();
        raw.expect(&said(0, 1)).await;
        raw.send(r#"{"received":0}"#).await;
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(!settled(&reopen(node.disk.crash()).0));
        let error = node.handle.send(&talker, TalkerMessage::Say { number: 2 }).key("key").await.unwrap_err();
        assert!(matches!(error, SendError::KeyUsed { .. }), "{error}");
        // What it rests on is on disk.
        assert!(settled(&reopen(node.disk.crash()).0));
    });
}

#[test]
fn a_full_group_waits_for_the_one_before() {
    run(async {
        let mut settings = by_index();
        settings.group = 10;
        let node = start(engine("x", None), settings).await;
        node.disk.hold();
        let before = node.disk.syncs();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..100 {
            let handle = node.handle.clone();
            tasks.spawn_local(async move { handle.command(say("x", number)).await.unwrap() });
        }
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(node.disk.syncs() - before, 1);
        node.disk.let_go();
        while tasks.join_next().await.is_some() {}
        let syncs = node.disk.syncs() - before;
        assert!((10..=12).contains(&syncs), "{syncs} syncs for 100 commands in groups of 10");
    });
}

#[test]
fn without_durability_the_disk_is_only_told_to_write_until_the_node_stops() {
    run(async {
        let mut settings = by_index();
        settings.durability = Durability::Never;
        let node = start(engine("x", None), settings).await;
        let before = node.disk.syncs();
        for number in 0..10 {
            node.say("x", number).await;
        }
        assert_eq!((node.disk.syncs() - before, node.disk.writes()), (0, 10));
        let disk = node.disk.clone();
        let engine = node.stop().await;
        assert!(!engine.unsynced());
        assert_eq!(disk.syncs() - before, 1);
    });
}

#[test]
fn with_an_interval_the_disk_is_synced_that_often() {
    run(async {
        let mut settings = by_index();
        settings.durability = Durability::Interval(Duration::from_millis(30));
        let node = start(engine("x", None), settings).await;
        let before = node.disk.syncs();
        let begun = std::time::Instant::now();
        for number in 0..10 {
            node.say("x", number).await;
        }
        let most = 1 + begun.elapsed().as_millis() / 30;
        assert!((node.disk.syncs() - before) as u128 <= most);
        // The last ones too, without another event.
        node.until(|engine| engine.durable().0 == engine.version().0).await;
    });
}
