//! Transactions: one half-route as it passes this node.
//!
//! Invariant: a transaction lives exactly as long as one of its neighbours may still send something about it that this
//! node has to act on. When it goes, its claims on both links are released or settled. One that found no route, or
//! isn't wanted, has no claims any more, and is remembered for a moment, so that no half-route runs in a cycle.

mod settling;

use super::sabotage::{Sabotage, sabotaged};
use super::{Link, LinkMessage, MeetingPoint, MeetingPointMessage, Payee, PayeeMessage, Payer, PayerMessage};
use super::{PaymentNode, RouteId, Token};
use amiko_core::Key;
use amiko_core::prelude::*;
use std::borrow::Cow;

/// A half-route, and its visit to this node: a route that comes back is another instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionKey {
    /// The half-route.
    pub route: RouteId,
    /// 0 for the first visit.
    pub instance: u32,
}

impl Key for TransactionKey {
    fn encode(&self) -> Cow<'_, str> {
        let route = self.route.encode();
        Cow::Owned(if self.instance == 0 { route.into_owned() } else { format!("{route}.{}", self.instance) })
    }

    fn with_text<R>(&self, lend: impl FnOnce(&str) -> R) -> R {
        if self.instance == 0 { self.route.with_text(lend) } else { lend(&self.encode()) }
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        let (route, instance) = text.split_once('.').map_or((text, None), |(route, rest)| (route, Some(rest)));
        let instance = match instance.map(u32::decode) {
            None => 0,
            Some(Ok(instance @ 1..)) => instance,
            _ => return Err("the number of an instance after the dot"),
        };
        Ok(Self { route: RouteId::decode(route)?, instance })
    }
}

/// A neighbour of this node on a half-route.
#[derive(Debug, Clone, PartialEq, Serializable)]
pub enum Neighbour {
    /// Another node.
    Link {
        /// Over this link.
        id: Id<Link>,
    },
    /// The payer, on this node.
    Payer {
        /// The payer.
        id: Id<Payer>,
    },
    /// The payee, on this node.
    Payee {
        /// The payee.
        id: Id<Payee>,
    },
    /// A meeting point of this node, where the other half hasn't arrived yet.
    MeetingPoint {
        /// The meeting point.
        id: Id<MeetingPoint>,
    },
    /// The other half, met on this node.
    Half {
        /// Its transaction here.
        id: Id<Transaction>,
    },
}

/// The phases of a transaction.
///
/// ```mermaid
/// stateDiagram-v2
///     [*] --> Searching
///     [*] --> RollingBack
///     Searching : after 5 seconds, RouteTimeout
///     Searching --> Searching
///     Searching --> Reserved
///     Searching --> Ended
///     Reserved : after 5 seconds, LockTimeout
///     Reserved --> Locked
///     Reserved --> Ended
///     Locked --> Requested
///     Locked --> RollingBack
///     Requested --> [*]
///     RollingBack --> [*]
///     Ended : after 5 seconds, Forget
///     Ended --> [*]
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serializable, Phases)]
#[amiko(machine = Transaction, rename_all = "camelCase")]
pub enum TransactionPhase {
    /// It searches for the meeting point, by one link after the other.
    #[amiko(next(Searching, Reserved, Ended), after(seconds = 5, send = RouteTimeout))]
    Searching,
    /// The half-route stands; the amount is reserved.
    #[amiko(next(Locked, Ended), after(seconds = 5, send = LockTimeout))]
    Reserved,
    /// The amount is locked.
    #[amiko(next(Requested, RollingBack))]
    Locked,
    /// The token has passed: the direction of the payee is settled, the direction of the payer isn't yet.
    Requested,
    /// The direction of the payee is rolled back. The amount towards the payer stays locked until that neighbour, whose
    /// money it is, reports its outcome: it may have learned the token in the meantime.
    #[amiko(initial)]
    RollingBack,
    /// It found no route, or isn't wanted any more.
    #[amiko(after(seconds = 5, send = Forget))]
    Ended,
}

/// One half-route on this node. It runs from its source, which is towards the payer or the payee, onward to the meeting
/// point.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(key = TransactionKey, kind = "transaction", rename_all = "camelCase")]
pub struct Transaction {
    /// Its phase.
    pub phase: Phase<TransactionPhase>,
    /// How much.
    pub amount: u64,
    /// The meeting point that it leads to.
    pub meeting_point: Id<MeetingPoint>,
    /// The previous node.
    pub source: Neighbour,
    /// The next node.
    pub onward: Option<Neighbour>,
    /// From when the amount is to be locked, in Unix seconds; on the payer's side known from the meeting point.
    pub start_time: Option<u64>,
    /// Until when the amount is to be locked on this side of the node.
    pub end_time: Option<u64>,
    /// When the amount locked towards the payee goes back.
    pub commit_by: Option<u64>,
    /// When the amount locked towards the payer goes back.
    pub settle_by: Option<u64>,
    /// The only link to try first, for the two ends.
    pub via: Option<Id<Link>>,
    /// All links that it may try.
    pub links: Vec<Id<Link>>,
    /// How many of them it has tried.
    pub tried: u32,
    /// It has given up a link that hadn't answered: the half-route may still be on its way there.
    #[amiko(default)]
    pub given_up: bool,
}

/// The messages to a transaction.
#[derive(Debug, Clone, PartialEq, Serializable)]
pub enum TransactionMessage {
    /// By its source: look for the meeting point.
    MakeRoute,
    /// By the meeting point: here is the other half, with the payee's times.
    Met {
        /// The other half.
        other: Id<Transaction>,
        /// From when.
        start_time: u64,
        /// Until when.
        end_time: u64,
    },
    /// From onward: the half-route stands.
    HaveRoute {
        /// From when.
        start_time: u64,
        /// Until when.
        end_time: u64,
    },
    /// From onward: there is no route, or no longer.
    HaveNoRoute,
    /// By its source: not wanted any more.
    CancelRoute,
    /// From the payer's direction: the amount is locked.
    Lock,
    /// From the payee's direction: the token.
    RequestCommit {
        /// The token.
        token: Token,
    },
    /// From the payer's direction: settled.
    SettleCommit {
        /// The token.
        token: Token,
    },
    /// From the payee's direction: the amount locked there has come back.
    Returned,
    /// From the payer's direction: the owner of the money has taken it back.
    TakenBack,
    /// No route came in time.
    RouteTimeout,
    /// No lock came in time.
    LockTimeout,
    /// No token came in time.
    CommitTimeout,
    /// The amount locked towards the payer belongs to that neighbour again.
    SettleTimeout,
    /// The memory of an ended half-route expires.
    Forget,
}

type Cx<'a> = Context<'a, Transaction>;

impl StateMachine for Transaction {
    type Node = PaymentNode;
    type Message = TransactionMessage;

    fn handle(&mut self, message: TransactionMessage, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        use TransactionPhase::{Ended, Locked, Requested, Reserved, RollingBack, Searching};
        match (message, *self.phase) {
            (TransactionMessage::MakeRoute, Searching) => self.make_route(cx),
            (TransactionMessage::Met { other, start_time, end_time }, Searching) => {
                self.onward = Some(Neighbour::Half { id: other });
                self.have_route(start_time, end_time, cx)
            }
            (TransactionMessage::HaveRoute { start_time, end_time }, Searching) => {
                self.have_route(start_time, end_time, cx)
            }
            (TransactionMessage::HaveNoRoute, Searching) => self.try_next(cx),
            (TransactionMessage::RouteTimeout, Searching) => {
                self.cancel_onward(cx);
                self.try_next(cx)
            }
            (TransactionMessage::HaveNoRoute, Reserved) => self.no_route(cx),
            (TransactionMessage::LockTimeout, Reserved) => {
                self.cancel_onward(cx);
                self.no_route(cx)
            }
            (TransactionMessage::CancelRoute, Searching | Reserved) => {
                self.cancel_onward(cx);
                self.end(cx)
            }
            (TransactionMessage::Forget, Ended) => {
                cx.remove(&cx.id().clone());
                Ok(())
            }
            (TransactionMessage::Lock, Reserved) => self.lock(cx),
            (TransactionMessage::RequestCommit { token }, Locked) => self.request_commit(&token, cx),
            (TransactionMessage::SettleCommit { token }, Locked | Requested | RollingBack) => {
                self.settle_commit(&token, cx)
            }
            (TransactionMessage::CommitTimeout, Locked) => {
                self.roll_back_payee_side(cx);
                self.roll_back_payer_side(cx)
            }
            (TransactionMessage::Returned, Locked) => self.roll_back_payer_side(cx),
            (TransactionMessage::TakenBack, Locked | Requested | RollingBack) => {
                self.taken_back(cx);
                Ok(())
            }
            (TransactionMessage::SettleTimeout, Locked | Requested | RollingBack) => {
                self.release(cx);
                Ok(())
            }
            // It was sent before the other side knew that the amount is locked: other messages settle what was locked.
            (TransactionMessage::HaveNoRoute | TransactionMessage::CancelRoute, Locked | Requested | RollingBack) => {
                Ok(())
            }
            (message, phase) => Err(Rejection::new(format!("{message:?} doesn't fit a transaction that is {phase:?}"))),
        }
    }
}

impl Transaction {
    /// Whether its route is still being looked for.
    pub(super) fn is_searching(&self) -> bool {
        self.phase == TransactionPhase::Searching
    }

    /// Whether its route stands, and nothing is locked yet.
    pub(super) fn is_reserved(&self) -> bool {
        self.phase == TransactionPhase::Reserved
    }

    /// A half-route that begins here, or passes.
    pub fn new(
        phase: Phase<TransactionPhase>,
        source: Neighbour,
        amount: u64,
        meeting_point: Id<MeetingPoint>,
        via: Option<Id<Link>>,
    ) -> Self {
        Self {
            phase,
            amount,
            meeting_point,
            source,
            onward: None,
            start_time: None,
            end_time: None,
            commit_by: None,
            settle_by: None,
            via,
            links: Vec::new(),
            tried: 0,
            given_up: false,
        }
    }

    /// A half-route on the payee's side, where the times are known from the beginning.
    #[must_use]
    pub fn with_times(mut self, start_time: u64, end_time: u64) -> Self {
        (self.start_time, self.end_time) = (Some(start_time), Some(end_time));
        self
    }

    /// The rest of a half-route that the neighbour towards the payer has locked too late: that neighbour must take it back.
    ///
    /// # Errors
    /// Never: a transaction may begin in this phase.
    pub(super) fn rolling_back(payer_side: Id<Link>, amount: u64) -> Result<Self, Rejection> {
        let (neighbour, phase) = (Neighbour::Link { id: payer_side }, Phase::at(TransactionPhase::RollingBack)?);
        let gone = Self::new(phase, neighbour.clone(), amount, Id::new(""), None);
        // Nothing is left towards the payee: for either half, the same neighbour answers.
        Ok(Self { onward: Some(neighbour), ..gone })
    }

    /// The ID of the next instance of a route on this node.
    pub fn next_id(node: &PaymentNode, route: RouteId) -> Id<Self> {
        // This terminates, because there are fewer instances than links.
        let ids = (0..).map(|instance| Id::<Self>::new(TransactionKey { route, instance }));
        let mut free = ids.skip_while(|id| node.transactions.contains(id));
        free.next().unwrap_or_else(|| Id::new(TransactionKey { route, instance: u32::MAX }))
    }

    fn make_route(&mut self, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let increment = cx.node().timeout_increment;
        if let Some(end) = self.end_time {
            self.end_time = Some(end.checked_add(increment).ok_or(Rejection::new("the time-out is too far away"))?);
        }
        if cx.get(&self.meeting_point).is_some() {
            let message = MeetingPointMessage::Arrive { transaction: cx.id().clone() };
            self.onward = Some(Neighbour::MeetingPoint { id: self.meeting_point.clone() });
            cx.send(&self.meeting_point, message);
            return Ok(());
        }
        self.links = match &self.via {
            Some(via) => vec![via.clone()],
            None => self.candidates(cx),
        };
        self.try_next(cx)
    }

    /// The links that this instance may try: not its source, and none that an earlier instance had in its list or came
    /// from. This is what stops loops.
    fn candidates(&self, cx: &Cx<'_>) -> Vec<Id<Link>> {
        let TransactionKey { route, instance } = *cx.id().key();
        let earlier = (0..instance).filter_map(|instance| cx.get(&Id::<Self>::new(TransactionKey { route, instance })));
        let mut taken: Vec<&Id<Link>> = Vec::new();
        for transaction in earlier.chain([self]) {
            taken.extend(&transaction.links);
            if let Neighbour::Link { id } = &transaction.source {
                taken.push(id);
            }
        }
        cx.node().links.iter().map(|(id, _)| id).filter(|id| !taken.contains(&id)).collect()
    }

    /// Continues with the next link; if there is none, answers the source.
    fn try_next(&mut self, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        self.onward = None;
        let Some(link) = self.links.get(self.tried as usize).cloned() else { return self.no_route(cx) };
        self.tried += 1;
        self.onward = Some(Neighbour::Link { id: link.clone() });
        let message = LinkMessage::MakeRoute {
            transaction: cx.id().clone(),
            amount: self.amount,
            start_time: self.start_time,
            end_time: self.end_time,
            meeting_point: self.meeting_point.clone(),
        };
        cx.send(&link, message);
        self.enter(TransactionPhase::Searching, cx)
    }

    fn no_route(&mut self, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let route = cx.id().key().route;
        match &self.source {
            Neighbour::Link { id } => cx.send(id, LinkMessage::HaveNoRoute { route }),
            Neighbour::Payer { id } => cx.send(id, PayerMessage::HaveNoRoute),
            Neighbour::Payee { id } => cx.send(id, PayeeMessage::HaveNoRoute),
            Neighbour::MeetingPoint { .. } | Neighbour::Half { .. } => {}
        }
        self.end(cx)
    }

    /// Without this memory, a half-route that isn't wanted any more could run round a cycle of nodes for ever: its
    /// cancellation would follow it, and each node would have forgotten it when it comes by again. A node that still
    /// searches for it gives up within the same time. If every node that was asked has answered, nothing is under way
    /// any more. A node that has much to remember forgets instead: then only the time-outs slow the cycle.
    fn end(&mut self, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        self.enter(TransactionPhase::Ended, cx)?;
        self.onward = None;
        let mut room = u32::try_from(cx.node().transactions.len()).is_ok_and(|count| count <= cx.node().limits.routes);
        if sabotaged(Sabotage::EndedRouteForgotten) {
            room = false;
        }
        if !(self.given_up && room) {
            cx.remove(&cx.id().clone());
        }
        Ok(())
    }

    /// Whether a half-route has ended on this node recently.
    pub(super) fn has_ended(node: &PaymentNode, route: RouteId) -> bool {
        let instances = (0..=u32::try_from(node.links.len()).unwrap_or(u32::MAX))
            .map(|instance| TransactionKey { route, instance });
        let mut found = instances.filter_map(|key| node.transactions.get(&Id::new(key)));
        found.any(|transaction| transaction.phase == TransactionPhase::Ended)
    }

    fn cancel_onward(&mut self, cx: &mut Cx<'_>) {
        let route = cx.id().key().route;
        match &self.onward {
            Some(Neighbour::Link { id }) => {
                cx.send(id, LinkMessage::CancelRoute { route });
                self.given_up = true;
            }
            Some(Neighbour::MeetingPoint { id }) => {
                let transaction = cx.id().clone();
                cx.send(id, MeetingPointMessage::Leave { transaction });
            }
            Some(Neighbour::Half { id }) => cx.send(id, TransactionMessage::HaveNoRoute),
            _ => {}
        }
    }

    /// The payee's times come back from the meeting point, later with each node towards the payer and earlier with each
    /// node towards the payee, so that every node learns the token before its own lock ends.
    fn have_route(&mut self, start: u64, end: u64, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let route = cx.id().key().route;
        let increment = cx.node().timeout_increment;
        let mut payer_side = route.payer_side;
        if sabotaged(Sabotage::TimeoutIncrementOnTheWrongSide) {
            payer_side = !payer_side;
        }
        let beyond = if payer_side { end.checked_add(increment) } else { end.checked_sub(increment) };
        let end_time = beyond.ok_or(Rejection::new("expected times that leave room for this node, found none"))?;
        (self.commit_by, self.settle_by) =
            if route.payer_side { (Some(end), Some(end_time)) } else { (Some(end_time), Some(end)) };
        (self.start_time, self.end_time) = (Some(start), Some(end));
        self.enter(TransactionPhase::Reserved, cx)?;
        match &self.source {
            Neighbour::Link { id } => cx.send(id, LinkMessage::HaveRoute { route, start_time: start, end_time }),
            Neighbour::Payer { id } => cx.send(id, PayerMessage::HaveRoute),
            Neighbour::Payee { id } => cx.send(id, PayeeMessage::HaveRoute),
            Neighbour::MeetingPoint { .. } | Neighbour::Half { .. } => {}
        }
        Ok(())
    }

    fn towards_payer(&self, route: RouteId) -> Option<&Neighbour> {
        if route.payer_side { Some(&self.source) } else { self.onward.as_ref() }
    }

    fn towards_payee(&self, route: RouteId) -> Option<&Neighbour> {
        if route.payer_side { self.onward.as_ref() } else { Some(&self.source) }
    }
}
