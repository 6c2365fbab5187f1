//! Links: channels that are opened and closed, by the user and by the neighbour.

use crate::machine::{Machine, NOTHING, hub, link};
use crate::messages::{channel, deposit, have_no_route, lock_with, make_route, make_route_with};
use amiko_core::prelude::*;
use amiko_examples::payment::{
    Channel, ChannelState, Funds, IouChannel, IouCredit, IouWithdraw, Link, LinkMessage, PaymentLimits, PaymentNode,
    PaymentNodeMessage, PlainChannel, PlainDeposit, PlainWithdraw,
};

fn a() -> Id<Link> {
    Id::new("a")
}

/// What is said of a channel with another index than the next.
fn elsewhere(expected: u32, found: u32) -> String {
    format!(
        "rejected: expected a channel with the index {expected}, found {found}: if both ends count channels differently, \
         remove the link at both, and add it again"
    )
}

/// A channel that was refused because of its class.
fn refused(index: u32, accepted: &str, found: &str) -> [String; 1] {
    let reason = format!("expected a class of channel that this link accepts, {accepted}, found {found:?}");
    [format!("channel a{index}: closed 0/0 (refused: {reason})")]
}

/// Channel 1, which both sides have opened as different ones.
fn crossed(amounts: &str, ours: &str, theirs: &str) -> String {
    let reason = format!("both sides have opened it at the same moment, as a {ours} here and as {theirs:?} there");
    format!("channel a1: closed {amounts} (refused: {reason})")
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
    assert_eq!(hub.hears("a", deposit(0, "PlainChannel")), [elsewhere(1, 0)]);
    assert_eq!(hub.hears("a", deposit(2, "PlainChannel")), [elsewhere(1, 2)]);
    assert_eq!(hub.hears("a", deposit(u32::MAX, "PlainChannel")), [elsewhere(1, u32::MAX)]);
    assert_eq!(hub.hears("a", deposit(1, "MultiSigChannel")), refused(1, "PlainChannel", "MultiSigChannel"));
    let reason = r#"expected a class of channel that this link accepts, PlainChannel, found "MultiSigChannel""#;
    for message in [channel(1, PlainDeposit { amount: 1 }), channel(1, PlainWithdraw {})] {
        assert_eq!(hub.hears("a", message), [format!("rejected: this channel was refused: {reason}")]);
    }
    assert_eq!(
        hub.asks(PaymentNodeMessage::Withdraw { link: a(), channel: 1 }),
        [format!("rejected: this channel was refused: {reason}")]
    );
    assert_eq!(
        hub.hears("a", channel(2, PlainDeposit { amount: 1 })),
        ["rejected: expected one of the 2 channels, found index 2"]
    );
}

#[test]
fn a_channel_that_is_refused_uses_up_its_index_so_that_both_ends_count_alike() {
    let mut hub = hub(&["a"], &[]);
    hub.hears("a", deposit(1, "IouChannel"));
    // A neighbour that doesn't know of that is told at once that no payment goes over it, and keeps what it locks there.
    assert_eq!(
        hub.hears("a", make_route_with(1, None, None, 1, true)),
        ["to a: HaveNoRoute{transactionID:T,isPayerSide:true}"]
    );
    assert_eq!(hub.hears("a", lock_with(true, 1, 1)), ["to a: SettleRollback{transactionID:T,isPayerSide:true}"]);
    // The next channel of each side has the next index.
    assert_eq!(hub.hears("a", deposit(2, "PlainChannel")), ["channel a2: opening 0/0"]);
    assert_eq!(hub.asks(opens("PlainChannel", 5))[0], "to a: Deposit{channelIndex:3,channelClass:PlainChannel}");
    // What was refused is so still when the class is accepted, and after a restart.
    hub.asks(accepts(&["IouChannel", "PlainChannel"]));
    let mut hub = hub.restarted();
    assert_eq!(hub.hears("a", deposit(1, "IouChannel")), [elsewhere(4, 1)]);
    assert!(hub.hears("a", channel(1, IouCredit { limit: 5 }))[0].starts_with("rejected: this channel was refused"));
    // Each uses up one of those that the link may have.
    for index in 4..64 {
        assert_eq!(hub.hears("a", deposit(index, "MultiSigChannel")).len(), 1);
    }
    let full = ["rejected: expected at most 64 channels on a link, found more"];
    assert_eq!(hub.hears("a", deposit(64, "MultiSigChannel")), full);
}

#[test]
fn a_class_that_is_not_accepted_crosses_with_ours_and_both_ends_count_alike() {
    let mut hub = hub(&["a"], &[]);
    hub.asks(opens("PlainChannel", 500));
    assert_eq!(hub.hears("a", deposit(1, "MultiSigChannel")), [crossed("500/0", "PlainChannel", "MultiSigChannel")]);
    assert_eq!(hub.hears("a", deposit(2, "PlainChannel")), ["channel a2: opening 0/0"]);
}

#[test]
fn a_channel_that_crosses_with_another_class_while_a_payment_uses_it_closes_behind_that_payment() {
    let links = [("a", Link { channels: Vec::new(), ..link() }), ("b", link())];
    let links = links.into_iter().map(|(name, link)| (Id::new(name), link)).collect();
    let mut hub = Machine::new(PaymentNode { links, ..PaymentNode::default() });
    hub.asks(opens("PlainChannel", 500));
    hub.hears("b", make_route(true));
    let refused = "(refused: both sides have opened it at the same moment, as a PlainChannel here and as \"X\" there)";
    assert_eq!(hub.hears("a", deposit(0, "X")), [format!("channel a0: closing 377/0 {refused}")]);
    let seen = hub.hears("a", have_no_route(true));
    assert!(seen.contains(&format!("channel a0: closed 500/0 {refused}")), "{seen:?}");
}

#[test]
fn a_neighbour_that_owes_us_something_cannot_take_the_channel_for_one_that_never_came_about() {
    let funds = Funds {
        state: Phase::at(ChannelState::Open).unwrap(),
        amount_local: 200,
        amount_remote: 300,
        ..Funds::default()
    };
    let owed = IouChannel { limit_remote: 500, funds, ..IouChannel::default() };
    let a = Link { channels: vec![Box::new(owed)], ..link() };
    let links = [(Id::new("a"), a)].into_iter().collect();
    let mut hub = Machine::new(PaymentNode { links, ..PaymentNode::default() });
    let kept = [elsewhere(1, 0)];
    assert_eq!(hub.hears("a", deposit(0, "X")), kept);
    hub.asks(PaymentNodeMessage::Withdraw { link: self::a(), channel: 0 });
    assert_eq!(hub.hears("a", deposit(0, "X")), kept);
    let remark = hub.engine.node().links.get(&self::a()).unwrap().channels[0].remark();
    assert!(remark.starts_with("they owe 200"), "{remark}");
}

#[test]
fn a_command_that_is_advised_takes_any_name_of_a_link() {
    let mut hub = hub(&["a b"], &[]);
    let told = "`amiko-node link accept 'a b' IouChannel PlainChannel` accepts it, too";
    let seen = hub.hears("a b", deposit(1, "IouChannel"));
    assert!(seen[0].contains(told), "{seen:?}");
}

#[test]
fn nobody_opens_a_channel_of_the_class_of_those_that_were_refused() {
    let mut hub = hub(&["a"], &[]);
    let unknown = r#"rejected: expected the class IOUChannel or IouChannel or PlainChannel, found "RefusedChannel""#;
    assert_eq!(hub.asks(accepts(&["RefusedChannel"])), [unknown]);
    assert_eq!(hub.hears("a", deposit(1, "RefusedChannel")), refused(1, "PlainChannel", "RefusedChannel"));
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
    assert_eq!(hub.asks(withdraw("b", 0)), [r#"rejected: expected a link, found none named "b": there is a"#]);
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
    let of = |link: &str| {
        format!(
            "expected a class of channel that this link accepts, PlainChannel, found \"IouChannel\"; \
             `amiko-node link accept {link} IouChannel PlainChannel` accepts it, too"
        )
    };
    let closed = |link: &str| [format!("channel {link}1: closed 0/0 (refused: {})", of(link))];
    assert_eq!(hub.hears("a", deposit(1, "IouChannel")), closed("a"));
    assert_eq!(hub.asks(opens("IouChannel", 500)), [format!("rejected: {}", of("a"))]);
    hub.asks(accepts(&["IouChannel"]));
    assert_eq!(hub.hears("a", deposit(2, "IouChannel")), ["channel a2: opening 0/0 of 0/0"]);
    let told = "`amiko-node link accept a IouChannel PlainChannel` accepts it, too";
    let seen = hub.hears("a", deposit(3, "PlainChannel"));
    assert!(seen[0].contains("accepts, IouChannel, found \"PlainChannel\"") && seen[0].contains(told), "{seen:?}");
    // Each link has its own, and what is there stays.
    assert_eq!(hub.hears("b", deposit(1, "IouChannel")), closed("b"));
    assert_eq!(hub.engine.node().links.get(&a()).unwrap().channels[0].local(), 1000);
    hub.asks(accepts(&[]));
    let seen = hub.hears("a", deposit(4, "IouChannel"));
    assert!(seen[0].contains("accepts, none, found") && seen[0].contains("`amiko-node link accept a IouChannel`"));
}

#[test]
fn a_class_that_there_is_not_cannot_be_accepted() {
    let mut hub = hub(&["a"], &[]);
    assert_eq!(
        hub.asks(accepts(&["PlainChannel", "MultiSigChannel"])),
        [r#"rejected: expected the class IOUChannel or IouChannel or PlainChannel, found "MultiSigChannel""#]
    );
    let elsewhere = PaymentNodeMessage::Accept { link: Id::new("b"), classes: std::collections::BTreeSet::new() };
    assert_eq!(hub.asks(elsewhere), [r#"rejected: expected a link, found none named "b": there is a"#]);
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
    assert_eq!(hub.hears("a", deposit(1, "PlainChannel")), [elsewhere(3, 1)]);
    assert_eq!(hub.hears("a", deposit(3, "PlainChannel")), ["channel a3: opening 0/0"]);
    assert_eq!(hub.hears("a", deposit(3, "PlainChannel")), [elsewhere(4, 3)]);
    // One that was withdrawn meanwhile is the same at both ends all the same.
    hub.asks(PaymentNodeMessage::Withdraw { link: Id::new("a"), channel: 2 });
    assert_eq!(hub.hears("a", deposit(2, "PlainChannel")), NOTHING);
    assert_eq!(hub.hears("a", channel(2, PlainDeposit { amount: 1 })), ["channel a2: closed 20/1"]);
}

#[test]
fn deposits_of_two_classes_at_the_same_moment_cancel_each_other() {
    let mut hub = lender();
    hub.asks(opens("PlainChannel", 500));
    assert_eq!(hub.hears("a", deposit(1, "IouChannel")), [crossed("500/0", "PlainChannel", "IouChannel")]);
    for message in [channel(1, IouCredit { limit: 9 }), channel(1, PlainDeposit { amount: 9 })] {
        let seen = hub.hears("a", message);
        assert!(seen.len() == 1 && seen[0].starts_with("rejected: this channel was refused: both sides"), "{seen:?}");
    }
    assert_eq!(hub.hears("a", deposit(1, "IouChannel")), [elsewhere(2, 1)]);
    // Both sides go on with the same index.
    assert_eq!(hub.hears("a", deposit(2, "IouChannel")), ["channel a2: opening 0/0 of 0/0"]);
}

#[test]
fn a_channel_that_holds_more_than_a_lower_limit_allows_is_withdrawn_by_the_neighbour_all_the_same() {
    let mut hub = hub(&["a"], &[]);
    hub.asks(PaymentNodeMessage::Configure {
        address: None,
        key: None,
        payout_address: None,
        external_meeting_points: Vec::new(),
        timeout_increment: 1,
        limits: PaymentLimits::default().with("amount", 10).unwrap(),
    });
    assert_eq!(hub.hears("a", channel(0, PlainWithdraw {}))[1], "channel a0: closed 1000/1000");
}
