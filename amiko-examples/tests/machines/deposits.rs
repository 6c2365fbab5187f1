//! Links: channels that are opened and closed, by the user and by the neighbour.

use crate::machine::{Machine, NOTHING, hub, link};
use crate::messages::{channel, deposit, make_route, make_route_with};
use amiko_core::prelude::*;
use amiko_examples::payment::{
    Channel, Link, LinkMessage, PaymentNode, PaymentNodeMessage, PlainChannel, PlainDeposit, PlainWithdraw,
};

fn a() -> Id<Link> {
    Id::new("a")
}

#[test]
fn a_deposit_opens_the_next_channel_and_tells_the_neighbour() {
    let mut hub = hub(&["a"], &[]);
    assert_eq!(
        hub.asks(PaymentNodeMessage::Deposit { link: Id::new("a"), class: "PlainChannel".into(), amount: 500 }),
        [
            "to a: Deposit{channelIndex:1,channelClass:PlainChannel}",
            "to a: ChannelMessage{channelIndex:1,message:PlainChannel_Deposit{amount:500}}",
            "channel a1: open 500/0"
        ]
    );
}

#[test]
fn a_neighbours_deposit_opens_a_channel_in_two_steps() {
    let mut hub = hub(&["a"], &[]);
    assert_eq!(hub.hears("a", deposit(1, "PlainChannel")), ["channel a1: opening 0/0"]);
    assert_eq!(
        hub.hears("a", make_route_with(1, None, None, 1, true)),
        ["rejected: expected a channel that is open, found it opening"]
    );
    assert_eq!(
        hub.tells(&a(), LinkMessage::Withdraw { channel_index: 1 }),
        ["rejected: expected a channel that is open, found it opening"]
    );
    assert_eq!(
        hub.hears("a", channel(1, PlainWithdraw {})),
        ["rejected: expected a channel that is open, found it opening"]
    );
    assert_eq!(hub.hears("a", channel(1, PlainDeposit { amount: 500 })), ["channel a1: open 0/500"]);
    assert_eq!(
        hub.hears("a", channel(1, PlainDeposit { amount: 500 })),
        ["rejected: expected the neighbour's first deposit in this channel, found another"]
    );
}

#[test]
fn a_neighbours_deposit_with_another_index_or_of_an_unknown_class_is_refused() {
    let mut hub = hub(&["a"], &[]);
    assert_eq!(hub.hears("a", deposit(0, "PlainChannel")), ["rejected: expected a channel with the index 1, found 0"]);
    assert_eq!(hub.hears("a", deposit(2, "PlainChannel")), ["rejected: expected a channel with the index 1, found 2"]);
    assert_eq!(
        hub.hears("a", deposit(u32::MAX, "PlainChannel")),
        ["rejected: expected a channel with the index 1, found 4294967295"]
    );
    assert_eq!(
        hub.hears("a", deposit(1, "MultiSigChannel")),
        [r#"rejected: expected a class of channel that this link accepts, PlainChannel, found "MultiSigChannel""#]
    );
    assert_eq!(
        hub.hears("a", channel(1, PlainDeposit { amount: 1 })),
        ["rejected: expected one of the 1 channels, found index 1"]
    );
}

#[test]
fn a_link_has_64_channels_at_the_most() {
    let one: Box<dyn Channel> = Box::new(PlainChannel::open(1, 1));
    let channels = vec![one; 64];
    let full = Link { channels, ..link() };
    let links = [(Id::new("a"), full)].into_iter().collect();
    let mut hub = Machine::new(PaymentNode { links, ..PaymentNode::default() });
    assert_eq!(
        hub.hears("a", deposit(64, "PlainChannel")),
        ["rejected: expected at most 64 channels on a link, found more"]
    );
    assert_eq!(
        hub.asks(PaymentNodeMessage::Deposit { link: Id::new("a"), class: "PlainChannel".into(), amount: 500 }),
        ["rejected: expected at most 64 channels on a link, found more"]
    );
}

#[test]
fn an_idle_channel_that_is_withdrawn_is_closed_at_once_and_takes_no_routes() {
    let mut hub = hub(&["a"], &[]);
    assert_eq!(
        hub.tells(&a(), LinkMessage::Withdraw { channel_index: 0 }),
        ["to a: ChannelMessage{channelIndex:0,message:PlainChannel_Withdraw{}}", "channel a0: closed 1000/1000"]
    );
    // The answer.
    assert_eq!(hub.hears("a", channel(0, PlainWithdraw {})), NOTHING);
    assert_eq!(
        hub.tells(&a(), LinkMessage::Withdraw { channel_index: 0 }),
        ["rejected: expected a channel that is open, found it closed"]
    );
    assert_eq!(
        hub.tells(&a(), LinkMessage::Withdraw { channel_index: 1 }),
        ["rejected: expected one of the 1 channels, found index 1"]
    );
    // A neighbour that hadn't heard of it yet needn't wait for its time-out.
    assert_eq!(hub.hears("a", make_route(true)), ["to a: HaveNoRoute{transactionID:T,isPayerSide:true}"]);
    assert_eq!(
        hub.hears("a", channel(0, PlainDeposit { amount: 1 })),
        ["rejected: expected the neighbour's first deposit in this channel, found another"]
    );
}

#[test]
fn a_neighbours_withdrawal_is_answered() {
    let mut hub = hub(&["a"], &[]);
    assert_eq!(
        hub.hears("a", channel(0, PlainWithdraw {})),
        ["to a: ChannelMessage{channelIndex:0,message:PlainChannel_Withdraw{}}", "channel a0: closed 1000/1000"]
    );
    assert_eq!(hub.hears("a", channel(0, PlainWithdraw {})), NOTHING);
}

#[test]
fn a_user_withdraws_a_channel_of_a_link() {
    let mut hub = hub(&["a"], &[]);
    let withdraw = |link: &str, channel| PaymentNodeMessage::Withdraw { link: Id::new(link), channel };
    assert_eq!(hub.asks(withdraw("b", 0)), [r#"rejected: expected a link, found none named "b": there are a"#]);
    assert_eq!(hub.asks(withdraw("a", 1)), ["rejected: expected one of the 1 channels, found index 1"]);
    assert_eq!(
        hub.asks(withdraw("a", 0)),
        ["to a: ChannelMessage{channelIndex:0,message:PlainChannel_Withdraw{}}", "channel a0: closed 1000/1000"]
    );
}
