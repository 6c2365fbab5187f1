//! Messages of the neighbour.
//!
//! Invariant: whatever the message, this node gives only what the neighbour has a claim to.

use super::super::sabotage::{Sabotage, sabotaged};
use super::super::{
    ChannelState, Direction, MeetingPoint, Message, Neighbour, Reservation, RouteId, Token, Transaction,
    TransactionMessage,
};
use super::{
    Cx, Link, LinkMessage, Route, cancel_route, expect_asked, expect_direction, expect_locked, have_no_route, name,
    settle_rollback, transmit,
};
use amiko_core::prelude::*;

impl Link {
    pub(super) fn remote(&mut self, message: Message, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let route = |transaction, payer_side| RouteId { payer_side, transaction };
        match message {
            Message::Deposit { channel_index, channel_class } => self.remote_deposit(channel_index, &channel_class, cx),
            Message::ChannelMessage { channel_index, message } => {
                self.channel_message(channel_index, message.as_ref(), cx)
            }
            Message::MakeRoute {
                amount,
                transaction_id,
                start_time,
                end_time,
                meeting_point_id,
                channel_index,
                is_payer_side,
            } => {
                let claim = Reservation { start_time, end_time, amount };
                self.remote_make_route(route(transaction_id, is_payer_side), claim, meeting_point_id, channel_index, cx)
            }
            Message::HaveRoute { transaction_id, is_payer_side, start_time, end_time } => {
                let (Some(transaction), Some(start), Some(end)) = (transaction_id, start_time, end_time) else {
                    return Err(Rejection::new("expected a transaction and its times on a link, found none"));
                };
                self.remote_have_route(route(transaction, is_payer_side), start, end, cx)
            }
            Message::HaveNoRoute { transaction_id, is_payer_side } => {
                self.remote_end(route(transaction_id, is_payer_side), true, TransactionMessage::HaveNoRoute, cx)
            }
            Message::CancelRoute { transaction_id, is_payer_side } => {
                self.remote_end(route(transaction_id, is_payer_side), false, TransactionMessage::CancelRoute, cx)
            }
            Message::Lock { transaction_id, is_payer_side, amount, channel_index, .. } => {
                self.remote_lock(route(transaction_id, is_payer_side), amount, channel_index, cx)
            }
            Message::RequestCommit { token, is_payer_side } => self.remote_request_commit(token, is_payer_side, cx),
            Message::SettleCommit { token, is_payer_side: Some(side) } => self.remote_settle_commit(token, side, cx),
            Message::SettleRollback { transaction_id, is_payer_side } => {
                self.remote_settle_rollback(route(transaction_id, is_payer_side), cx)
            }
            other => Err(Rejection::new(format!("expected a message for a link, found {}", name(&other)))),
        }
    }

    fn remote_make_route(
        &mut self,
        route: RouteId,
        claim: Reservation,
        meeting_point: Id<MeetingPoint>,
        channel_index: u32,
        cx: &mut Cx<'_>,
    ) -> Result<(), Rejection> {
        if self.routes.contains_key(&route) {
            return Err(Rejection::new("expected a new route, found one that uses this link already"));
        }
        self.expect_room(cx)?;
        let limits = &cx.node().limits;
        limits.expect_amount(claim.amount)?;
        route.transaction.expect_on(cx.node().network)?;
        limits.expect_remote_point_name(meeting_point.key())?;
        limits.expect_lock(claim.end_time.unwrap_or(0), cx.now())?;
        let direction = if route.payer_side { Direction::Incoming } else { Direction::Outgoing };
        let source = Neighbour::Link { id: cx.id().clone() };
        let times = match (route.payer_side, claim.start_time, claim.end_time) {
            (true, None, None) => None,
            (false, Some(start), Some(end)) => Some((start, end)),
            _ => return Err(Rejection::new("expected times on the payee's side and none on the payer's")),
        };
        let clocks_agree = self.clocks_agree(cx.node());
        let channel = self.channel(channel_index)?;
        if channel.is(ChannelState::Closing) || channel.is(ChannelState::Closed) {
            // The neighbour asked before it learned that the channel is closing.
            transmit(cx, have_no_route(route));
            return Ok(());
        }
        if !clocks_agree || Transaction::has_ended(cx.node(), route) {
            // Nothing may be locked with the neighbour; or it came back through a cycle of nodes, or arrived by another path
            // where there is no route.
            transmit(cx, have_no_route(route));
            return Ok(());
        }
        let amount = claim.amount;
        channel.reserve(direction, route, claim)?;
        let id = Transaction::next_id(cx.node(), route);
        self.routes.insert(route, Route { transaction: id.clone(), channel_index, direction, locked: false });
        let phase = cx.begin_phase(&id);
        let mut transaction = Transaction::new(phase, source, amount, meeting_point, None);
        (transaction.start_time, transaction.end_time) = times.unzip();
        cx.create(&id, transaction);
        cx.send(&id, TransactionMessage::MakeRoute);
        Ok(())
    }

    fn remote_have_route(&mut self, id: RouteId, start: u64, end: u64, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        // This one has timed out here: a message that tells the neighbour is under way.
        let Some(route) = self.routes.get(&id).cloned() else { return Ok(()) };
        expect_asked(id, route.direction, true)?;
        cx.node().limits.expect_lock(end, cx.now())?;
        let reserved = cx.get(&route.transaction).filter(|found| found.is_reserved());
        if reserved.is_some_and(|found| (found.start_time, found.end_time) != (Some(start), Some(end))) {
            // The first answer was to an attempt that had been given up, so the neighbour has other times.
            self.release(id, cx)?;
            transmit(cx, cancel_route(id));
            cx.send(&route.transaction, TransactionMessage::HaveNoRoute);
            return Ok(());
        }
        self.channel(route.channel_index)?.set_times(route.direction, id, start, end)?;
        cx.send(&route.transaction, TransactionMessage::HaveRoute { start_time: start, end_time: end });
        Ok(())
    }

    /// A route ends before it is locked: one that we asked for, or one that the neighbour asked for.
    fn remote_end(
        &mut self,
        id: RouteId,
        asked_by_us: bool,
        message: TransactionMessage,
        cx: &mut Cx<'_>,
    ) -> Result<(), Rejection> {
        // Both sides may give up at once; a neighbour that has locked gets a rollback or a commit.
        let Some(route) = self.routes.get(&id).filter(|route| !route.locked).cloned() else { return Ok(()) };
        expect_asked(id, route.direction, asked_by_us)?;
        self.release(id, cx)?;
        cx.send(&route.transaction, message);
        Ok(())
    }

    fn remote_lock(&mut self, id: RouteId, amount: u64, index: u32, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let Some(route) = self.routes.get(&id).cloned() else {
            return self.late_lock(id, amount, index, cx);
        };
        expect_direction(&route, Direction::Incoming)?;
        if cx.get(&route.transaction).is_some_and(|found| found.is_searching()) || !self.clocks_agree(cx.node()) {
            // The neighbour takes an answer to an attempt that it had given up for this one, and believes that the
            // route stands; or the clocks agreed when it was made.
            self.release(id, cx)?;
            let from_source = id.payer_side;
            let over = if from_source { TransactionMessage::CancelRoute } else { TransactionMessage::HaveNoRoute };
            cx.send(&route.transaction, over);
            return self.late_lock(id, amount, index, cx);
        }
        let locked = self.lock(id)?;
        if locked.amount != amount || route.channel_index != index {
            let reason =
                format!("expected {} on channel {}, found {amount} on {index}", locked.amount, route.channel_index);
            return Err(Rejection::new(reason));
        }
        cx.send(&route.transaction, TransactionMessage::Lock);
        Ok(())
    }

    /// There is no such route here, or no longer. What the neighbour has locked is locked here too and given back at
    /// once. If the neighbour learns the token before it hears of that, both ends commit. What can't be locked here is
    /// only given back.
    fn late_lock(&mut self, id: RouteId, amount: u64, index: u32, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        self.expect_room(cx)?;
        let channel = self.channel(index)?;
        if amount == 0 || !channel.can_reserve(Direction::Incoming, amount) {
            transmit(cx, settle_rollback(id));
            return Ok(());
        }
        channel.reserve(Direction::Incoming, id, Reservation { start_time: None, end_time: None, amount })?;
        channel.lock(Direction::Incoming, id)?;
        let transaction = Transaction::next_id(cx.node(), id);
        let (channel_index, direction) = (index, Direction::Incoming);
        self.routes.insert(id, Route { transaction: transaction.clone(), channel_index, direction, locked: true });
        cx.create(&transaction, Transaction::rolling_back(cx.id().clone(), amount)?);
        cx.send(&cx.id().clone(), LinkMessage::GiveBack { route: id });
        Ok(())
    }

    /// The half-route that a token settles. The token's hash names it, so no other token finds it.
    fn route_of(&self, token: &Token, payer_side: bool, cx: &Cx<'_>) -> RouteId {
        let id = RouteId { payer_side, transaction: token.transaction(cx.node().network) };
        if sabotaged(Sabotage::TokenUnchecked) {
            let mut routes = self.routes.iter().filter(|(id, route)| id.payer_side == payer_side && route.locked);
            return routes.next().map_or(id, |(id, _)| *id);
        }
        id
    }

    fn remote_request_commit(&mut self, token: Token, payer_side: bool, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let id = self.route_of(&token, payer_side, cx);
        // It is settled already: by the payer, who had the token sooner, or by time.
        let Some(route) = self.routes.get(&id) else { return Ok(()) };
        expect_direction(route, Direction::Outgoing)?;
        expect_locked(route)?;
        cx.send(&route.transaction, TransactionMessage::RequestCommit { token });
        Ok(())
    }

    fn remote_settle_commit(&mut self, token: Token, payer_side: bool, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let id = self.route_of(&token, payer_side, cx);
        let route = self.route(id)?.clone();
        expect_direction(&route, Direction::Incoming)?;
        self.commit(id, cx)?;
        cx.send(&route.transaction, TransactionMessage::SettleCommit { token });
        Ok(())
    }

    fn remote_settle_rollback(&mut self, id: RouteId, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        // Both sides may roll back at once.
        let Some(route) = self.routes.get(&id).cloned() else { return Ok(()) };
        expect_locked(&route)?;
        if route.direction == Direction::Incoming {
            // The neighbour's money: the transaction knows whether it may have it back already.
            cx.send(&route.transaction, TransactionMessage::TakenBack);
            return Ok(());
        }
        // Our money, which the neighbour gives up. It learns that we have it back, not that we have settled in the meantime.
        self.take_back(id, cx)?;
        cx.send(&route.transaction, TransactionMessage::Returned);
        Ok(())
    }
}
