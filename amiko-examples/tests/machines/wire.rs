//! What each message is on the wire, to the letter; and what is taken for it.

use crate::machine::token;
use crate::messages::{
    cancel_route, channel, deposit, have_no_route, lock, make_route, on, request_commit, settle_commit,
    settle_commit_with, settle_rollback,
};
use amiko_core::prelude::*;
use amiko_core::serializable::{ReadError, Reader, Text, Unknown, Writer};
use amiko_examples::payment::{
    IouCredit, IouWithdraw, Message, Network, PlainDeposit, PlainWithdraw, PrototypeIouAddress,
    PrototypeIouWithdrawTransaction,
};

fn written(message: &Message) -> String {
    let mut out = Writer::new().with_text(Text::Ascii);
    message.write(&mut out).unwrap();
    out.into_string()
}

/// As the network reads it.
fn read(text: &str) -> Result<Message, ReadError> {
    let mut input = Reader::new(text).with_unknown(Unknown::Ignore);
    let message = Message::read(&mut input)?;
    input.end()?;
    Ok(message)
}

/// The class and the fields of every message, in the order in which they are written: T stands for the transaction, S
/// for the token.
fn every_message() -> Vec<(Message, &'static str)> {
    let transaction_id = token().transaction(Network::Amiko);
    let (id, callback_id) = (Id::new("toB"), Id::new("toA"));
    let nothing = Message::HaveRoute { transaction_id: None, is_payer_side: false, start_time: None, end_time: None };
    let have_route = Message::HaveRoute {
        transaction_id: Some(transaction_id),
        is_payer_side: true,
        start_time: Some(1_795_369_393),
        end_time: Some(1_795_542_193),
    };
    let connect_link = |callback_host: Option<&str>, callback_port| Message::ConnectLink {
        id: Id::clone(&id),
        dice: [0x11, 0x86, 0xf9, 0x49],
        callback_host: callback_host.map(str::to_owned),
        callback_port,
        callback_id: Id::clone(&callback_id),
    };
    let receipt = |receipt: &str, points: &[&str]| Message::Receipt {
        amount: 123,
        receipt: receipt.into(),
        transaction_id,
        meeting_points: points.iter().map(|point| Id::new(*point)).collect(),
    };
    vec![
        (
            connect_link(Some("localhost"), Some(4502)),
            r#"{"_class":"ConnectLink","ID":"toB","dice":"!x1186f949","callbackHost":"localhost","callbackPort":4502,"callbackID":"toA"}"#,
        ),
        (
            connect_link(None, None),
            r#"{"_class":"ConnectLink","ID":"toB","dice":"!x1186f949","callbackHost":null,"callbackPort":null,"callbackID":"toA"}"#,
        ),
        (
            Message::AcceptInvitation {
                id: Id::clone(&id),
                invitation: "000102030405060708090a0b0c0d0e0f".parse().unwrap(),
                dice: [0x11, 0x86, 0xf9, 0x49],
                callback_host: Some("localhost".into()),
                callback_port: Some(4502),
                callback_id: Id::clone(&callback_id),
            },
            r#"{"_class":"AcceptInvitation","ID":"toB","invitation":"!x000102030405060708090a0b0c0d0e0f","dice":"!x1186f949","callbackHost":"localhost","callbackPort":4502,"callbackID":"toA"}"#,
        ),
        (Message::Pay { id: Id::new("d9e6beef9d098b2a") }, r#"{"_class":"Pay","ID":"d9e6beef9d098b2a"}"#),
        (deposit(0, "PlainChannel"), r#"{"_class":"Deposit","channelIndex":0,"channelClass":"PlainChannel"}"#),
        (
            channel(0, PlainDeposit { amount: 1000 }),
            r#"{"_class":"ChannelMessage","channelIndex":0,"message":{"_class":"PlainChannel_Deposit","amount":1000}}"#,
        ),
        (
            channel(0, PlainWithdraw {}),
            r#"{"_class":"ChannelMessage","channelIndex":0,"message":{"_class":"PlainChannel_Withdraw"}}"#,
        ),
        (
            channel(1, IouCredit { limit: 500 }),
            r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"IouChannel_Credit","limit":500}}"#,
        ),
        (
            channel(1, IouWithdraw {}),
            r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"IouChannel_Withdraw"}}"#,
        ),
        (
            channel(1, PrototypeIouAddress { address: "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa".into() }),
            r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"IOUChannel_Address","address":"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"}}"#,
        ),
        (
            channel(1, PrototypeIouWithdrawTransaction { transaction: None }),
            r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"IOUChannel_WithdrawTransaction","transaction":null}}"#,
        ),
        (
            channel(1, PrototypeIouWithdrawTransaction { transaction: Some("01ff".into()) }),
            r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"IOUChannel_WithdrawTransaction","transaction":"01ff"}}"#,
        ),
        (
            receipt("one", &["MP_B", "MP_C"]),
            r#"{"_class":"Receipt","amount":123,"receipt":"one","transactionID":"T","meetingPoints":["MP_B","MP_C"]}"#,
        ),
        // Text that isn't printable ASCII is hex; an exclamation mark in front is doubled.
        (
            receipt("é", &[]),
            r#"{"_class":"Receipt","amount":123,"receipt":"!xc3a9","transactionID":"T","meetingPoints":[]}"#,
        ),
        (
            receipt("!", &[]),
            r#"{"_class":"Receipt","amount":123,"receipt":"!!","transactionID":"T","meetingPoints":[]}"#,
        ),
        (Message::Confirm { meeting_point_id: Id::new("MP_B") }, r#"{"_class":"Confirm","meetingPointID":"MP_B"}"#),
        (Message::Cancel, r#"{"_class":"Cancel"}"#),
        (
            make_route(true),
            r#"{"_class":"MakeRoute","amount":123,"transactionID":"T","startTime":null,"endTime":null,"meetingPointID":"Here","channelIndex":0,"isPayerSide":true}"#,
        ),
        (
            make_route(false),
            r#"{"_class":"MakeRoute","amount":123,"transactionID":"T","startTime":1800000000,"endTime":1800000000,"meetingPointID":"Here","channelIndex":0,"isPayerSide":false}"#,
        ),
        (
            have_route,
            r#"{"_class":"HaveRoute","transactionID":"T","isPayerSide":true,"startTime":1795369393,"endTime":1795542193}"#,
        ),
        (nothing, r#"{"_class":"HaveRoute","transactionID":null,"isPayerSide":false,"startTime":null,"endTime":null}"#),
        (have_no_route(false), r#"{"_class":"HaveNoRoute","transactionID":"T","isPayerSide":false}"#),
        (cancel_route(true), r#"{"_class":"CancelRoute","transactionID":"T","isPayerSide":true}"#),
        (
            lock(true),
            r#"{"_class":"Lock","transactionID":"T","isPayerSide":true,"amount":123,"startTime":null,"endTime":null,"channelIndex":0}"#,
        ),
        (request_commit(true), r#"{"_class":"RequestCommit","token":"S","isPayerSide":true}"#),
        (settle_commit(true), r#"{"_class":"SettleCommit","token":"S","isPayerSide":true}"#),
        (settle_commit_with(token(), None), r#"{"_class":"SettleCommit","token":"S","isPayerSide":null}"#),
        (settle_rollback(true), r#"{"_class":"SettleRollback","transactionID":"T","isPayerSide":true}"#),
    ]
}

/// With the hash and the token in full.
fn full(text: &str) -> String {
    full_on(Network::Amiko, text)
}

fn full_on(network: Network, text: &str) -> String {
    let hash = to_json(&token().transaction(network)).unwrap();
    text.replace(r#""T""#, &hash).replace(r#""S""#, &to_json(&token()).unwrap())
}

#[test]
fn every_message_has_exactly_this_text_and_is_read_back() {
    let mut classes = std::collections::BTreeSet::new();
    for (message, text) in every_message() {
        let text = full(text);
        assert_eq!(written(&message), text);
        assert_eq!(read(&text).unwrap(), message, "{text}");
        classes.extend(message.class());
    }
    let mut known = Vec::new();
    Message::classes(&mut known);
    assert_eq!(classes.into_iter().collect::<Vec<_>>(), {
        known.sort_unstable();
        known
    });
}

#[test]
fn messages_of_prototypes_differ_by_their_hashes_alone() {
    for (message, text) in every_message() {
        let message = on(Network::Prototype3, &message);
        let text = full_on(Network::Prototype3, text);
        assert_eq!(written(&message), text);
        assert_eq!(read(&text).unwrap(), message, "{text}");
    }
}

#[test]
fn bytes_that_a_prototype_finds_printable_are_read_as_they_stand() {
    let dice = |dice: &str| {
        let text = r#"{"_class":"ConnectLink","ID":"toB","dice":"DICE","callbackHost":"localhost","callbackPort":4502,"callbackID":"toA"}"#;
        match read(&text.replace("DICE", dice)) {
            Ok(Message::ConnectLink { dice, .. }) => Some(dice),
            _ => None,
        }
    };
    assert_eq!(dice("a~0 "), Some(*b"a~0 "));
    assert_eq!(dice("!!bc"), None);
    assert_eq!(dice("!!bcd"), Some(*b"!bcd"));
    assert_eq!(dice("!x61626364"), Some(*b"abcd"));
}

/// The text of an object with its top-level fields in the reverse order, the class last, and a field that nobody knows.
fn turned_around(text: &str) -> String {
    let object: serde_json::Value = serde_json::from_str(text).unwrap();
    let fields = object.as_object().unwrap().iter();
    let mut fields: Vec<_> = fields.map(|(key, value)| format!("{key:?}: {value}")).collect();
    fields.sort();
    fields.reverse();
    fields.insert(1.min(fields.len()), r#""unknown": {"_class": "Whatever", "list": [1, {"a": null}]}"#.into());
    format!(" {{ {} }} ", fields.join(" , "))
}

#[test]
fn keys_in_any_order_and_keys_that_are_not_known_are_accepted_from_the_network() {
    for (message, text) in every_message() {
        let text = turned_around(&full(text));
        assert_eq!(read(&text).unwrap(), message, "{text}");
        let error = from_json::<Message>(&text).unwrap_err().to_string();
        assert!(error.contains("unknown"), "in a file it is an error: {error}");
    }
}

#[test]
fn what_may_be_null_may_be_missing() {
    for (message, text) in every_message() {
        let without: serde_json::Map<_, _> = serde_json::from_str::<serde_json::Map<_, _>>(&full(text))
            .unwrap()
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect();
        assert_eq!(read(&serde_json::Value::Object(without).to_string()).unwrap(), message);
    }
}

#[test]
fn every_field_that_may_not_be_null_is_needed() {
    for (message, text) in every_message() {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&full(text)).unwrap();
        let optional = ["callbackHost", "callbackPort", "startTime", "endTime"];
        for key in object.keys() {
            let may_be_null = optional.contains(&key.as_str())
                || (matches!(message, Message::HaveRoute { .. }) && key == "transactionID")
                || (matches!(message, Message::SettleCommit { .. }) && key == "isPayerSide");
            let mut without = object.clone();
            without.remove(key);
            let outcome = read(&serde_json::Value::Object(without).to_string());
            assert_eq!(outcome.is_ok(), may_be_null, "{key} of {text}");
        }
    }
}

#[test]
fn what_is_of_another_type_or_class_is_refused() {
    for text in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"_class":"Steal"}"#,
        r#"{"_class":7}"#,
        r#"{"_class":"Cancel","_class":"Cancel"}"#,
        r#"{"_class":"Cancel"} {}"#,
        r#"{"_class":"Deposit","channelIndex":-1,"channelClass":"PlainChannel"}"#,
        r#"{"_class":"Deposit","channelIndex":4294967296,"channelClass":"PlainChannel"}"#,
        r#"{"_class":"Deposit","channelIndex":0.5,"channelClass":"PlainChannel"}"#,
        r#"{"_class":"Deposit","channelIndex":"0","channelClass":"PlainChannel"}"#,
        r#"{"_class":"Deposit","channelIndex":0,"channelIndex":0,"channelClass":"PlainChannel"}"#,
        r#"{"_class":"Deposit","channelIndex":0,"channelClass":"!y"}"#,
        r#"{"_class":"ChannelMessage","channelIndex":0,"message":{"_class":"Cancel"}}"#,
        r#"{"_class":"ChannelMessage","channelIndex":0,"message":{"_class":"PlainChannel_Deposit","amount":-1}}"#,
        r#"{"_class":"ChannelMessage","channelIndex":0,"message":{"_class":"PlainChannel_Deposit","amount":18446744073709551616}}"#,
        r#"{"_class":"CancelRoute","transactionID":"!x00","isPayerSide":true}"#,
        r#"{"_class":"CancelRoute","transactionID":null,"isPayerSide":true}"#,
        r#"{"_class":"RequestCommit","token":"S","isPayerSide":1}"#,
        r#"{"_class":"RequestCommit","token":"S","isPayerSide":null}"#,
    ] {
        assert!(read(&full(text)).is_err(), "{text}");
    }
}
