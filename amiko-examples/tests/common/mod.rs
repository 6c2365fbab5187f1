//! The twelve nodes in a simulated world.

use amiko_core::prelude::*;
use amiko_core::sim::{NodeIndex, World};
use amiko_examples::payment::{
    Address, Channel, Link, MeetingPoint, Network, Notice, Payer, PayerMessage, PaymentNode, PaymentNodeEnvelope,
    PaymentNodeMessage, PaymentProtocol, PaymentUrl, Reply, TransactionPhase, twelve_nodes,
};

pub(crate) const PAYER: NodeIndex = 0;
pub(crate) const PAYEE: NodeIndex = 7;
const FUNDS: u64 = 1000;

pub(crate) type Payments = World<PaymentProtocol>;

pub(crate) struct Net {
    pub(crate) world: Payments,
    before: Vec<u64>,
    documents: Vec<String>,
}

impl Net {
    /// Twelve nodes, connected.
    pub(crate) fn new(seed: u64) -> Self {
        Self::on(Network::Amiko, seed)
    }

    pub(crate) fn on(network: Network, seed: u64) -> Self {
        let mut world = World::new(PaymentProtocol, seed);
        let addresses: [Address; 12] =
            std::array::from_fn(|index| Address { host: format!("node{index}"), port: 4321 });
        let nodes = twelve_nodes(&addresses, FUNDS);
        for (address, node) in addresses.iter().zip(nodes) {
            let configure = PaymentNodeMessage::Configure {
                address: node.address.clone(),
                key: None,
                payout_address: None,
                external_meeting_points: node.external_meeting_points.clone(),
                timeout_increment: node.timeout_increment,
                limits: node.limits.clone(),
            };
            let index = world.add(&address.to_string(), PaymentNode { network, ..node }).unwrap();
            world.command(index, PaymentNodeEnvelope::PaymentNode(configure)).unwrap();
        }
        world.run_for(secs(1));
        let before = (0..12).map(|node| world.engine(node).unwrap().node().balance()).collect();
        let documents = (0..12).map(|node| links(&world, node)).collect();
        Self { world, before, documents }
    }

    /// Has all nodes believe in a meeting point that doesn't exist.
    pub(crate) fn rename_meeting_point(&mut self, name: &str) {
        for index in 0..12 {
            let increment = self.world.engine(index).unwrap().node().timeout_increment;
            self.configure(index, vec![Id::new(name)], increment);
        }
    }

    /// How many seconds each node has to pass on a token.
    pub(crate) fn set_timeout_increment(&mut self, increment: u64) {
        for index in 0..12 {
            let points = self.world.engine(index).unwrap().node().external_meeting_points.clone();
            self.configure(index, points, increment);
        }
    }

    fn configure(&mut self, index: NodeIndex, points: Vec<Id<MeetingPoint>>, timeout_increment: u64) {
        let node = self.world.engine(index).unwrap().node();
        let configure = PaymentNodeMessage::Configure {
            address: node.address.clone(),
            key: None,
            payout_address: None,
            external_meeting_points: points,
            timeout_increment,
            limits: node.limits.clone(),
        };
        self.asks(index, configure);
    }

    /// A user asks for something.
    pub(crate) fn asks(&mut self, node: NodeIndex, message: PaymentNodeMessage) {
        self.world.command(node, PaymentNodeEnvelope::PaymentNode(message)).unwrap();
    }

    /// The channels of one end of a link.
    pub(crate) fn channels(&self, node: NodeIndex, neighbour: NodeIndex) -> &[Box<dyn Channel>] {
        &self.world.engine(node).unwrap().node().links.get(&link_to(neighbour)).unwrap().channels
    }

    pub(crate) fn request(&mut self, payee: NodeIndex, amount: u64) -> PaymentUrl {
        let request = PaymentNodeMessage::Request { amount, receipt: "a coffee".into(), via: None };
        self.world.command(payee, PaymentNodeEnvelope::PaymentNode(request)).unwrap();
        match self.world.take_replies(payee).pop().map(|reply| reply.read().unwrap()) {
            Some(Reply::Url { url }) => url.parse().unwrap(),
            other => panic!("expected a URL, found {other:?}"),
        }
    }

    pub(crate) fn begin_pay(&mut self, payer: NodeIndex, url: &PaymentUrl) -> Id<Payer> {
        let pay = PaymentNodeMessage::Pay { url: url.clone(), via: None };
        self.world.command(payer, PaymentNodeEnvelope::PaymentNode(pay)).unwrap();
        match self.world.take_replies(payer).pop().map(|reply| reply.read().unwrap()) {
            Some(Reply::Paying { payer }) => payer,
            other => panic!("expected a payer, found {other:?}"),
        }
    }

    /// Requests a payment and opens it, up to the question whether to pay.
    pub(crate) fn begin(&mut self, payer: NodeIndex, payee: NodeIndex, amount: u64) -> (NodeIndex, Id<Payer>) {
        let url = self.request(payee, amount);
        let id = self.begin_pay(payer, &url);
        let asked = |world: &Payments| {
            let payer = world.engine(payer).and_then(|engine| engine.node().payers.get(&id));
            payer.is_some_and(|payer| payer.bill.is_some())
        };
        assert!(self.world.run_until(secs(4), asked));
        let notices = self.world.take_notices(payer);
        assert!(matches!(notices.last(), Some(Notice::Receipt { amount: found, .. }) if *found == amount));
        (payer, id)
    }

    pub(crate) fn agree(&mut self, node: NodeIndex, payer: &Id<Payer>) {
        self.world.command(node, PaymentNodeEnvelope::Payer(payer.clone(), PayerMessage::Agree)).unwrap();
    }

    pub(crate) fn pay(&mut self, payer: NodeIndex, payee: NodeIndex, amount: u64, agree: bool) {
        let (node, id) = self.begin(payer, payee, amount);
        let message = if agree { PayerMessage::Agree } else { PayerMessage::Refuse };
        self.world.command(node, PaymentNodeEnvelope::Payer(id, message)).unwrap();
        self.settle();
    }

    /// Lets time pass until nothing is under way on any node.
    pub(crate) fn settle(&mut self) {
        let settled = self.world.run_until(secs(60), |world| {
            (0..12).all(|node| {
                let engine = world.engine(node).unwrap();
                let state = engine.node();
                let quiet = engine
                    .connections()
                    .all(|(_, connection)| connection.outbox.is_empty() || connection.closing.is_some());
                quiet && state.payers.is_empty() && state.payees.is_empty() && state.transactions.is_empty()
            })
        });
        assert!(settled, "{:#?}", (0..12).map(|node| self.world.engine(node).unwrap().node()).collect::<Vec<_>>());
    }

    /// The payment log of a node.
    pub(crate) fn outcomes(&self, node: NodeIndex) -> Vec<String> {
        let payments = &self.world.engine(node).unwrap().node().payments;
        let line = |role: String, outcome: String, reason: &str| {
            let colon = if reason.is_empty() { "" } else { ": " };
            format!("{role} {outcome}{colon}{reason}").replace("Payer", "payer").replace("Payee", "payee")
        };
        payments
            .iter()
            .map(|(_, record)| {
                let outcome = format!("{:?}", record.outcome).to_lowercase();
                line(format!("{:?}", record.role).to_lowercase(), outcome, &record.reason)
            })
            .collect()
    }

    pub(crate) fn balance_changes(&self) -> Vec<i64> {
        let after = (0..12).map(|node| self.world.engine(node).unwrap().node().balance());
        after.zip(&self.before).map(|(after, before)| after as i64 - *before as i64).collect()
    }

    /// Nothing is left over, both ends of every channel agree, and all money is there.
    pub(crate) fn assert_settled(&self) {
        for node in 0..12 {
            let engine = self.world.engine(node).unwrap();
            let state = engine.node();
            assert_eq!(state.claims(), 0, "reservations on node {node}");
            assert_eq!(state.transactions.len(), 0, "transactions on node {node}");
            assert_eq!(state.payers.len() + state.payees.len(), 0, "payments on node {node}");
            assert_eq!(engine.timers().count(), 0, "timers on node {node}");
            assert!(state.meeting_points.iter().all(|(_, point)| point.waiting.is_empty()));
            for (id, link) in state.links.iter() {
                assert!(link.routes.is_empty(), "routes of {id} on node {node}");
                let peer: NodeIndex = id.key().trim_start_matches("link_to_").parse().unwrap();
                // Whoever writes a test speaks for the others.
                if peer >= 12 {
                    continue;
                }
                let other = self.world.engine(peer).unwrap().node();
                let other = other.links.get(&Id::new(format!("link_to_{node}"))).unwrap();
                assert_eq!(link.channels.len(), other.channels.len(), "{id} of node {node}");
                for (ours, theirs) in link.channels.iter().zip(&other.channels) {
                    assert_eq!((ours.local(), ours.remote()), (theirs.remote(), theirs.local()), "{id} of node {node}");
                    let what = |channel: &dyn Channel| (channel.class_name(), channel.funds().state);
                    assert_eq!(what(ours.as_ref()), what(theirs.as_ref()), "{id} of node {node}");
                }
                assert_eq!(link.channels[0].funds().total(), 2 * FUNDS, "{id} of node {node}");
            }
        }
    }

    /// The same, and every channel is what it was.
    pub(crate) fn assert_unchanged(&self) {
        self.assert_settled();
        for node in 0..12 {
            assert_eq!(links(&self.world, node), self.documents[node]);
        }
    }
}

/// What the link to a neighbour is called.
pub(crate) fn link_to(neighbour: NodeIndex) -> Id<Link> {
    Id::new(format!("link_to_{neighbour}"))
}

/// The links of a node, but for what its connections leave there: dice, and what a line that was long under way says of
/// clocks.
pub(crate) fn links(world: &Payments, node: NodeIndex) -> String {
    let links = world.engine(node).unwrap().node().links.iter();
    links
        .map(|(id, link)| format!("{id} {}\n", to_json(&Link { clock_ahead: 0, dice: 0, ..link.clone() }).unwrap()))
        .collect()
}

pub(crate) fn transactions(world: &Payments, node: NodeIndex) -> usize {
    world.engine(node).map_or(0, |engine| engine.node().transactions.len())
}

/// Whether a half-route stands on a node.
pub(crate) fn reserved(world: &Payments, node: NodeIndex) -> bool {
    in_phase(world, node, TransactionPhase::Reserved)
}

/// Whether an amount is locked on a node.
pub(crate) fn locked(world: &Payments, node: NodeIndex) -> bool {
    in_phase(world, node, TransactionPhase::Locked)
}

/// Whether a token has come by on a node.
pub(crate) fn requested(world: &Payments, node: NodeIndex) -> bool {
    in_phase(world, node, TransactionPhase::Requested)
}

fn in_phase(world: &Payments, node: NodeIndex, phase: TransactionPhase) -> bool {
    world
        .engine(node)
        .is_some_and(|engine| engine.node().transactions.iter().any(|(_, transaction)| transaction.phase == phase))
}
