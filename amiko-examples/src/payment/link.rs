//! Links: the conversation with one neighbour, and the channels with it.
//!
//! Invariant: a route is in `routes` exactly as long as it has a claim on one of the channels.

use super::opening::plain_channels;
use super::{
    Channel, ChannelState, ConnectionId, Direction, Invitation, LinkUrl, MeetingPoint, Message, Neighbour,
    PaymentLimits, PaymentNode, Reservation, RouteId, Token, Transaction, TransactionId, TransactionMessage,
    TransactionPhase,
};
use amiko_core::prelude::*;
use amiko_core::sabotaged;
use amiko_core::{Map, PublicKey};
use std::collections::BTreeSet;

/// What one half-route has on this link.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(rename_all = "camelCase")]
pub struct Route {
    /// The transaction of this node that it belongs to.
    pub transaction: Id<Transaction>,
    /// The channel that carries it.
    pub channel_index: u32,
    /// Which way the money goes.
    pub direction: Direction,
    /// The reservation has become a lock.
    pub locked: bool,
}

/// One neighbour.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(key = String, kind = "link", rename_all = "camelCase")]
pub struct Link {
    /// The neighbour's name of this link, once it is known.
    pub remote_id: Option<Id<Link>>,
    /// Where the neighbour can be dialled: `HOST:PORT`.
    pub peer: Option<String>,
    /// The neighbour's key, once it is known: who has it, and nobody else, may speak for the link.
    #[amiko(default)]
    pub key: Option<PublicKey>,
    /// Without a key: the secret of the invitation, which is waited for. With one: the secret that the neighbour has sent,
    /// and which it is shown until it answers.
    #[amiko(default)]
    pub invitation: Option<Invitation>,
    /// The classes of channel that either side may open. By default `PlainChannel` alone, which every node has: what another
    /// class lets a neighbour do to us, like having us owe it something, is for our user to agree to.
    #[amiko(default = plain_channels)]
    pub accepts: BTreeSet<String>,
    /// The channels, by their index.
    pub channels: Vec<Box<dyn Channel>>,
    /// The half-routes that use this link.
    pub routes: Map<RouteId, Route>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            remote_id: None,
            peer: None,
            key: None,
            invitation: None,
            accepts: plain_channels(),
            channels: Vec::new(),
            routes: Map::new(),
        }
    }
}

/// What is said to a link.
#[derive(Debug, Clone, PartialEq, Serializable)]
pub enum LinkMessage {
    /// By the neighbour.
    Remote {
        /// What it said.
        message: Message,
    },
    /// By the runtime: the neighbour has dialled, and said who it is.
    Dialled {
        /// Whom it has proven to be; none on a network without keys.
        key: Option<PublicKey>,
        /// The secret that it has shown.
        invitation: Option<Invitation>,
        /// Where the neighbour can be dialled.
        peer: Option<String>,
        /// The neighbour's name of this link.
        remote_id: Id<Link>,
    },
    /// By the user: from now on the neighbour is whoever has sent this invitation, or, without one, whoever shows the
    /// invitation that is made thereupon.
    Bind {
        /// The neighbour's invitation.
        to: Option<LinkUrl>,
    },
    /// By the user: from now on channels may be of these classes.
    Accept {
        /// All of them.
        classes: BTreeSet<String>,
    },
    /// By the user: put an amount into a new channel.
    Deposit {
        /// The class of the channel.
        class: String,
        /// How much.
        amount: u64,
    },
    /// By the user: close a channel.
    Withdraw {
        /// Which one.
        channel_index: u32,
    },
    /// By a transaction: look for a route on this link.
    MakeRoute {
        /// The transaction.
        transaction: Id<Transaction>,
        /// How much.
        amount: u64,
        /// From when; known on the payee's side.
        start_time: Option<u64>,
        /// Until when; known on the payee's side.
        end_time: Option<u64>,
        /// Where to.
        meeting_point: Id<MeetingPoint>,
    },
    /// By a transaction: tell the neighbour that its route stands.
    HaveRoute {
        /// The half-route.
        route: RouteId,
        /// From when.
        start_time: u64,
        /// Until when.
        end_time: u64,
    },
    /// By a transaction: tell the neighbour that there is no route.
    HaveNoRoute {
        /// The half-route.
        route: RouteId,
    },
    /// By a transaction: tell the neighbour that its route isn't wanted any more.
    CancelRoute {
        /// The half-route.
        route: RouteId,
    },
    /// By a transaction: lock what is reserved.
    Lock {
        /// The half-route.
        route: RouteId,
    },
    /// By a transaction: show the neighbour the token.
    RequestCommit {
        /// The half-route.
        route: RouteId,
        /// The token.
        token: Token,
    },
    /// By a transaction: give the neighbour what is locked for it.
    SettleCommit {
        /// The half-route.
        route: RouteId,
        /// The token.
        token: Token,
    },
    /// By a transaction: take back what is locked for the neighbour, whose time is over.
    TakeBack {
        /// The half-route.
        route: RouteId,
    },
    /// By a transaction: ask the neighbour to take back what is locked for us.
    GiveBack {
        /// The half-route.
        route: RouteId,
    },
    /// By a transaction: what was locked for us is the neighbour's again.
    Release {
        /// The half-route.
        route: RouteId,
    },
}

type Cx<'a> = Context<'a, Link>;

impl StateMachine for Link {
    type Node = PaymentNode;
    type Message = LinkMessage;

    fn handle(&mut self, message: LinkMessage, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        match message {
            LinkMessage::Remote { message } => {
                self.heard();
                self.remote(message, cx)
            }
            LinkMessage::Dialled { key, invitation, peer, remote_id } => {
                self.dialled((key, invitation.as_ref()), peer, remote_id, cx)
            }
            LinkMessage::Bind { to } => self.bind(to, cx),
            LinkMessage::Accept { classes } => self.accept(classes),
            LinkMessage::Deposit { class, amount } => self.deposit(&class, amount, cx),
            LinkMessage::Withdraw { channel_index } => self.withdraw(channel_index, cx),
            LinkMessage::MakeRoute { transaction, amount, start_time, end_time, meeting_point } => {
                let claim = Reservation { start_time, end_time, amount };
                self.make_route(transaction, claim, meeting_point, cx)
            }
            LinkMessage::HaveRoute { route, start_time, end_time } => {
                let Route { channel_index, direction, .. } = *self.route(route)?;
                self.channel(channel_index)?.set_times(direction, route, start_time, end_time)?;
                let RouteId { payer_side: is_payer_side, transaction } = route;
                let (start_time, end_time) = (Some(start_time), Some(end_time));
                let transaction_id = Some(transaction);
                transmit(cx, Message::HaveRoute { transaction_id, is_payer_side, start_time, end_time });
                Ok(())
            }
            LinkMessage::HaveNoRoute { route } => {
                self.release(route)?;
                transmit(cx, have_no_route(route));
                Ok(())
            }
            LinkMessage::CancelRoute { route } => {
                self.release(route)?;
                transmit(cx, cancel_route(route));
                Ok(())
            }
            LinkMessage::Lock { route } => self.lock_outgoing(route, cx),
            LinkMessage::RequestCommit { route, token } => {
                self.route(route)?;
                transmit(cx, Message::RequestCommit { token, is_payer_side: route.payer_side });
                Ok(())
            }
            LinkMessage::SettleCommit { route, token } => {
                self.commit(route)?;
                transmit(cx, Message::SettleCommit { token, is_payer_side: Some(route.payer_side) });
                Ok(())
            }
            LinkMessage::TakeBack { route } => self.take_back(route, cx),
            LinkMessage::GiveBack { route } => {
                let transaction = self.route(route)?.transaction.clone();
                transmit(cx, settle_rollback(route));
                if !cx.node().network.tells_of_rollbacks() {
                    // It does as it is told, and says nothing.
                    cx.send(&transaction, TransactionMessage::TakenBack);
                }
                Ok(())
            }
            LinkMessage::Release { route } => self.roll_back(route),
        }
    }
}

/// What this node wants.
impl Link {
    /// Claims the amount on the first channel that can carry it, and asks the neighbour. A link that can't carry it says
    /// so at once.
    fn make_route(
        &mut self,
        transaction: Id<Transaction>,
        claim: Reservation,
        meeting_point: Id<MeetingPoint>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Rejection> {
        let route = transaction.key().route;
        let direction = if route.payer_side { Direction::Outgoing } else { Direction::Incoming };
        let index = self.channels.iter().position(|channel| channel.can_reserve(direction, claim.amount));
        let free = self.expect_room(cx).is_ok() && !self.routes.contains_key(&route);
        let (Some(index), true) = (index, free) else {
            cx.send(&transaction, TransactionMessage::HaveNoRoute);
            return Ok(());
        };
        let channel_index = u32::try_from(index).map_err(|_| Rejection::new("a link can't have so many channels"))?;
        let Reservation { start_time, end_time, amount } = claim;
        self.channel(channel_index)?.reserve(direction, route, claim)?;
        self.routes.insert(route, Route { transaction, channel_index, direction, locked: false });
        let message = Message::MakeRoute {
            amount,
            transaction_id: route.transaction,
            start_time,
            end_time,
            meeting_point_id: meeting_point,
            channel_index,
            is_payer_side: route.payer_side,
        };
        transmit(cx, message);
        Ok(())
    }

    /// Rejects a route that the link couldn't end again.
    fn expect_room(&self, cx: &Cx<'_>) -> Result<(), Rejection> {
        let limits = &cx.node().limits;
        PaymentLimits::expect_fewer(self.routes.len(), limits.routes, "routes on a link")?;
        let unconfirmed = cx.unconfirmed(&connection(cx.id()));
        PaymentLimits::expect_fewer(unconfirmed, limits.unconfirmed, "messages that the neighbour hasn't confirmed")
    }

    /// Takes back what is locked for the neighbour, which hears of it where it would understand that.
    fn take_back(&mut self, route: RouteId, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        self.roll_back(route)?;
        if cx.node().network.tells_of_rollbacks() {
            transmit(cx, settle_rollback(route));
        }
        Ok(())
    }

    fn lock_outgoing(&mut self, id: RouteId, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let Route { channel_index, .. } = *self.route(id)?;
        let amount = self.lock(id)?.amount;
        let message = Message::Lock {
            transaction_id: id.transaction,
            is_payer_side: id.payer_side,
            amount,
            start_time: None,
            end_time: None,
            channel_index,
        };
        transmit(cx, message);
        Ok(())
    }
}

/// What the neighbour says.
impl Link {
    fn remote(&mut self, message: Message, cx: &mut Cx<'_>) -> Result<(), Rejection> {
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
        limits.expect_remote_name(meeting_point.key())?;
        limits.expect_lock(claim.end_time.unwrap_or(0), cx.now())?;
        let direction = if route.payer_side { Direction::Incoming } else { Direction::Outgoing };
        let source = Neighbour::Link { id: cx.id().clone() };
        let mut transaction = Transaction::new(source, claim.amount, meeting_point, None);
        match (route.payer_side, claim.start_time, claim.end_time) {
            (true, None, None) => {}
            (false, Some(start), Some(end)) => transaction = transaction.with_times(start, end),
            _ => return Err(Rejection::new("expected times on the payee's side and none on the payer's")),
        }
        let channel = self.channel(channel_index)?;
        if channel.is(ChannelState::Closing) || channel.is(ChannelState::Closed) {
            // The neighbour asked before it heard that the channel closes.
            transmit(cx, have_no_route(route));
            return Ok(());
        }
        if Transaction::has_ended(cx.node(), route) {
            // It has come round a circle of nodes, or by another way to where there is none.
            transmit(cx, have_no_route(route));
            return Ok(());
        }
        channel.reserve(direction, route, claim)?;
        let id = Transaction::next_id(cx.node(), route);
        self.routes.insert(route, Route { transaction: id.clone(), channel_index, direction, locked: false });
        cx.create(&id, transaction);
        cx.send(&id, TransactionMessage::MakeRoute);
        Ok(())
    }

    fn remote_have_route(&mut self, id: RouteId, start: u64, end: u64, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        // One that has timed out here: the neighbour hears so in a message that is under way.
        let Some(route) = self.routes.get(&id).cloned() else { return Ok(()) };
        expect_asked(id, route.direction, true)?;
        cx.node().limits.expect_lock(end, cx.now())?;
        let reserved = cx.get(&route.transaction).filter(|found| found.phase == TransactionPhase::Reserved);
        if reserved.is_some_and(|found| (found.start_time, found.end_time) != (Some(start), Some(end))) {
            // The first answer was to an attempt that had been given up, so what was agreed on isn't what the neighbour has.
            self.release(id)?;
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
        // Both sides may give up at once; and who has locked hears a rollback or a commit.
        let Some(route) = self.routes.get(&id).filter(|route| !route.locked).cloned() else { return Ok(()) };
        expect_asked(id, route.direction, asked_by_us)?;
        self.release(id)?;
        cx.send(&route.transaction, message);
        Ok(())
    }

    fn remote_lock(&mut self, id: RouteId, amount: u64, index: u32, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let Some(route) = self.routes.get(&id).cloned() else {
            return self.late_lock(id, amount, index, cx);
        };
        expect_direction(&route, Direction::Incoming)?;
        if cx.get(&route.transaction).is_some_and(|found| found.phase == TransactionPhase::Searching) {
            // The neighbour believes that the route stands, by an answer to an attempt that it had given up.
            self.release(id)?;
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

    /// There is no such route here, or no longer. What the neighbour has locked is locked here too and given back at once: should it have
    /// learnt the token before it hears of that, both ends commit. What can't be locked here is only given back.
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
        cx.create(&transaction, Transaction::rolling_back(cx.id().clone(), amount));
        cx.send(&cx.id().clone(), LinkMessage::GiveBack { route: id });
        Ok(())
    }

    /// The half-route that a token settles: it is named by the token's hash, so no other token finds it.
    fn route_of(&self, token: &Token, payer_side: bool, cx: &Cx<'_>) -> RouteId {
        let id = RouteId { payer_side, transaction: token.transaction(cx.node().network) };
        if sabotaged("token_unchecked") {
            let mut routes = self.routes.iter().filter(|(id, route)| id.payer_side == payer_side && route.locked);
            return routes.next().map_or(id, |(id, _)| *id);
        }
        id
    }

    fn remote_request_commit(&mut self, token: Token, payer_side: bool, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let id = self.route_of(&token, payer_side, cx);
        // One that is settled already: by the payer, who had the token sooner, or by time.
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
        self.commit(id)?;
        cx.send(&route.transaction, TransactionMessage::SettleCommit { token });
        Ok(())
    }

    fn remote_settle_rollback(&mut self, id: RouteId, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        // Both sides may roll back at once.
        let Some(route) = self.routes.get(&id).cloned() else { return Ok(()) };
        expect_locked(&route)?;
        if route.direction == Direction::Incoming {
            // The neighbour's money: whether it may have it back already, the transaction knows.
            cx.send(&route.transaction, TransactionMessage::TakenBack);
            return Ok(());
        }
        // Ours, which the neighbour gives up. It hears that we have it, and not that we have settled meanwhile.
        self.take_back(id, cx)?;
        cx.send(&route.transaction, TransactionMessage::Returned);
        Ok(())
    }
}

/// What happens to a claim.
impl Link {
    pub(super) fn channel(&mut self, index: u32) -> Result<&mut Box<dyn Channel>, Rejection> {
        let count = self.channels.len();
        let found = usize::try_from(index).ok().and_then(|index| self.channels.get_mut(index));
        found.ok_or_else(|| Rejection::new(format!("expected one of the {count} channels, found index {index}")))
    }

    fn route(&self, id: RouteId) -> Result<&Route, Rejection> {
        let transaction: TransactionId = id.transaction;
        self.routes.get(&id).ok_or_else(|| {
            Rejection::new(format!("expected a route of transaction {transaction:?} on this link, found none"))
        })
    }

    fn release(&mut self, id: RouteId) -> Result<(), Rejection> {
        let Route { channel_index, direction, .. } = *self.route(id)?;
        self.routes.remove(&id);
        self.channel(channel_index)?.unreserve(direction, id)
    }

    fn lock(&mut self, id: RouteId) -> Result<Reservation, Rejection> {
        let Route { channel_index, direction, .. } = *self.route(id)?;
        let claim = self.channel(channel_index)?.lock(direction, id)?;
        if let Some(route) = self.routes.get_mut(&id) {
            route.locked = true;
        }
        Ok(claim)
    }

    fn commit(&mut self, id: RouteId) -> Result<(), Rejection> {
        let Route { channel_index, direction, .. } = *self.route(id)?;
        self.routes.remove(&id);
        self.channel(channel_index)?.commit(direction, id)
    }

    fn roll_back(&mut self, id: RouteId) -> Result<(), Rejection> {
        let Route { channel_index, direction, .. } = *self.route(id)?;
        self.routes.remove(&id);
        self.channel(channel_index)?.roll_back(direction, id)
    }
}

/// The connection of a link has the link's name.
pub(super) fn connection(link: &Id<Link>) -> ConnectionId {
    Id::new(link.key().clone())
}

pub(super) fn transmit(cx: &mut Cx<'_>, message: Message) {
    cx.transmit(&connection(cx.id()), message);
}

fn have_no_route(route: RouteId) -> Message {
    Message::HaveNoRoute { transaction_id: route.transaction, is_payer_side: route.payer_side }
}

fn cancel_route(route: RouteId) -> Message {
    Message::CancelRoute { transaction_id: route.transaction, is_payer_side: route.payer_side }
}

fn settle_rollback(route: RouteId) -> Message {
    Message::SettleRollback { transaction_id: route.transaction, is_payer_side: route.payer_side }
}

pub(super) fn name(message: &Message) -> &'static str {
    Serializable::class(message).unwrap_or("a message")
}

fn expect_direction(route: &Route, direction: Direction) -> Result<(), Rejection> {
    if route.direction == direction {
        return Ok(());
    }
    Err(Rejection::new(format!("expected this of a route whose money is {direction:?}").to_lowercase()))
}

/// Whether the node that asked for the route is the one that is expected to have asked.
fn expect_asked(id: RouteId, direction: Direction, by_us: bool) -> Result<(), Rejection> {
    let asked_by_us = id.payer_side == (direction == Direction::Outgoing);
    if asked_by_us == by_us {
        return Ok(());
    }
    Err(Rejection::new("expected this from the other side of the route"))
}

fn expect_locked(route: &Route) -> Result<(), Rejection> {
    if route.locked { Ok(()) } else { Err(Rejection::new("expected a locked amount, found a reservation")) }
}
