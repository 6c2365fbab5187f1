//! Links: channels that are opened and closed, by the user and by the neighbour.

use crate::machine::{Machine, NOTHING, hub, link};
use crate::messages::{channel, deposit, make_route, make_route_with};
use amiko_core::prelude::*;
use amiko_examples::payment::{
    Channel, IouCredit, IouWithdraw, Link, LinkMessage, PaymentLimits, PaymentNode, PaymentNodeMessage, PlainChannel,
    PlainDeposit, PlainWithdraw,
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
fn links_do_not_accept_any_number_of_channels_but_64() {
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

fn opens(class: &str, amount: u64) -> PaymentNodeMessage {
    PaymentNodeMessage::Deposit { link: Id::new("a"), class: class.into(), amount }
}

fn accepts(classes: &[&str]) -> PaymentNodeMessage {
    let classes = classes.iter().map(|class| (*class).to_owned()).collect();
    PaymentNodeMessage::Accept { link: Id::new("a"), classes }
}

/// A hub whose link `a` has debts as well.
fn lender() -> Machine {
    let mut hub = hub(&["a"], &[]);
    assert_eq!(
        hub.asks(accepts(&["PlainChannel", "IouChannel"])),
        ["link a: to hub at None, accepts IouChannel PlainChannel"]
    );
    hub
}

#[test]
fn links_do_not_accept_any_class_of_channel_but_those_that_their_user_has_named() {
    let mut hub = hub(&["a", "b"], &[]);
    let refused = ["rejected: expected a class of channel that this link accepts, PlainChannel, found \"IouChannel\""];
    assert_eq!(hub.hears("a", deposit(1, "IouChannel")), refused);
    assert_eq!(hub.asks(opens("IouChannel", 500)), refused);
    hub.asks(accepts(&["IouChannel"]));
    assert_eq!(hub.hears("a", deposit(1, "IouChannel")), ["channel a1: opening 0/0 of 0/0"]);
    assert_eq!(
        hub.hears("a", deposit(2, "PlainChannel")),
        ["rejected: expected a class of channel that this link accepts, IouChannel, found \"PlainChannel\""]
    );
    // Each link has its own, and what is there stays.
    assert_eq!(hub.hears("b", deposit(1, "IouChannel")), refused);
    assert_eq!(hub.engine.node().links.get(&a()).unwrap().channels[0].local(), 1000);
    hub.asks(accepts(&[]));
    assert_eq!(
        hub.hears("a", deposit(2, "IouChannel")),
        ["rejected: expected a class of channel that this link accepts, none, found \"IouChannel\""]
    );
}

#[test]
fn a_class_that_there_is_not_cannot_be_accepted() {
    let mut hub = hub(&["a"], &[]);
    assert_eq!(
        hub.asks(accepts(&["PlainChannel", "MultiSigChannel"])),
        [r#"rejected: expected the class IouChannel or PlainChannel, found "MultiSigChannel""#]
    );
    let elsewhere = PaymentNodeMessage::Accept { link: Id::new("b"), classes: std::collections::BTreeSet::new() };
    assert_eq!(hub.asks(elsewhere), [r#"rejected: expected a link, found none named "b": there are a"#]);
}

#[test]
fn a_deposit_of_debts_lets_the_neighbour_owe_us_and_pay() {
    let mut hub = lender();
    assert_eq!(
        hub.asks(opens("IouChannel", 500)),
        [
            "to a: Deposit{channelIndex:1,channelClass:IouChannel}",
            "to a: ChannelMessage{channelIndex:1,message:IouChannel_Credit{limit:500}}",
            "channel a1: open 0/500 of 0/500"
        ]
    );
    let asked = |amount| make_route_with(amount, None, None, 1, true);
    let refused = hub.hears("a", asked(501));
    assert_eq!(refused, ["rejected: insufficient funds: expected at least 501, found 500"]);
    assert_eq!(hub.hears("a", asked(500)), ["to a: HaveNoRoute{transactionID:T,isPayerSide:true}"]);
}

#[test]
fn a_neighbour_cannot_raise_what_it_may_owe_us() {
    let mut hub = lender();
    hub.asks(opens("IouChannel", 500));
    // It gives us credit in the same channel, which is its own affair, once.
    assert_eq!(hub.hears("a", channel(1, IouCredit { limit: 7 })), ["channel a1: open 7/500 of 7/500"]);
    for message in [channel(1, IouCredit { limit: 1_000_000 }), channel(1, PlainDeposit { amount: 1_000_000 })] {
        let seen = hub.hears("a", message);
        assert!(seen.len() == 1 && seen[0].starts_with("rejected: "), "{seen:?}");
    }
    // A channel that it opens makes us debtors, and it a creditor.
    hub.hears("a", deposit(2, "IouChannel"));
    assert_eq!(hub.hears("a", channel(2, IouCredit { limit: 900 })), ["channel a2: open 900/0 of 900/0"]);
    let refused = ["rejected: insufficient funds: expected at least 1, found 0"];
    assert_eq!(hub.hears("a", make_route_with(1, None, None, 2, true)), refused);
}

#[test]
fn a_channel_of_debts_is_withdrawn_as_any_other() {
    let mut hub = lender();
    hub.asks(opens("IouChannel", 500));
    assert_eq!(
        hub.asks(PaymentNodeMessage::Withdraw { link: Id::new("a"), channel: 1 }),
        ["to a: ChannelMessage{channelIndex:1,message:IouChannel_Withdraw{}}", "channel a1: closed 0/500 of 0/500"]
    );
    assert_eq!(hub.hears("a", channel(1, IouWithdraw {})), NOTHING);
}

#[test]
fn deposits_of_both_sides_at_the_same_moment_make_one_channel() {
    let mut hub = hub(&["a"], &[]);
    hub.asks(opens("PlainChannel", 500));
    hub.asks(opens("PlainChannel", 20));
    // The neighbour has said this before it heard of ours.
    assert_eq!(hub.hears("a", deposit(1, "PlainChannel")), NOTHING);
    assert_eq!(hub.hears("a", channel(1, PlainDeposit { amount: 300 })), ["channel a1: open 500/300"]);
    // It happens once, and the next one has the next index.
    assert_eq!(hub.hears("a", deposit(1, "PlainChannel")), ["rejected: expected a channel with the index 3, found 1"]);
    assert_eq!(hub.hears("a", deposit(3, "PlainChannel")), ["channel a3: opening 0/0"]);
    assert_eq!(hub.hears("a", deposit(3, "PlainChannel")), ["rejected: expected a channel with the index 4, found 3"]);
    // One that was withdrawn meanwhile is the same at both ends all the same.
    hub.asks(PaymentNodeMessage::Withdraw { link: Id::new("a"), channel: 2 });
    assert_eq!(hub.hears("a", deposit(2, "PlainChannel")), NOTHING);
    assert_eq!(hub.hears("a", channel(2, PlainDeposit { amount: 1 })), ["channel a2: closed 20/1"]);
}

#[test]
fn deposits_of_two_classes_at_the_same_moment_cancel_each_other() {
    let mut hub = lender();
    hub.asks(opens("PlainChannel", 500));
    assert_eq!(hub.hears("a", deposit(1, "IouChannel")), ["channel a1: closed 500/0"]);
    assert_eq!(
        hub.hears("a", channel(1, IouCredit { limit: 9 })),
        ["rejected: expected a message of a PlainChannel, found IouChannel_Credit"]
    );
    assert_eq!(hub.hears("a", deposit(1, "IouChannel")), NOTHING);
    // Both sides go on with the same index.
    assert_eq!(hub.hears("a", deposit(2, "IouChannel")), ["channel a2: opening 0/0 of 0/0"]);
}

#[test]
fn a_channel_that_holds_more_than_a_lower_limit_allows_is_withdrawn_by_the_neighbour_all_the_same() {
    let mut hub = hub(&["a"], &[]);
    hub.asks(PaymentNodeMessage::Configure {
        address: None,
        key: None,
        external_meeting_points: Vec::new(),
        timeout_increment: 1,
        limits: PaymentLimits::default().with("amount", 10).unwrap(),
    });
    assert_eq!(hub.hears("a", channel(0, PlainWithdraw {}))[1], "channel a0: closed 1000/1000");
}
