//! Each message of the protocol as bytes: what a prototype says, as it writes it, and exactly what a node of ours says then.

use crate::node::{Node, run};
use crate::peer::Peer;
use amiko_core::prelude::*;
use amiko_examples::payment::{
    Address, Link, MeetingPoint, Network, Payee, PayerMessage, PaymentNode, PaymentNodeEnvelope, PaymentNodeMessage,
    PlainChannel, PrototypeIouChannel, Reply, Token,
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
            phase: Phase::INITIAL,
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
            payout_address: Some(ADDRESS.parse().unwrap()),
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

/// A P2PKH address, and a transaction of Bitcoin with its ID.
const ADDRESS: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
const TRANSACTION: &str = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000";
const TRANSACTION_ID: &str = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";

impl Stage {
    /// The users of both links accept the prototype's class.
    async fn accepts_debts(&self) {
        for link in ["a", "b"] {
            let classes = ["PlainChannel", PrototypeIouChannel::CLASS].map(str::to_owned).into();
            self.node.asks(PaymentNodeMessage::Accept { link: Id::new(link), classes }).await;
        }
    }

    /// 123 go from `a` to `b`, over this channel of `b`.
    async fn pays(&mut self, onward: u32) {
        self.says("a", r#"{"amount": 123, "transactionID": "T", "startTime": null, "endTime": null, "meetingPointID": "MP", "channelIndex": 0, "isPayerSide": true, "_class": "MakeRoute"}"#).await;
        let index = format!(r#""channelIndex":{onward},"#);
        let made = r#"{"_class":"MakeRoute","amount":123,"transactionID":"T","startTime":null,"endTime":null,"meetingPointID":"MP",INDEX"isPayerSide":true}"#;
        self.hears("b", &made.replace("INDEX", &index)).await;
        self.says("b", r#"{"transactionID": "T", "isPayerSide": true, "startTime": +0, "endTime": +172800, "_class": "HaveRoute"}"#).await;
        self.hears(
            "a",
            r#"{"_class":"HaveRoute","transactionID":"T","isPayerSide":true,"startTime":+0,"endTime":+259200}"#,
        )
        .await;
        self.says("a", r#"{"transactionID": "T", "isPayerSide": true, "amount": 123, "startTime": null, "endTime": null, "channelIndex": 0, "_class": "Lock"}"#).await;
        let locked = r#"{"_class":"Lock","transactionID":"T","isPayerSide":true,"amount":123,"startTime":null,"endTime":null,"channelIndex":INDEX}"#;
        self.hears("b", &locked.replace("INDEX", &onward.to_string())).await;
        self.says("b", r#"{"token": "S", "isPayerSide": true, "_class": "RequestCommit"}"#).await;
        self.hears("b", r#"{"_class":"SettleCommit","token":"S","isPayerSide":true}"#).await;
        self.hears("a", r#"{"_class":"RequestCommit","token":"S","isPayerSide":true}"#).await;
        self.says("a", r#"{"token": "S", "isPayerSide": true, "_class": "SettleCommit"}"#).await;
    }

    /// What the user is told of a channel.
    async fn remark(&self, link: &'static str, channel: usize) -> String {
        self.node.looks(move |engine| engine.node().links.get(&Id::new(link)).unwrap().channels[channel].remark()).await
    }
}

#[test]
fn a_neighbour_deposits_in_a_channel_of_debts_owes_nothing_and_withdraws() {
    run(async {
        let mut stage = Stage::new().await;
        stage.accepts_debts().await;
        stage.says("a", r#"{"channelIndex": 1, "channelClass": "IOUChannel", "_class": "Deposit"}"#).await;
        stage.says("a", r#"{"channelIndex": 1, "message": {"amount": 1000, "_class": "PlainChannel_Deposit"}, "_class": "ChannelMessage"}"#).await;
        stage.hears("a", r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"IOUChannel_Address","address":"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"}}"#).await;
        stage
            .says(
                "a",
                r#"{"channelIndex": 1, "message": {"_class": "PlainChannel_Withdraw"}, "_class": "ChannelMessage"}"#,
            )
            .await;
        stage
            .hears("a", r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"PlainChannel_Withdraw"}}"#)
            .await;
        stage.says("a", r#"{"channelIndex": 1, "message": {"transaction": null, "_class": "IOUChannel_WithdrawTransaction"}, "_class": "ChannelMessage"}"#).await;
        assert_eq!(stage.remark("a", 1).await, "they owe 0");
        stage.ends().await;
    });
}

#[test]
fn a_neighbour_owes_us_a_payment_and_pays_it_back_with_a_transaction() {
    run(async {
        let mut stage = Stage::new().await;
        stage.accepts_debts().await;
        stage.says("a", r#"{"channelIndex": 1, "channelClass": "IOUChannel", "_class": "Deposit"}"#).await;
        stage.says("a", r#"{"channelIndex": 1, "message": {"amount": 1000, "_class": "PlainChannel_Deposit"}, "_class": "ChannelMessage"}"#).await;
        stage.hears("a", r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"IOUChannel_Address","address":"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"}}"#).await;
        // The neighbour locks on that channel.
        stage.says("a", r#"{"amount": 123, "transactionID": "T", "startTime": null, "endTime": null, "meetingPointID": "MP", "channelIndex": 1, "isPayerSide": true, "_class": "MakeRoute"}"#).await;
        stage.hears("b", r#"{"_class":"MakeRoute","amount":123,"transactionID":"T","startTime":null,"endTime":null,"meetingPointID":"MP","channelIndex":0,"isPayerSide":true}"#).await;
        stage.says("b", r#"{"transactionID": "T", "isPayerSide": true, "startTime": +0, "endTime": +172800, "_class": "HaveRoute"}"#).await;
        stage
            .hears(
                "a",
                r#"{"_class":"HaveRoute","transactionID":"T","isPayerSide":true,"startTime":+0,"endTime":+259200}"#,
            )
            .await;
        stage.says("a", r#"{"transactionID": "T", "isPayerSide": true, "amount": 123, "startTime": null, "endTime": null, "channelIndex": 1, "_class": "Lock"}"#).await;
        stage.hears("b", r#"{"_class":"Lock","transactionID":"T","isPayerSide":true,"amount":123,"startTime":null,"endTime":null,"channelIndex":0}"#).await;
        stage.says("b", r#"{"token": "S", "isPayerSide": true, "_class": "RequestCommit"}"#).await;
        stage.hears("b", r#"{"_class":"SettleCommit","token":"S","isPayerSide":true}"#).await;
        stage.hears("a", r#"{"_class":"RequestCommit","token":"S","isPayerSide":true}"#).await;
        stage.says("a", r#"{"token": "S", "isPayerSide": true, "_class": "SettleCommit"}"#).await;
        // Our user withdraws.
        stage.node.asks(PaymentNodeMessage::Withdraw { link: Id::new("a"), channel: 1 }).await;
        stage
            .hears("a", r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"PlainChannel_Withdraw"}}"#)
            .await;
        stage
            .says(
                "a",
                r#"{"channelIndex": 1, "message": {"_class": "PlainChannel_Withdraw"}, "_class": "ChannelMessage"}"#,
            )
            .await;
        let paid = r#"{"channelIndex": 1, "message": {"transaction": "HEX", "_class": "IOUChannel_WithdrawTransaction"}, "_class": "ChannelMessage"}"#;
        stage.says("a", &paid.replace("HEX", TRANSACTION)).await;
        assert_eq!(
            stage.remark("a", 1).await,
            format!("they owe 123, and say that {TRANSACTION_ID} pays it to {ADDRESS}: look for it in the block chain")
        );
        stage.ends().await;
    });
}

#[test]
fn our_user_deposits_in_a_channel_of_debts_and_pays_back_what_it_owes() {
    run(async {
        let mut stage = Stage::new().await;
        stage.accepts_debts().await;
        let b = || Id::new("b");
        stage.node.asks(PaymentNodeMessage::Withdraw { link: b(), channel: 0 }).await;
        stage
            .hears("b", r#"{"_class":"ChannelMessage","channelIndex":0,"message":{"_class":"PlainChannel_Withdraw"}}"#)
            .await;
        for (index, class) in [(1, "IOUChannel"), (2, "IOUChannel")] {
            stage.node.asks(PaymentNodeMessage::Deposit { link: b(), class: class.into(), amount: 500 }).await;
            let numbered = |text: &str| text.replace("INDEX", &index.to_string());
            stage
                .hears("b", &numbered(r#"{"_class":"Deposit","channelIndex":INDEX,"channelClass":"IOUChannel"}"#))
                .await;
            stage.hears("b", &numbered(r#"{"_class":"ChannelMessage","channelIndex":INDEX,"message":{"_class":"PlainChannel_Deposit","amount":500}}"#)).await;
            stage.says("b", &numbered(r#"{"channelIndex": INDEX, "message": {"address": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "_class": "IOUChannel_Address"}, "_class": "ChannelMessage"}"#)).await;
        }
        stage.pays(1).await;
        // Of two channels, only one owes something.
        stage
            .says(
                "b",
                r#"{"channelIndex": 2, "message": {"_class": "PlainChannel_Withdraw"}, "_class": "ChannelMessage"}"#,
            )
            .await;
        stage
            .hears("b", r#"{"_class":"ChannelMessage","channelIndex":2,"message":{"_class":"PlainChannel_Withdraw"}}"#)
            .await;
        stage.hears("b", r#"{"_class":"ChannelMessage","channelIndex":2,"message":{"_class":"IOUChannel_WithdrawTransaction","transaction":null}}"#).await;
        stage
            .says(
                "b",
                r#"{"channelIndex": 1, "message": {"_class": "PlainChannel_Withdraw"}, "_class": "ChannelMessage"}"#,
            )
            .await;
        stage
            .hears("b", r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"PlainChannel_Withdraw"}}"#)
            .await;
        let transaction = TRANSACTION.parse().unwrap();
        stage.node.asks(PaymentNodeMessage::PayBack { link: b(), channel: 1, transaction }).await;
        let paid = r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"IOUChannel_WithdrawTransaction","transaction":"HEX"}}"#;
        stage.hears("b", &paid.replace("HEX", TRANSACTION)).await;
        assert_eq!(stage.remark("b", 1).await, format!("we paid 123 to {ADDRESS} with {TRANSACTION_ID}"));
        stage.ends().await;
    });
}

#[test]
fn a_neighbours_channel_of_a_class_that_is_not_accepted_uses_up_its_index() {
    run(async {
        let mut stage = Stage::new().await;
        stage.says("a", r#"{"channelIndex": 1, "channelClass": "IOUChannel", "_class": "Deposit"}"#).await;
        let reason = stage.remark("a", 1).await;
        assert!(reason.contains("`amiko-node link accept a IOUChannel PlainChannel` accepts it, too"), "{reason}");
        stage
            .node
            .asks(PaymentNodeMessage::Deposit { link: Id::new("a"), class: PlainChannel::CLASS.into(), amount: 5 })
            .await;
        stage.hears("a", r#"{"_class":"Deposit","channelIndex":2,"channelClass":"PlainChannel"}"#).await;
        stage.hears("a", r#"{"_class":"ChannelMessage","channelIndex":2,"message":{"_class":"PlainChannel_Deposit","amount":5}}"#).await;
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
