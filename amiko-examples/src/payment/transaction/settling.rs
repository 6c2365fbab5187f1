//! What follows once a route stands: the lock, the commit, and the way back.
//!
//! Invariant: what is locked here is settled once, either way, or goes back when its time is over.

use super::super::sabotage::{Sabotage, sabotaged};
use super::super::{LinkMessage, PayeeMessage, PayerMessage, RouteId, Token};
use super::{Cx, Neighbour, Transaction, TransactionMessage, TransactionPhase};
use amiko_core::prelude::*;

impl Transaction {
    pub(super) fn lock(&mut self, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let route = cx.id().key().route;
        self.enter(TransactionPhase::Locked, cx)?;
        match self.towards_payee(route) {
            Some(Neighbour::Link { id }) => {
                cx.send(id, LinkMessage::Lock { route });
                let deadline = self.commit_by.ok_or(Rejection::new("expected a time-out for the lock, found none"))?;
                cx.timer("commit", Time::from_secs(deadline), TransactionMessage::CommitTimeout);
            }
            Some(Neighbour::Half { id }) => cx.send(id, TransactionMessage::Lock),
            Some(Neighbour::Payee { id }) => cx.send(id, PayeeMessage::Locked),
            _ => {}
        }
        let node = cx.node();
        if matches!(self.towards_payer(route), Some(Neighbour::Link { .. })) && !node.network.tells_of_rollbacks() {
            // Nobody will report the end. A neighbour that had the token in time has passed it on by then.
            self.settle_timer(node.timeout_increment, cx);
        }
        Ok(())
    }

    /// The token passes: the direction of the payee is settled at once, that of the payer when the payer says so.
    pub(super) fn request_commit(&mut self, token: &Token, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let route = cx.id().key().route;
        expect_token(token, route, cx)?;
        self.enter(TransactionPhase::Requested, cx)?;
        cx.cancel("commit");
        // A neighbour is settled with at once. An end on this node is told when the amount has arrived.
        let arrives_later = matches!(self.towards_payer(route), Some(Neighbour::Link { .. }));
        match self.towards_payee(route) {
            Some(Neighbour::Payee { .. }) => {}
            Some(Neighbour::Half { .. }) if arrives_later => {}
            _ => self.settle_payee_side(token, cx),
        }
        let token = token.clone();
        match self.towards_payer(route) {
            Some(Neighbour::Link { id }) => cx.send(id, LinkMessage::RequestCommit { route, token }),
            Some(Neighbour::Half { id }) => cx.send(id, TransactionMessage::RequestCommit { token }),
            Some(Neighbour::Payer { id }) => {
                cx.send(id, PayerMessage::RequestCommit { token });
                cx.remove(&cx.id().clone());
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn settle_commit(&mut self, token: &Token, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let route = cx.id().key().route;
        expect_token(token, route, cx)?;
        let waits = self.waits_for_arrival(route);
        if self.phase == TransactionPhase::Locked || (waits && self.phase == TransactionPhase::Requested) {
            self.settle_payee_side(token, cx);
        }
        cx.remove(&cx.id().clone());
        Ok(())
    }

    /// Whether the next hop towards the payee is on this node, and is told only when the amount has arrived or is lost.
    fn waits_for_arrival(&self, route: RouteId) -> bool {
        matches!(self.towards_payee(route), Some(Neighbour::Payee { .. } | Neighbour::Half { .. }))
    }

    fn settle_payee_side(&self, token: &Token, cx: &mut Cx<'_>) {
        let (route, token) = (cx.id().key().route, token.clone());
        match self.towards_payee(route) {
            Some(Neighbour::Link { id }) => cx.send(id, LinkMessage::SettleCommit { route, token }),
            Some(Neighbour::Half { id }) => cx.send(id, TransactionMessage::SettleCommit { token }),
            Some(Neighbour::Payee { id }) => cx.send(id, PayeeMessage::Settled),
            _ => {}
        }
    }

    /// Takes back what is locked towards the payee: it is our money, and its time is over.
    pub(super) fn roll_back_payee_side(&self, cx: &mut Cx<'_>) {
        let route = cx.id().key().route;
        match self.towards_payee(route) {
            Some(Neighbour::Link { id }) => cx.send(id, LinkMessage::TakeBack { route }),
            Some(Neighbour::Half { id }) => cx.send(id, TransactionMessage::TakenBack),
            Some(Neighbour::Payee { id }) => cx.send(id, PayeeMessage::RolledBack),
            _ => {}
        }
    }

    /// Gives up what is locked towards the payer. A neighbour there, whose money it is, may have learned the token from
    /// elsewhere. So it is asked, and the lock stays until it answers. A timer can't decide: the neighbour's commit may
    /// be under way, however late, and an honest neighbour always reports the outcome.
    pub(super) fn roll_back_payer_side(&mut self, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let route = cx.id().key().route;
        match self.towards_payer(route) {
            Some(Neighbour::Link { id }) => {
                cx.send(id, LinkMessage::GiveBack { route });
                self.enter(TransactionPhase::RollingBack, cx)?;
                cx.cancel("commit");
                return Ok(());
            }
            Some(Neighbour::Half { id }) => cx.send(id, TransactionMessage::Returned),
            Some(Neighbour::Payer { id }) => cx.send(id, PayerMessage::RolledBack),
            _ => {}
        }
        cx.remove(&cx.id().clone());
        Ok(())
    }

    /// This many seconds after the time of the lock towards the payer.
    fn settle_timer(&self, grace: u64, cx: &mut Cx<'_>) {
        let at = Time::from_secs(self.settle_by.unwrap_or(0).saturating_add(grace)).max(cx.now());
        cx.timer("settle", at, TransactionMessage::SettleTimeout);
    }

    /// The neighbour that owns the money reports that it has it back. This is allowed only after its time is over, or
    /// when it was asked: before that, this node may have paid onward.
    pub(super) fn taken_back(&mut self, cx: &mut Cx<'_>) {
        let over = self.settle_by.is_some_and(|at| cx.now() >= Time::from_secs(at));
        let on_this_node = !matches!(self.towards_payer(cx.id().key().route), Some(Neighbour::Link { .. }));
        if over || on_this_node || self.phase == TransactionPhase::RollingBack {
            self.release(cx);
        } else {
            self.settle_timer(0, cx);
        }
    }

    /// The amount locked towards the payer is no longer for this node.
    pub(super) fn release(&self, cx: &mut Cx<'_>) {
        let route = cx.id().key().route;
        if let Some(Neighbour::Link { id }) = self.towards_payer(route) {
            cx.send(id, LinkMessage::Release { route });
        }
        let waits = self.waits_for_arrival(route) && self.phase == TransactionPhase::Requested;
        if waits || self.phase == TransactionPhase::Locked {
            self.roll_back_payee_side(cx);
        }
        cx.remove(&cx.id().clone());
    }
}

fn expect_token(token: &Token, route: RouteId, cx: &Cx<'_>) -> Result<(), Rejection> {
    if sabotaged(Sabotage::TokenUnchecked) {
        return Ok(());
    }
    if token.transaction(cx.node().network) == route.transaction {
        return Ok(());
    }
    Err(Rejection::new("expected the token of this transaction, found another"))
}
