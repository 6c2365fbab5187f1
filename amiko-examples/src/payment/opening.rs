//! Opening and closing the channels of a link, by our user and by the neighbour.
//!
//! Invariant: a link has only channels of classes that its user has accepted, and no more channels, nor larger ones,
//! than its node allows. Both ends count them alike, and agree on what is in them. So a channel that is refused uses up
//! its index.
//!
//! Both sides may open a channel at the same moment, and so with the same index. If both mean the same class, that is
//! one channel with a deposit of each side: both ends reach the same state without another message. If they mean
//! different classes, or one that has room for one deposit, each end has its own channel under that index, and gives it
//! up: it has never been used, and never will be. A prototype refuses the second deposit whatever its class, and
//! continues.

use super::channel::shortened;
use super::link::transmit;
use super::{
    Channel, ChannelMessage, ChannelState, Link, LinkMessage, Message, PaymentLimits, RawTransaction, RefusedChannel,
    Surroundings, new_channel,
};
use crate::printable::word;
use amiko_core::prelude::*;
use std::collections::BTreeSet;

type Cx<'a> = Context<'a, Link>;

/// Requests of our user.
impl Link {
    pub(super) fn accept(&mut self, classes: BTreeSet<String>) -> Result<(), Rejection> {
        classes.iter().try_for_each(|class| new_channel(class).map(drop))?;
        self.accepts = classes;
        Ok(())
    }

    pub(super) fn deposit(&mut self, class: &str, amount: u64, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        self.expect_accepted(class, cx)?;
        let channel_index = self.next_index(cx)?;
        let mut channel = new_channel(class)?;
        let message = channel.deposit(amount)?;
        expect_bounded(channel.as_ref(), cx)?;
        let channel_class = channel.class_name().to_owned();
        self.channels.push(channel);
        transmit(cx, Message::Deposit { channel_index, channel_class });
        transmit(cx, Message::ChannelMessage { channel_index, message });
        Ok(())
    }

    pub(super) fn withdraw(&mut self, channel_index: u32, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        let message = self.channel(channel_index)?.withdraw()?;
        transmit(cx, Message::ChannelMessage { channel_index, message });
        self.tell_if_closed(channel_index, cx)
    }

    pub(super) fn pay_back(
        &mut self,
        channel_index: u32,
        transaction: &RawTransaction,
        cx: &mut Cx<'_>,
    ) -> Result<(), Rejection> {
        let message = self.channel(channel_index)?.pay_back(transaction)?;
        transmit(cx, Message::ChannelMessage { channel_index, message });
        Ok(())
    }

    /// Both sides open the same classes, so both can take part if they open the same channel at the same moment.
    fn expect_accepted(&self, class: &str, cx: &Cx<'_>) -> Result<(), Rejection> {
        if self.accepts.contains(class) {
            return Ok(());
        }
        let mut classes: BTreeSet<&str> = self.accepts.iter().map(String::as_str).collect();
        let join = |classes: &BTreeSet<&str>, word| classes.iter().copied().collect::<Vec<_>>().join(word);
        let accepted = if classes.is_empty() { "none".into() } else { join(&classes, " or ") };
        let found = shortened(class);
        let advice = if new_channel(class).is_ok() {
            classes.insert(class);
            format!("; `amiko-node link accept {} {}` accepts it, too", word(cx.id().key()), join(&classes, " "))
        } else {
            String::new()
        };
        Err(Rejection::new(format!(
            "expected a class of channel that this link accepts, {accepted}, found {found:?}{advice}"
        )))
    }

    fn next_index(&self, cx: &Cx<'_>) -> Result<u32, Rejection> {
        PaymentLimits::expect_fewer(self.channels.len(), cx.node().limits.channels, "channels on a link")?;
        u32::try_from(self.channels.len()).map_err(|_| Rejection::new("a link can't have so many channels"))
    }
}

/// Requests of the neighbour.
impl Link {
    pub(super) fn remote_deposit(&mut self, index: u32, class: &str, cx: &Cx<'_>) -> Result<(), Rejection> {
        if let Some(ours) = self.channel(index).ok().filter(|channel| channel.is_unheard_of()) {
            // Both sides have opened it before either message arrived.
            if !ours.merges_with(class) {
                let (one, other) = (ours.class_name(), shortened(class));
                let reason =
                    format!("both sides have opened it at the same moment, as a {one} here and as {other:?} there");
                *ours = Box::new(RefusedChannel::in_place_of(ours.as_ref(), reason)?);
            }
            return Ok(());
        }
        let next = self.next_index(cx)?;
        if index != next {
            return Err(Rejection::new(format!(
                "expected a channel with the index {next}, found {index}: if both ends count channels differently, remove the \
                 link at both, and add it again"
            )));
        }
        let channel = self
            .channel_of_neighbour(class, cx)
            .unwrap_or_else(|refused| Box::new(RefusedChannel::new(refused.reason())));
        self.channels.push(channel);
        Ok(())
    }

    fn channel_of_neighbour(&self, class: &str, cx: &Cx<'_>) -> Result<Box<dyn Channel>, Rejection> {
        self.expect_accepted(class, cx)?;
        let mut channel = new_channel(class)?;
        channel.begin(&Surroundings::new(cx.node().payout_address.as_ref()))?;
        Ok(channel)
    }

    pub(super) fn channel_message(
        &mut self,
        index: u32,
        message: &dyn ChannelMessage,
        cx: &mut Cx<'_>,
    ) -> Result<(), Rejection> {
        let channel = self.channel(index)?;
        let before = channel.funds();
        let answer = channel.receive(message)?;
        if channel.funds().total() > before.total() {
            expect_bounded(channel.as_ref(), cx)?;
        }
        if let Some(message) = answer {
            transmit(cx, Message::ChannelMessage { channel_index: index, message });
        }
        if before.state == ChannelState::Closed { Ok(()) } else { self.tell_if_closed(index, cx) }
    }
}

/// The end of a channel.
impl Link {
    /// What a channel that has just closed has to say goes out behind what has closed it.
    pub(super) fn tell_if_closed(&mut self, channel_index: u32, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        if self.channel(channel_index)?.is(ChannelState::Closed) {
            cx.send(&cx.id().clone(), LinkMessage::Closed { channel_index });
        }
        Ok(())
    }

    pub(super) fn closed(&mut self, channel_index: u32, cx: &mut Cx<'_>) -> Result<(), Rejection> {
        if let Some(message) = self.channel(channel_index)?.last_word() {
            transmit(cx, Message::ChannelMessage { channel_index, message });
        }
        Ok(())
    }
}

/// A channel that holds more than the limit is refused, so no sum of amounts overflows, over any number of channels.
fn expect_bounded(channel: &dyn Channel, cx: &Cx<'_>) -> Result<(), Rejection> {
    let (limit, found) = (cx.node().limits.amount, channel.funds().total());
    if found <= limit {
        return Ok(());
    }
    Err(Rejection::new(format!("expected a channel that holds at most {limit}, found {found}")))
}
