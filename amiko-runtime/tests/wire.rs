//! A node and a peer that says what it wants: what breaks a rule costs the socket and no more.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::*;
use std::time::Duration;

#[test]
fn a_message_is_confirmed_and_answered() {
    run(async {
        let node = start(engine("x", None), by_index()).await;
        let mut raw = Raw::hello(node.address, "x").await;
        raw.say(0, 7).await;
        raw.expect(r#"{"received":0}"#).await;
        raw.expect(&answer(0, 7)).await;
        assert_eq!(node.handle.connected().await.unwrap(), ["x"]);
        raw.send(r#"{"received":0}"#).await;
        node.until(settled).await;
    });
}

#[test]
fn keys_come_in_any_order_and_unknown_ones_are_ignored() {
    run(async {
        let node = start(engine("x", None), by_index()).await;
        let mut raw = Raw::dial(node.address).await;
        raw.send(r#"{"message": {"dice": null, "new": [{}], "name": "x", "_class": "Hello"}, "index": null}"#).await;
        raw.send(r#" {"new": {}, "message": {"number": 7, "new": 1, "_class": "Say"}, "index": 0}"#).await;
        raw.expect(r#"{"received":0}"#).await;
    });
}

#[test]
fn a_line_that_breaks_the_rules_closes_the_socket() {
    let long = format!(r#"{{"index":0,"message":"{}"}}"#, "x".repeat(70_000));
    let deep = format!(r#"{{"index":0,"message":{}{}}}"#, "[".repeat(32), "]".repeat(32));
    for (line, error) in [
        ("GET / HTTP/1.1", "expected an object, found GET"),
        ("", "expected an object, found the end of the text"),
        ("{}", "expected \"index\" with \"message\""),
        (r#"{"message":{"_class":"Bye"}}"#, "expected \"index\" with \"message\""),
        (r#"{"index":65536,"message":{"_class":"Bye"}}"#, "expected an integer from 0 to 65535"),
        (&long, "expected a line of at most 65536 bytes"),
        (&deep, "expected at most 32 levels of nesting"),
        (r#"{"index":1,"message":{"_class":"Bye"}}"#, "expected the next message, found one 1 further on"),
        (
            r#"{"index":65535,"message":{"_class":"Bye"}}"#,
            "expected message 0, found 65535, which the peer can't have come to",
        ),
        (&hello("x", None), "expected one hello"),
        (r#"{"received":0}"#, "of message 0, which wasn't"),
    ] {
        run(async {
            let mut node = start(engine("x", None), by_index()).await;
            let mut raw = Raw::hello(node.address, "x").await;
            raw.send(line).await;
            raw.expect_end().await;
            let logged = node.logged("protocol error").await;
            assert!(logged.contains(error), "{logged}");
            // The connection goes on where it was.
            let mut raw = Raw::hello(node.address, "x").await;
            raw.say(0, 7).await;
            raw.expect(r#"{"received":0}"#).await;
            assert_eq!(node.talker("x").await.heard, [7]);
        });
    }
}

#[test]
fn a_line_that_isnt_text_closes_the_socket() {
    run(async {
        let mut node = start(engine("x", None), by_index()).await;
        let mut raw = Raw::hello(node.address, "x").await;
        raw.send_bytes(b"{\"index\":\xff\n").await;
        raw.expect_end().await;
        node.logged("found something else at byte 9").await;
    });
}

#[test]
fn a_line_without_an_end_closes_the_socket() {
    run(async {
        let mut node = start(engine("x", None), by_index()).await;
        let mut raw = Raw::dial(node.address).await;
        raw.send_bytes(&[b' '; 100_000]).await;
        raw.expect_end().await;
        node.logged("lost before its hello: protocol error: expected a line of at most 65536 bytes").await;
    });
}

#[test]
fn a_stranger_has_to_say_hello_first() {
    for (line, error) in [
        (said(0, 7), "expected a hello"),
        (r#"{"received":0}"#.into(), "expected a hello"),
        ("hello".into(), "expected an object"),
        (r#"{"index":null,"message":{"_class":"Hallo"}}"#.into(), "hello: expected the class"),
        (r#"{"index":null,"message":{"_class":"Bye"}}"#.into(), "refused: expected a hello"),
        (hello("y", None), "refused: expected a name that is known"),
    ] {
        run(async {
            let mut node = start(engine("x", None), by_index()).await;
            let mut raw = Raw::dial(node.address).await;
            raw.send(&line).await;
            raw.expect_end().await;
            node.logged(error).await;
        });
    }
}

#[test]
fn a_stranger_that_says_nothing_is_sent_away() {
    run(async {
        let mut settings = by_index();
        settings.conversation.handshake = Duration::from_millis(10);
        let mut node = start(engine("x", None), settings).await;
        let mut raw = Raw::dial(node.address).await;
        raw.expect_end().await;
        node.logged("expected a hello within 10ms, found none").await;
    });
}

#[test]
fn of_too_many_strangers_the_oldest_goes() {
    run(async {
        let mut settings = by_index();
        settings.conversation.strangers = 2;
        let mut node = start(engine("x", None), settings).await;
        let mut first = Raw::dial(node.address).await;
        let _second = Raw::dial(node.address).await;
        let mut third = Raw::dial(node.address).await;
        first.expect_end().await;
        node.logged("expected at most 2 peers that haven't said hello").await;
        third.send(&hello("x", None)).await;
        third.say(0, 7).await;
        third.expect(r#"{"received":0}"#).await;
    });
}

#[test]
fn a_message_that_isnt_understood_is_used_up_and_the_link_goes_on() {
    run(async {
        let mut node = start(engine("x", None), by_index()).await;
        let mut raw = Raw::hello(node.address, "x").await;
        let bad = [
            (r#"{"_class":"Sing"}"#, "\"Sing\""),
            (
                r#"{"_class":"Say","number":"seven"}"#,
                "number: expected an unsigned integer of 64 bits, found \"seven\"",
            ),
            (r#"{"_class":"Say"}"#, "number"),
            ("null", "found null"),
            ("7", "found 7"),
            (r#"{"_class":"Say","number":666}"#, "poison"),
        ];
        for (index, (message, _)) in bad.iter().enumerate() {
            raw.send(&format!(r#"{{"index":{index},"message":{message}}}"#)).await;
            raw.expect(&format!(r#"{{"received":{index}}}"#)).await;
        }
        for (_, error) in bad {
            let logged = node.logged("Rejected").await;
            assert!(logged.contains(error), "{logged}");
        }
        raw.say(6, 7).await;
        raw.expect(r#"{"received":6}"#).await;
        assert_eq!(node.talker("x").await.heard, [7]);
    });
}

#[test]
fn a_repeated_message_acts_once_and_is_confirmed_again() {
    run(async {
        let node = start(engine("x", None), by_index()).await;
        let mut raw = Raw::hello(node.address, "x").await;
        raw.say(0, 7).await;
        raw.expect(r#"{"received":0}"#).await;
        raw.expect(&answer(0, 7)).await;
        raw.say(0, 7).await;
        raw.expect(r#"{"received":0}"#).await;
        let mut again = Raw::hello(node.address, "x").await;
        again.expect(&answer(0, 7)).await;
        again.say(0, 7).await;
        again.expect(r#"{"received":0}"#).await;
        assert_eq!(node.talker("x").await.heard, [7]);
    });
}

#[test]
fn what_isnt_confirmed_is_sent_again_in_order() {
    run(async {
        let node = start(engine("x", None), by_index()).await;
        for number in 0..3 {
            node.say("x", number).await;
        }
        for _ in 0..2 {
            let mut raw = Raw::hello(node.address, "x").await;
            for number in 0..3 {
                raw.expect(&said(number, number)).await;
            }
        }
        let mut raw = Raw::hello(node.address, "x").await;
        raw.send(r#"{"received":1}"#).await;
        node.until(|engine| engine.connections().all(|(_, connection)| connection.outbox.len() == 1)).await;
        let mut raw = Raw::hello(node.address, "x").await;
        raw.expect(&said(2, 2)).await;
        node.say("x", 3).await;
        raw.expect(&said(3, 3)).await;
        raw.send(r#"{"received":3}"#).await;
        // An old confirmation says nothing new.
        raw.send(r#"{"received":0}"#).await;
        node.until(settled).await;
        assert_eq!(node.handle.connected().await.unwrap(), ["x"]);
    });
}

#[test]
fn a_large_outbox_goes_out_in_order_in_small_batches() {
    const COUNT: u64 = 3_000;
    run(async {
        let mut settings = by_index();
        settings.conversation.batch = 1;
        let node = start(engine("x", None), settings).await;
        for number in 0..COUNT {
            node.say("x", number).await;
        }
        let mut raw = Raw::hello(node.address, "x").await;
        for number in 0..COUNT {
            raw.expect(&said(number, number)).await;
        }
        raw.send(&format!(r#"{{"received":{}}}"#, COUNT - 1)).await;
        node.until(settled).await;
    });
}

#[test]
fn a_peer_that_reads_slowly_gets_everything_in_order() {
    const COUNT: usize = 600;
    run(async {
        let mut settings = by_index();
        // However slow this machine is, the peer isn't silent: it confirms nothing.
        settings.conversation.silence = Duration::from_secs(600);
        let node = start(engine("x", None), settings).await;
        let mut raw = Raw::hello(node.address, "x").await;
        // More than the operating system keeps for a socket.
        for number in 0..COUNT {
            let text = format!("{number:030000}");
            node.handle.command(envelope("x", TalkerMessage::Shout { text })).await.unwrap();
        }
        for number in 0..COUNT {
            let line = raw.line().await.unwrap();
            assert!(line.starts_with(&format!("{{\"index\":{number},")), "{}", &line[..40]);
        }
    });
}

#[test]
fn numbers_go_around() {
    const COUNT: u64 = 66_000;
    run(async {
        let mut settings = by_index();
        settings.rate = 1_000_000;
        let node = start(engine("x", None), settings).await;
        let raw = Raw::hello(node.address, "x").await;
        let (reading, mut writing) = raw.split();
        let sender = tokio::spawn(async move {
            for index in 0..COUNT {
                let line =
                    format!("{{\"index\":{},\"message\":{{\"_class\":\"Note\",\"text\":\"\"}}}}\n", index % 65536);
                tokio::io::AsyncWriteExt::write_all(&mut writing, line.as_bytes()).await.unwrap();
            }
            writing
        });
        let mut lines = tokio::io::AsyncBufReadExt::lines(reading);
        let mut found = 0_u64;
        while found < COUNT - 1 {
            let line = lines.next_line().await.unwrap().unwrap();
            let number: u64 = line.trim_start_matches("{\"received\":").trim_end_matches('}').parse().unwrap();
            found += (number + 65536 - found % 65536) % 65536;
        }
        assert_eq!(found, COUNT - 1);
        sender.await.unwrap();
        let received = node.handle.query(|engine| engine.connections().next().unwrap().1.received).await.unwrap();
        assert_eq!(received, COUNT);
    });
}

#[test]
fn a_message_without_a_line_leaves_its_place_to_null() {
    run(async {
        let mut node = start(engine("x", None), by_index()).await;
        let mut raw = Raw::hello(node.address, "x").await;
        let text = "x".repeat(70_000);
        node.handle.command(envelope("x", TalkerMessage::Shout { text })).await.unwrap();
        node.say("x", 7).await;
        raw.expect(r#"{"index":0,"message":null}"#).await;
        raw.expect(&said(1, 7)).await;
        node.logged("message 0 can't be sent").await;
    });
}

#[test]
fn a_connection_that_is_over_is_confirmed_and_closed() {
    run(async {
        let mut node = start(engine("x", None), by_index()).await;
        let mut raw = Raw::hello(node.address, "x").await;
        raw.send(r#"{"index":0,"message":{"_class":"Bye"}}"#).await;
        raw.expect(r#"{"received":0}"#).await;
        raw.expect_end().await;
        node.logged("the connection is over").await;
        let mut raw = Raw::hello(node.address, "x").await;
        raw.expect_end().await;
        node.logged("found none named \"x\"").await;
    });
}

#[test]
fn the_event_of_a_welcome_comes_before_anything_else() {
    run(async {
        let node = start_with(engine("x", None), by_index(), TalkProtocol { dice: false, open: true }).await;
        let mut raw = Raw::hello(node.address, "new").await;
        raw.say(0, 7).await;
        raw.expect(r#"{"received":0}"#).await;
        raw.expect(&answer(0, 7)).await;
        assert_eq!(node.talker("new").await.heard, [7]);
    });
}
