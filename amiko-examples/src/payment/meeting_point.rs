//! Meeting points: where the two halves of a route find each other.
//!
//! Invariant: it holds only halves whose other half hasn't arrived, and each at most once.

use super::{PaymentNode, RouteId, Transaction, TransactionMessage};
use amiko_core::Map;
use amiko_core::prelude::*;

/// A place where payer and payee have agreed to meet.
#[derive(Debug, Clone, Default, PartialEq, Serializable)]
#[amiko(key = String, kind = "meetingPoint")]
pub struct MeetingPoint {
    /// The waiting halves.
    pub waiting: Map<RouteId, Id<Transaction>>,
}

/// The messages to a meeting point.
#[derive(Debug, Clone, PartialEq, Serializable)]
pub enum MeetingPointMessage {
    /// A half-route has arrived.
    Arrive {
        /// Its transaction on this node.
        transaction: Id<Transaction>,
    },
    /// A half-route doesn't wait any more.
    Leave {
        /// Its transaction on this node.
        transaction: Id<Transaction>,
    },
}

impl StateMachine for MeetingPoint {
    type Node = PaymentNode;
    type Message = MeetingPointMessage;

    fn handle(&mut self, message: MeetingPointMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            MeetingPointMessage::Arrive { transaction } => self.arrive(&transaction, cx),
            MeetingPointMessage::Leave { transaction } => {
                self.waiting.remove(&transaction.key().route);
                Ok(())
            }
        }
    }
}

impl MeetingPoint {
    fn arrive(&mut self, arrived: &Id<Transaction>, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let route = arrived.key().route;
        let other = RouteId { payer_side: !route.payer_side, ..route };
        let Some(waiting) = self.waiting.get(&other).cloned() else {
            if self.waiting.contains_key(&route) {
                cx.send(arrived, TransactionMessage::HaveNoRoute);
            } else {
                self.waiting.insert(route, arrived.clone());
            }
            return Ok(());
        };
        let (payer, payee) = if route.payer_side { (arrived, &waiting) } else { (&waiting, arrived) };
        let payee_half = cx.expect(payee)?;
        if cx.expect(payer)?.amount != payee_half.amount {
            cx.send(arrived, TransactionMessage::HaveNoRoute);
            return Ok(());
        }
        let (Some(start_time), Some(end_time)) = (payee_half.start_time, payee_half.end_time) else {
            return Err(Rejection::new("expected the payee's times, found none"));
        };
        self.waiting.remove(&other);
        cx.send(payee, TransactionMessage::Met { other: payer.clone(), start_time, end_time });
        cx.send(payer, TransactionMessage::Met { other: payee.clone(), start_time, end_time });
        Ok(())
    }
}
