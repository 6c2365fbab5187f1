//! Both sides say where they stand before anything else: who has forgotten what it said is not talked to.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::*;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;

#[test]
fn nothing_is_sent_before_the_peer_has_said_where_it_stands() {
    run(async {
        let node = start(engine("x", None), settings()).await;
        node.say("x", 7).await;
        let mut raw = Raw::hello(node.address, "x").await;
        raw.expect(&stands("resume", [0, 0, 1])).await;
        assert!(raw.nothing_yet().await);
        raw.send(&stands("resume", [0, 0, 0])).await;
        raw.expect(&said(0, 7)).await;
        raw.say(0, 8).await;
        raw.expect(r#"{"received":0}"#).await;
    });
}

#[test]
fn whoever_dialled_says_where_it_stands_when_it_has_heard_where_the_other_does() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = start(engine("x", Some(listener.local_addr().unwrap().to_string())), settings()).await;
        node.say("x", 7).await;
        let mut raw = Raw::new(listener.accept().await.unwrap().0);
        assert!(raw.line().await.unwrap().contains("Hello"));
        assert!(raw.nothing_yet().await);
        raw.send(&stands("resume", [0, 0, 0])).await;
        let own = raw.line().await.unwrap();
        assert!(own.starts_with(r#"{"resume":{"received":0,"first":0,"sent":"#), "{own}");
        raw.expect(&said(0, 7)).await;
    });
}

#[test]
fn what_the_peer_has_received_is_confirmed_and_not_sent_again() {
    run(async {
        let node = start(engine("x", None), settings()).await;
        for number in 0..3 {
            node.say("x", number).await;
        }
        let mut raw = Raw::resume(node.address, "x", [2, 0, 0], [0, 0, 3]).await;
        raw.expect(&said(2, 2)).await;
        node.until(|engine| engine.connections().all(|(_, connection)| connection.outbox.len() == 1)).await;
        let mut raw = Raw::resume(node.address, "x", [3, 0, 0], [0, 2, 3]).await;
        node.until(settled).await;
        assert!(raw.nothing_yet().await);
    });
}

#[test]
fn a_peer_in_conflict_is_not_talked_to_until_the_application_says_so() {
    for (theirs, words) in [
        // Four were said, of which one is confirmed, and one was heard.
        ([5, 1, 1], "this node's state is older than it should be: restore this node's newest state"),
        ([4, 2, 2], "this node's state is older"),
        ([0, 0, 1], "the peer's state is older than it should be: have the peer restore"),
        ([3, 0, 0], "the peer's state is older"),
        ([5, 0, 0], "both states are older"),
    ] {
        run(async {
            let node = start(engine("x", None), settings()).await;
            for number in 0..3 {
                node.say("x", number).await;
            }
            let mut raw = Raw::resume(node.address, "x", [1, 0, 1], [0, 0, 3]).await;
            // The answer is message 3.
            raw.say(0, 7).await;
            raw.expect(&said(1, 1)).await;
            node.until(|engine| engine.connections().all(|(_, connection)| connection.received == 1)).await;
            let mut raw = Raw::hello(node.address, "x").await;
            raw.expect(&stands("resume", [1, 1, 4])).await;
            raw.send(&stands("resume", theirs)).await;
            raw.expect_end().await;

            // Neither now nor after a restart.
            let mut node = start(reopen(node.crash().await), settings()).await;
            let told = node.logged("Conflict").await;
            assert!(told.contains(words) && told.contains("give the link up"), "{told}");
            for _ in 0..2 {
                let mut raw = Raw::hello(node.address, "x").await;
                raw.expect(&stands("resume", [1, 1, 4])).await;
                raw.send(&stands("resume", [1, 1, 1])).await;
                raw.say(1, 8).await;
                raw.expect_end().await;
                node.logged("isn't used, because one of the two states is older").await;
            }
            assert_eq!(node.talker("x").await.heard, [7]);

            node.handle.command(reconcile("x")).await.unwrap();
            let mut raw = Raw::resume(node.address, "x", [1, 1, 1], [1, 1, 4]).await;
            raw.expect(&said(1, 1)).await;
        });
    }
}

#[test]
fn a_peer_in_conflict_hears_where_this_node_stands_and_isnt_dialled_any_more() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut node = start(engine("x", Some(address)), settings()).await;
        let mut raw = Raw::new(listener.accept().await.unwrap().0);
        assert!(raw.line().await.unwrap().contains("Hello"));
        raw.send(&stands("resume", [1, 0, 0])).await;
        raw.expect(&stands("resume", [0, 0, 0])).await;
        raw.expect_end().await;
        node.logged("Conflict").await;
        let again = timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(again.is_err(), "it was dialled again");
        let mut node = start(reopen(node.crash().await), settings()).await;
        node.logged("Conflict").await;
        assert!(
            timeout(Duration::from_millis(100), listener.accept()).await.is_err(),
            "it was dialled after a restart"
        );
        node.handle.command(reconcile("x")).await.unwrap();
        listener.accept().await.unwrap();
    });
}

#[test]
fn of_two_nodes_the_one_with_the_old_backup_is_noticed_by_both() {
    run(async {
        let mut one = start(engine("x", None), settings()).await;
        let two = start(engine("x", Some(one.address.to_string())), settings()).await;
        two.say("x", 0).await;
        one.until(|engine| engine.connections().all(|(_, connection)| connection.received == 1)).await;
        let backup = two.disk.crash();
        two.say("x", 1).await;
        one.until(|engine| engine.connections().all(|(_, connection)| connection.received == 2)).await;
        drop(two.crash().await);
        let mut two = start(reopen(backup), settings()).await;
        assert!(one.logged("Conflict").await.contains("the peer's state is older"));
        assert!(two.logged("Conflict").await.contains("this node's state is older"));
        assert_eq!(one.talker("x").await.heard, [0, 1]);
        assert!(one.handle.connected().await.unwrap().is_empty());
        assert!(two.handle.connected().await.unwrap().is_empty());
    });
}

#[test]
fn whoever_doesnt_say_where_it_stands_once_loses_its_socket() {
    let resume = stands("resume", [0, 0, 0]);
    for (lines, error) in [
        (vec![said(0, 7)], "expected the peer to say where it stands once"),
        (vec![r#"{"received":0}"#.into()], "expected the peer to say where it stands once"),
        (vec![stands("ping", [0, 0, 0])], "expected the peer to say where it stands once"),
        (vec![resume.clone(), resume.clone()], "expected the peer to say where it stands once"),
        (vec![stands("resume", [0, 1, 0])], "of which \\\"first\\\" is at most"),
        (vec![resume, stands("ping", [0, 0, 2])], "found one 2 further on"),
        (vec![stands("resume", [0, 0, 0]), stands("pong", [3, 0, 0])], "of message 2, which wasn't"),
    ] {
        run(async {
            let mut node = start(engine("x", None), settings()).await;
            let mut raw = Raw::hello(node.address, "x").await;
            raw.expect(&stands("resume", [0, 0, 0])).await;
            for line in lines {
                raw.send(&line).await;
            }
            while raw.line().await.is_some() {}
            let logged = node.logged("protocol error").await;
            assert!(logged.contains(error), "{logged}");
            let mut raw = Raw::resume(node.address, "x", [0, 0, 0], [0, 0, 0]).await;
            raw.say(0, 7).await;
            raw.expect(r#"{"received":0}"#).await;
        });
    }
}

#[test]
fn by_index_alone_nobody_says_where_it_stands() {
    run(async {
        let mut node = start(engine("x", None), by_index()).await;
        let mut raw = Raw::hello(node.address, "x").await;
        assert!(raw.nothing_yet().await);
        raw.send(&stands("resume", [0, 0, 0])).await;
        raw.expect_end().await;
        node.logged("expected the peer to say where it stands once").await;
    });
}
