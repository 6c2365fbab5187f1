//! Each message of the protocol as bytes: what a prototype says, as it writes it, and exactly what a node of ours says then.

use crate::node::{Node, run};
use crate::peer::Peer;
use amiko_core::prelude::*;
use amiko_examples::payment::{
    Address, Link, MeetingPoint, Network, Payee, PayeePhase, PayerMessage, PaymentNode, PaymentNodeEnvelope,
    PaymentNodeMessage, PlainChannel, Reply, Token,
};
use std::collections::BTreeMap;
use tokio::net::TcpListener;

const BEGIN: u64 = 1_795_369_393;
/// The payment in all of these.
const PAYMENT: &str = "d9e6beef9d098b2a";

/// A peer, the number of its next message, and that of the node's.
type Numbered = (Peer, u64, u64);

/// A node with the links `a` and `b`, on which neighbours of the same name have dialled.
struct Stage {
    node: Node,
    peers: BTreeMap<&'static str, Numbered>,
}

/// In the messages `T` and `U` are transactions, `S` is the token of `T`, and times are seconds from the beginning, with a plus.
fn full(text: &str) -> String {
    let json = |token: u8| {
        let token = Token::new([token; 32]);
        (to_json(&token).unwrap(), to_json(&token.transaction(Network::Prototype3)).unwrap())
    };
    let ((token, first), (_, second)) = (json(7), json(8));
    let text = text.replace(r#""T""#, &first).replace(r#""U""#, &second).replace(r#""S""#, &token);
    let mut parts = text.split('+');
    let mut full = parts.next().unwrap().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        full += &(BEGIN + part[..digits].parse::<u64>().unwrap()).to_string();
        full += &part[digits..];
    }
    full
}

impl Stage {
    async fn new() -> Self {
        let link = || Link { channels: vec![Box::new(PlainChannel::open(1000, 1000))], ..Link::default() };
        let payee = Payee {
            phase: PayeePhase::Initial,
            begun: Time::from_secs(BEGIN),
            amount: 123,
            receipt: "one".into(),
            token: Token::new([7; 32]),
            meeting_points: vec![Id::new("MP")],
            via: Some(Id::new("a")),
            told: false,
        };
        let node = PaymentNode {
            network: Network::Prototype3,
            links: ["a", "b"].map(|name| (Id::new(name), link())).into_iter().collect(),
            payees: [(Id::new(PAYMENT), payee)].into_iter().collect(),
            address: Some(Address { host: "localhost".into(), port: 4501 }),
            ..PaymentNode::default()
        };
        let node = Node::start(node, BEGIN).await;
        let mut stage = Self { node, peers: BTreeMap::new() };
        for name in ["a", "b"] {
            // It can't be dialled.
            let hello = r#"{"ID": "NAME", "dice": "!x1186f949", "callbackHost": null, "callbackPort": null, "callbackID": "theirs", "_class": "ConnectLink"}"#;
            stage.dials(name, &hello.replace("NAME", name)).await;
        }
        stage
    }

    async fn dials(&mut self, name: &'static str, hello: &str) {
        let hello = format!("{{\"index\": null, \"message\": {hello}}}");
        self.peers.insert(name, (Peer::dial(self.node.address, &hello).await, 0, 0));
    }

    /// A peer says something, as a prototype writes it, and it is confirmed.
    async fn says(&mut self, name: &str, message: &str) {
        let (peer, next, _) = self.peers.get_mut(name).unwrap();
        peer.say(&format!("{{\"index\": {next}, \"message\": {}}}", full(message))).await;
        peer.is_confirmed(*next).await;
        *next += 1;
    }

    /// The next line to a peer is exactly this message. It is confirmed.
    async fn hears(&mut self, name: &str, message: &str) {
        let (peer, _, next) = self.peers.get_mut(name).unwrap();
        assert_eq!(peer.hears().await, format!("{{\"index\":{next},\"message\":{}}}", full(message)), "to {name}");
        peer.say(&format!("{{\"received\": {next}}}")).await;
        *next += 1;
    }

    /// Nobody has heard anything else, and nothing is left over.
    async fn ends(self) {
        // What it remembers for a moment is forgotten.
        self.node.after(5).await;
        let quiet = async {
            for (peer, ..) in self.peers.into_values() {
                peer.hears_the_end().await;
            }
        };
        let (engine, ()) = tokio::join!(self.node.stop(), quiet);
        let refused: Vec<_> = engine.rejections().map(|rejected| rejected.rejection.to_string()).collect();
        assert_eq!(refused, [""; 0]);
        assert_eq!((engine.node().claims(), engine.node().transactions.len()), (0, 0));
    }

    /// A half-route on the payer's side, up to the lock.
    async fn locks(&mut self) {
        self.says("a", r#"{"amount": 123, "transactionID": "T", "startTime": null, "endTime": null, "meetingPointID": "MP", "channelIndex": 0, "isPayerSide": true, "_class": "MakeRoute"}"#).await;
        self.hears("b", r#"{"_class":"MakeRoute","amount":123,"transactionID":"T","startTime":null,"endTime":null,"meetingPointID":"MP","channelIndex":0,"isPayerSide":true}"#).await;
        self.says("b", r#"{"transactionID": "T", "isPayerSide": true, "startTime": +0, "endTime": +172800, "_class": "HaveRoute"}"#).await;
        self.hears(
            "a",
            r#"{"_class":"HaveRoute","transactionID":"T","isPayerSide":true,"startTime":+0,"endTime":+259200}"#,
        )
        .await;
        self.says("a", r#"{"transactionID": "T", "isPayerSide": true, "amount": 123, "startTime": null, "endTime": null, "channelIndex": 0, "_class": "Lock"}"#).await;
        self.hears("b", r#"{"_class":"Lock","transactionID":"T","isPayerSide":true,"amount":123,"startTime":null,"endTime":null,"channelIndex":0}"#).await;
    }
}

#[test]
fn a_hub_passes_a_token_on() {
    run(async {
        let mut stage = Stage::new().await;
        stage.locks().await;
        stage.says("b", r#"{"token": "S", "isPayerSide": true, "_class": "RequestCommit"}"#).await;
        stage.hears("b", r#"{"_class":"SettleCommit","token":"S","isPayerSide":true}"#).await;
        stage.hears("a", r#"{"_class":"RequestCommit","token":"S","isPayerSide":true}"#).await;
        stage.says("a", r#"{"token": "S", "isPayerSide": true, "_class": "SettleCommit"}"#).await;
        stage.ends().await;
    });
}

#[test]
fn a_hub_passes_on_that_there_is_no_route() {
    run(async {
        let mut stage = Stage::new().await;
        stage.says("a", r#"{"amount": 123, "transactionID": "U", "startTime": +0, "endTime": +86400, "meetingPointID": "MP", "channelIndex": 0, "isPayerSide": false, "_class": "MakeRoute"}"#).await;
        stage.hears("b", r#"{"_class":"MakeRoute","amount":123,"transactionID":"U","startTime":+0,"endTime":+172800,"meetingPointID":"MP","channelIndex":0,"isPayerSide":false}"#).await;
        stage.says("b", r#"{"transactionID": "U", "isPayerSide": false, "_class": "HaveNoRoute"}"#).await;
        stage.hears("a", r#"{"_class":"HaveNoRoute","transactionID":"U","isPayerSide":false}"#).await;
        stage.ends().await;
    });
}

#[test]
fn a_hub_passes_on_that_a_route_is_not_wanted_and_gives_up_one_that_does_not_come() {
    run(async {
        let mut stage = Stage::new().await;
        for transaction in ["T", "U"] {
            let make = r#"{"amount": 123, "transactionID": "ID", "startTime": null, "endTime": null, "meetingPointID": "MP", "channelIndex": 0, "isPayerSide": true, "_class": "MakeRoute"}"#;
            stage.says("a", &make.replace("\"ID\"", &format!("{transaction:?}"))).await;
            let made = r#"{"_class":"MakeRoute","amount":123,"transactionID":"ID","startTime":null,"endTime":null,"meetingPointID":"MP","channelIndex":0,"isPayerSide":true}"#;
            stage.hears("b", &made.replace("\"ID\"", &format!("{transaction:?}"))).await;
        }
        stage.says("a", r#"{"transactionID": "T", "isPayerSide": true, "_class": "CancelRoute"}"#).await;
        stage.hears("b", r#"{"_class":"CancelRoute","transactionID":"T","isPayerSide":true}"#).await;
        stage.node.after(5).await;
        stage.hears("b", r#"{"_class":"CancelRoute","transactionID":"U","isPayerSide":true}"#).await;
        stage.hears("a", r#"{"_class":"HaveNoRoute","transactionID":"U","isPayerSide":true}"#).await;
        stage.ends().await;
    });
}

#[test]
fn only_the_neighbour_towards_the_payer_hears_of_a_rollback() {
    run(async {
        let mut stage = Stage::new().await;
        stage.locks().await;
        stage.says("b", r#"{"transactionID": "T", "isPayerSide": true, "_class": "SettleRollback"}"#).await;
        stage.hears("a", r#"{"_class":"SettleRollback","transactionID":"T","isPayerSide":true}"#).await;
        // Once more, and this time nobody says anything before the time is over.
        stage.locks().await;
        stage.node.after(172_800).await;
        stage.hears("a", r#"{"_class":"SettleRollback","transactionID":"T","isPayerSide":true}"#).await;
        stage.says("b", r#"{"token": "S", "isPayerSide": true, "_class": "RequestCommit"}"#).await;
        stage.ends().await;
    });
}

#[test]
fn a_lock_that_is_too_late_is_rolled_back() {
    run(async {
        let mut stage = Stage::new().await;
        stage.says("a", r#"{"transactionID": "U", "isPayerSide": true, "amount": 123, "startTime": null, "endTime": null, "channelIndex": 0, "_class": "Lock"}"#).await;
        stage.hears("a", r#"{"_class":"SettleRollback","transactionID":"U","isPayerSide":true}"#).await;
        stage.ends().await;
    });
}

#[test]
fn a_neighbour_deposits_and_withdraws() {
    run(async {
        let mut stage = Stage::new().await;
        stage.says("a", r#"{"channelIndex": 1, "channelClass": "PlainChannel", "_class": "Deposit"}"#).await;
        stage.says("a", r#"{"channelIndex": 1, "message": {"amount": 1000, "_class": "PlainChannel_Deposit"}, "_class": "ChannelMessage"}"#).await;
        stage
            .says(
                "a",
                r#"{"channelIndex": 1, "message": {"_class": "PlainChannel_Withdraw"}, "_class": "ChannelMessage"}"#,
            )
            .await;
        stage
            .hears("a", r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"PlainChannel_Withdraw"}}"#)
            .await;
        stage
            .node
            .asks(PaymentNodeMessage::Deposit { link: Id::new("b"), class: PlainChannel::CLASS.into(), amount: 500 })
            .await;
        stage.hears("b", r#"{"_class":"Deposit","channelIndex":1,"channelClass":"PlainChannel"}"#).await;
        stage.hears("b", r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"PlainChannel_Deposit","amount":500}}"#).await;
        stage.ends().await;
    });
}

impl Stage {
    /// A payer has dialled, is told what is to be paid, and has agreed.
    async fn is_to_be_paid(&mut self) {
        self.dials("payer", &format!("{{\"ID\": {PAYMENT:?}, \"dice\": \"!x00\", \"_class\": \"Pay\"}}")).await;
        self.hears(
            "payer",
            r#"{"_class":"Receipt","amount":123,"receipt":"one","transactionID":"T","meetingPoints":["MP"]}"#,
        )
        .await;
        self.says("payer", r#"{"meetingPointID": "MP", "_class": "Confirm"}"#).await;
        self.hears("a", r#"{"_class":"MakeRoute","amount":123,"transactionID":"T","startTime":+0,"endTime":+86400,"meetingPointID":"MP","channelIndex":0,"isPayerSide":false}"#).await;
    }
}

#[test]
fn a_payee_is_paid() {
    run(async {
        let mut stage = Stage::new().await;
        stage.is_to_be_paid().await;
        stage.says("a", r#"{"transactionID": "T", "isPayerSide": false, "startTime": +0, "endTime": +86400, "_class": "HaveRoute"}"#).await;
        stage
            .hears(
                "payer",
                r#"{"_class":"HaveRoute","transactionID":null,"isPayerSide":false,"startTime":null,"endTime":null}"#,
            )
            .await;
        stage.says("a", r#"{"transactionID": "T", "isPayerSide": false, "amount": 123, "startTime": null, "endTime": null, "channelIndex": 0, "_class": "Lock"}"#).await;
        stage.hears("a", r#"{"_class":"RequestCommit","token":"S","isPayerSide":false}"#).await;
        stage.hears("payer", r#"{"_class":"SettleCommit","token":"S","isPayerSide":null}"#).await;
        stage.says("a", r#"{"token": "S", "isPayerSide": false, "_class": "SettleCommit"}"#).await;
        stage.ends().await;
    });
}

#[test]
fn a_payee_hears_that_the_payer_gives_up() {
    run(async {
        let mut stage = Stage::new().await;
        stage.is_to_be_paid().await;
        stage.says("payer", r#"{"_class": "Cancel"}"#).await;
        stage.hears("a", r#"{"_class":"CancelRoute","transactionID":"T","isPayerSide":false}"#).await;
        stage.ends().await;
    });
}

#[test]
fn a_payee_without_a_route_gives_up() {
    run(async {
        let mut stage = Stage::new().await;
        stage.is_to_be_paid().await;
        stage.says("a", r#"{"transactionID": "T", "isPayerSide": false, "_class": "HaveNoRoute"}"#).await;
        stage.hears("payer", r#"{"_class":"Cancel"}"#).await;
        stage.ends().await;
    });
}

impl Stage {
    /// The user has asked a payee what is to be paid, and has agreed; all of it is to go over `a`.
    async fn is_to_pay(&mut self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("amikopay://{}/{PAYMENT}", listener.local_addr().unwrap()).parse().unwrap();
        let pay = PaymentNodeMessage::Pay { url, via: Some(Id::new("a")) };
        let Some(Reply::Paying { payer }) = self.node.asks(pay).await else { panic!("expected a payment") };
        let (payee, hello) = Peer::accept(&listener).await;
        assert_eq!(hello, format!("{{\"index\":null,\"message\":{{\"_class\":\"Pay\",\"ID\":{PAYMENT:?}}}}}"));
        self.peers.insert("payee", (payee, 0, 0));
        self.says(
            "payee",
            r#"{"amount": 123, "receipt": "one", "transactionID": "T", "meetingPoints": ["MP"], "_class": "Receipt"}"#,
        )
        .await;
        self.node.tells(PaymentNodeEnvelope::Payer(payer, PayerMessage::Agree)).await;
        self.hears("payee", r#"{"_class":"Confirm","meetingPointID":"MP"}"#).await;
        self.hears("a", r#"{"_class":"MakeRoute","amount":123,"transactionID":"T","startTime":null,"endTime":null,"meetingPointID":"MP","channelIndex":0,"isPayerSide":true}"#).await;
    }
}

#[test]
fn a_payer_pays() {
    run(async {
        let mut stage = Stage::new().await;
        stage.is_to_pay().await;
        stage.says("a", r#"{"transactionID": "T", "isPayerSide": true, "startTime": +0, "endTime": +172800, "_class": "HaveRoute"}"#).await;
        stage.says("payee", r#"{"transactionID": null, "isPayerSide": false, "startTime": null, "endTime": null, "_class": "HaveRoute"}"#).await;
        stage.hears("a", r#"{"_class":"Lock","transactionID":"T","isPayerSide":true,"amount":123,"startTime":null,"endTime":null,"channelIndex":0}"#).await;
        stage.says("payee", r#"{"token": "S", "isPayerSide": null, "_class": "SettleCommit"}"#).await;
        stage.hears("a", r#"{"_class":"SettleCommit","token":"S","isPayerSide":true}"#).await;
        stage.says("a", r#"{"token": "S", "isPayerSide": true, "_class": "RequestCommit"}"#).await;
        stage.ends().await;
    });
}

#[test]
fn a_payer_hears_that_the_payee_gives_up() {
    run(async {
        let mut stage = Stage::new().await;
        stage.is_to_pay().await;
        stage.says("payee", r#"{"_class": "Cancel"}"#).await;
        stage.hears("a", r#"{"_class":"CancelRoute","transactionID":"T","isPayerSide":true}"#).await;
        stage.ends().await;
    });
}

#[test]
fn a_payer_without_a_route_gives_up() {
    run(async {
        let mut stage = Stage::new().await;
        stage.is_to_pay().await;
        stage.says("a", r#"{"transactionID": "T", "isPayerSide": true, "_class": "HaveNoRoute"}"#).await;
        stage.hears("payee", r#"{"_class":"Cancel"}"#).await;
        stage.ends().await;
    });
}

#[test]
fn two_halves_meet() {
    run(async {
        let mut stage = Stage::new().await;
        stage.node.asks(PaymentNodeMessage::AddMeetingPoint { name: Id::<MeetingPoint>::new("MP") }).await;
        stage.says("a", r#"{"amount": 123, "transactionID": "T", "startTime": null, "endTime": null, "meetingPointID": "MP", "channelIndex": 0, "isPayerSide": true, "_class": "MakeRoute"}"#).await;
        stage.says("b", r#"{"amount": 123, "transactionID": "T", "startTime": +0, "endTime": +86400, "meetingPointID": "MP", "channelIndex": 0, "isPayerSide": false, "_class": "MakeRoute"}"#).await;
        stage
            .hears(
                "b",
                r#"{"_class":"HaveRoute","transactionID":"T","isPayerSide":false,"startTime":+0,"endTime":+86400}"#,
            )
            .await;
        stage
            .hears(
                "a",
                r#"{"_class":"HaveRoute","transactionID":"T","isPayerSide":true,"startTime":+0,"endTime":+259200}"#,
            )
            .await;
        stage.says("a", r#"{"transactionID": "T", "isPayerSide": true, "amount": 123, "startTime": null, "endTime": null, "channelIndex": 0, "_class": "Lock"}"#).await;
        stage.hears("b", r#"{"_class":"Lock","transactionID":"T","isPayerSide":false,"amount":123,"startTime":null,"endTime":null,"channelIndex":0}"#).await;
        stage.says("b", r#"{"token": "S", "isPayerSide": false, "_class": "RequestCommit"}"#).await;
        stage.hears("b", r#"{"_class":"SettleCommit","token":"S","isPayerSide":false}"#).await;
        stage.hears("a", r#"{"_class":"RequestCommit","token":"S","isPayerSide":true}"#).await;
        stage.says("a", r#"{"token": "S", "isPayerSide": true, "_class": "SettleCommit"}"#).await;
        stage.ends().await;
    });
}
