//! Nothing leaves before it is on disk.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use amiko_core::Time;
use amiko_net::{CommandError, RunError};
use common::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A node whose next sync fails.
async fn failing(name: &str) -> Running {
    let (engine, disk) = engine(name, None);
    disk.fail_next_sync();
    start((engine, disk), settings()).await
}

#[test]
fn a_message_isnt_sent_before_the_sync() {
    run(async {
        let node = failing("x").await;
        let mut raw = Raw::hello(node.address, "x").await;
        while node.handle.connected().await.unwrap().is_empty() {}
        let error = node.handle.command(say("x", 7)).await.unwrap_err();
        assert!(matches!(error, CommandError::Unknown), "{error}");
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
            node.handle.query(|engine| (engine.sequence(), engine.durable())),
        );
        assert!(said.is_err());
        assert!(asked.is_err());
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    run(async {
        let node = start(engine("x", None), settings()).await;
        let mut raw = Raw::hello(node.address, "x").await;
        for number in 0..20 {
            raw.say(number, number).await;
            raw.expect(&format!(r#"{{"received":{number}}}"#)).await;
            raw.expect(&answer(number, number)).await;
            raw.send(&format!(r#"{{"received":{number}}}"#)).await;
        }
        let node = start(reopen(node.crash().await), settings()).await;
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
        assert_eq!(replies.unwrap().len(), 1);
    }
}

#[test]
fn what_comes_together_is_synced_together() {
    run(async {
        let node = start(engine("x", None), settings()).await;
        let before = node.disk.syncs();
        say_all(&node, 500).await;
        let syncs = node.disk.syncs() - before;
        assert!(syncs <= 3, "{syncs} syncs");
    });
}

#[test]
fn a_store_that_is_full_is_synced_and_takes_the_rest() {
    run(async {
        let node = start(engine("x", None), settings()).await;
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
        let mut settings = settings();
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
