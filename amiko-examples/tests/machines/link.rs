//! Links: the routes on them, as the neighbour and the node's transactions speak of them.

use crate::machine::{BEGIN, Machine, NOTHING, hub, link, other_token, token, transaction};
use crate::messages::{
    AMOUNT, cancel_route, channel, have_no_route, have_route, lock, lock_with, make_route, make_route_with,
    request_commit, settle_commit, settle_commit_with, settle_rollback,
};
use amiko_core::prelude::*;
use amiko_examples::payment::{Channel, Link, LinkMessage, Message, Network, PaymentNode, PlainChannel, PlainWithdraw};

fn a() -> Id<Link> {
    Id::new("a")
}

/// Payer's side, from `a` to `b`, where the half-route stands.
fn reserved() -> Machine {
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(true));
    hub.hears("b", have_route(true, 7));
    hub
}

/// The same where the amount is locked.
fn locked() -> Machine {
    let mut hub = reserved();
    hub.hears("a", lock(true));
    hub
}

#[test]
fn a_channel_that_is_withdrawn_waits_for_its_routes() {
    let mut hub = reserved();
    assert_eq!(
        hub.tells(&a(), LinkMessage::Withdraw { channel_index: 0 }),
        ["to a: ChannelMessage{channelIndex:0,message:PlainChannel_Withdraw{}}", "channel a0: closing 1000/877"]
    );
    assert_eq!(
        hub.hears("b", channel(0, PlainWithdraw {})),
        ["to b: ChannelMessage{channelIndex:0,message:PlainChannel_Withdraw{}}", "channel b0: closing 877/1000"]
    );
    assert_eq!(
        hub.hears("a", lock(true)),
        [
            "to b: Lock{transactionID:T,isPayerSide:true,amount:123,startTime:null,endTime:null,channelIndex:0}",
            "claim a 1T: 123 in locked on 0 +0..+86407, 1T",
            "claim b 1T: 123 out locked on 0 +0..+7, 1T",
            "timer transaction/1T/@phase: gone",
            "timer transaction/1T/commit: +7",
            "transaction 1T: Locked 123 to Here, link a > link b, +0..+7 by +7, 1/b"
        ]
    );
    assert_eq!(
        hub.hears("b", request_commit(true)),
        [
            "to b: SettleCommit{token:TOKEN,isPayerSide:true}",
            "to a: RequestCommit{token:TOKEN,isPayerSide:true}",
            "channel b0: closed 877/1123",
            "claim b 1T: gone",
            "timer transaction/1T/commit: gone",
            "transaction 1T: Requested 123 to Here, link a > link b, +0..+7 by +7, 1/b"
        ]
    );
    assert_eq!(
        hub.hears("a", settle_commit(true)),
        ["channel a0: closed 1123/877", "claim a 1T: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
}

#[test]
fn a_route_on_the_payers_side_is_reserved_and_forwarded_without_times() {
    let mut hub = hub(&["a", "b"], &[]);
    assert_eq!(
        hub.hears("a", make_route(true)),
        [
            "to b: MakeRoute{amount:123,transactionID:T,startTime:null,endTime:null,meetingPointID:Here,channelIndex:0,isPayerSide:true}",
            "channel a0: open 1000/877",
            "channel b0: open 877/1000",
            "claim a 1T: 123 in reserved on 0 ?..?, 1T",
            "claim b 1T: 123 out reserved on 0 ?..?, 1T",
            "timer transaction/1T/@phase: +5",
            "transaction 1T: Searching 123 to Here, link a > link b, ?..? by ?, 1/b"
        ]
    );
}

#[test]
fn a_route_on_the_payees_side_is_reserved_and_forwarded_with_a_day_more() {
    let mut hub = hub(&["a", "b"], &[]);
    assert_eq!(
        hub.hears("a", make_route(false)),
        [
            "to b: MakeRoute{amount:123,transactionID:T,startTime:+0,endTime:+86400,meetingPointID:Here,channelIndex:0,isPayerSide:false}",
            "channel a0: open 877/1000",
            "channel b0: open 1000/877",
            "claim a 0T: 123 out reserved on 0 +0..+0, 0T",
            "claim b 0T: 123 in reserved on 0 +0..+86400, 0T",
            "timer transaction/0T/@phase: +5",
            "transaction 0T: Searching 123 to Here, link a > link b, +0..+86400 by ?, 1/b"
        ]
    );
}

#[test]
fn a_route_that_breaks_a_rule_is_refused() {
    let mut hub = hub(&["a", "b"], &[]);
    let begin = Some(BEGIN);
    assert_eq!(
        hub.hears("a", make_route_with(AMOUNT, begin, begin, 0, true)),
        ["rejected: expected times on the payee's side and none on the payer's"]
    );
    assert_eq!(
        hub.hears("a", make_route_with(AMOUNT, None, begin, 0, true)),
        ["rejected: expected times on the payee's side and none on the payer's"]
    );
    assert_eq!(
        hub.hears("a", make_route_with(AMOUNT, None, None, 0, false)),
        ["rejected: expected times on the payee's side and none on the payer's"]
    );
    assert_eq!(
        hub.hears("a", make_route_with(AMOUNT, begin, None, 0, false)),
        ["rejected: expected times on the payee's side and none on the payer's"]
    );
    assert_eq!(
        hub.hears("a", make_route_with(AMOUNT, None, None, 1, true)),
        ["rejected: expected one of the 1 channels, found index 1"]
    );
    assert_eq!(
        hub.hears("a", make_route_with(1001, None, None, 0, true)),
        ["rejected: insufficient funds: expected at least 1001, found 1000"]
    );
    assert_eq!(
        hub.hears("a", make_route_with(1001, begin, begin, 0, false)),
        ["rejected: insufficient funds: expected at least 1001, found 1000"]
    );
    assert_eq!(
        hub.hears("a", make_route_with(AMOUNT, begin, Some(u64::MAX), 0, false)),
        ["rejected: expected a lock that ends within 5184000 seconds, found one that ends at 18446744073709551615"]
    );
}

#[test]
fn a_route_uses_a_link_once() {
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(true));
    assert_eq!(
        hub.hears("a", make_route(true)),
        ["rejected: expected a new route, found one that uses this link already"]
    );
    // A route of its own: the other half.
    assert_eq!(
        hub.hears("a", make_route(false)),
        [
            "to b: MakeRoute{amount:123,transactionID:T,startTime:+0,endTime:+86400,meetingPointID:Here,channelIndex:0,isPayerSide:false}",
            "channel a0: open 877/877",
            "channel b0: open 877/877",
            "claim a 0T: 123 out reserved on 0 +0..+0, 0T",
            "claim b 0T: 123 in reserved on 0 +0..+86400, 0T",
            "timer transaction/0T/@phase: +5",
            "transaction 0T: Searching 123 to Here, link a > link b, +0..+86400 by ?, 1/b"
        ]
    );
}

#[test]
fn a_route_takes_the_first_channel_that_can_carry_it() {
    let channels: Vec<Box<dyn Channel>> =
        vec![Box::new(PlainChannel::open(10, 2000)), Box::new(PlainChannel::open(1000, 0))];
    let links = [(Id::new("a"), link()), (Id::new("b"), Link { channels, ..link() })].into_iter().collect();
    let mut hub = Machine::new(PaymentNode { links, ..PaymentNode::default() });
    assert_eq!(
        hub.hears("a", make_route(true)),
        [
            "to b: MakeRoute{amount:123,transactionID:T,startTime:null,endTime:null,meetingPointID:Here,channelIndex:1,isPayerSide:true}",
            "channel a0: open 1000/877",
            "channel b1: open 877/0",
            "claim a 1T: 123 in reserved on 0 ?..?, 1T",
            "claim b 1T: 123 out reserved on 1 ?..?, 1T",
            "timer transaction/1T/@phase: +5",
            "transaction 1T: Searching 123 to Here, link a > link b, ?..? by ?, 1/b"
        ]
    );
    assert_eq!(
        hub.hears("a", make_route(false)),
        [
            "to b: MakeRoute{amount:123,transactionID:T,startTime:+0,endTime:+86400,meetingPointID:Here,channelIndex:0,isPayerSide:false}",
            "channel a0: open 877/877",
            "channel b0: open 10/1877",
            "claim a 0T: 123 out reserved on 0 +0..+0, 0T",
            "claim b 0T: 123 in reserved on 0 +0..+86400, 0T",
            "timer transaction/0T/@phase: +5",
            "transaction 0T: Searching 123 to Here, link a > link b, +0..+86400 by ?, 1/b"
        ]
    );
}

#[test]
fn a_link_that_cannot_carry_the_amount_is_passed_over_at_once() {
    let poor = Link { channels: vec![Box::new(PlainChannel::open(122, 5000))], ..link() };
    let none = Link { channels: Vec::new(), ..link() };
    let links = [("a", link()), ("b", poor), ("c", none)];
    let links = links.into_iter().map(|(name, link)| (Id::new(name), link)).collect();
    let mut hub = Machine::new(PaymentNode { links, ..PaymentNode::default() });
    assert_eq!(hub.hears("a", make_route(true)), ["to a: HaveNoRoute{transactionID:T,isPayerSide:true}"]);
    hub.assert_idle();
}

#[test]
fn have_route_on_the_payers_side_goes_back_with_a_day_more() {
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(true));
    assert_eq!(
        hub.hears("b", have_route(true, 7)),
        [
            "to a: HaveRoute{transactionID:T,isPayerSide:true,startTime:+0,endTime:+86407}",
            "claim a 1T: 123 in reserved on 0 +0..+86407, 1T",
            "claim b 1T: 123 out reserved on 0 +0..+7, 1T",
            "transaction 1T: Reserved 123 to Here, link a > link b, +0..+7 by +7, 1/b"
        ]
    );
}

#[test]
fn have_route_on_the_payees_side_goes_back_with_a_day_less() {
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(false));
    assert_eq!(
        hub.hears("b", have_route(false, 86_400)),
        [
            "to a: HaveRoute{transactionID:T,isPayerSide:false,startTime:+0,endTime:+0}",
            "transaction 0T: Reserved 123 to Here, link a > link b, +0..+86400 by +0, 1/b"
        ]
    );
}

#[test]
fn have_route_that_does_not_fit_is_refused() {
    let mut hub = hub(&["a", "b"], &[]);
    assert_eq!(hub.hears("b", have_route(true, 7)), NOTHING);
    hub.hears("a", make_route(true));
    assert_eq!(hub.hears("a", have_route(true, 7)), ["rejected: expected this from the other side of the route"]);
    assert_eq!(
        hub.hears("b", have_route(true, u64::MAX - BEGIN)),
        ["rejected: expected a lock that ends within 5184000 seconds, found one that ends at 18446744073709551615"]
    );
    let transaction_id = Some(token().transaction(Network::Amiko));
    let message = |transaction_id, end_time| Message::HaveRoute {
        transaction_id,
        is_payer_side: true,
        start_time: Some(1),
        end_time,
    };
    assert_eq!(
        hub.hears("b", message(None, Some(1))),
        ["rejected: expected a transaction and its times on a link, found none"]
    );
    assert_eq!(
        hub.hears("b", message(transaction_id, None)),
        ["rejected: expected a transaction and its times on a link, found none"]
    );
    hub.hears("b", have_route(true, 7));
    assert_eq!(
        hub.hears("b", have_route(true, 7)),
        ["rejected: HaveRoute { start_time: +0, end_time: +7 } doesn't fit a transaction that is Reserved"]
    );
    hub.hears("a", lock(true));
    assert_eq!(hub.hears("b", have_route(true, 7)), ["rejected: expected a reservation, found none"]);
}

#[test]
fn a_second_answer_with_other_times_ends_the_route_because_the_first_was_to_an_earlier_attempt() {
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(true));
    hub.hears("b", have_route(true, 7));
    assert_eq!(
        hub.hears("b", have_route(true, 8)),
        [
            "to b: CancelRoute{transactionID:T,isPayerSide:true}",
            "to a: HaveNoRoute{transactionID:T,isPayerSide:true}",
            "channel a0: open 1000/1000",
            "channel b0: open 1000/1000",
            "claim a 1T: gone",
            "claim b 1T: gone",
            "timer transaction/1T/@phase: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
}

#[test]
fn a_lock_of_a_neighbour_that_believes_in_a_route_too_early_is_rolled_back_at_once() {
    let rolled_back = |payer_side| format!("to a: SettleRollback{{transactionID:T,isPayerSide:{payer_side}}}");
    let mut node = hub(&["a", "b"], &[]);
    node.hears("a", make_route(true));
    assert_eq!(
        node.hears("a", lock(true)),
        [
            &rolled_back(true),
            "to b: CancelRoute{transactionID:T,isPayerSide:true}",
            "channel b0: open 1000/1000",
            "claim a 1T: 123 in locked on 0 ?..?, 1T.1",
            "claim b 1T: gone",
            "timer transaction/1T/@phase: gone",
            "transaction 1T.1: RollingBack 123 to , link a > link a, ?..? by ?, 0/",
            "transaction 1T: gone"
        ]
    );
    node.hears("a", settle_rollback(true));
    node.assert_idle();
    // On the payee's side the lock comes from where the route is looked for: another link is tried.
    let mut node = hub(&["c", "a", "b"], &[]);
    node.hears("c", make_route(false));
    let seen = node.hears("a", lock(false));
    assert_eq!(seen[0], rolled_back(false));
    assert!(seen[1].starts_with("to b: MakeRoute"), "{seen:?}");
}

#[test]
fn the_payees_times_may_not_change() {
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(false));
    assert_eq!(
        hub.hears("b", have_route(false, 86_401)),
        ["rejected: expected the times that were agreed on, found others"]
    );
    assert_eq!(
        hub.hears("b", have_route(false, 86_399)),
        ["rejected: expected the times that were agreed on, found others"]
    );
}

#[test]
fn have_no_route_releases_the_reservation_and_goes_back_when_nothing_is_left_to_try() {
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(true));
    assert_eq!(hub.hears("a", have_no_route(true)), ["rejected: expected this from the other side of the route"]);
    assert_eq!(hub.hears("b", have_no_route(false)), NOTHING);
    assert_eq!(
        hub.hears("b", have_no_route(true)),
        [
            "to a: HaveNoRoute{transactionID:T,isPayerSide:true}",
            "channel a0: open 1000/1000",
            "channel b0: open 1000/1000",
            "claim a 1T: gone",
            "claim b 1T: gone",
            "timer transaction/1T/@phase: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
    assert_eq!(hub.hears("b", have_no_route(true)), NOTHING);
}

#[test]
fn have_no_route_after_the_lock_is_passed_over() {
    let mut hub = locked();
    assert_eq!(hub.hears("b", have_no_route(true)), NOTHING);
}

#[test]
fn cancel_route_releases_the_reservations_and_goes_on() {
    let mut hub = hub(&["a", "b"], &[]);
    assert_eq!(hub.hears("a", cancel_route(true)), NOTHING);
    hub.hears("a", make_route(true));
    assert_eq!(hub.hears("b", cancel_route(true)), ["rejected: expected this from the other side of the route"]);
    assert_eq!(
        hub.hears("a", cancel_route(true)),
        [
            "to b: CancelRoute{transactionID:T,isPayerSide:true}",
            "channel a0: open 1000/1000",
            "channel b0: open 1000/1000",
            "claim a 1T: gone",
            "claim b 1T: gone",
            "timer transaction/1T/@phase: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
}

#[test]
fn cancel_route_after_the_lock_is_passed_over() {
    let mut hub = locked();
    assert_eq!(hub.hears("a", cancel_route(true)), NOTHING);
}

#[test]
fn a_lock_makes_both_reservations_locks_until_the_agreed_time() {
    let mut hub = reserved();
    assert_eq!(
        hub.hears("a", lock(true)),
        [
            "to b: Lock{transactionID:T,isPayerSide:true,amount:123,startTime:null,endTime:null,channelIndex:0}",
            "claim a 1T: 123 in locked on 0 +0..+86407, 1T",
            "claim b 1T: 123 out locked on 0 +0..+7, 1T",
            "timer transaction/1T/@phase: gone",
            "timer transaction/1T/commit: +7",
            "transaction 1T: Locked 123 to Here, link a > link b, +0..+7 by +7, 1/b"
        ]
    );
}

#[test]
fn a_lock_on_the_payees_side_travels_the_other_way() {
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(false));
    hub.hears("b", have_route(false, 86_400));
    assert_eq!(hub.hears("a", lock(false)), ["rejected: expected this of a route whose money is incoming"]);
    assert_eq!(
        hub.hears("b", lock(false)),
        [
            "to a: Lock{transactionID:T,isPayerSide:false,amount:123,startTime:null,endTime:null,channelIndex:0}",
            "claim a 0T: 123 out locked on 0 +0..+0, 0T",
            "claim b 0T: 123 in locked on 0 +0..+86400, 0T",
            "timer transaction/0T/@phase: gone",
            "timer transaction/0T/commit: +0",
            "transaction 0T: Locked 123 to Here, link a > link b, +0..+86400 by +0, 1/b"
        ]
    );
}

#[test]
fn a_lock_that_does_not_fit_is_refused() {
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(true));
    hub.hears("b", have_route(true, 7));
    assert_eq!(hub.hears("a", lock_with(true, 122, 0)), ["rejected: expected 123 on channel 0, found 122 on 0"]);
    assert_eq!(hub.hears("a", lock_with(true, 124, 0)), ["rejected: expected 123 on channel 0, found 124 on 0"]);
    assert_eq!(hub.hears("a", lock_with(true, AMOUNT, 1)), ["rejected: expected 123 on channel 0, found 123 on 1"]);
    assert_eq!(hub.hears("b", lock(true)), ["rejected: expected this of a route whose money is incoming"]);
    hub.hears("a", lock(true));
    assert_eq!(hub.hears("a", lock(true)), ["rejected: expected a reservation, found none"]);
}

/// Each side, after the route has timed out and its neighbour has locked all the same.
fn late() -> [(bool, Machine); 2] {
    [true, false].map(|payer_side| {
        let mut hub = hub(&["a"], &[]);
        let id = if payer_side { 1 } else { 0 };
        assert_eq!(
            hub.hears("a", lock(payer_side)),
            [
                format!("to a: SettleRollback{{transactionID:T,isPayerSide:{payer_side}}}"),
                "channel a0: open 1000/877".into(),
                format!("claim a {id}T: 123 in locked on 0 ?..?, {id}T"),
                format!("transaction {id}T: RollingBack 123 to , link a > link a, ?..? by ?, 0/")
            ]
        );
        (payer_side, hub)
    })
}

#[test]
fn a_lock_that_comes_too_late_is_rolled_back_at_once() {
    for (payer_side, mut hub) in late() {
        assert_eq!(hub.hears("a", lock(payer_side)), ["rejected: expected a reservation, found none"]);
        assert_eq!(hub.hears("a", settle_rollback(payer_side))[0], "channel a0: open 1000/1000");
        hub.assert_idle();
    }
}

#[test]
fn a_lock_that_comes_too_late_is_committed_if_the_neighbour_has_learnt_the_token_before_it_hears_of_the_rollback() {
    for (payer_side, mut hub) in late() {
        assert_eq!(hub.hears("a", settle_commit(payer_side))[0], "channel a0: open 1123/877");
        hub.assert_idle();
        assert_eq!(hub.hears("a", settle_rollback(payer_side)), NOTHING);
    }
}

#[test]
fn a_late_lock_on_a_channel_that_is_not_there_is_refused() {
    let mut hub = hub(&["a"], &[]);
    assert_eq!(hub.hears("a", lock_with(true, AMOUNT, 1)), ["rejected: expected one of the 1 channels, found index 1"]);
}

#[test]
fn request_commit_settles_the_link_it_came_from_and_goes_on_to_the_payer() {
    let mut hub = locked();
    assert_eq!(
        hub.hears("b", request_commit(true)),
        [
            "to b: SettleCommit{token:TOKEN,isPayerSide:true}",
            "to a: RequestCommit{token:TOKEN,isPayerSide:true}",
            "channel b0: open 877/1123",
            "claim b 1T: gone",
            "timer transaction/1T/commit: gone",
            "transaction 1T: Requested 123 to Here, link a > link b, +0..+7 by +7, 1/b"
        ]
    );
    // Settled already.
    assert_eq!(hub.hears("b", request_commit(true)), NOTHING);
    assert_eq!(
        hub.hears("a", settle_commit(true)),
        ["channel a0: open 1123/877", "claim a 1T: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
}

#[test]
fn request_commit_that_does_not_fit_changes_nothing() {
    let mut hub = reserved();
    assert_eq!(hub.hears("b", request_commit(true)), ["rejected: expected a locked amount, found a reservation"]);
    hub.hears("a", lock(true));
    assert_eq!(hub.hears("a", request_commit(true)), ["rejected: expected this of a route whose money is outgoing"]);
    assert_eq!(hub.hears("b", Message::RequestCommit { token: other_token(), is_payer_side: true }), NOTHING);
    assert_eq!(hub.hears("b", request_commit(false)), NOTHING);
}

#[test]
fn settle_commit_goes_on_to_the_payee_if_the_token_has_not_come_by() {
    let mut hub = locked();
    assert_eq!(
        hub.hears("a", settle_commit(true)),
        [
            "to b: SettleCommit{token:TOKEN,isPayerSide:true}",
            "channel a0: open 1123/877",
            "channel b0: open 877/1123",
            "claim a 1T: gone",
            "claim b 1T: gone",
            "timer transaction/1T/commit: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
    assert_eq!(hub.hears("b", request_commit(true)), NOTHING);
}

#[test]
fn settle_commit_that_does_not_fit_is_refused() {
    let mut hub = reserved();
    assert_eq!(hub.hears("a", settle_commit(true)), ["rejected: expected a locked amount, found none"]);
    hub.hears("a", lock(true));
    assert_eq!(hub.hears("b", settle_commit(true)), ["rejected: expected this of a route whose money is incoming"]);
    assert_eq!(
        hub.hears("a", settle_commit_with(other_token(), Some(true))),
        ["rejected: expected a route of transaction U on this link, found none"]
    );
    assert_eq!(
        hub.hears("a", settle_commit_with(token(), Some(false))),
        ["rejected: expected a route of transaction T on this link, found none"]
    );
    assert_eq!(
        hub.hears("a", settle_commit_with(token(), None)),
        ["rejected: expected a message for a link, found SettleCommit"]
    );
}

#[test]
fn settle_rollback_from_the_payees_direction_is_answered_and_goes_back_to_the_payer_who_answers_too() {
    let mut hub = locked();
    assert_eq!(
        hub.hears("b", settle_rollback(true)),
        [
            "to b: SettleRollback{transactionID:T,isPayerSide:true}",
            "to a: SettleRollback{transactionID:T,isPayerSide:true}",
            "channel b0: open 1000/1000",
            "claim b 1T: gone",
            "timer transaction/1T/commit: gone",
            "transaction 1T: RollingBack 123 to Here, link a > link b, +0..+7 by +7, 1/b"
        ]
    );
    // Both sides may roll back at once.
    assert_eq!(hub.hears("b", settle_rollback(true)), NOTHING);
    assert_eq!(
        hub.hears("a", settle_rollback(true)),
        ["channel a0: open 1000/1000", "claim a 1T: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
    assert_eq!(hub.hears("a", settle_rollback(true)), NOTHING);
}

#[test]
fn settle_rollback_of_a_reservation_is_refused() {
    let mut hub = reserved();
    assert_eq!(hub.hears("b", settle_rollback(true)), ["rejected: expected a locked amount, found a reservation"]);
    assert_eq!(hub.hears("a", settle_rollback(true)), ["rejected: expected a locked amount, found a reservation"]);
}

#[test]
fn messages_that_are_not_for_links_are_refused() {
    let mut hub = hub(&["a"], &[]);
    assert_eq!(hub.hears("a", Message::Cancel), ["rejected: expected a message for a link, found Cancel"]);
    assert_eq!(
        hub.hears("a", Message::Confirm { meeting_point_id: Id::new("Here") }),
        ["rejected: expected a message for a link, found Confirm"]
    );
    assert_eq!(
        hub.hears("a", Message::Pay { id: Id::new("0123456789abcdef") }),
        ["rejected: expected a message for a link, found Pay"]
    );
    let (callback_host, callback_port) = (None, None);
    let hello = Message::ConnectLink {
        id: Id::new("a"),
        dice: [0; 4],
        callback_host,
        callback_port,
        callback_id: Id::new("x"),
    };
    assert_eq!(hub.hears("a", hello), ["rejected: expected a message for a link, found ConnectLink"]);
    let transaction_id = token().transaction(Network::Amiko);
    let receipt = Message::Receipt { amount: 1, receipt: "tea".into(), transaction_id, meeting_points: Vec::new() };
    assert_eq!(hub.hears("a", receipt), ["rejected: expected a message for a link, found Receipt"]);
}

#[test]
fn what_transactions_say_about_routes_that_are_not_on_the_link_is_refused() {
    let mut hub = hub(&["a"], &[]);
    let (a, route) = (Id::<Link>::new("a"), crate::machine::route(true));
    for message in [
        LinkMessage::HaveRoute { route, start_time: 1, end_time: 2 },
        LinkMessage::HaveNoRoute { route },
        LinkMessage::CancelRoute { route },
        LinkMessage::Lock { route },
        LinkMessage::RequestCommit { route, token: token() },
        LinkMessage::SettleCommit { route, token: token() },
        LinkMessage::TakeBack { route },
        LinkMessage::GiveBack { route },
        LinkMessage::Release { route },
    ] {
        let expected = ["rejected: expected a route of transaction T on this link, found none"];
        assert_eq!(hub.tells(&a, message), expected);
    }
    let transaction = transaction(true, 0);
    let meeting_point = Id::new("Here");
    let make = LinkMessage::MakeRoute { transaction, amount: 1, start_time: None, end_time: None, meeting_point };
    assert_eq!(hub.tells(&a, make).len(), 3);
}

#[test]
fn a_neighbour_that_dials_is_believed_the_first_time() {
    let links = [(Id::new("a"), Link::default())].into_iter().collect();
    let mut hub = Machine::new(PaymentNode { links, ..PaymentNode::default() });
    let dialled = |peer: &str, name: &str| LinkMessage::Dialled {
        key: None,
        invitation: None,
        peer: Some(peer.into()),
        remote_id: Id::new(name),
    };
    assert_eq!(hub.tells(&a(), dialled("there:1", "x")), ["opened a", r#"link a: to x at Some("there:1")"#]);
    assert_eq!(hub.tells(&a(), dialled("elsewhere:2", "x")), NOTHING);
    assert_eq!(
        hub.tells(&a(), dialled("there:1", "y")),
        ["rejected: expected the neighbour's link x, found its link y"]
    );
}
