//! What must be true of a network of honest nodes after every step, and when everything has come to its end.

use super::time_outs;
use super::topology::{Topology, link_to};
use super::{Outcomes, Payments};
use amiko_core::Key;
use amiko_core::prelude::*;
use amiko_core::sim::{Heard, NodeIndex};
use amiko_examples::payment::{
    Channel, Link, Message, Neighbour, Network, Outcome, PayerPhase, PaymentNode, PaymentRecord, Role, Token,
    Transaction, TransactionId, TransactionPhase,
};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct Books {
    /// From this one on nodes may say what they like.
    honest: NodeIndex,
    /// All that is in a channel, by node, link and index.
    totals: BTreeMap<NodeIndex, BTreeMap<(String, usize), u64>>,
    /// How a payment ended, as its user was told.
    ended: BTreeMap<(NodeIndex, String, bool), Outcome>,
    /// Who has made a token, and who has heard it.
    owners: BTreeMap<TransactionId, NodeIndex>,
    knowing: BTreeMap<TransactionId, BTreeSet<NodeIndex>>,
    /// Who takes part in a transaction.
    parties: BTreeMap<TransactionId, BTreeSet<NodeIndex>>,
    /// Those of which the payer has locked the amount.
    locked: BTreeSet<TransactionId>,
}

fn total(channel: &dyn Channel) -> u64 {
    let (incoming, outgoing) = channel.claimed();
    channel.local() + channel.remote() + incoming + outgoing
}

fn channels(link: &Link) -> impl Iterator<Item = (usize, &dyn Channel)> {
    link.channels.iter().map(|channel| &**channel).enumerate()
}

impl Books {
    pub(crate) fn open(world: &mut Payments, topology: &Topology) -> Self {
        world.take_heard();
        let mut books = Self {
            honest: topology.honest,
            totals: BTreeMap::new(),
            ended: BTreeMap::new(),
            owners: BTreeMap::new(),
            knowing: BTreeMap::new(),
            parties: BTreeMap::new(),
            locked: BTreeSet::new(),
        };
        for node in 0..topology.honest {
            if let Some(engine) = world.engine(node) {
                books.totals.insert(node, totals(engine.node()));
            }
        }
        books
    }

    /// A user was told how a payment ended.
    pub(crate) fn ended(&mut self, node: NodeIndex, record: PaymentRecord) -> Result<(), String> {
        let key = (node, record.payment.clone(), record.role == Role::Payer);
        match self.ended.insert(key, record.outcome) {
            Some(before) if before != record.outcome => Err(format!(
                "node {node} said that payment {} was {before:?}, and then {:?}",
                record.payment, record.outcome
            )),
            _ => Ok(()),
        }
    }

    /// After a step: what it has changed. Gives what was said.
    pub(crate) fn check(&mut self, world: &mut Payments) -> Result<Vec<Heard<PaymentNode>>, String> {
        for node in world.take_changed() {
            let Some(engine) = world.engine(node) else {
                // What it hadn't made durable hasn't happened.
                self.totals.remove(&node);
                continue;
            };
            if let Some((connection, _)) = engine.connections().find(|(_, connection)| connection.conflict.is_some()) {
                return Err(format!("node {node} is in conflict on {connection}, and nobody was put back to a backup"));
            }
            if let Some(rejected) = engine.rejections().find(|found| found.rejection.to_string().contains("the books"))
            {
                return Err(format!("node {node}: {}", rejected.rejection));
            }
            time_outs::check(node, engine)?;
            self.check_channels(world, node, engine.node())?;
            self.take_note(node, engine.node());
        }
        let all = world.take_heard();
        for heard in &all {
            self.check_token(heard)?;
        }
        Ok(all)
    }

    /// No event makes or loses money in a channel, and both ends mean the same amount.
    fn check_channels(&mut self, world: &Payments, node: NodeIndex, state: &PaymentNode) -> Result<(), String> {
        let now = totals(state);
        let before = self.totals.insert(node, now.clone()).unwrap_or_default();
        for ((link, index), total) in &now {
            let peer: NodeIndex = link.trim_start_matches("link_to_").parse().map_err(|error| format!("{error}"))?;
            if peer >= self.honest {
                // It may deposit whenever it likes; what that does to a channel is what the node itself looks after.
                continue;
            }
            if before.get(&(link.clone(), *index)).is_some_and(|before| *before != 0 && before != total) {
                return Err(format!("node {node} has {total} in channel {index} of {link}, and had {before:?}"));
            }
            let theirs = world.engine(peer).and_then(|engine| engine.node().links.get(&link_to(node)));
            let theirs = theirs.and_then(|link| link.channels.get(*index)).map_or(0, |channel| self::total(&**channel));
            if theirs != 0 && *total != 0 && theirs != *total {
                return Err(format!(
                    "{total} in channel {index} of {link} on node {node}, and {theirs} at the other end"
                ));
            }
        }
        Ok(())
    }

    fn take_note(&mut self, node: NodeIndex, state: &PaymentNode) {
        for (_, payee) in state.payees.iter() {
            self.owners.insert(payee.token.transaction(Network::Amiko), node);
        }
        let mut party = |transaction| {
            self.parties.entry(transaction).or_default().insert(node);
        };
        for (id, _) in state.transactions.iter() {
            party(id.key().route.transaction);
        }
        for (_, payer) in state.payers.iter() {
            let Some(bill) = &payer.bill else { continue };
            party(bill.transaction);
            if matches!(*payer.phase, PayerPhase::Locked | PayerPhase::ReceivedRequestCommit) {
                self.locked.insert(bill.transaction);
            }
        }
    }

    /// A token is told by the payee first, once the amount is locked all along, and passed on by those who have heard it;
    /// and only those hear it who take part.
    fn check_token(&mut self, heard: &Heard<PaymentNode>) -> Result<(), String> {
        let token: &Token = match &*heard.message {
            Message::RequestCommit { token, .. } | Message::SettleCommit { token, .. } => token,
            _ => return Ok(()),
        };
        let (transaction, from, to) = (token.transaction(Network::Amiko), heard.from, heard.to);
        if from >= self.honest {
            self.knowing.entry(transaction).or_default().insert(to);
            return Ok(());
        }
        let made = self.owners.get(&transaction) == Some(&from);
        let knowing = self.knowing.entry(transaction).or_default();
        if !made && !knowing.contains(&from) {
            return Err(format!("node {from} told {to} the token of {transaction:?}, and can't know it"));
        }
        if made && !self.locked.contains(&transaction) {
            return Err(format!(
                "node {from} told the token of {transaction:?} before the payer had locked the amount"
            ));
        }
        if to < self.honest
            && !self.parties.get(&transaction).is_some_and(|parties| parties.contains(&to))
            && Some(&to) != self.owners.get(&transaction)
        {
            return Err(format!("node {to} has heard the token of {transaction:?}, and doesn't take part in it"));
        }
        knowing.insert(to);
        Ok(())
    }

    /// When all is at rest: both ends of everything agree, everybody has what they should have, and nothing is left over.
    pub(crate) fn close(&self, world: &Payments, topology: &Topology) -> Result<Outcomes, String> {
        let mut outcomes = Outcomes::new();
        let mut ends: BTreeMap<String, BTreeMap<bool, PaymentRecord>> = BTreeMap::new();
        for node in 0..topology.honest {
            let state = world.engine(node).ok_or(format!("node {node} is down"))?.node();
            for (_, record) in state.payments.iter() {
                let payer = record.role == Role::Payer;
                let told = self.ended.get(&(node, record.payment.clone(), payer));
                if told.is_some_and(|told| *told != record.outcome) {
                    return Err(format!(
                        "payment {} on node {node} was {told:?}, and is {:?}",
                        record.payment, record.outcome
                    ));
                }
                let before = ends.entry(record.payment.clone()).or_default().insert(payer, record.clone());
                if before.is_some() {
                    return Err(format!("payment {} has ended twice", record.payment));
                }
            }
            for (told_node, payment, payer) in self.ended.keys().filter(|(told, ..)| *told == node) {
                let role = if *payer { Role::Payer } else { Role::Payee };
                if !state.payments.iter().any(|(_, record)| record.payment == *payment && record.role == role) {
                    return Err(format!("node {told_node} has told the end of payment {payment}, and forgotten it"));
                }
            }
        }
        let committed =
            |record: Option<&PaymentRecord>| record.is_some_and(|record| record.outcome == Outcome::Committed);
        for (payment, records) in &ends {
            // A puppet on the way may keep what belongs to the payee, who hasn't got it then.
            if topology.puppets().is_empty() && committed(records.get(&true)) != committed(records.get(&false)) {
                return Err(format!("payment {payment} has ended in two ways: {records:?}"));
            }
            if let Some(record) = records.get(&true) {
                *outcomes.entry((format!("{:?}", record.outcome), record.reason.clone())).or_default() += 1;
            }
        }
        self.close_accounts(world, topology, &ends)?;
        Ok(outcomes)
    }

    fn close_accounts(
        &self,
        world: &Payments,
        topology: &Topology,
        ends: &BTreeMap<String, BTreeMap<bool, PaymentRecord>>,
    ) -> Result<(), String> {
        let state = |node: NodeIndex| world.engine(node).map(|engine| engine.node()).ok_or("down".to_owned());
        let mut deposited = vec![0; topology.honest];
        for edge in topology.edges.iter().filter(|edge| edge.ends.0 < topology.honest) {
            let (one, other) = edge.ends;
            let ours = state(one)?.links.get(&link_to(other)).ok_or("no link")?;
            let theirs = state(other)?.links.get(&link_to(one)).ok_or("no link")?;
            let amounts =
                |link: &Link| channels(link).map(|(_, found)| (found.local(), found.remote())).collect::<Vec<_>>();
            let turned: Vec<_> = amounts(theirs).into_iter().map(|(local, remote)| (remote, local)).collect();
            if amounts(ours) != turned {
                return Err(format!("{:?} between {one} and {other}, and {turned:?} at the other end", amounts(ours)));
            }
            deposited[one] += channels(ours).skip(edge.channels.len()).map(|(_, found)| total(found)).sum::<u64>();
        }
        for (node, deposited) in deposited.into_iter().enumerate() {
            let payments = &state(node)?.payments;
            let sum = |role| -> u64 {
                let of = |record: &&PaymentRecord| record.role == role && record.outcome == Outcome::Committed;
                payments.iter().map(|(_, record)| record).filter(of).map(|record| record.amount).sum()
            };
            let expected = topology.funds(node) + deposited + sum(Role::Payee);
            // A puppet may keep what it owes for a token that it was shown: that is lost in the channels with it, and no more
            // than there is in them. It may give away what is its own, to whoever is on the way.
            let at_risk: u64 = (topology.honest..topology.nodes)
                .filter_map(|puppet| state(node).ok()?.links.get(&link_to(puppet)))
                .flat_map(channels)
                .map(|(_, channel)| total(channel))
                .fold(0, u64::saturating_add);
            let found = state(node)?.balance() + sum(Role::Payer);
            if found.saturating_add(at_risk) < expected || (found > expected && topology.puppets().is_empty()) {
                let paid =
                    ends.values().filter(|ends| ends.values().any(|end| end.outcome == Outcome::Committed)).count();
                return Err(format!(
                    "node {node} should have {expected} less what it paid, and has {found}; {paid} payments were committed"
                ));
            }
        }
        Ok(())
    }
}

fn totals(state: &PaymentNode) -> BTreeMap<(String, usize), u64> {
    let of = |(id, link): (Id<Link>, &Link)| {
        let id = id.key().clone();
        channels(link).map(|(index, channel)| ((id.clone(), index), total(channel))).collect::<Vec<_>>()
    };
    state.links.iter().flat_map(of).collect()
}

/// Whether nothing is under way on any node, nor left over; but for what only a puppet can end.
pub(crate) fn at_rest(world: &Payments, topology: &Topology) -> bool {
    (0..topology.honest).all(|node| left_on(world, topology, node).is_none())
}

/// What is still there.
pub(crate) fn left(world: &Payments, topology: &Topology) -> String {
    let line = |node| Some(format!("node {node}: {}", left_on(world, topology, node)?));
    (0..topology.honest).filter_map(line).collect::<Vec<_>>().join("; ")
}

fn left_on(world: &Payments, topology: &Topology, node: NodeIndex) -> Option<String> {
    let Some(engine) = world.engine(node) else { return Some("down".into()) };
    let state = engine.node();
    let puppets: Vec<Id<Link>> = (topology.honest..topology.nodes).map(link_to).collect();
    let to_puppets = |name: &str| puppets.iter().any(|puppet| puppet.key() == name);
    // A lock that a puppet could give back, and doesn't.
    let held = |transaction: &Transaction| {
        let source = matches!(&transaction.source, Neighbour::Link { id } if puppets.contains(id));
        let onward = matches!(&transaction.onward, Some(Neighbour::Link { id }) if puppets.contains(id));
        (source || onward) && matches!(*transaction.phase, TransactionPhase::RollingBack | TransactionPhase::Requested)
    };
    let mut held: Vec<_> = state.transactions.iter().filter(|(_, found)| held(found)).map(|(id, _)| id).collect();
    // And the other half of it.
    let halves = state.transactions.iter().filter(|(_, found)| {
        [Some(&found.source), found.onward.as_ref()]
            .into_iter()
            .flatten()
            .any(|end| matches!(end, Neighbour::Half { id } if held.contains(id)))
    });
    let halves: Vec<_> = halves.map(|(id, _)| id).filter(|id| !held.contains(id)).collect();
    held.extend(halves);
    // A payment of this node whose money such a lock is.
    let ends = |payee: bool| {
        let held = state.transactions.iter().filter(|(id, _)| held.contains(id));
        held.filter(|(_, found)| match &found.source {
            Neighbour::Payee { id } => payee && state.payees.contains(id),
            Neighbour::Payer { id } => !payee && state.payers.contains(id),
            _ => false,
        })
        .count()
    };
    let links = || state.links.iter().filter(|(id, _)| !to_puppets(id.key()));
    let connections = engine.connections().filter(|(id, _)| !to_puppets(id.key()));
    let counts = [
        ("payers", state.payers.len() - ends(false)),
        ("payees", state.payees.len() - ends(true)),
        ("transactions", state.transactions.len() - held.len()),
        ("claims", links().flat_map(|(_, link)| channels(link)).map(|(_, channel)| channel.claims()).sum()),
        ("routes", links().map(|(_, link)| link.routes.len()).sum()),
        ("halves that wait", state.meeting_points.iter().map(|(_, point)| point.waiting.len()).sum()),
        (
            "timers",
            engine.timers().filter(|(id, _)| !held.iter().any(|held| id.key().contains(&*held.key().encode()))).count(),
        ),
        ("unconfirmed messages", connections.map(|(_, connection)| connection.outbox.len()).sum()),
    ];
    let left: Vec<String> =
        counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}")).collect();
    let rest =
        || state.transactions.iter().filter(|(id, _)| !held.contains(id)).map(|(_, found)| format!(": {found:?}"));
    (!left.is_empty()).then(|| left.join(", ") + &rest().collect::<String>())
}
