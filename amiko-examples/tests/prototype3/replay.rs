//! A node of ours in the place of each node of each recording: it hears what that one heard, and says what that one said.
//!
//! What a node draws at random is taken from where it is drawn: dice differ, and a payee's token, its hash and the payment's ID
//! are put into the recording in the place of those that are there. Confirmations may come together.

use crate::node::{Node, run};
use crate::peer::Peer;
use crate::recording::{self, Line};
use amiko_core::engine::Engine;
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use amiko_examples::payment::{
    Address, Channel, Link, Network, Payer, PayerMessage, PaymentNode, PaymentNodeEnvelope, PaymentNodeMessage,
    PlainChannel, Reply,
};
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::net::TcpListener;

struct Replay {
    me: String,
    lines: Vec<Line>,
    node: Node,
    /// Where each of the other nodes is dialled.
    listeners: BTreeMap<String, TcpListener>,
    /// By what this node calls the connection in the recording.
    peers: BTreeMap<String, Peer>,
    /// What is put into the recording in the place of something else.
    drawn: Vec<(String, String)>,
    /// A payment whose user hasn't decided yet.
    asked: Option<Id<Payer>>,
}

/// What is known of a recording besides its lines.
struct Scenario {
    name: &'static str,
    /// Where the nodes listened.
    ports: Vec<(&'static str, u16)>,
    /// When it was, in Unix seconds.
    now: u64,
    /// What both sides of a link had at the beginning.
    funds: Option<u64>,
    meeting_point: (&'static str, &'static str),
}

impl Scenario {
    fn lines(&self) -> Vec<Line> {
        recording::read(self.name, &self.ports)
    }

    /// Replays it in the place of this node, and gives what has become of that.
    async fn replay(&self, me: &str) -> Engine<PaymentNode, Memory> {
        let lines = self.lines();
        let mut listeners = BTreeMap::new();
        for (name, _) in &self.ports {
            listeners.insert((*name).to_owned(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let node = Node::start(self.state(&lines, me, &listeners), self.now).await;
        let (peers, drawn) = (BTreeMap::new(), Vec::new());
        let mut replay = Replay { me: me.into(), lines, node, listeners, peers, drawn, asked: None };
        replay.connect().await;
        for at in 0..replay.lines.len() {
            if replay.lines[at].class() == "ConnectLink" {
            } else if replay.lines[at].to.0 == me {
                replay.hear(at).await;
            } else if replay.lines[at].from.0 == me {
                replay.say(at).await;
            }
        }
        replay.end().await
    }

    /// The state that the node had at the beginning.
    fn state(&self, lines: &[Line], me: &str, listeners: &BTreeMap<String, TcpListener>) -> PaymentNode {
        let link = |(name, neighbour): (String, recording::End)| {
            let between = |line: &&Line| {
                let end = (me.to_owned(), name.clone());
                (line.from == end || line.to == end) && line.class() != "ConnectLink"
            };
            // The order in which links are tried is a node's own choice: one that wasn't tried has nothing to offer.
            let funds = self.funds.filter(|_| lines.iter().any(|line| between(&line)));
            let channel = |funds| Box::new(PlainChannel::open(funds, funds)) as Box<dyn Channel>;
            let dials =
                lines.iter().any(|line| line.class() == "ConnectLink" && line.from == (me.into(), name.clone()));
            let peer = dials.then(|| listeners[&neighbour.0].local_addr().unwrap().to_string());
            let remote_id = dials.then(|| Id::new(neighbour.1));
            (
                Id::new(name),
                Link { remote_id, peer, channels: funds.map(channel).into_iter().collect(), ..Link::default() },
            )
        };
        let (host, point) = self.meeting_point;
        let port = self.ports.iter().find(|(name, _)| *name == me).unwrap().1;
        PaymentNode {
            network: Network::Prototype3,
            links: links(lines, me).into_iter().map(link).collect(),
            meeting_points: (me == host).then(|| (Id::new(point), Default::default())).into_iter().collect(),
            external_meeting_points: if me == host { Vec::new() } else { vec![Id::new(point)] },
            address: Some(Address { host: "localhost".into(), port }),
            ..PaymentNode::default()
        }
    }
}

/// What a node calls each of its links, and their other ends.
fn links(lines: &[Line], me: &str) -> BTreeMap<String, recording::End> {
    let mut links = BTreeMap::new();
    for line in lines.iter().filter(|line| line.class() == "ConnectLink") {
        for (end, other) in [(&line.from, &line.to), (&line.to, &line.from)] {
            if end.0 == me {
                links.insert(end.1.clone(), other.clone());
            }
        }
    }
    links
}

fn dice(hello: &Value) -> Vec<u8> {
    let text = hello["message"]["dice"].as_str().unwrap();
    hex::decode(text.strip_prefix("!x").unwrap()).unwrap()
}

impl Replay {
    /// A line of the recording, with what this node has drawn.
    fn text(&self, at: usize) -> String {
        let text = self.lines[at].text.clone();
        self.drawn.iter().fold(text, |text, (recorded, drawn)| text.replace(recorded, drawn))
    }

    fn expected(&self, at: usize) -> Value {
        serde_json::from_str(&self.text(at)).unwrap()
    }

    /// The next line from here on that this node says, and that is of one of these classes.
    fn next_said(&self, at: usize, classes: &[&str]) -> &Line {
        let mut rest = self.lines[at..].iter();
        rest.find(|line| line.from.0 == self.me && classes.contains(&line.class().as_str())).unwrap()
    }

    /// Everybody dials whom they have dialled; where both sides did, the larger dice stays.
    async fn connect(&mut self) {
        for (name, neighbour) in links(&self.lines, &self.me) {
            let (me, listener) = ((self.me.clone(), name.clone()), &self.listeners[&neighbour.0]);
            let hello = |line: &&Line| line.class() == "ConnectLink";
            let ours = self.lines.iter().filter(hello).find(|line| line.from == me);
            let theirs = self.lines.iter().filter(hello).find(|line| line.to == me);
            let mut dialled = None;
            if let Some(ours) = ours {
                let (peer, said) = Peer::accept(listener).await;
                let (mut said, mut expected): (Value, _) = (serde_json::from_str(&said).unwrap(), ours.json());
                let drawn = dice(&said);
                assert_eq!(drawn.len(), dice(&expected).len());
                said["message"]["dice"].take();
                expected["message"]["dice"].take();
                assert_eq!(said, expected, "{name} of {}", self.me);
                dialled = Some((peer, drawn));
            }
            if let Some(theirs) = theirs {
                let json = theirs.json();
                let port = format!("\"callbackPort\": {}", json["message"]["callbackPort"]);
                assert!(theirs.text.contains(&port));
                let here = format!("\"callbackPort\": {}", listener.local_addr().unwrap().port());
                let peer = Peer::dial(self.node.address, &theirs.text.replace(&port, &here)).await;
                let drawn = dice(&json);
                dialled = Some(match dialled.take() {
                    None => (peer, drawn),
                    Some((old, smaller)) if drawn > smaller => {
                        old.hears_the_end().await;
                        (peer, drawn)
                    }
                    Some(larger) => {
                        peer.hears_the_end().await;
                        larger
                    }
                });
            }
            self.peers.extend(dialled.map(|(peer, _)| (name, peer)));
        }
    }

    /// This node hears a line; a message is taken as heard when it is confirmed.
    async fn hear(&mut self, at: usize) {
        let (class, connection) = (self.lines[at].class(), self.lines[at].to.1.clone());
        if class == "Pay" {
            self.request(at).await;
            let peer = Peer::dial(self.node.address, &self.text(at)).await;
            return self.bind(connection, peer).await;
        }
        let (text, index) = (self.text(at), self.lines[at].json()["index"].as_u64());
        let peer = self.peers.get_mut(&connection).unwrap();
        peer.say(&text).await;
        if let Some(index) = index {
            peer.is_confirmed(index).await;
        }
    }

    /// This node says a line; its user has wanted it to, where it doesn't do so by itself.
    async fn say(&mut self, at: usize) {
        self.user(at).await;
        let (line, expected) = (&self.lines[at], self.expected(at));
        let connection = line.from.1.clone();
        if line.class() == "Pay" {
            let (peer, said) = Peer::accept(&self.listeners[&line.to.0]).await;
            assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), expected);
            return self.bind(connection, peer).await;
        }
        let peer = self.peers.get_mut(&connection).unwrap();
        match expected["received"].as_u64() {
            Some(index) => peer.is_confirmed(index).await,
            None => {
                let said = peer.hears().await;
                assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), expected, "{} on {connection}", self.me);
            }
        }
    }

    async fn bind(&mut self, connection: String, peer: Peer) {
        if let Some(old) = self.peers.insert(connection, peer) {
            old.hears_the_end().await;
        }
    }

    /// What the user of this node has done before it said a line.
    async fn user(&mut self, at: usize) {
        let line = &self.lines[at];
        let (link, class): (Id<Link>, _) = (Id::new(line.from.1.clone()), line.class());
        if class == "Pay" {
            let port = self.listeners[&line.to.0].local_addr().unwrap().port();
            let url = format!("amikopay://127.0.0.1:{port}/{}", line.to.1).parse().unwrap();
            match self.node.asks(PaymentNodeMessage::Pay { url, via: None }).await {
                Some(Reply::Paying { payer }) => self.asked = Some(payer),
                other => panic!("expected a payment, found {other:?}"),
            }
        } else if class == "Deposit" {
            let amount = self.next_said(at, &["ChannelMessage"]).message()["message"]["amount"].as_u64().unwrap();
            self.node.asks(PaymentNodeMessage::Deposit { link, class: PlainChannel::CLASS.into(), amount }).await;
        } else if line.message()["message"]["_class"] == "PlainChannel_Withdraw" {
            let asked = |earlier: &Line| earlier.to == line.from && earlier.message() == line.message();
            if !self.lines[..at].iter().any(asked) {
                self.node.asks(PaymentNodeMessage::Withdraw { link, channel: 0 }).await;
            }
        } else if ["Confirm", "Cancel", "MakeRoute"].contains(&class.as_str())
            && let Some(payer) = self.asked.take()
        {
            let agreed = self.next_said(at, &["Confirm", "Cancel"]).class() == "Confirm";
            let decision = if agreed { PayerMessage::Agree } else { PayerMessage::Refuse };
            self.node.tells(PaymentNodeEnvelope::Payer(payer, decision)).await;
        }
    }

    /// The user of this node has requested a payment before the payer dialled.
    async fn request(&mut self, at: usize) {
        let receipt = self.next_said(at, &["Receipt"]).message();
        let payment = self.lines[at].to.clone();
        // A payment that is refused never shows its token.
        let token = self.lines.iter().find(|line| line.from == payment && line.class() == "SettleCommit");
        let request = PaymentNodeMessage::Request {
            amount: receipt["amount"].as_u64().unwrap(),
            receipt: receipt["receipt"].as_str().unwrap().to_owned(),
            via: None,
        };
        self.node.asks(request).await.unwrap();
        let (id, token_drawn, hash) = self
            .node
            .looks(|engine| {
                let (id, payee) = engine.node().payees.iter().next().unwrap();
                let hash = to_json(&payee.token.transaction(Network::Prototype3)).unwrap();
                (id.key().clone(), to_json(&payee.token).unwrap(), hash)
            })
            .await;
        let token = token.map(|line| (line.message()["token"].to_string(), token_drawn));
        self.drawn = vec![(payment.1, id), (receipt["transactionID"].to_string(), hash)];
        self.drawn.extend(token);
    }

    /// What was said last has arrived, and nothing more is said.
    async fn end(self) -> Engine<PaymentNode, Memory> {
        let waits = |engine: &Engine<PaymentNode, Memory>| {
            engine.connections().any(|(_, connection)| !connection.outbox.is_empty())
        };
        while self.node.looks(waits).await {}
        // What it remembers for a moment is forgotten.
        self.node.after(5).await;
        let quiet = async {
            for peer in self.peers.into_values() {
                peer.hears_the_end().await;
            }
        };
        tokio::join!(self.node.stop(), quiet).0
    }
}

/// Nothing was refused, and nothing is left over.
fn assert_settled(engine: &Engine<PaymentNode, Memory>) {
    let refused: Vec<_> = engine.rejections().map(|rejected| rejected.rejection.to_string()).collect();
    assert_eq!(refused, [""; 0]);
    let node = engine.node();
    assert_eq!((node.claims(), node.transactions.len(), engine.timers().count()), (0, 0, 0));
    assert_eq!((node.payers.len(), node.payees.len()), (0, 0));
    assert!(node.meeting_points.iter().all(|(_, point)| point.waiting.is_empty()));
}

/// Local and remote amounts of each channel, in the order of the links.
fn channels(engine: &Engine<PaymentNode, Memory>) -> Vec<(u64, u64)> {
    let channels = engine.node().links.iter().flat_map(|(_, link)| link.channels.iter());
    channels.map(|channel| (channel.local(), channel.remote())).collect()
}

fn payments(engine: &Engine<PaymentNode, Memory>) -> Vec<String> {
    let payments = engine.node().payments.iter();
    payments.map(|(_, record)| format!("{:?} {:?} {}", record.role, record.outcome, record.amount)).collect()
}

fn twelve_nodes() -> Scenario {
    const NAMES: [&str; 12] = [
        "Node 0", "Node 1", "Node 2", "Node 3", "Node 4", "Node 5", "Node 6", "Node 7", "Node 8", "Node 9", "Node 10",
        "Node 11",
    ];
    Scenario {
        name: "twelve-nodes-committed",
        ports: NAMES.into_iter().zip(4321..).collect(),
        now: 1_795_365_615,
        funds: Some(1000),
        meeting_point: ("Node 4", "Node4"),
    }
}

/// What has become of each channel that the node has had.
fn one_of_twelve(me: &str, expected: &[(u64, u64)], logged: &[&str]) {
    run(async {
        let engine = twelve_nodes().replay(me).await;
        assert_settled(&engine);
        assert_eq!(channels(&engine), expected);
        assert_eq!(payments(&engine), logged);
    });
}

#[test]
fn the_payer_of_twelve_nodes() {
    one_of_twelve("Node 0", &[(877, 1123)], &["Payer Committed 123"]);
}

#[test]
fn a_hub_of_twelve_nodes() {
    one_of_twelve("Node 1", &[(1123, 877), (877, 1123)], &[]);
}

#[test]
fn a_hub_of_twelve_nodes_that_tries_another_link_first() {
    one_of_twelve("Node 2", &[(1123, 877), (1000, 1000), (877, 1123)], &[]);
}

#[test]
fn a_dead_end_of_twelve_nodes() {
    one_of_twelve("Node 3", &[(1000, 1000)], &[]);
}

#[test]
fn the_meeting_point_of_twelve_nodes() {
    one_of_twelve("Node 4", &[(1123, 877), (877, 1123)], &[]);
}

#[test]
fn a_hub_on_the_payees_side_of_twelve_nodes() {
    one_of_twelve("Node 5", &[(1123, 877), (877, 1123)], &[]);
}

#[test]
fn the_payee_of_twelve_nodes() {
    one_of_twelve("Node 7", &[(1123, 877)], &["Payee Committed 123"]);
}

#[test]
fn those_of_twelve_nodes_that_only_connect() {
    for me in ["Node 6", "Node 8", "Node 9", "Node 10", "Node 11"] {
        one_of_twelve(me, &[], &[]);
    }
}

fn two_nodes() -> Scenario {
    Scenario {
        name: "two-nodes",
        ports: vec![("Node 1", 4322), ("Node 2", 4323)],
        now: 1_795_365_619,
        funds: Some(1000),
        meeting_point: ("Node 2", "MeetingPoint2"),
    }
}

#[test]
fn both_of_two_nodes() {
    for (me, expected, logged) in
        [("Node 1", (877, 1123), "Payer Committed 123"), ("Node 2", (1123, 877), "Payee Committed 123")]
    {
        run(async {
            let engine = two_nodes().replay(me).await;
            assert_settled(&engine);
            assert_eq!((channels(&engine), payments(&engine)), (vec![expected], vec![logged.to_owned()]));
        });
    }
}

fn deposit_to_withdraw() -> Scenario {
    Scenario {
        name: "deposit-pay-refuse-withdraw",
        ports: vec![("Node A", 4501), ("Node B", 4502)],
        now: 1_795_369_393,
        funds: None,
        meeting_point: ("Node B", "MP_B"),
    }
}

#[test]
fn both_ends_of_deposits_of_a_payment_of_a_refusal_and_of_a_withdrawal() {
    for (me, expected, logged) in [
        ("Node A", [(877, 123), (0, 500)], ["Payer Committed 123", "Payer Cancelled 50"]),
        ("Node B", [(123, 877), (500, 0)], ["Payee Committed 123", "Payee Cancelled 50"]),
    ] {
        run(async {
            let engine = deposit_to_withdraw().replay(me).await;
            assert_settled(&engine);
            let mut payments = payments(&engine);
            payments.sort();
            payments.reverse();
            assert_eq!((channels(&engine), payments), (expected.to_vec(), logged.map(str::to_owned).to_vec()));
            let link = engine.node().links.iter().next().unwrap().1;
            let states: Vec<_> = link.channels.iter().map(|channel| format!("{channel:?}")).collect();
            assert!(states[0].contains("state: closed") && states[1].contains("state: open"), "{states:?}");
        });
    }
}

#[test]
fn the_tokens_of_the_recordings_have_the_hashes_of_the_recordings() {
    let mut found = 0;
    for scenario in [twelve_nodes(), two_nodes(), deposit_to_withdraw()] {
        let lines = scenario.lines();
        let receipt = lines.iter().find(|line| line.class() == "Receipt").unwrap().message();
        for line in lines.iter().filter(|line| ["RequestCommit", "SettleCommit"].contains(&line.class().as_str())) {
            let token: amiko_examples::payment::Token = from_json(&line.message()["token"].to_string()).unwrap();
            let hash = to_json(&token.transaction(Network::Prototype3)).unwrap();
            assert_eq!(hash, receipt["transactionID"].to_string());
            found += 1;
        }
    }
    assert_eq!(found, 15);
}
