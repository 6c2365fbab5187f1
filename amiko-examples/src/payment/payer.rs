//! Payers: one outgoing payment.
//!
//! Invariant: a payer that has ended is gone, and has left a line in the payment log.

use super::node::{self, Ended};
use super::{ConnectionId, Link, MeetingPoint, Message, Neighbour, Notice, Outcome, PaymentNode, Role, RouteId};
use super::{Token, Transaction, TransactionId, TransactionMessage};
use amiko_core::prelude::*;

/// The phases of an outgoing payment.
///
/// ```mermaid
/// stateDiagram-v2
///     [*] --> Initial
///     Initial : after 5 seconds, ReceiptTimeout
///     Initial --> HasReceipt
///     HasReceipt : after 1 day, AgreeTimeout
///     HasReceipt --> Confirmed
///     Confirmed --> HasPayerRoute
///     Confirmed --> HasPayeeRoute
///     HasPayerRoute --> Locked
///     HasPayeeRoute --> Locked
///     Locked --> ReceivedRequestCommit
///     ReceivedRequestCommit : after 1 second, SettleTimeout
///     ReceivedRequestCommit --> [*]
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serializable, Phases)]
#[amiko(machine = Payer, rename_all = "camelCase")]
pub enum PayerPhase {
    /// The payee has been asked what is to be paid.
    #[amiko(next(HasReceipt), after(seconds = 5, send = ReceiptTimeout))]
    Initial,
    /// The user is asked: as long as a request is valid, since whoever leaves while being asked may come back.
    #[amiko(next(Confirmed), after(days = 1, send = AgreeTimeout))]
    HasReceipt,
    /// The user has agreed; both halves of the route are being searched for.
    #[amiko(next(HasPayerRoute, HasPayeeRoute))]
    Confirmed,
    /// The payer's half stands.
    #[amiko(next(Locked))]
    HasPayerRoute,
    /// The payee's half stands.
    #[amiko(next(Locked))]
    HasPayeeRoute,
    /// The amount is locked on the whole route.
    #[amiko(next(ReceivedRequestCommit))]
    Locked,
    /// The token has come back over the route. The payee sends it, too, unless its connection is gone.
    #[amiko(after(seconds = 1, send = SettleTimeout))]
    ReceivedRequestCommit,
}

/// The terms of a payment.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(rename_all = "camelCase")]
pub struct Bill {
    /// How much, in satoshi.
    pub amount: u64,
    /// For what.
    pub receipt: String,
    /// The hash of the token.
    pub transaction: TransactionId,
    /// The meeting points.
    pub meeting_point: Id<MeetingPoint>,
}

/// One outgoing payment; its ID is that of the payment and `@payer`.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(key = String, kind = "payer", rename_all = "camelCase")]
pub struct Payer {
    /// Its phase.
    pub phase: Phase<PayerPhase>,
    /// When it was begun.
    pub begun: Time,
    /// The payee's address.
    pub peer: String,
    /// The only link that may be used first.
    pub via: Option<Id<Link>>,
    /// The terms, once the payee has sent them.
    pub bill: Option<Bill>,
    /// Why the payee hasn't sent them yet, as far as it is known.
    #[amiko(default)]
    pub trouble: Option<String>,
}

/// The messages to a payer.
#[derive(Debug, Clone, PartialEq, Serializable)]
pub enum PayerMessage {
    /// By the node: ask the payee.
    Begin,
    /// By the payee.
    Remote {
        /// Its message.
        message: Message,
    },
    /// By the user: pay it.
    Agree,
    /// By the user: don't.
    Refuse,
    /// By the user, who isn't asked at this moment: don't, and ask no more.
    Cancel,
    /// By the runtime: the payee can't be reached, or sends what this node doesn't take.
    Trouble {
        /// Why.
        reason: String,
        /// Whether it is no use to try again.
        over: bool,
    },
    /// By the transaction: the payer's half stands.
    HaveRoute,
    /// By the transaction: there is no route.
    HaveNoRoute,
    /// By the transaction: the token has come back.
    RequestCommit {
        /// The token.
        token: Token,
    },
    /// By the transaction: the amount has come back.
    RolledBack,
    /// No receipt came.
    ReceiptTimeout,
    /// The user didn't answer.
    AgreeTimeout,
    /// The payee didn't send the token as well.
    SettleTimeout,
}

type Cx<'a> = Context<'a, Payer>;

impl StateMachine for Payer {
    type Node = PaymentNode;
    type Message = PayerMessage;

    fn handle(&mut self, message: PayerMessage, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        use PayerPhase::{Confirmed, HasPayeeRoute, HasPayerRoute, HasReceipt, Initial, Locked, ReceivedRequestCommit};
        match (message, *self.phase) {
            (PayerMessage::Begin, Initial) => cx.connect(&connection(cx.id()), Some(&self.peer)),
            (PayerMessage::Remote { message }, _) => return self.remote(message, cx),
            (PayerMessage::Agree, HasReceipt) => return self.agree(cx),
            (PayerMessage::Refuse | PayerMessage::AgreeTimeout, HasReceipt) => {
                cx.transmit(&connection(cx.id()), Message::Cancel);
                self.end(Outcome::Cancelled, "not agreed", cx);
            }
            (PayerMessage::Cancel, Initial) => self.end(Outcome::Cancelled, "the payment was taken back", cx),
            (PayerMessage::Cancel, HasReceipt) => {
                cx.transmit(&connection(cx.id()), Message::Cancel);
                self.end(Outcome::Cancelled, "the payment was taken back", cx);
            }
            (PayerMessage::ReceiptTimeout, Initial) => {
                let reason = self.trouble.as_deref().unwrap_or("the payee sent no receipt");
                self.end(Outcome::Cancelled, reason, cx);
            }
            (PayerMessage::Trouble { reason, over: true }, Initial) => self.end(Outcome::Cancelled, &reason, cx),
            (PayerMessage::Trouble { reason, over: false }, Initial) => self.trouble = Some(reason),
            // It has said what it had to say.
            (PayerMessage::Trouble { .. }, _) => {}
            (PayerMessage::HaveRoute, Confirmed) => self.enter(HasPayerRoute, cx)?,
            (PayerMessage::HaveRoute, HasPayeeRoute) => self.lock(cx)?,
            (PayerMessage::HaveNoRoute, Confirmed | HasPayerRoute | HasPayeeRoute) => {
                cx.transmit(&connection(cx.id()), Message::Cancel);
                self.end(Outcome::Cancelled, "no route from the payer", cx);
            }
            (PayerMessage::RequestCommit { token }, Locked) => {
                self.expect_token(&token, cx)?;
                self.enter(ReceivedRequestCommit, cx)?;
            }
            (PayerMessage::SettleTimeout, ReceivedRequestCommit) => self.end(Outcome::Committed, "", cx),
            (PayerMessage::RolledBack, Locked) => {
                cx.transmit(&connection(cx.id()), Message::Cancel);
                self.end(Outcome::Cancelled, "the lock was rolled back", cx);
            }
            (message, phase) => {
                return Err(Rejection::new(format!("{message:?} doesn't fit a payer that is {phase:?}")));
            }
        }
        Ok(())
    }
}

impl Payer {
    /// A payment to be begun.
    pub fn new(phase: Phase<PayerPhase>, peer: String, via: Option<Id<Link>>, now: Time) -> Self {
        Self { phase, begun: now, peer, via, bill: None, trouble: None }
    }

    fn remote(&mut self, message: Message, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        use PayerPhase::{Confirmed, HasPayeeRoute, HasPayerRoute, HasReceipt, Initial, Locked, ReceivedRequestCommit};
        match (message, *self.phase) {
            (Message::Receipt { amount, receipt, transaction_id, meeting_points }, Initial) => {
                let Some(meeting_point) = meeting_points.into_iter().next() else {
                    return Err(Rejection::new("expected a meeting point in the receipt, found none"));
                };
                let limits = &cx.node().limits;
                limits.expect_amount(amount)?;
                limits.expect_receipt(&receipt)?;
                limits.expect_remote_point_name(meeting_point.key())?;
                transaction_id.expect_on(cx.node().network)?;
                let bill = Bill { amount, receipt: receipt.clone(), transaction: transaction_id, meeting_point };
                self.bill = Some(bill);
                self.enter(HasReceipt, cx)?;
                cx.notify(Notice::Receipt { payer: cx.id().clone(), amount, receipt });
            }
            (Message::HaveRoute { is_payer_side: false, .. }, Confirmed) => self.enter(HasPayeeRoute, cx)?,
            (Message::HaveRoute { is_payer_side: false, .. }, HasPayerRoute) => self.lock(cx)?,
            (Message::Cancel, Initial | HasReceipt) => self.end(Outcome::Cancelled, "the payee cancelled", cx),
            (Message::Cancel, Confirmed | HasPayerRoute | HasPayeeRoute) => {
                cx.send(&self.transaction()?, TransactionMessage::CancelRoute);
                self.end(Outcome::Cancelled, "the payee found no route", cx);
            }
            // Too late: the route settles what is locked.
            (Message::Cancel, Locked | ReceivedRequestCommit) => {}
            (Message::SettleCommit { token, .. }, Locked) => {
                self.expect_token(&token, cx)?;
                cx.send(&self.transaction()?, TransactionMessage::SettleCommit { token });
                self.end(Outcome::Committed, "", cx);
            }
            (Message::SettleCommit { token, .. }, ReceivedRequestCommit) => {
                self.expect_token(&token, cx)?;
                self.end(Outcome::Committed, "", cx);
            }
            (message, phase) => {
                let name = super::link::name(&message);
                return Err(Rejection::new(format!("{name} doesn't fit a payer that is {phase:?}")));
            }
        }
        Ok(())
    }

    fn agree(&mut self, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let bill = self.bill()?;
        let (amount, meeting_point) = (bill.amount, bill.meeting_point.clone());
        let message = Message::Confirm { meeting_point_id: meeting_point.clone() };
        cx.transmit(&connection(cx.id()), message);
        self.enter(PayerPhase::Confirmed, cx)?;
        let source = Neighbour::Payer { id: cx.id().clone() };
        let transaction = self.transaction()?;
        if cx.get(&transaction).is_some() {
            return Err(Rejection::new("expected a new transaction, found one with the same hash"));
        }
        let phase = cx.begin_phase(&transaction);
        cx.create(&transaction, Transaction::new(phase, source, amount, meeting_point, self.via.clone()));
        cx.send(&transaction, TransactionMessage::MakeRoute);
        Ok(())
    }

    /// Both halves stand: their reservations are locked, from here to the payee.
    fn lock(&mut self, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        self.enter(PayerPhase::Locked, cx)?;
        cx.send(&self.transaction()?, TransactionMessage::Lock);
        Ok(())
    }

    /// Asks the user another time, if it isn't decided yet.
    pub(super) fn ask_again(&self, id: &Id<Self>, cx: &mut Context<'_, PaymentNode>) {
        if let (PayerPhase::HasReceipt, Some(Bill { amount, receipt, .. })) = (*self.phase, &self.bill) {
            cx.notify(Notice::Receipt { payer: id.clone(), amount: *amount, receipt: receipt.clone() });
        }
    }

    fn bill(&self) -> Result<&Bill, Rejection> {
        self.bill.as_ref().ok_or(Rejection::new("expected a payer with a receipt, found one without"))
    }

    fn transaction(&self) -> Result<Id<Transaction>, Rejection> {
        let route = RouteId { payer_side: true, transaction: self.bill()?.transaction };
        Ok(Id::new(super::TransactionKey { route, instance: 0 }))
    }

    fn expect_token(&self, token: &Token, cx: &Cx<'_>) -> Result<(), Rejection> {
        if token.transaction(cx.node().network) == self.bill()?.transaction {
            return Ok(());
        }
        Err(Rejection::new("expected the token of this payment, found another"))
    }

    fn end(&self, outcome: Outcome, reason: &str, cx: &mut Cx<'_>) {
        let (amount, receipt) =
            self.bill.as_ref().map_or((0, String::new()), |bill| (bill.amount, bill.receipt.clone()));
        let transaction = self.bill.as_ref().map(|bill| bill.transaction);
        let payment = payment(cx.id()).to_owned();
        let ended = Ended { role: Role::Payer, payment, begun: self.begun, amount, receipt, transaction };
        node::log(ended, outcome, reason, cx);
        cx.close(&connection(cx.id()));
        cx.remove(&cx.id().clone());
    }
}

/// The connection of a payer has the payer's name.
pub(super) fn connection(payer: &Id<Payer>) -> ConnectionId {
    Id::new(payer.key().clone())
}

/// The suffix in the names of payers and of their connections.
pub(super) const SUFFIX: &str = "@payer";

/// The payment, as the payee calls it.
pub(super) fn payment(payer: &Id<Payer>) -> &str {
    payer.key().strip_suffix(SUFFIX).unwrap_or(payer.key())
}
