//! Nodes with keys in a simulated world: who dials whom, and who is let in.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::PublicKey;
use amiko_core::prelude::*;
use amiko_core::sim::{NodeIndex, World};
use amiko_examples::payment::{
    Address, LinkUrl, MeetingPoint, PayerMessage, PaymentLimits, PaymentNode, PaymentNodeEnvelope, PaymentNodeMessage,
    PaymentProtocol, Reply,
};

struct Net(World<PaymentProtocol>);

impl Net {
    /// So many nodes that have never met.
    fn new(count: u8, seed: u64) -> Self {
        let mut net = Self(World::new(PaymentProtocol, seed));
        for index in 0..count {
            let (key, address) = (PublicKey::new([index; 32]), Address { host: format!("node{index}"), port: 4321 });
            let meeting_points = [(Id::new(format!("point{index}")), MeetingPoint::default())].into_iter().collect();
            let node = PaymentNode { meeting_points, ..PaymentNode::default() };
            let index = net.0.add(&format!("{key}@{address}"), node).unwrap();
            let configure = PaymentNodeMessage::Configure {
                address: Some(address),
                key: Some(key),
                payout_address: None,
                external_meeting_points: Vec::new(),
                timeout_increment: 60,
                limits: PaymentLimits::default(),
            };
            net.asks(index, configure);
        }
        net
    }

    fn asks(&mut self, node: NodeIndex, message: PaymentNodeMessage) -> Option<Reply> {
        self.0.command(node, PaymentNodeEnvelope::PaymentNode(message)).unwrap();
        self.0.take_replies(node).pop().map(|reply| reply.read().unwrap())
    }

    fn url(&mut self, node: NodeIndex, message: PaymentNodeMessage) -> String {
        match self.asks(node, message) {
            Some(Reply::Url { url }) => url,
            other => panic!("expected a URL, found {other:?}"),
        }
    }

    fn add(&mut self, node: NodeIndex, name: &str, to: Option<&str>) -> String {
        let to = to.map(|url| url.parse::<LinkUrl>().unwrap());
        self.url(node, PaymentNodeMessage::AddLink { name: Id::new(name), to })
    }

    fn neighbour(&self, node: NodeIndex, link: &str) -> Option<PublicKey> {
        self.0.engine(node).unwrap().node().links.get(&Id::new(link)).unwrap().key
    }
}

#[test]
fn an_invitation_is_for_one_neighbour_whoever_else_has_its_url_and_whenever_they_dial() {
    for seed in 0..20 {
        let mut net = Net::new(3, seed);
        let url = net.add(0, "a", None);
        // The thief is the first to have the URL, but not its secret.
        net.add(2, "x", Some(url.split('?').next().unwrap()));
        net.0.run_for(secs(10));
        assert_eq!(net.neighbour(0, "a"), None);
        // The first time that both are up, one crashes in the middle of it.
        net.0.cut(0, 1);
        net.add(1, "b", Some(&url));
        net.0.heal(0, 1);
        net.0.run_for(std::time::Duration::from_millis(seed * 25));
        net.0.crash(0);
        net.0.run_for(secs(1));
        net.0.restart(0).unwrap();
        // Then the thief has the secret too.
        net.0.run_for(secs(60));
        net.add(2, "y", Some(&url));
        net.0.run_for(secs(60));
        assert_eq!(net.neighbour(0, "a"), Some(PublicKey::new([1; 32])), "seed {seed}");
        net.asks(1, PaymentNodeMessage::Deposit { link: Id::new("b"), class: "PlainChannel".into(), amount: 100 });
        net.0.run_for(secs(60));
        assert_eq!(net.0.engine(0).unwrap().node().links.get(&Id::new("a")).unwrap().channels.len(), 1);
    }
}

#[test]
fn a_payment_goes_to_whoever_has_the_key_in_its_url() {
    let mut net = Net::new(2, 1);
    let url = net.add(0, "a", None);
    net.add(1, "b", Some(&url));
    net.0.run_for(secs(1));
    net.asks(1, PaymentNodeMessage::Deposit { link: Id::new("b"), class: "PlainChannel".into(), amount: 100 });
    net.0.run_for(secs(1));
    let request = PaymentNodeMessage::Request { amount: 7, receipt: String::new(), via: None };
    let good = net.url(0, request);
    // At the same place, but with the key of another.
    let bad = good.replace(&PublicKey::new([0; 32]).to_string(), &PublicKey::new([9; 32]).to_string());
    for (url, outcome) in [(bad, "the payee sent no receipt"), (good, "")] {
        let pay = PaymentNodeMessage::Pay { url: url.parse().unwrap(), via: None };
        let Some(Reply::Paying { payer }) = net.asks(1, pay) else { panic!("expected a payment") };
        net.0.run_for(secs(2));
        if outcome.is_empty() {
            net.0.command(1, PaymentNodeEnvelope::Payer(payer, PayerMessage::Agree)).unwrap();
        }
        net.0.run_for(secs(10));
        let payments = &net.0.engine(1).unwrap().node().payments;
        assert_eq!(payments.iter().last().unwrap().1.reason, outcome);
    }
    assert_eq!(net.0.engine(0).unwrap().node().balance(), 7);
}
