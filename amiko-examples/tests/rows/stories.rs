//! Tables of stories: one payment each, to which something happens in one of its phases.
//!
//! Invariant: whatever happens, every fault is mended, and then nothing is left over anywhere; both ends of every channel
//! agree; all money is there; and nobody has paid for another.

use super::common::{Net, PAYEE, PAYER, Payments};
use super::way::{
    self, AMOUNT, MEETING, after, has_locked, has_settled, hops, in_phase, payee_is, payer_is, rejections, state,
};
use amiko_core::prelude::*;
use amiko_core::sim::NodeIndex;
use amiko_examples::payment::{PayeePhase, Payer, PayerMessage, PayerPhase, PaymentNodeEnvelope, TransactionPhase};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// Longer than all time-outs of a payment that has been agreed to.
pub(crate) const LONG: Duration = secs(1_200);
/// Longer than a route and a lock are waited for, shorter than a commit.
pub(crate) const WHILE: Duration = secs(11);
pub(crate) const SHORT: Duration = secs(1);

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Trouble {
    /// A node says and hears nothing.
    Silent(NodeIndex),
    /// A node loses its power, and with it what it hadn't made durable.
    Crashed(NodeIndex),
    /// Two nodes can't reach each other.
    Cut(NodeIndex, NodeIndex),
    /// What one says to another waits.
    Clogged(NodeIndex, NodeIndex),
}

/// When it happens, as seen from a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// The payee is asked what is to be paid.
    Asked,
    /// The payer's user is asked.
    Receipt,
    /// The payee has heard that the user agrees.
    Confirmed,
    /// Half a route stands here.
    Reserved,
    /// The payer has both halves.
    BothStand,
    /// The amount is locked here.
    Locked,
    /// The payee has shown the token.
    Shown,
    /// Money has moved here.
    Settled,
}

impl When {
    pub(crate) const ALL: [Self; 8] = [
        Self::Asked,
        Self::Receipt,
        Self::Confirmed,
        Self::Reserved,
        Self::BothStand,
        Self::Locked,
        Self::Shown,
        Self::Settled,
    ];

    pub(crate) fn has_come(self, world: &Payments, here: NodeIndex) -> bool {
        match self {
            Self::Asked => payer_is(world, PayerPhase::Initial),
            Self::Receipt => payer_is(world, PayerPhase::HasReceipt),
            Self::Confirmed => payee_is(world, PayeePhase::Confirmed),
            Self::Reserved => in_phase(world, here, TransactionPhase::Reserved),
            Self::BothStand => payer_is(world, PayerPhase::Locked),
            Self::Locked => has_locked(world, here),
            Self::Shown => payee_is(world, PayeePhase::SentRequestCommit),
            Self::Settled => has_settled(world, here),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fault {
    pub(crate) trouble: Trouble,
    pub(crate) when: When,
    pub(crate) lasts: Duration,
}

impl Trouble {
    /// Everything that can happen on the way.
    fn all() -> Vec<Self> {
        let who = [PAYER, 2, MEETING, 5, PAYEE];
        let nodes = who.into_iter().flat_map(|node| [Self::Silent(node), Self::Crashed(node)]);
        let links = hops().chain([(PAYER, PAYEE)]).map(|(one, other)| Self::Cut(one, other));
        nodes.chain(links).collect()
    }

    /// Who may know the token and not get it across, so that its neighbour towards the payer takes the money back in time.
    fn exposes(self) -> Vec<NodeIndex> {
        match self {
            Self::Silent(PAYEE) | Self::Crashed(PAYEE) => vec![PAYEE],
            Self::Silent(node) | Self::Crashed(node) => vec![node, after(node)],
            Self::Cut(_, nearer_to_payee) => vec![nearer_to_payee],
            Self::Clogged(from, _) => vec![from],
        }
    }

    /// Where it is looked whether its time has come.
    fn here(self) -> NodeIndex {
        match self {
            Self::Silent(node) | Self::Crashed(node) | Self::Cut(_, node) | Self::Clogged(_, node) => node,
        }
    }

    pub(crate) fn begin(self, net: &mut Net) {
        match self {
            Self::Silent(node) => net.world.silence(node, true),
            Self::Crashed(node) => net.world.crash(node),
            Self::Cut(one, other) => net.world.cut(one, other),
            Self::Clogged(from, to) => net.world.clog(from, to),
        }
    }

    pub(crate) fn mend(self, net: &mut Net) {
        match self {
            Self::Silent(node) => net.world.silence(node, false),
            Self::Crashed(node) => net.world.restart(node).unwrap(),
            Self::Cut(one, other) | Self::Clogged(one, other) => net.world.heal(one, other),
        }
    }
}

/// How a payment may end, whatever happens to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    /// Alike at both ends.
    Alike,
    /// Cancelled at both ends.
    Cancelled,
}

/// One row: what is so before the payment, what happens to it, and how it may end.
pub(crate) struct Row {
    pub(crate) before: fn(&mut Net),
    pub(crate) own: Vec<Fault>,
    pub(crate) whens: &'static [When],
    pub(crate) lasts: &'static [Duration],
    pub(crate) outcome: Outcome,
}

/// How payments have ended: at the payer's end and at the payee's.
pub(crate) type Outcomes = BTreeMap<(bool, bool), u32>;

impl Row {
    /// Plays the row with everything that can happen on the way beside it, in each phase, for as long as it may last. A
    /// phase that a payment doesn't come to is left out; gives back how the others have ended.
    pub(crate) fn play(&self, first_seed: u64) -> Outcomes {
        let seeds: u64 = std::env::var("AMIKO_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        let (mut outcomes, mut seed) = (Outcomes::new(), first_seed);
        for trouble in Trouble::all() {
            for (when, lasts) in self.whens.iter().flat_map(|when| self.lasts.iter().map(move |lasts| (*when, *lasts)))
            {
                for _ in 0..seeds {
                    seed += 1;
                    let fault = Fault { trouble, when, lasts };
                    let faults = self.own.iter().copied().chain([fault]).collect();
                    let told = catch_unwind(AssertUnwindSafe(|| Story::new(seed, self, faults).play()));
                    let ended = told.unwrap_or_else(|panic| {
                        eprintln!("{:?} and {fault:?}, seed {seed}", self.own);
                        resume_unwind(panic)
                    });
                    if let Some(ended) = ended {
                        *outcomes.entry(ended).or_default() += 1;
                    }
                }
            }
        }
        outcomes
    }
}

struct Story {
    net: Net,
    payer: Id<Payer>,
    outcome: Outcome,
    pending: Vec<Fault>,
    running: Vec<(Time, Fault)>,
    begun: Vec<Fault>,
}

impl Story {
    fn new(seed: u64, row: &Row, faults: Vec<Fault>) -> Self {
        let mut net = way::net(seed);
        (row.before)(&mut net);
        let url = net.request(PAYEE, AMOUNT);
        let payer = net.begin_pay(PAYER, &url);
        for fault in &faults {
            // Every other node that crashes loses what its disk hadn't come to.
            if let (Trouble::Crashed(node), 0) = (fault.trouble, seed % 2) {
                net.world.slow_disk(node, Duration::from_millis(30));
            }
        }
        Self { net, payer, outcome: row.outcome, pending: faults, running: Vec::new(), begun: Vec::new() }
    }

    /// To its end. Gives whether the two ends are committed, or nothing if something was to happen in a phase that the payment
    /// didn't come to.
    fn play(mut self) -> Option<(bool, bool)> {
        // A request stands for a day.
        let end = self.net.world.now() + secs(2 * 86_400);
        loop {
            self.begin_faults();
            self.mend_faults();
            self.agree();
            if self.running.is_empty() && at_rest(&self.net) {
                break;
            }
            let next = self.running.iter().map(|(at, _)| *at).min().unwrap_or(end);
            let more = self.net.world.step(next);
            assert!(more || self.net.world.now() < end, "not at rest after two days: {:?}", self.begun);
        }
        let ended = self.check();
        self.pending.is_empty().then_some(ended)
    }

    fn begin_faults(&mut self) {
        let world = &self.net.world;
        let has_come = |fault: &Fault| fault.when.has_come(world, fault.trouble.here());
        let (due, pending): (Vec<_>, Vec<_>) = self.pending.iter().copied().partition(has_come);
        self.pending = pending;
        for fault in due {
            fault.trouble.begin(&mut self.net);
            self.running.push((self.net.world.now() + fault.lasts, fault));
            self.begun.push(fault);
        }
    }

    fn mend_faults(&mut self) {
        let now = self.net.world.now();
        let (over, running): (Vec<_>, Vec<_>) = self.running.iter().copied().partition(|(at, _)| *at <= now);
        for (_, fault) in over {
            self.expect_decided(fault);
            fault.trouble.mend(&mut self.net);
        }
        self.running = running;
    }

    /// The time-outs decide, and not the end of what goes on: a payer that isn't away itself knows how its payment has ended.
    fn expect_decided(&self, fault: Fault) {
        let away = self
            .running
            .iter()
            .any(|(_, fault)| matches!(fault.trouble, Trouble::Silent(PAYER) | Trouble::Crashed(PAYER)));
        if fault.lasts >= LONG && !away {
            let payers = state(&self.net.world, PAYER).map(|node| node.payers.len());
            assert_eq!(payers, Some(0), "payments that are still under way after {fault:?}");
        }
    }

    /// The user agrees as soon as it is asked, unless the time for that ran out while its node was down.
    fn agree(&mut self) {
        let world = &mut self.net.world;
        let due = world.engine(PAYER).and_then(|engine| engine.next_due());
        if payer_is(world, PayerPhase::HasReceipt) && due.is_none_or(|due| due > world.now()) {
            world.command(PAYER, PaymentNodeEnvelope::Payer(self.payer.clone(), PayerMessage::Agree)).unwrap();
        }
    }

    /// Whoever couldn't say or hear something from a lock until after its time.
    fn exposed(&self) -> Vec<NodeIndex> {
        let lasted = self.begun.iter().filter(|fault| fault.lasts >= LONG && fault.when >= When::BothStand);
        lasted.flat_map(|fault| fault.trouble.exposes()).collect()
    }

    fn check(&self) -> (bool, bool) {
        let net = &self.net;
        net.assert_settled();
        assert_eq!(rejections(net), [""; 0]);
        let committed = |node| {
            let outcomes = net.outcomes(node);
            assert!(outcomes.len() <= 1, "{outcomes:?}");
            // A payment that was forgotten in a crash before it was durable hasn't happened.
            outcomes.first().is_some_and(|outcome| outcome.ends_with("committed"))
        };
        let (payer, payee) = (committed(PAYER), committed(PAYEE));
        let exposed = self.exposed();
        if exposed.is_empty() {
            assert_eq!(payer, payee, "the two ends: {:?} {:?}", net.outcomes(PAYER), net.outcomes(PAYEE));
        }
        if self.outcome == Outcome::Cancelled {
            assert!(!payer && !payee, "{:?} {:?}", net.outcomes(PAYER), net.outcomes(PAYEE));
        }
        let amount = AMOUNT as i64;
        for (node, change) in net.balance_changes().into_iter().enumerate() {
            match node {
                PAYER => assert_eq!(change, if payer { -amount } else { 0 }, "the payer's money"),
                PAYEE => assert_eq!(change, if payee { amount } else { 0 }, "the payee's money"),
                // Whoever can't pass on the token in time pays for it.
                hub if exposed.contains(&hub) => assert!(change >= -amount, "the money of hub {hub}: {change}"),
                hub => assert!(change >= 0, "the money of hub {hub}: {change}"),
            }
        }
        (payer, payee)
    }
}

/// Whether nothing is under way on any node.
fn at_rest(net: &Net) -> bool {
    (0..12).all(|node| {
        state(&net.world, node)
            .is_some_and(|node| node.payers.is_empty() && node.payees.is_empty() && node.transactions.is_empty())
            && net.world.engine(node).is_some_and(|engine| {
                engine.connections().all(|(_, found)| found.outbox.is_empty() || found.closing.is_some())
            })
    })
}
