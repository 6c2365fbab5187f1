//! The messages of nodes, with the values that most tests use: transaction `T`, 123 on channel 0, to meet at `Here`.

use crate::machine::{BEGIN, token};
use amiko_core::prelude::*;
use amiko_examples::payment::{ChannelMessage, Message, Network, Token};

pub(crate) const AMOUNT: u64 = 123;

/// The same message, with transaction `T` as it is called on a network.
pub(crate) fn on(network: Network, message: &Message) -> Message {
    let hash = |network| to_json(&token().transaction(network)).unwrap();
    from_json(&to_json(message).unwrap().replace(&hash(Network::Amiko), &hash(network))).unwrap()
}

pub(crate) fn make_route(is_payer_side: bool) -> Message {
    let time = (!is_payer_side).then_some(BEGIN);
    make_route_with(AMOUNT, time, time, 0, is_payer_side)
}

pub(crate) fn make_route_with(
    amount: u64,
    start_time: Option<u64>,
    end_time: Option<u64>,
    channel_index: u32,
    is_payer_side: bool,
) -> Message {
    Message::MakeRoute {
        amount,
        transaction_id: token().transaction(Network::Amiko),
        start_time,
        end_time,
        meeting_point_id: Id::new("Here"),
        channel_index,
        is_payer_side,
    }
}

pub(crate) fn have_route(is_payer_side: bool, end: u64) -> Message {
    let transaction_id = Some(token().transaction(Network::Amiko));
    Message::HaveRoute { transaction_id, is_payer_side, start_time: Some(BEGIN), end_time: Some(BEGIN + end) }
}

pub(crate) fn have_no_route(is_payer_side: bool) -> Message {
    Message::HaveNoRoute { transaction_id: token().transaction(Network::Amiko), is_payer_side }
}

pub(crate) fn cancel_route(is_payer_side: bool) -> Message {
    Message::CancelRoute { transaction_id: token().transaction(Network::Amiko), is_payer_side }
}

pub(crate) fn lock(is_payer_side: bool) -> Message {
    lock_with(is_payer_side, AMOUNT, 0)
}

pub(crate) fn lock_with(is_payer_side: bool, amount: u64, channel_index: u32) -> Message {
    let transaction_id = token().transaction(Network::Amiko);
    Message::Lock { transaction_id, is_payer_side, amount, start_time: None, end_time: None, channel_index }
}

pub(crate) fn request_commit(is_payer_side: bool) -> Message {
    Message::RequestCommit { token: token(), is_payer_side }
}

pub(crate) fn settle_commit(is_payer_side: bool) -> Message {
    settle_commit_with(token(), Some(is_payer_side))
}

pub(crate) fn settle_commit_with(token: Token, is_payer_side: Option<bool>) -> Message {
    Message::SettleCommit { token, is_payer_side }
}

pub(crate) fn settle_rollback(is_payer_side: bool) -> Message {
    Message::SettleRollback { transaction_id: token().transaction(Network::Amiko), is_payer_side }
}

pub(crate) fn deposit(channel_index: u32, class: &str) -> Message {
    Message::Deposit { channel_index, channel_class: class.into() }
}

pub(crate) fn channel(channel_index: u32, message: impl ChannelMessage) -> Message {
    Message::ChannelMessage { channel_index, message: Box::new(message) }
}
