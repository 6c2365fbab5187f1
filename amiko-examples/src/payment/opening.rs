//! Opening and closing the channels of a link, by our user and by the neighbour.
//!
//! Invariant: a link has only channels of classes that its user has accepted, and no more channels, nor larger ones,
//! than its node allows. Both ends count them alike, and agree on what is in them.
//!
//! Both sides may open a channel at the same moment, and so with the same index. If both mean the same class, that is
//! one channel with a deposit of each side: both ends reach the same state without another message. If they mean
//! different classes, each end has its own channel under that index, and closes it: it has never been used, and never
//! will be. A prototype refuses the second deposit whatever its class, and continues.

use super::channel::change;
use super::link::transmit;
use super::{Channel, ChannelMessage, ChannelState, Funds, Link, Message, PaymentLimits, new_channel};
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
        self.expect_accepted(class)?;
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
        Ok(())
    }

    /// Both sides open the same classes, so both can take part if they open the same channel at the same moment.
    fn expect_accepted(&self, class: &str) -> Result<(), Rejection> {
        if self.accepts.contains(class) {
            return Ok(());
        }
        let accepted: Vec<_> = self.accepts.iter().map(String::as_str).collect();
        let accepted = if accepted.is_empty() { "none".into() } else { accepted.join(" or ") };
        let found: String = class.chars().take(64).collect();
        Err(Rejection::new(format!("expected a class of channel that this link accepts, {accepted}, found {found:?}")))
    }

    fn next_index(&self, cx: &Cx<'_>) -> Result<u32, Rejection> {
        PaymentLimits::expect_fewer(self.channels.len(), cx.node().limits.channels, "channels on a link")?;
        u32::try_from(self.channels.len()).map_err(|_| Rejection::new("a link can't have so many channels"))
    }
}

/// Requests of the neighbour.
impl Link {
    pub(super) fn remote_deposit(&mut self, index: u32, class: &str, cx: &Cx<'_>) -> Result<(), Rejection> {
        self.expect_accepted(class)?;
        let known = self.channel(index).ok();
        if let Some(ours) = known.filter(|channel| !channel.is(ChannelState::Opening) && channel.expects_deposit()) {
            // Both sides have opened it before either message arrived.
            if ours.class_name() != class && ours.is(ChannelState::Open) {
                change(ours.as_mut(), Funds::close)?;
            }
            return Ok(());
        }
        let next = self.next_index(cx)?;
        if index != next {
            return Err(Rejection::new(format!("expected a channel with the index {next}, found {index}")));
        }
        self.channels.push(new_channel(class)?);
        Ok(())
    }

    pub(super) fn channel_message(
        &mut self,
        index: u32,
        message: &dyn ChannelMessage,
        cx: &mut Cx<'_>,
    ) -> Result<(), Rejection> {
        let channel = self.channel(index)?;
        let before = channel.funds().total();
        let answer = channel.receive(message)?;
        if channel.funds().total() > before {
            expect_bounded(channel.as_ref(), cx)?;
        }
        if let Some(message) = answer {
            transmit(cx, Message::ChannelMessage { channel_index: index, message });
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
