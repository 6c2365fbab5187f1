//! Links: the conversation with one neighbour, and the channels with it.
//!
//! Invariant: a route is in `routes` exactly as long as it has a claim on one of the channels.

mod remote;

use super::{
    Channel, ConnectionId, Direction, Invitation, LinkUrl, MeetingPoint, Message, PaymentLimits, PaymentNode,
    PlainChannel, RawTransaction, Reply, Reservation, RouteId, Token, Transaction, TransactionId, TransactionMessage,
};
use amiko_core::prelude::*;
use amiko_core::{Map, PublicKey};
use std::collections::BTreeSet;

/// What one half-route holds on this link.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(rename_all = "camelCase")]
pub struct Route {
    /// Its transaction on this node.
    pub transaction: Id<Transaction>,
    /// The channel that carries it.
    pub channel_index: u32,
    /// The direction of the money.
    pub direction: Direction,
    /// Whether the reservation has become a lock.
    pub locked: bool,
}

/// One neighbour.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(key = String, kind = "link", reply = Reply, rename_all = "camelCase")]
pub struct Link {
    /// The neighbour's name of this link, once it is known.
    pub remote_id: Option<Id<Link>>,
    /// The neighbour's address: `HOST:PORT`.
    pub peer: Option<String>,
    /// The neighbour's key, once it is known: only its owner may speak for the link.
    #[amiko(default)]
    pub key: Option<PublicKey>,
    /// Without a key: the secret of the invitation that the link waits for. With a key: the secret that the neighbour
    /// has sent, which we show it until it answers.
    #[amiko(default)]
    pub invitation: Option<Invitation>,
    /// By how many seconds the neighbour's clock was ahead of ours when it last told what it says; below 0, behind.
    #[amiko(default)]
    pub clock_ahead: i64,
    /// The last dice that we have shown the neighbour, on a network where they must only rise.
    #[amiko(default)]
    pub dice: u32,
    /// The classes of channel that either side may open. By default `PlainChannel` alone, which every node has. Our
    /// user must agree to other classes, because they may let a neighbour do things like making us owe it something.
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
            clock_ahead: 0,
            dice: 0,
            accepts: plain_channels(),
            channels: Vec::new(),
            routes: Map::new(),
        }
    }
}

/// The messages to a link.
#[derive(Debug, Clone, PartialEq, Serializable)]
pub enum LinkMessage {
    /// By the neighbour.
    Remote {
        /// Its message.
        message: Message,
    },
    /// By the runtime: the neighbour has dialled, and sent its hello.
    Dialled {
        /// The key that it has proven; `None` on a network without keys.
        key: Option<PublicKey>,
        /// The secret that it has shown.
        invitation: Option<Invitation>,
        /// The neighbour's address.
        peer: Option<String>,
        /// The neighbour's name of this link.
        remote_id: Id<Link>,
    },
    /// By the runtime: the neighbour has told what its clock says, and that it is ahead by another number of seconds.
    Clock {
        /// How many; below 0, it is behind.
        ahead: i64,
    },
    /// By the runtime: we have dialled the neighbour, and show it these dice next.
    Drawn {
        /// Larger than all before.
        dice: u32,
    },
    /// By the user: bind the link to the sender of this invitation; or, without one, to the first peer that shows the
    /// new invitation that this makes.
    Bind {
        /// The neighbour's invitation.
        to: Option<LinkUrl>,
    },
    /// By the user: accept channels of these classes from now on.
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
    /// By the user: tell the neighbour of a transaction that pays what is owed in a closed channel.
    PayBack {
        /// Which channel.
        channel_index: u32,
        /// The transaction.
        transaction: RawTransaction,
    },
    /// By this link: a channel has just closed.
    Closed {
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
    /// By a transaction: the amount locked for us has gone back to the neighbour.
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
            LinkMessage::Clock { ahead } => {
                self.clock_ahead = ahead;
                Ok(())
            }
            LinkMessage::Drawn { dice } => {
                self.dice = self.dice.max(dice);
                Ok(())
            }
            LinkMessage::Bind { to } => self.bind(to, cx),
            LinkMessage::Accept { classes } => self.accept(classes),
            LinkMessage::Deposit { class, amount } => self.deposit(&class, amount, cx),
            LinkMessage::Withdraw { channel_index } => self.withdraw(channel_index, cx),
            LinkMessage::PayBack { channel_index, transaction } => self.pay_back(channel_index, &transaction, cx),
            LinkMessage::Closed { channel_index } => self.closed(channel_index, cx),
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
                self.release(route, cx)?;
                transmit(cx, have_no_route(route));
                Ok(())
            }
            LinkMessage::CancelRoute { route } => {
                self.release(route, cx)?;
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
                self.commit(route, cx)?;
                transmit(cx, Message::SettleCommit { token, is_payer_side: Some(route.payer_side) });
                Ok(())
            }
            LinkMessage::TakeBack { route } => self.take_back(route, cx),
            LinkMessage::GiveBack { route } => {
                let transaction = self.route(route)?.transaction.clone();
                transmit(cx, settle_rollback(route));
                if !cx.node().network.tells_of_rollbacks() {
                    // It only obeys, and sends nothing.
                    cx.send(&transaction, TransactionMessage::TakenBack);
                }
                Ok(())
            }
            LinkMessage::Release { route } => self.roll_back(route, cx),
        }
    }
}

/// Requests of this node.
impl Link {
    /// Claims the amount on the first channel that can carry it, and asks the neighbour. If no channel can, the link
    /// answers so at once.
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
        let free = self.expect_room(cx).is_ok() && self.clocks_agree(cx.node()) && !self.routes.contains_key(&route);
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

    /// Rejects a route if the link couldn't end it again.
    fn expect_room(&self, cx: &Cx<'_>) -> Result<(), Rejection> {
        let limits = &cx.node().limits;
        PaymentLimits::expect_fewer(self.routes.len(), limits.routes, "routes on a link")?;
        let unconfirmed = cx.connection(&connection(cx.id())).map_or(0, |connection| connection.outbox.len());
        PaymentLimits::expect_fewer(unconfirmed, limits.unconfirmed, "messages that the neighbour hasn't confirmed")
    }

    /// Takes back what is locked for the neighbour, and tells it if its network understands that.
    fn take_back(&mut self, route: RouteId, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        self.roll_back(route, cx)?;
        if cx.node().network.tells_of_rollbacks() {
            transmit(cx, settle_rollback(route));
        }
        Ok(())
    }

    fn lock_outgoing(&mut self, id: RouteId, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let Route { channel_index, ref transaction, .. } = *self.route(id)?;
        if !self.clocks_agree(cx.node()) {
            // They did when the route was made. To the transaction it is as if the neighbour had given the amount back.
            cx.send(transaction, TransactionMessage::Returned);
            self.release(id, cx)?;
            transmit(cx, if id.payer_side { cancel_route(id) } else { have_no_route(id) });
            return Ok(());
        }
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

/// The changes of a claim.
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

    fn release(&mut self, id: RouteId, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let Route { channel_index, direction, .. } = *self.route(id)?;
        self.routes.remove(&id);
        self.channel(channel_index)?.unreserve(direction, id)?;
        self.tell_if_closed(channel_index, cx)
    }

    fn lock(&mut self, id: RouteId) -> Result<Reservation, Rejection> {
        let Route { channel_index, direction, .. } = *self.route(id)?;
        let claim = self.channel(channel_index)?.lock(direction, id)?;
        if let Some(route) = self.routes.get_mut(&id) {
            route.locked = true;
        }
        Ok(claim)
    }

    fn commit(&mut self, id: RouteId, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let Route { channel_index, direction, .. } = *self.route(id)?;
        self.routes.remove(&id);
        self.channel(channel_index)?.commit(direction, id)?;
        self.tell_if_closed(channel_index, cx)
    }

    fn roll_back(&mut self, id: RouteId, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let Route { channel_index, direction, .. } = *self.route(id)?;
        self.routes.remove(&id);
        self.channel(channel_index)?.roll_back(direction, id)?;
        self.tell_if_closed(channel_index, cx)
    }
}

/// The connection of a link has the link's name.
pub(super) fn connection(link: &Id<Link>) -> ConnectionId {
    Id::new(link.key().clone())
}

/// The default classes of a link.
fn plain_channels() -> BTreeSet<String> {
    BTreeSet::from([PlainChannel::CLASS.to_owned()])
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

/// Whether the expected node has asked for the route.
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
