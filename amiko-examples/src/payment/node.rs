//! The node: all objects together, and the commands of its user.
//!
//! Invariant: links, payees and payers share one namespace, so the name of a connection identifies its owner.

use super::names::none_named;
use super::{
    Address, Link, LinkMessage, LinkUrl, MeetingPoint, Network, Payee, Payer, PayerMessage, PaymentLimits, PaymentUrl,
    PayoutAddress, RawTransaction, Token, Transaction, TransactionId, payer,
};
use amiko_core::prelude::*;
use amiko_core::{Keeps, PublicKey, StateMachine};
use std::collections::BTreeSet;

/// The whole state of a payment node.
#[derive(Debug, Clone, PartialEq, Serializable, Node)]
#[amiko(machine, network = super::Message, reply = Reply, notice = Notice, rename_all = "camelCase", check = super::books::check)]
pub struct PaymentNode {
    /// The neighbours.
    #[amiko(machines)]
    pub links: Table<Link>,
    /// Outgoing payments.
    #[amiko(machines)]
    pub payers: Table<Payer>,
    /// Incoming payments.
    #[amiko(machines)]
    pub payees: Table<Payee>,
    /// Where routes meet on this node.
    #[amiko(machines)]
    pub meeting_points: Table<MeetingPoint>,
    /// Half-routes that pass this node.
    #[amiko(machines)]
    pub transactions: Table<Transaction>,
    /// The payment log.
    #[amiko(objects)]
    pub payments: Table<PaymentRecord>,
    /// Which network this node is on, from the beginning.
    #[amiko(default)]
    pub network: Network,
    /// The address at which other nodes can dial this one.
    pub address: Option<Address>,
    /// The key that this node proves, which its URLs contain; `None` on a network without keys.
    #[amiko(default)]
    pub key: Option<PublicKey>,
    /// Where neighbours pay what they owe when a channel with them closes; `None` if our user hasn't given one.
    #[amiko(default)]
    pub payout_address: Option<PayoutAddress>,
    /// Seconds that this node has to pass on a token.
    pub timeout_increment: u64,
    /// Meeting points of other nodes that this one's payments may use.
    pub external_meeting_points: Vec<Id<MeetingPoint>>,
    /// What others may take of this node.
    #[amiko(default)]
    pub limits: PaymentLimits,
}

impl Default for PaymentNode {
    fn default() -> Self {
        Self {
            links: Table::new(),
            payers: Table::new(),
            payees: Table::new(),
            meeting_points: Table::new(),
            transactions: Table::new(),
            payments: Table::new(),
            network: Network::default(),
            address: None,
            key: None,
            payout_address: None,
            timeout_increment: 86_400,
            external_meeting_points: Vec::new(),
            limits: PaymentLimits::default(),
        }
    }
}

/// An end of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serializable)]
#[amiko(rename_all = "camelCase")]
pub enum Role {
    /// Money went out.
    Payer,
    /// Money came in.
    Payee,
}

/// How a payment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serializable)]
#[amiko(rename_all = "camelCase")]
pub enum Outcome {
    /// The money has moved.
    Committed,
    /// The money hasn't moved.
    Cancelled,
}

/// A line of the payment log. Its key begins with the time, so that the log is in the order in which payments ended.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(key = String, kind = "payment", rename_all = "camelCase")]
pub struct PaymentRecord {
    /// The end that this node was.
    pub role: Role,
    /// The payment, as the payee calls it.
    pub payment: String,
    /// When it began here.
    pub begun: Time,
    /// When it ended here.
    pub ended: Time,
    /// How much, in satoshi.
    pub amount: u64,
    /// For what.
    pub receipt: String,
    /// The hash of its token, if the payer learned it.
    pub transaction: Option<TransactionId>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was cancelled; empty otherwise.
    pub reason: String,
}

/// The properties of a payment at its end.
pub(super) struct Ended {
    pub(super) role: Role,
    pub(super) payment: String,
    pub(super) begun: Time,
    pub(super) amount: u64,
    pub(super) receipt: String,
    pub(super) transaction: Option<TransactionId>,
}

/// Writes a line of the payment log, and notifies watchers.
pub(super) fn log<M>(ended: Ended, outcome: Outcome, reason: &str, cx: &mut Context<'_, M>)
where
    M: StateMachine<Node = PaymentNode>,
    PaymentNode: Keeps<M>,
{
    let Ended { role, payment, begun, amount, receipt, transaction } = ended;
    let (node, limit) = (cx.node(), usize::try_from(cx.node().limits.payments).unwrap_or(usize::MAX));
    // At most two are removed if there are more than a lowered limit allows: it is reached soon, and no event grows with it.
    let surplus = (node.payments.len() + 1).saturating_sub(limit).min(2);
    let oldest: Vec<_> = node.payments.iter().take(surplus).map(|(id, _)| id).collect();
    for oldest in oldest {
        cx.remove::<PaymentRecord>(&oldest);
    }
    let side = if role == Role::Payer { payer::SUFFIX } else { "" };
    let id: Id<PaymentRecord> = Id::new(format!("{:015}/{payment}{side}", cx.now().as_millis()));
    let reason = reason.to_owned();
    let record = PaymentRecord { role, payment, begun, ended: cx.now(), amount, receipt, transaction, outcome, reason };
    cx.notify(Notice::Ended { record: record.clone() });
    cx.create::<PaymentRecord>(&id, record);
}

/// The commands of a user.
#[derive(Debug, Clone, PartialEq, Serializable)]
pub enum PaymentNodeMessage {
    /// At each start: the node's own settings.
    Configure {
        /// The address at which other nodes can dial this one.
        address: Option<Address>,
        /// The key that this node proves; `None` on a network without keys.
        key: Option<PublicKey>,
        /// Where neighbours pay what they owe.
        payout_address: Option<PayoutAddress>,
        /// Meeting points of other nodes that this one's payments may use.
        external_meeting_points: Vec<Id<MeetingPoint>>,
        /// Seconds that this node has to pass on a token.
        timeout_increment: u64,
        /// What others may take of this node.
        limits: PaymentLimits,
    },
    /// A new neighbour.
    AddLink {
        /// What it is called here.
        name: Id<Link>,
        /// Its invitation, if it has sent one.
        to: Option<LinkUrl>,
    },
    /// Binds an existing link to another neighbour, or to the same one with a new key. The previous owner loses it.
    RenewLink {
        /// Which link.
        link: Id<Link>,
        /// The neighbour's new invitation, if it has sent one.
        to: Option<LinkUrl>,
    },
    /// Resumes a link that was in conflict with its neighbour.
    Reconcile {
        /// Which one.
        link: Id<Link>,
    },
    /// Forgets a link that holds no money and that no payment uses.
    RemoveLink {
        /// Which one.
        link: Id<Link>,
    },
    /// A new meeting point.
    AddMeetingPoint {
        /// What it is called.
        name: Id<MeetingPoint>,
    },
    /// No routes meet there any more.
    RemoveMeetingPoint {
        /// Which one.
        name: Id<MeetingPoint>,
    },
    /// Takes back a request that nobody has agreed to pay, or a payment that this node hasn't agreed to.
    Cancel {
        /// The payment, as the payee calls it.
        payment: String,
    },
    /// From now on, accepts new channels of these classes only on a link; existing channels stay.
    Accept {
        /// Which link.
        link: Id<Link>,
        /// All of them.
        classes: BTreeSet<String>,
    },
    /// Puts an amount into a new channel of a link. The class defines what that means.
    Deposit {
        /// Which link.
        link: Id<Link>,
        /// The class of the channel, as it is on the wire.
        class: String,
        /// How much, in satoshi.
        amount: u64,
    },
    /// Closes a channel of a link: at once, or when the last payment that uses it has ended.
    Withdraw {
        /// Which link.
        link: Id<Link>,
        /// The index of the channel.
        channel: u32,
    },
    /// Tells the neighbour of a transaction that pays what this node owes it in a closed channel.
    PayBack {
        /// Which link.
        link: Id<Link>,
        /// The index of the channel.
        channel: u32,
        /// The transaction, which our user has sent to the network of Bitcoin.
        transaction: RawTransaction,
    },
    /// Requests a payment to this node.
    Request {
        /// How much.
        amount: u64,
        /// For what.
        receipt: String,
        /// The only link that may be used first.
        via: Option<Id<Link>>,
    },
    /// Begins a payment from this node.
    Pay {
        /// What the payee has sent.
        url: PaymentUrl,
        /// The only link that may be used first.
        via: Option<Id<Link>>,
    },
}

/// The replies to commands.
#[derive(Debug, Clone, PartialEq, Serializable)]
pub enum Reply {
    /// A URL to send to somebody.
    Url {
        /// The URL.
        url: String,
    },
    /// A payment has begun.
    Paying {
        /// Which one.
        payer: Id<Payer>,
    },
}

/// The notices to watchers.
#[derive(Debug, Clone, PartialEq, Serializable)]
pub enum Notice {
    /// The user is asked whether to pay.
    Receipt {
        /// Which payment.
        payer: Id<Payer>,
        /// How much.
        amount: u64,
        /// For what.
        receipt: String,
    },
    /// A payment has ended.
    Ended {
        /// The line of the payment log.
        record: PaymentRecord,
    },
}

type Cx<'a> = Context<'a, PaymentNode>;

impl StateMachine for PaymentNode {
    type Node = Self;
    type Message = PaymentNodeMessage;

    fn handle(&mut self, message: PaymentNodeMessage, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        match message {
            PaymentNodeMessage::Configure {
                address,
                key,
                payout_address,
                external_meeting_points,
                timeout_increment,
                limits,
            } => {
                if key.is_some() && self.network == Network::Prototype3 {
                    return Err(Rejection::new("expected no key on the network prototype3, found one"));
                }
                self.address = address;
                self.key = key;
                self.payout_address = payout_address;
                self.external_meeting_points = external_meeting_points;
                self.timeout_increment = timeout_increment;
                self.limits = limits;
                for (id, link) in self.links.iter() {
                    cx.connect(&super::link::connection(&id), link.dial().as_deref());
                }
                Ok(())
            }
            PaymentNodeMessage::AddLink { name, to } => self.add_link(&name, to, cx),
            PaymentNodeMessage::RenewLink { link, to } => {
                self.expect_link(&link)?;
                self.bind_link(&link, to, cx)
            }
            PaymentNodeMessage::Reconcile { link } => {
                self.expect_link(&link)?;
                cx.reconcile(&super::link::connection(&link));
                Ok(())
            }
            PaymentNodeMessage::AddMeetingPoint { name } => {
                self.limits.expect_point_name(name.key())?;
                cx.create(&name, MeetingPoint::default());
                Ok(())
            }
            PaymentNodeMessage::RemoveLink { link } => self.remove_link(&link, cx),
            PaymentNodeMessage::RemoveMeetingPoint { name } => self.remove_meeting_point(&name, cx),
            PaymentNodeMessage::Cancel { payment } => self.cancel(&payment, cx),
            PaymentNodeMessage::Accept { link, classes } => {
                self.expect_link(&link)?;
                cx.send(&link, LinkMessage::Accept { classes });
                Ok(())
            }
            PaymentNodeMessage::Deposit { link, class, amount } => {
                self.limits.expect_amount(amount)?;
                self.expect_link(&link)?;
                cx.send(&link, LinkMessage::Deposit { class, amount });
                Ok(())
            }
            PaymentNodeMessage::Withdraw { link, channel } => {
                self.expect_link(&link)?;
                cx.send(&link, LinkMessage::Withdraw { channel_index: channel });
                Ok(())
            }
            PaymentNodeMessage::PayBack { link, channel, transaction } => {
                self.expect_link(&link)?;
                cx.send(&link, LinkMessage::PayBack { channel_index: channel, transaction });
                Ok(())
            }
            PaymentNodeMessage::Request { amount, receipt, via } => self.request(amount, receipt, via, cx),
            PaymentNodeMessage::Pay { url, via } => self.pay(&url, via, cx),
        }
    }
}

impl PaymentNode {
    /// What this node's user can pay over all channels, including what outgoing payments claim and excluding what is
    /// claimed for it: its own money, and what neighbours let it owe them.
    pub fn balance(&self) -> u64 {
        let channels = self.links.iter().flat_map(|(_, link)| link.channels.iter());
        channels.map(|channel| channel.local().saturating_add(channel.claimed().1)).fold(0, u64::saturating_add)
    }

    /// Active reservations and locks on all channels.
    pub fn claims(&self) -> usize {
        self.links.iter().flat_map(|(_, link)| link.channels.iter()).map(|channel| channel.claims()).sum()
    }

    pub(super) fn own_address(&self) -> Result<Address, Rejection> {
        self.address.clone().ok_or(Rejection::new("this node has no address: run it with --listen or --advertise"))
    }

    /// A link of this name.
    ///
    /// # Errors
    /// There is none; the reason lists the existing ones.
    pub fn expect_link(&self, link: &Id<Link>) -> Result<&Link, Rejection> {
        self.links.get(link).ok_or_else(|| none_named("a link", link.key(), &self.links))
    }

    /// The URL of a request for a payment to this node.
    ///
    /// # Errors
    /// The node has no address yet.
    pub fn payment_url(&self, payment: &Id<Payee>) -> Result<PaymentUrl, Rejection> {
        Ok(PaymentUrl { key: self.key, address: self.own_address()?, payment: payment.clone() })
    }

    fn add_link(&mut self, name: &Id<Link>, to: Option<LinkUrl>, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        self.limits.expect_link_name(name.key(), self.network)?;
        if let Some(link) = self.links.get(name) {
            if link.waits_for(to.as_ref()) {
                cx.reply(Reply::Url { url: link.url(name, self)?.to_string() });
                return Ok(());
            }
            return Err(Rejection::new(format!("expected a new name, found {name} there already")));
        }
        if cx.connection(&super::link::connection(name)).is_some_and(|connection| !connection.outbox.is_empty()) {
            let name = name.key();
            return Err(Rejection::new(format!(
                "expected a new name, found that a link {name} was removed and its neighbour hasn't heard everything yet: wait, \
                 or choose another"
            )));
        }
        cx.create(name, Link::default());
        self.bind_link(name, to, cx)
    }

    fn bind_link(&self, link: &Id<Link>, to: Option<LinkUrl>, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        if let Some(to) = &to {
            self.expect_same_network(to.key)?;
            self.limits.expect_remote_link_name(to.link.key())?;
        }
        cx.send(link, LinkMessage::Bind { to });
        Ok(())
    }

    /// A node with a key talks only to nodes with keys.
    fn expect_same_network(&self, key: Option<PublicKey>) -> Result<(), Rejection> {
        match (self.key, key) {
            (Some(_), None) => Err(Rejection::new("expected a URL with a key, KEY@HOST:PORT, found one without")),
            (None, Some(_)) => Err(Rejection::new("expected a URL without a key on this network, found one with")),
            (Some(own), Some(key)) if own == key => {
                Err(Rejection::new("expected a URL of another node, found our own"))
            }
            _ => Ok(()),
        }
    }

    fn request(
        &mut self,
        amount: u64,
        receipt: String,
        via: Option<Id<Link>>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Rejection> {
        self.limits.expect_amount(amount)?;
        self.limits.expect_receipt(&receipt)?;
        if let Some(via) = &via {
            self.expect_link(via)?;
        }
        let own = self.meeting_points.iter().map(|(id, _)| id);
        let meeting_points: Vec<_> = self.external_meeting_points.iter().cloned().chain(own).collect();
        if meeting_points.is_empty() {
            let reason = "expected a meeting point, found none: add one, or run with --external-meeting-point";
            return Err(Rejection::new(reason));
        }
        let id = Id::new(hex::encode(cx.random::<8>()));
        let url = self.payment_url(&id)?;
        let payee = Payee {
            phase: cx.begin_phase(&id),
            begun: cx.now(),
            amount,
            receipt,
            token: Token::new(cx.random()),
            meeting_points,
            via,
            told: false,
        };
        cx.create(&id, payee);
        cx.reply(Reply::Url { url: url.to_string() });
        Ok(())
    }

    fn pay(&mut self, url: &PaymentUrl, via: Option<Id<Link>>, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        if let Some(via) = &via {
            self.expect_link(via)?;
        }
        self.expect_same_network(url.key)?;
        let id = Id::new(format!("{}{}", url.payment.key(), payer::SUFFIX));
        if let Some(payer) = self.payers.get(&id) {
            // Whoever asked before may be gone: it goes on where it stands.
            payer.ask_again(&id, cx);
            cx.reply(Reply::Paying { payer: id });
            return Ok(());
        }
        let phase = cx.begin_phase(&id);
        cx.create(&id, Payer::new(phase, url.dial(), via, cx.now()));
        cx.send(&id, PayerMessage::Begin);
        cx.reply(Reply::Paying { payer: id });
        Ok(())
    }
}
