//! The way of the payment over the twelve nodes, and what can be seen of it from outside.
//!
//! Invariant: nothing in here changes anything but what a user of a node could.

use super::common::{Net, PAYEE, PAYER, Payments, link_to};
use amiko_core::Serializable;
use amiko_core::prelude::*;
use amiko_core::sim::NodeIndex;
use amiko_examples::payment::{
    Channel, Neighbour, PayeePhase, Payer, PayerPhase, PaymentNode, PaymentNodeMessage, Transaction, TransactionPhase,
};
use std::time::Duration;

pub(crate) const AMOUNT: u64 = 123;

/// Where the halves meet.
pub(crate) const MEETING: NodeIndex = 4;

/// All nodes from the payer to the payee.
pub(crate) const WAY: [NodeIndex; 6] = [PAYER, 1, 2, MEETING, 5, PAYEE];

/// Those between the two ends.
pub(crate) const HUBS: [NodeIndex; 4] = [1, 2, MEETING, 5];

/// The neighbour on the way that is nearer to the payer.
pub(crate) fn before(node: NodeIndex) -> NodeIndex {
    WAY[WAY.iter().position(|found| *found == node).unwrap() - 1]
}

/// The neighbour on the way that is nearer to the payee.
pub(crate) fn after(node: NodeIndex) -> NodeIndex {
    WAY[WAY.iter().position(|found| *found == node).unwrap() + 1]
}

/// The links of the way, each from the payer's direction.
pub(crate) fn hops() -> impl Iterator<Item = (NodeIndex, NodeIndex)> {
    WAY.into_iter().zip(WAY.into_iter().skip(1))
}

pub(crate) fn state(world: &Payments, node: NodeIndex) -> Option<&PaymentNode> {
    world.engine(node).map(|engine| engine.node())
}

fn transactions(world: &Payments, node: NodeIndex) -> impl Iterator<Item = &Transaction> {
    state(world, node).into_iter().flat_map(|node| node.transactions.iter()).map(|(_, transaction)| transaction)
}

pub(crate) fn in_phase(world: &Payments, node: NodeIndex, phase: TransactionPhase) -> bool {
    transactions(world, node).any(|transaction| transaction.phase == phase)
}

/// Whether a node has asked its neighbour, and waits for an answer.
pub(crate) fn asks(world: &Payments, node: NodeIndex, neighbour: NodeIndex) -> bool {
    let onward = Some(Neighbour::Link { id: link_to(neighbour) });
    transactions(world, node)
        .any(|transaction| transaction.phase == TransactionPhase::Searching && transaction.onward == onward)
}

/// Whether half a route waits at the meeting point.
pub(crate) fn waits(world: &Payments) -> bool {
    state(world, MEETING).is_some_and(|node| node.meeting_points.iter().any(|(_, point)| !point.waiting.is_empty()))
}

/// Whether a node has locked an amount with a neighbour.
pub(crate) fn has_lock(world: &Payments, node: NodeIndex, neighbour: NodeIndex) -> bool {
    let link = state(world, node).and_then(|node| node.links.get(&link_to(neighbour)));
    link.is_some_and(|link| link.routes.values().any(|route| route.locked))
}

/// Whether a node has locked an amount with anybody.
pub(crate) fn has_locked(world: &Payments, node: NodeIndex) -> bool {
    state(world, node)
        .is_some_and(|node| node.links.iter().any(|(_, link)| link.routes.values().any(|route| route.locked)))
}

/// Whether money has moved over a link of this node.
pub(crate) fn has_settled(world: &Payments, node: NodeIndex) -> bool {
    let moved = |channel: &dyn Channel| channel.local() + channel.claimed().1 != channel.funds().total() / 2;
    state(world, node)
        .is_some_and(|node| node.links.iter().any(|(_, link)| link.channels.iter().any(|found| moved(found.as_ref()))))
}

pub(crate) fn payer_is(world: &Payments, phase: PayerPhase) -> bool {
    state(world, PAYER).is_some_and(|node| node.payers.iter().any(|(_, payer)| payer.phase == phase))
}

pub(crate) fn payee_is(world: &Payments, phase: PayeePhase) -> bool {
    state(world, PAYEE).is_some_and(|node| node.payees.iter().any(|(_, payee)| payee.phase == phase))
}

/// The claims on the channels of these nodes.
pub(crate) fn claims(net: &Net, nodes: &[NodeIndex]) -> Vec<usize> {
    nodes.iter().map(|node| net.world.engine(*node).unwrap().node().claims()).collect()
}

/// What is claimed on the channel of a link: for the node, and for its neighbour.
pub(crate) fn claimed(net: &Net, node: NodeIndex, neighbour: NodeIndex) -> (u64, u64) {
    net.channels(node, neighbour)[0].claimed()
}

/// Twelve nodes that have a minute each to pass on a token.
pub(crate) fn net(seed: u64) -> Net {
    let mut net = Net::new(seed);
    net.set_timeout_increment(60);
    net.world.take_heard();
    net
}

/// A payment to which its user has just agreed.
pub(crate) fn agreed(net: &mut Net) -> Id<Payer> {
    let (node, payer) = net.begin(PAYER, PAYEE, AMOUNT);
    net.agree(node, &payer);
    payer
}

/// Lets time pass until something is so, which it soon has to be.
pub(crate) fn until(net: &mut Net, what: &str, done: impl FnMut(&Payments) -> bool) {
    assert!(net.world.run_until(secs(5), done), "waited in vain until {what}");
}

pub(crate) fn run_for_millis(net: &mut Net, millis: u64) {
    net.world.run_for(Duration::from_millis(millis));
}

/// Closes the channel between two nodes, so that nothing can go over it.
pub(crate) fn close(net: &mut Net, one: NodeIndex, other: NodeIndex) {
    net.asks(one, PaymentNodeMessage::Withdraw { link: link_to(other), channel: 0 });
    run_for_millis(net, 200);
}

/// What nodes have told each other, in the order in which it was heard.
#[derive(Debug)]
pub(crate) struct Words(Vec<(&'static str, NodeIndex, NodeIndex)>);

impl Words {
    /// Who has told whom a message of a class.
    pub(crate) fn of(&self, class: &str) -> Vec<(NodeIndex, NodeIndex)> {
        self.0.iter().filter(|(found, ..)| *found == class).map(|(_, from, to)| (*from, *to)).collect()
    }

    pub(crate) fn has(&self, class: &'static str, from: NodeIndex, to: NodeIndex) -> bool {
        self.0.contains(&(class, from, to))
    }
}

/// What was heard since this was asked last.
pub(crate) fn heard(net: &mut Net) -> Words {
    let all = net.world.take_heard();
    Words(all.iter().map(|heard| (heard.message.class().unwrap_or(""), heard.from, heard.to)).collect())
}

/// What nodes have rejected. Payments that have ended don't hear any more what was under way to them.
pub(crate) fn rejections(net: &Net) -> Vec<String> {
    let of = |node| {
        net.world.engine(node).unwrap().rejections().map(move |found| format!("node {node}: {}", found.rejection))
    };
    (0..12).flat_map(of).filter(|reason| !reason.contains("the payment that this was about has ended")).collect()
}

/// A payment has ended at both ends, with these last words.
pub(crate) fn assert_cancelled(net: &Net, payer: &str, payee: &str) {
    assert_eq!(net.outcomes(PAYER), [format!("payer cancelled: {payer}")]);
    assert_eq!(net.outcomes(PAYEE), [format!("payee cancelled: {payee}")]);
    assert_eq!(rejections(net), [""; 0]);
}
