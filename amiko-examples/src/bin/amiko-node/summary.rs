//! The state of a node, as `list` and `requests` show it.

use crate::control::{Answer, ChannelSummary, LinkSummary, RequestSummary, Summary};
use crate::run::{Node, refusal};
use amiko_core::prelude::*;
use amiko_core::store::Store;
use amiko_examples::payment::{Channel, ChannelState, Link, LinkUrl, Payee, PaymentNode, PaymentNodeMessage};
use amiko_examples::printable::word;
use amiko_runtime::SendError;
use std::time::Duration;

/// What a command does, said after it was done.
pub(crate) struct Done {
    did: String,
    /// Whose balance it may have changed.
    link: Option<Id<Link>>,
    /// The channel that it was done to.
    channel: Option<u32>,
    /// Whether that is said instead of the URL that it answers with.
    said: bool,
}

impl Done {
    pub(crate) fn of(message: &PaymentNodeMessage) -> Self {
        let done = |did: String, link: Option<&Id<Link>>| Self { did, link: link.cloned(), channel: None, said: true };
        let to = |name: &Id<Link>, to: &LinkUrl| done(format!("{} leads to {} now", name.key(), to.address), None);
        match message {
            PaymentNodeMessage::AddLink { name, to: Some(url) } => to(name, url),
            PaymentNodeMessage::RenewLink { link, to: Some(url) } => to(link, url),
            PaymentNodeMessage::RemoveLink { link } => done(format!("removed the link {}", link.key()), None),
            PaymentNodeMessage::Reconcile { link } => {
                let did = format!("{} is used again as soon as both ends have compared their states", link.key());
                done(did, Some(link))
            }
            PaymentNodeMessage::Accept { link, classes } => {
                let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
                let what = if classes.is_empty() { "no new channel".into() } else { classes.join(" and ") };
                done(format!("{} accepts {what}", link.key()), Some(link))
            }
            PaymentNodeMessage::Deposit { link, class, amount } => {
                done(format!("deposited {amount} in a new {class} of {}", link.key()), Some(link))
            }
            PaymentNodeMessage::Withdraw { link, channel } => {
                let did = format!("channel {channel} of {} takes no new payments", link.key());
                Self { channel: Some(*channel), ..done(did, Some(link)) }
            }
            PaymentNodeMessage::PayBack { link, channel, transaction } => {
                let (id, link_name) = (transaction.id(), link.key());
                let did = format!("told the neighbour that {id} pays what is owed in channel {channel} of {link_name}");
                done(did, Some(link))
            }
            PaymentNodeMessage::AddMeetingPoint { name } => {
                done(format!("routes may meet at {} now", name.key()), None)
            }
            PaymentNodeMessage::RemoveMeetingPoint { name } => {
                done(format!("no routes meet at {} any more", name.key()), None)
            }
            PaymentNodeMessage::Cancel { payment } => done(format!("cancelled {payment}"), None),
            _ => Self { said: false, ..done("done".into(), None) },
        }
    }

    /// What is said instead of a URL that nobody needs.
    pub(crate) fn instead_of_url(self) -> Option<String> {
        self.said.then_some(self.did)
    }

    pub(crate) async fn answer<S: Store>(self, handle: &Node<S>) -> Result<Answer, Answer> {
        let link = match &self.link {
            Some(id) => Some(link(handle, id).await?),
            None => None,
        };
        let index = self.channel.and_then(|channel| usize::try_from(channel).ok());
        let channel = link.as_ref().zip(index).and_then(|(link, index)| link.channels.get(index));
        let holds = channel.map_or(String::new(), |ChannelSummary { state, local, remote, remark, .. }| {
            let remark = if remark.is_empty() { String::new() } else { format!(" ({remark})") };
            format!("; it is {state}, with {local} for this node and {remote} for the neighbour{remark}")
        });
        Ok(Answer::Done { did: self.did + &holds, link })
    }
}

pub(crate) async fn list<S: Store>(handle: &Node<S>) -> Result<Answer, Answer> {
    let connected = handle.connected().await.map_err(|error| refusal(&error))?;
    let summary = handle.query(move |engine| summary(engine, &connected)).await.map_err(|error| refusal(&error))?;
    Ok(Answer::State { summary })
}

/// One link.
pub(crate) async fn link<S: Store>(handle: &Node<S>, id: &Id<Link>) -> Result<LinkSummary, Answer> {
    let connected = handle.connected().await.map_err(|error| refusal(&error))?;
    let wanted = id.clone();
    let found = handle.query(move |engine| {
        let link = engine.node().expect_link(&wanted)?;
        Ok::<_, Rejection>(link_summary(engine, &connected, &wanted, link))
    });
    let found = found.await.map_err(|error| refusal(&error))?;
    found.map_err(|rejection| refusal(&SendError::Rejected(rejection)))
}

/// The requests that nobody has paid yet, in the order in which they were made.
pub(crate) async fn requests<S: Store>(handle: &Node<S>) -> Result<Answer, Answer> {
    let requests = handle.query(|engine| {
        let node = engine.node();
        let request = |(id, payee): (Id<Payee>, &Payee)| RequestSummary {
            payment: id.key().clone(),
            amount: payee.amount,
            receipt: payee.receipt.clone(),
            begun: payee.begun,
            state: payee.phase.class().unwrap_or_default().to_owned(),
            url: node.payment_url(&id).ok().map(|url| url.to_string()),
        };
        let mut requests: Vec<RequestSummary> = node.payees.iter().map(request).collect();
        requests.sort_by(|one, other| (one.begun, &one.payment).cmp(&(other.begun, &other.payment)));
        requests
    });
    Ok(Answer::Requests { requests: requests.await.map_err(|error| refusal(&error))? })
}

fn channel_summary(channel: &dyn Channel) -> ChannelSummary {
    let (incoming, outgoing) = channel.claimed();
    ChannelSummary {
        class: channel.class_name().to_owned(),
        state: channel.funds().state.class().unwrap_or_default().to_owned(),
        local: channel.local(),
        remote: channel.remote(),
        reserved: incoming.saturating_add(outgoing),
        remark: channel.remark(),
    }
}

fn link_summary<S: Store>(
    engine: &Engine<PaymentNode, S>,
    connected: &[String],
    id: &Id<Link>,
    link: &Link,
) -> LinkSummary {
    let connection = engine.connection(&Id::new(id.key().clone()));
    // What is in other channels can't be paid.
    let open = || link.channels.iter().filter(|channel| channel.is(ChannelState::Open));
    let sum = |amount: &dyn Fn(&dyn Channel) -> u64| {
        open().map(|channel| amount(channel.as_ref())).fold(0, u64::saturating_add)
    };
    let claimed = |channel: &dyn Channel| channel.claimed().0.saturating_add(channel.claimed().1);
    LinkSummary {
        connected: connected.contains(id.key()),
        invited: link.key.is_none() && link.invitation.is_some(),
        conflict: connection.is_some_and(|connection| connection.conflict.is_some()),
        clock_ahead: link.clock_ahead,
        name: id.key().clone(),
        peer: link.peer.clone(),
        channels: link.channels.iter().map(|channel| channel_summary(channel.as_ref())).collect(),
        local: sum(&|channel| channel.local()),
        remote: sum(&|channel| channel.remote()),
        reserved: link.channels.iter().map(|channel| claimed(channel.as_ref())).fold(0, u64::saturating_add),
        unconfirmed: connection.map_or(0, |connection| connection.outbox.len()),
    }
}

fn summary<S: Store>(engine: &Engine<PaymentNode, S>, connected: &[String]) -> Summary {
    /// Rejections that are shown.
    const SHOWN: usize = 5;
    let node = engine.node();
    let payers = node.payers.iter().map(|(id, payer)| {
        let amount = payer.bill.as_ref().map_or(0, |bill| bill.amount);
        format!("{}: {amount} out, {}", id.key(), payer.phase.class().unwrap_or_default())
    });
    let payees = node
        .payees
        .iter()
        .map(|(id, payee)| format!("{}: {} in, {}", id.key(), payee.amount, payee.phase.class().unwrap_or_default()));
    let rejections = engine.rejections().rev().take(SHOWN).map(|rejected| rejected.rejection.to_string());
    Summary {
        network: node.network,
        address: node.address.as_ref().map(ToString::to_string),
        key: node.key.as_ref().map(ToString::to_string),
        payout_address: node.payout_address.as_ref().map(ToString::to_string),
        links: node.links.iter().map(|(id, link)| link_summary(engine, connected, &id, link)).collect(),
        meeting_points: node.meeting_points.iter().map(|(id, _)| id.key().clone()).collect(),
        external_meeting_points: node.external_meeting_points.iter().map(|id| id.key().clone()).collect(),
        payments: payers.chain(payees).collect(),
        transactions: node.transactions.len(),
        timers: engine.timers().count(),
        conflicts: conflicts(engine),
        clocks: node.links.iter().filter_map(|(id, link)| clock(node, id.key(), link)).collect(),
        full: full(node),
        rejections: rejections.collect(),
    }
}

/// What a link's clocks cost, if they are too far apart.
fn clock(node: &PaymentNode, name: &str, link: &Link) -> Option<String> {
    let apart = link.clock_ahead.unsigned_abs();
    if apart <= node.limits.clock {
        return None;
    }
    let apart = humantime::format_duration(Duration::from_secs(apart));
    let side = if link.clock_ahead > 0 { "ahead of" } else { "behind" };
    let costs = if link.clocks_agree(node) { "it still carries payments" } else { "it carries no payments" };
    Some(format!("{name}: its neighbour's clock is {apart} {side} this one; {costs}: set the wrong one right"))
}

/// The links that have all the channels that they may have: one more of the neighbour's counts at its end alone.
fn full(node: &PaymentNode) -> Vec<String> {
    let limit = node.limits.channels;
    let is_full = |link: &Link| u32::try_from(link.channels.len()).is_ok_and(|count| count >= limit);
    let links = node.links.iter().filter(|(_, link)| is_full(link));
    let told = links.map(|(id, link)| {
        let (name, found) = (id.key(), link.channels.len());
        format!(
            "{name} has {found} of {limit} channels: another one of the neighbour's is refused, and then both ends count \
             channels differently; `run --limit channels={}` allows more",
            found + 1
        )
    });
    told.collect()
}

/// The connections that aren't used because one of the two states is older than it should be, and the remedy.
pub(crate) fn conflicts<S: Store>(engine: &Engine<PaymentNode, S>) -> Vec<String> {
    let told = engine.connections().filter_map(|(id, connection)| {
        let (name, conflict) = (id.key(), connection.conflict?);
        let link = engine.node().links.contains(&Id::new(name.clone()));
        let again = if link { format!("; then `amiko-node link reconcile {}`", word(name)) } else { String::new() };
        Some(format!("{name}: {conflict}{again}"))
    });
    told.collect()
}
