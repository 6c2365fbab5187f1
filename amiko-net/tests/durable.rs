//! Nothing leaves before it is on disk.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use amiko_net::{CommandError, RunError};
use common::*;

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
