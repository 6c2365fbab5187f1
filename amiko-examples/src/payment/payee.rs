//! Payees: one incoming payment.
//!
//! Invariant: the token leaves this node only when the amount is locked on the whole route, and goes to the payer only
//! when the amount has arrived.

use super::node::{self, Ended};
use super::{ConnectionId, Link, MeetingPoint, Message, Neighbour, Outcome, PaymentNode, Role, RouteId, Token};
use super::{Transaction, TransactionKey, TransactionMessage};
use amiko_core::prelude::*;

/// The phases of an incoming payment.
///
/// ```mermaid
/// stateDiagram-v2
///     [*] --> Initial
///     Initial : after 1 day, Expired
///     Initial --> Confirmed
///     Confirmed --> HasRoute
///     HasRoute --> SentRequestCommit
///     SentRequestCommit --> [*]
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serializable, Phases)]
#[amiko(machine = Payee, rename_all = "camelCase")]
pub enum PayeePhase {
    /// The payment was requested, and is for a day.
    #[amiko(next(Confirmed), after(days = 1, send = Expired))]
    Initial,
    /// The payer has agreed; the payee's half of the route is being searched for.
    #[amiko(next(HasRoute))]
    Confirmed,
    /// The payee's half stands.
    #[amiko(next(SentRequestCommit))]
    HasRoute,
    /// The amount is locked, and the token is on its way.
    SentRequestCommit,
}

/// One incoming payment; its ID is 8 random bytes in hex.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(key = String, kind = "payee", rename_all = "camelCase")]
pub struct Payee {
    /// Its phase.
    pub phase: Phase<PayeePhase>,
    /// When it was requested.
    pub begun: Time,
    /// How much, in satoshi.
    pub amount: u64,
    /// For what.
    pub receipt: String,
    /// The token that commits it.
    pub token: Token,
    /// Its meeting points.
    pub meeting_points: Vec<Id<MeetingPoint>>,
    /// The only link that may be used first.
    pub via: Option<Id<Link>>,
    /// Whether the payer has been told what is to be paid.
    pub told: bool,
}

/// The messages to a payee.
#[derive(Debug, Clone, PartialEq, Serializable)]
pub enum PayeeMessage {
    /// No payer came.
    Expired,
    /// By the user: the request isn't valid any more.
    Cancel,
    /// By the runtime: a payer has dialled.
    Dialled,
    /// By the payer.
    Remote {
        /// Its message.
        message: Message,
    },
    /// By the transaction: the payee's half stands.
    HaveRoute,
    /// By the transaction: there is no route.
    HaveNoRoute,
    /// By the transaction: the amount is locked.
    Locked,
    /// By the transaction: the amount is ours.
    Settled,
    /// By the transaction: the amount has gone back.
    RolledBack,
}

type Cx<'a> = Context<'a, Payee>;

impl StateMachine for Payee {
    type Node = PaymentNode;
    type Message = PayeeMessage;

    fn handle(&mut self, message: PayeeMessage, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        use PayeePhase::{Confirmed, HasRoute, SentRequestCommit};
        match (message, *self.phase) {
            (PayeeMessage::Expired, PayeePhase::Initial) => self.take_back("nobody paid in time", cx),
            (PayeeMessage::Cancel, PayeePhase::Initial) => self.take_back("the request was taken back", cx),
            (PayeeMessage::Dialled, _) => self.dialled(cx),
            (PayeeMessage::Remote { message }, _) => return self.remote(message, cx),
            (PayeeMessage::HaveRoute, Confirmed) => {
                self.enter(HasRoute, cx)?;
                let nothing =
                    Message::HaveRoute { transaction_id: None, is_payer_side: false, start_time: None, end_time: None };
                cx.transmit(&connection(cx.id()), nothing);
            }
            (PayeeMessage::HaveNoRoute, Confirmed | HasRoute) => {
                cx.transmit(&connection(cx.id()), Message::Cancel);
                self.end(Outcome::Cancelled, "no route from the payee", cx);
            }
            (PayeeMessage::Locked, HasRoute) => {
                self.enter(SentRequestCommit, cx)?;
                let token = self.token.clone();
                cx.send(&self.transaction(cx), TransactionMessage::RequestCommit { token });
                if cx.node().network.settles_with_the_payer_first() {
                    self.settle_with_the_payer(cx);
                }
            }
            (PayeeMessage::Settled, SentRequestCommit) => {
                // Not sooner: a payer who has the token pays, even if the lock for this node has gone back.
                if !cx.node().network.settles_with_the_payer_first() {
                    self.settle_with_the_payer(cx);
                }
                self.end(Outcome::Committed, "", cx);
            }
            (PayeeMessage::RolledBack, SentRequestCommit) => {
                self.end(Outcome::Cancelled, "the lock was rolled back", cx);
            }
            (message, phase) => {
                return Err(Rejection::new(format!("{message:?} doesn't fit a payee that is {phase:?}")));
            }
        }
        Ok(())
    }
}

impl Payee {
    fn take_back(&self, reason: &str, cx: &mut Cx<'_>) {
        if self.told {
            cx.transmit(&connection(cx.id()), Message::Cancel);
        }
        self.end(Outcome::Cancelled, reason, cx);
    }

    fn settle_with_the_payer(&self, cx: &mut Cx<'_>) {
        let settle = Message::SettleCommit { token: self.token.clone(), is_payer_side: None };
        cx.transmit(&connection(cx.id()), settle);
    }

    /// The payer may dial again and again; a message that is in the outbox already isn't sent twice.
    fn dialled(&mut self, cx: &mut Cx<'_>) {
        let connection = connection(cx.id());
        cx.connect(&connection, None);
        if self.told {
            return;
        }
        self.told = true;
        let receipt = Message::Receipt {
            amount: self.amount,
            receipt: self.receipt.clone(),
            transaction_id: self.token.transaction(cx.node().network),
            meeting_points: self.meeting_points.clone(),
        };
        cx.transmit(&connection, receipt);
    }

    fn remote(&mut self, message: Message, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        use PayeePhase::{Confirmed, HasRoute, Initial, SentRequestCommit};
        match (message, *self.phase) {
            (Message::Confirm { meeting_point_id }, Initial) => self.confirm(meeting_point_id, cx)?,
            (Message::Cancel, Initial) => self.end(Outcome::Cancelled, "the payer refused", cx),
            (Message::Cancel, Confirmed | HasRoute) => {
                cx.send(&self.transaction(cx), TransactionMessage::CancelRoute);
                self.end(Outcome::Cancelled, "the payer cancelled", cx);
            }
            // Too late: the route settles what is locked.
            (Message::Cancel, SentRequestCommit) => {}
            (message, phase) => {
                let name = super::link::name(&message);
                return Err(Rejection::new(format!("{name} doesn't fit a payee that is {phase:?}")));
            }
        }
        Ok(())
    }

    fn confirm(&mut self, meeting_point: Id<MeetingPoint>, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        if !self.meeting_points.contains(&meeting_point) {
            return Err(Rejection::new(format!("expected one of the payee's meeting points, found {meeting_point}")));
        }
        self.enter(PayeePhase::Confirmed, cx)?;
        let now = cx.now().as_secs();
        let source = Neighbour::Payee { id: cx.id().clone() };
        let id = self.transaction(cx);
        let phase = cx.begin_phase(&id);
        let transaction =
            Transaction::new(phase, source, self.amount, meeting_point, self.via.clone()).with_times(now, now);
        cx.create(&id, transaction);
        cx.send(&id, TransactionMessage::MakeRoute);
        Ok(())
    }

    fn transaction(&self, cx: &Cx<'_>) -> Id<Transaction> {
        let route = RouteId { payer_side: false, transaction: self.token.transaction(cx.node().network) };
        Id::new(TransactionKey { route, instance: 0 })
    }

    fn end(&self, outcome: Outcome, reason: &str, cx: &mut Cx<'_>) {
        let ended = Ended {
            role: Role::Payee,
            payment: cx.id().key().clone(),
            begun: self.begun,
            amount: self.amount,
            receipt: self.receipt.clone(),
            transaction: Some(self.token.transaction(cx.node().network)),
        };
        node::log(ended, outcome, reason, cx);
        cx.close(&connection(cx.id()));
        cx.remove(&cx.id().clone());
    }
}

/// The connection of a payee has the payment's name.
pub(super) fn connection(payee: &Id<Payee>) -> ConnectionId {
    Id::new(payee.key().clone())
}
