//! The users of a network: they request payments and make them, agree or refuse, deposit and withdraw.

use super::Payments;
use super::books::Books;
use super::topology::{Topology, link_to};
use amiko_core::prelude::*;
use amiko_core::sim::NodeIndex;
use amiko_examples::payment::{
    Notice, Payer, PayerMessage, PaymentNodeEnvelope, PaymentNodeMessage, PaymentUrl, PlainChannel, Reply,
};
use std::collections::BTreeMap;

pub(crate) struct Users {
    /// Things that they still want to do.
    left: u64,
    /// Who wants to pay what a node requests, in the order of the requests.
    wanted: BTreeMap<NodeIndex, Vec<NodeIndex>>,
    /// URLs that were given to somebody who couldn't pay at once.
    urls: Vec<(NodeIndex, PaymentUrl)>,
    asked: Vec<(NodeIndex, Id<Payer>)>,
}

impl Users {
    pub(crate) fn new(world: &mut Payments) -> Self {
        let left = 10 + world.random().below(70);
        Self { left, wanted: BTreeMap::new(), urls: Vec::new(), asked: Vec::new() }
    }

    /// Does one thing. Gives back whether there may be another.
    pub(crate) fn act(&mut self, world: &mut Payments, topology: &Topology) -> bool {
        self.answer(world);
        if self.left == 0 || !world.disturb() {
            return false;
        }
        self.left -= 1;
        let count = topology.honest as u64;
        let node = world.random().below(count) as usize;
        match world.random().below(20) {
            0 => self.deposit(world, topology),
            1 => self.withdraw(world, topology),
            _ => {
                let payee = world.random().below(count) as usize;
                let amount = 1 + world.random().below(400);
                let request = PaymentNodeMessage::Request { amount, receipt: "a coffee".into(), via: None };
                // A node that is down is asked by nobody.
                if payee != node && world.command(payee, PaymentNodeEnvelope::PaymentNode(request)).is_ok() {
                    self.wanted.entry(payee).or_default().push(node);
                }
            }
        }
        true
    }

    fn deposit(&mut self, world: &mut Payments, topology: &Topology) {
        let edge = world.random().below(topology.edges.len() as u64) as usize;
        // Always the same end, so that it is known whose money it was.
        let (one, other) = topology.edges[edge].ends;
        let amount = 1 + world.random().below(1_000);
        let class = PlainChannel::CLASS.to_owned();
        let deposit = PaymentNodeMessage::Deposit { link: link_to(other), amount, class };
        // A link that is full, or whose node is down, takes nothing.
        drop(world.command(one, PaymentNodeEnvelope::PaymentNode(deposit)));
    }

    fn withdraw(&mut self, world: &mut Payments, topology: &Topology) {
        let edge = world.random().below(topology.edges.len() as u64) as usize;
        let (one, other) = topology.edges[edge].ends;
        let (node, peer) = if world.random().below(2) == 0 { (one, other) } else { (other, one) };
        let (link, channel) = (link_to(peer), world.random().below(3) as u32);
        // There may be no such channel, or it is closed already.
        drop(world.command(node, PaymentNodeEnvelope::PaymentNode(PaymentNodeMessage::Withdraw { link, channel })));
    }

    /// Hears what nodes say to their users.
    pub(crate) fn listen(&mut self, world: &mut Payments, books: &mut Books) -> Result<(), String> {
        for node in 0..world.len() {
            for reply in world.take_replies(node) {
                if let Reply::Url { url } = reply.read().map_err(|error| error.to_string())? {
                    let payers = self.wanted.entry(node).or_default();
                    if !payers.is_empty() {
                        self.urls.push((payers.remove(0), url.parse().map_err(|error| format!("{error}"))?));
                    }
                }
            }
            for notice in world.take_notices(node) {
                match notice {
                    Notice::Receipt { payer, .. } => self.asked.push((node, payer)),
                    Notice::Ended { record } => books.ended(node, record)?,
                }
            }
        }
        Ok(())
    }

    /// Pays, agrees and refuses, where the nodes are up.
    fn answer(&mut self, world: &mut Payments) {
        for (node, url) in std::mem::take(&mut self.urls) {
            let pay = PaymentNodeMessage::Pay { url: url.clone(), via: None };
            if world.engine(node).is_none() {
                self.urls.push((node, url));
            } else {
                drop(world.command(node, PaymentNodeEnvelope::PaymentNode(pay)));
            }
        }
        for (node, payer) in std::mem::take(&mut self.asked) {
            let message = if world.random().below(12) == 0 { PayerMessage::Refuse } else { PayerMessage::Agree };
            if world.engine(node).is_none() {
                self.asked.push((node, payer));
            } else {
                // The payment may be over meanwhile.
                drop(world.command(node, PaymentNodeEnvelope::Payer(payer, message)));
            }
        }
    }
}
