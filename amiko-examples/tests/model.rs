//! One payment between three nodes, in every order of events: with the handlers that run in production, a model checker
//! visits every state that can be reached.

#![allow(clippy::unwrap_used, clippy::panic)]

use amiko_core::prelude::*;
use amiko_core::sim::NodeIndex;
use amiko_examples::payment::{
    Address, Link, MeetingPoint, Outcome, PayeePhase, PayerMessage, PayerPhase, PaymentLimits, PaymentNode,
    PaymentNodeEnvelope, PaymentNodeMessage, PaymentProtocol, PlainChannel, Reply, TransactionPhase,
};
use amiko_model::stateright::Property;
use amiko_model::{FaultLimits, WorldModel, WorldState};

const PAYER: NodeIndex = 0;
const HUB: NodeIndex = 1;
const PAYEE: NodeIndex = 2;
const FUNDS: u64 = 1000;
const AMOUNT: u64 = 123;

type Model = WorldModel<PaymentProtocol>;
type State = WorldState<PaymentNode>;

fn address(node: NodeIndex) -> Address {
    Address { host: ["payer", "hub", "payee"][node].into(), port: 4321 }
}

fn link(from: NodeIndex, to: NodeIndex) -> (Id<Link>, Link) {
    let link = Link {
        remote_id: Some(Id::new(format!("to_{from}"))),
        peer: (from < to).then(|| address(to).to_string()),
        channels: vec![Box::new(PlainChannel::open(FUNDS, FUNDS))],
        ..Link::default()
    };
    (Id::new(format!("to_{to}")), link)
}

/// Three nodes in a row, the hub with the meeting point, up to the moment at which the payer has the URL.
fn model(faults: FaultLimits) -> Model {
    let mut model = Model::new(PaymentProtocol);
    let links = [vec![link(PAYER, HUB)], vec![link(HUB, PAYER), link(HUB, PAYEE)], vec![link(PAYEE, HUB)]];
    for (node, links) in links.into_iter().enumerate() {
        let meeting_point = (Id::new("Hub"), MeetingPoint::default());
        let state = PaymentNode {
            links: links.into_iter().collect(),
            meeting_points: (node == HUB).then_some(meeting_point).into_iter().collect(),
            ..PaymentNode::default()
        };
        let configure = PaymentNodeMessage::Configure {
            address: Some(address(node)),
            key: None,
            payout_address: None,
            external_meeting_points: if node == HUB { Vec::new() } else { vec![Id::new("Hub")] },
            timeout_increment: 86_400,
            limits: PaymentLimits::default(),
        };
        model.add(&address(node).to_string(), state).unwrap();
        model.command(node, &PaymentNodeEnvelope::PaymentNode(configure)).unwrap();
    }
    model.settle();
    let request = PaymentNodeMessage::Request { amount: AMOUNT, receipt: "a coffee".into(), via: None };
    let replies = model.command(PAYEE, &PaymentNodeEnvelope::PaymentNode(request)).unwrap();
    let Reply::Url { url } = replies[0].read().unwrap() else { panic!("expected a URL, found {replies:?}") };
    let pay = PaymentNodeMessage::Pay { url: url.parse().unwrap(), via: None };
    let replies = model.command(PAYER, &PaymentNodeEnvelope::PaymentNode(pay)).unwrap();
    let Reply::Paying { payer } = replies[0].read().unwrap() else { panic!("expected a payer, found {replies:?}") };
    for (name, message) in [("the user agrees", PayerMessage::Agree), ("the user refuses", PayerMessage::Refuse)] {
        model.choice(name, PAYER, PaymentNodeEnvelope::Payer(payer.clone(), message)).unwrap();
    }
    model.set_fault_limits(faults);
    properties(&mut model);
    model
}

fn properties(model: &mut Model) {
    for property in [
        Property::always("each end of a channel counts all its money", |_, state: &State| {
            state.nodes().flat_map(channels).all(|channel| {
                let (incoming, outgoing) = channel.claimed();
                channel.local() + channel.remote() + incoming + outgoing == 2 * FUNDS
            })
        }),
        Property::always("no money belongs to both ends of a channel", |_, state: &State| {
            [(PAYER, HUB), (HUB, PAYEE)].into_iter().all(|(one, other)| {
                let local = |from, to| channel(state, from, to).local();
                local(one, other) + local(other, one) <= 2 * FUNDS
            })
        }),
        Property::always("the hub pays only what it has a claim to be paid", |_, state: &State| {
            let node = state.nodes().nth(HUB).unwrap();
            let incoming: u64 = channels(node).map(|channel| channel.claimed().0).sum();
            node.balance() + incoming >= 2 * FUNDS
        }),
        Property::always("no end commits what the other has cancelled", |_, state: &State| {
            let both = (outcome(state, PAYER), outcome(state, PAYEE));
            both.0.is_none() || both.1.is_none() || both.0 == both.1
        }),
        Property::always("the ends of a connection never disagree on what they have said", |_, state: &State| {
            let nodes = 0..state.nodes().len();
            nodes.flat_map(|node| state.connections(node).unwrap().iter()).all(|(_, found)| found.conflict.is_none())
        }),
        Property::eventually("the payment ends at both ends alike, and nothing is left over", ended),
        Property::sometimes("it is committed", |_, state: &State| outcome(state, PAYEE) == Some(Outcome::Committed)),
        Property::sometimes("it is cancelled", |_, state: &State| outcome(state, PAYEE) == Some(Outcome::Cancelled)),
    ] {
        model.property(property);
    }
}

fn channels(node: &PaymentNode) -> impl Iterator<Item = &dyn amiko_examples::payment::Channel> {
    node.links.iter().flat_map(|(_, link)| link.channels.iter().map(|channel| &**channel))
}

fn channel(state: &State, from: NodeIndex, to: NodeIndex) -> &dyn amiko_examples::payment::Channel {
    &*state.nodes().nth(from).unwrap().links.get(&Id::new(format!("to_{to}"))).unwrap().channels[0]
}

fn outcome(state: &State, node: NodeIndex) -> Option<Outcome> {
    state.nodes().nth(node)?.payments.iter().next().map(|(_, record)| record.outcome)
}

/// Once this holds it holds for good: it asks for the payment to have ended.
fn ended(_: &Model, state: &State) -> bool {
    let (payer, payee) = (outcome(state, PAYER), outcome(state, PAYEE));
    let moved = if payer == Some(Outcome::Committed) { AMOUNT } else { 0 };
    let nothing_left = state.nodes().enumerate().all(|(index, node)| {
        let objects = node.payers.len() + node.payees.len() + node.transactions.len() + node.claims();
        let waiting = node.meeting_points.iter().map(|(_, point)| point.waiting.len()).sum::<usize>();
        let routes = node.links.iter().map(|(_, link)| link.routes.len()).sum::<usize>();
        let timers = state.timers(index).unwrap().len();
        // Payments have taken their connections with them.
        let connections = state.connections(index).unwrap();
        let links_only = connections.len() == node.links.len();
        let confirmed = connections.iter().all(|(_, connection)| connection.outbox.is_empty());
        objects + waiting + routes + timers == 0 && links_only && confirmed && node.payments.len() <= 1
    });
    let agreed = [(PAYER, HUB), (HUB, PAYEE)].into_iter().all(|(one, other)| {
        let (ours, theirs) = (channel(state, one, other), channel(state, other, one));
        (ours.local(), ours.remote()) == (theirs.remote(), theirs.local()) && ours.local() == FUNDS - moved
    });
    payer.is_some() && payer == payee && nothing_left && agreed
}

#[test]
fn one_payment_in_every_order_of_events() {
    // So many crashes and so many lost confirmations on each way; a single crash by default.
    let faults: Option<u32> = std::env::var("AMIKO_MODEL_FAULTS").ok().and_then(|text| text.parse().ok());
    let (crashes, losses) = faults.map_or((1, 0), |faults| (faults, faults));
    // The ends may be away for as long as they like; the hub is back before any time-out that was agreed on.
    let faults = FaultLimits { crashes, losses, absent: vec![PAYER, PAYEE], ..FaultLimits::default() };
    let found = model(faults).explore();
    println!("{found}\nrejected: {:#?}", found.rejections);
    assert!(found.failures.is_empty(), "{found}");
    assert!(found.states > 10_000, "{found}");
    assert_eq!(found.coverage.expect_all_but::<PayerPhase>(&[]), Ok(()));
    assert_eq!(found.coverage.expect_all_but::<PayeePhase>(&[]), Ok(()));
    assert_eq!(found.coverage.expect_all_but::<TransactionPhase>(&[]), Ok(()));
}

#[test]
fn a_hub_that_is_away_for_longer_than_its_time_outs_may_lose_what_it_has_paid() {
    let found = model(FaultLimits { crashes: 1, absent: vec![HUB], ..FaultLimits::default() }).explore();
    println!("{found}");
    let failed: Vec<_> = found.failures.iter().map(|failure| failure.property).collect();
    assert_eq!(
        failed,
        [
            "the hub pays only what it has a claim to be paid",
            "no end commits what the other has cancelled",
            "the payment ends at both ends alike, and nothing is left over",
        ]
    );
    for failure in &found.failures {
        assert!(failure.way.contains("hub:4321 crashes"), "{found}");
        assert!(failure.way.contains("259200 seconds pass"), "{found}");
    }
}
