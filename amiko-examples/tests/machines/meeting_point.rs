//! Meeting points: the halves of a route, in any order.

use crate::machine::{BEGIN, Machine, NOTHING, hub};
use crate::messages::{
    AMOUNT, cancel_route, have_no_route, lock, make_route, make_route_with, request_commit, settle_commit,
    settle_rollback,
};
use amiko_core::prelude::*;
use amiko_examples::payment::PaymentNodeMessage;

/// Both halves have met: the payer's came from `a`, the payee's from `b`.
fn met() -> Machine {
    let mut hub = hub(&["a", "b"], &["Here"]);
    hub.hears("a", make_route(true));
    hub.hears("b", make_route(false));
    hub
}

#[test]
fn the_payers_half_waits_for_the_payees() {
    let mut hub = hub(&["a", "b"], &["Here"]);
    assert_eq!(
        hub.hears("a", make_route(true)),
        [
            "channel a0: open 1000/877",
            "claim a 1T: 123 in reserved on 0 ?..?, 1T",
            "point Here: waiting [1T]",
            "timer transaction/1T/@phase: +5",
            "transaction 1T: Searching 123 to Here, link a > point Here, ?..? by ?, 0/"
        ]
    );
    assert_eq!(
        hub.hears("b", make_route(false)),
        [
            "to b: HaveRoute{transactionID:T,isPayerSide:false,startTime:+0,endTime:+0}",
            "to a: HaveRoute{transactionID:T,isPayerSide:true,startTime:+0,endTime:+172800}",
            "channel b0: open 877/1000",
            "claim a 1T: 123 in reserved on 0 +0..+172800, 1T",
            "claim b 0T: 123 out reserved on 0 +0..+0, 0T",
            "point Here: waiting []",
            "timer transaction/0T/@phase: +5",
            "transaction 0T: Reserved 123 to Here, link b > half 1T, +0..+86400 by +0, 0/",
            "transaction 1T: Reserved 123 to Here, link a > half 0T, +0..+86400 by +86400, 0/"
        ]
    );
}

#[test]
fn the_payees_half_waits_for_the_payers() {
    let mut hub = hub(&["a", "b"], &["Here"]);
    assert_eq!(
        hub.hears("b", make_route(false)),
        [
            "channel b0: open 877/1000",
            "claim b 0T: 123 out reserved on 0 +0..+0, 0T",
            "point Here: waiting [0T]",
            "timer transaction/0T/@phase: +5",
            "transaction 0T: Searching 123 to Here, link b > point Here, +0..+86400 by ?, 0/"
        ]
    );
    assert_eq!(
        hub.hears("a", make_route(true)),
        [
            "to b: HaveRoute{transactionID:T,isPayerSide:false,startTime:+0,endTime:+0}",
            "to a: HaveRoute{transactionID:T,isPayerSide:true,startTime:+0,endTime:+172800}",
            "channel a0: open 1000/877",
            "claim a 1T: 123 in reserved on 0 +0..+172800, 1T",
            "point Here: waiting []",
            "timer transaction/1T/@phase: +5",
            "transaction 0T: Reserved 123 to Here, link b > half 1T, +0..+86400 by +0, 0/",
            "transaction 1T: Reserved 123 to Here, link a > half 0T, +0..+86400 by +86400, 0/"
        ]
    );
}

#[test]
fn both_halves_may_come_over_one_link() {
    let mut hub = hub(&["a"], &["Here"]);
    hub.hears("a", make_route(true));
    assert_eq!(
        hub.hears("a", make_route(false)),
        [
            "to a: HaveRoute{transactionID:T,isPayerSide:false,startTime:+0,endTime:+0}",
            "to a: HaveRoute{transactionID:T,isPayerSide:true,startTime:+0,endTime:+172800}",
            "channel a0: open 877/877",
            "claim a 0T: 123 out reserved on 0 +0..+0, 0T",
            "claim a 1T: 123 in reserved on 0 +0..+172800, 1T",
            "point Here: waiting []",
            "timer transaction/0T/@phase: +5",
            "transaction 0T: Reserved 123 to Here, link a > half 1T, +0..+86400 by +0, 0/",
            "transaction 1T: Reserved 123 to Here, link a > half 0T, +0..+86400 by +86400, 0/"
        ]
    );
}

#[test]
fn a_half_with_another_amount_is_sent_back_and_the_first_goes_on_waiting() {
    let mut hub = hub(&["a", "b"], &["Here"]);
    hub.hears("a", make_route(true));
    let begin = Some(BEGIN);
    assert_eq!(
        hub.hears("b", make_route_with(AMOUNT + 1, begin, begin, 0, false)),
        ["to b: HaveNoRoute{transactionID:T,isPayerSide:false}"]
    );
}

#[test]
fn the_same_half_over_another_link_is_sent_back() {
    let mut hub = hub(&["a", "b"], &["Here"]);
    hub.hears("a", make_route(true));
    assert_eq!(hub.hears("b", make_route(true)), ["to b: HaveNoRoute{transactionID:T,isPayerSide:true}"]);
}

#[test]
fn a_route_to_a_meeting_point_of_another_name_goes_on() {
    let mut hub = hub(&["a", "b"], &["There"]);
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
fn a_half_that_is_cancelled_does_not_wait_any_more() {
    let mut hub = hub(&["a", "b"], &["Here"]);
    hub.hears("a", make_route(true));
    assert_eq!(
        hub.hears("a", cancel_route(true)),
        [
            "channel a0: open 1000/1000",
            "claim a 1T: gone",
            "point Here: waiting []",
            "timer transaction/1T/@phase: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
}

#[test]
fn a_half_waits_for_five_seconds() {
    let mut hub = hub(&["a", "b"], &["Here"]);
    hub.hears("a", make_route(true));
    assert_eq!(
        hub.after(secs(5)),
        [
            "to a: HaveNoRoute{transactionID:T,isPayerSide:true}",
            "channel a0: open 1000/1000",
            "claim a 1T: gone",
            "point Here: waiting []",
            "timer transaction/1T/@phase: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
}

#[test]
fn the_lock_goes_from_half_to_half() {
    let mut hub = met();
    assert_eq!(
        hub.hears("a", lock(true)),
        [
            "to b: Lock{transactionID:T,isPayerSide:false,amount:123,startTime:null,endTime:null,channelIndex:0}",
            "claim a 1T: 123 in locked on 0 +0..+172800, 1T",
            "claim b 0T: 123 out locked on 0 +0..+0, 0T",
            "timer transaction/0T/@phase: gone",
            "timer transaction/0T/commit: +0",
            "timer transaction/1T/@phase: gone",
            "transaction 0T: Locked 123 to Here, link b > half 1T, +0..+86400 by +0, 0/",
            "transaction 1T: Locked 123 to Here, link a > half 0T, +0..+86400 by +86400, 0/"
        ]
    );
}

#[test]
fn the_token_goes_from_half_to_half_and_both_end_when_the_amount_has_arrived() {
    let mut hub = hub(&["a", "b"], &["Here"]);
    hub.hears("a", make_route(true));
    hub.hears("b", make_route_with(AMOUNT, Some(BEGIN), Some(BEGIN + 100), 0, false));
    hub.hears("a", lock(true));
    assert_eq!(
        hub.hears("b", request_commit(false)),
        [
            "to b: SettleCommit{token:TOKEN,isPayerSide:false}",
            "to a: RequestCommit{token:TOKEN,isPayerSide:true}",
            "channel b0: open 877/1123",
            "claim b 0T: gone",
            "timer transaction/0T/commit: gone",
            "transaction 0T: Requested 123 to Here, link b > half 1T, +0..+86500 by +100, 0/",
            "transaction 1T: Requested 123 to Here, link a > half 0T, +0..+86500 by +86500, 0/"
        ]
    );
    assert_eq!(
        hub.hears("a", settle_commit(true)),
        ["channel a0: open 1123/877", "claim a 1T: gone", "transaction 0T: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
}

#[test]
fn a_payer_that_settles_first_settles_both_halves() {
    let mut hub = hub(&["a", "b"], &["Here"]);
    hub.hears("a", make_route(true));
    hub.hears("b", make_route_with(AMOUNT, Some(BEGIN), Some(BEGIN + 100), 0, false));
    hub.hears("a", lock(true));
    assert_eq!(
        hub.hears("a", settle_commit(true)),
        [
            "to b: SettleCommit{token:TOKEN,isPayerSide:false}",
            "channel a0: open 1123/877",
            "channel b0: open 877/1123",
            "claim a 1T: gone",
            "claim b 0T: gone",
            "timer transaction/0T/commit: gone",
            "transaction 0T: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
    assert_eq!(hub.hears("b", request_commit(false)), NOTHING);
}

#[test]
fn a_rollback_goes_from_the_payees_half_to_the_payers() {
    let mut hub = hub(&["a", "b"], &["Here"]);
    hub.hears("a", make_route(true));
    hub.hears("b", make_route_with(AMOUNT, Some(BEGIN), Some(BEGIN + 100), 0, false));
    hub.hears("a", lock(true));
    assert_eq!(
        hub.hears("b", settle_rollback(false)),
        [
            "to b: SettleRollback{transactionID:T,isPayerSide:false}",
            "to a: SettleRollback{transactionID:T,isPayerSide:true}",
            "channel b0: open 1000/1000",
            "claim b 0T: gone",
            "timer transaction/0T/commit: gone",
            "transaction 0T: gone",
            "transaction 1T: RollingBack 123 to Here, link a > half 0T, +0..+86500 by +86500, 0/"
        ]
    );
    assert_eq!(
        hub.hears("a", settle_rollback(true)),
        ["channel a0: open 1000/1000", "claim a 1T: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
}

#[test]
fn no_token_in_time_rolls_both_halves_back() {
    let mut hub = hub(&["a", "b"], &["Here"]);
    hub.hears("a", make_route(true));
    hub.hears("b", make_route_with(AMOUNT, Some(BEGIN), Some(BEGIN + 100), 0, false));
    hub.hears("a", lock(true));
    assert_eq!(hub.after(secs(99)), NOTHING);
    assert_eq!(
        hub.after(secs(1)),
        [
            "to b: SettleRollback{transactionID:T,isPayerSide:false}",
            "to a: SettleRollback{transactionID:T,isPayerSide:true}",
            "channel b0: open 1000/1000",
            "claim b 0T: gone",
            "timer transaction/0T/commit: gone",
            "transaction 0T: gone",
            "transaction 1T: RollingBack 123 to Here, link a > half 0T, +0..+86500 by +86500, 0/"
        ]
    );
    assert_eq!(
        hub.hears("a", settle_rollback(true)),
        ["channel a0: open 1000/1000", "claim a 1T: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
}

#[test]
fn no_lock_in_time_ends_both_halves() {
    let mut hub = met();
    assert_eq!(
        hub.after(secs(5)),
        [
            "to b: HaveNoRoute{transactionID:T,isPayerSide:false}",
            "to a: HaveNoRoute{transactionID:T,isPayerSide:true}",
            "channel a0: open 1000/1000",
            "channel b0: open 1000/1000",
            "claim a 1T: gone",
            "claim b 0T: gone",
            "timer transaction/0T/@phase: gone",
            "timer transaction/1T/@phase: gone",
            "transaction 0T: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
}

#[test]
fn a_half_that_is_cancelled_after_they_met_ends_the_other_one() {
    let mut hub = met();
    assert_eq!(
        hub.hears("b", cancel_route(false)),
        [
            "to a: HaveNoRoute{transactionID:T,isPayerSide:true}",
            "channel a0: open 1000/1000",
            "channel b0: open 1000/1000",
            "claim a 1T: gone",
            "claim b 0T: gone",
            "timer transaction/0T/@phase: gone",
            "timer transaction/1T/@phase: gone",
            "transaction 0T: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
    // Of the payer's half, which the neighbour at a hears of later.
    assert_eq!(hub.hears("a", cancel_route(true)), NOTHING);
    assert_eq!(hub.hears("a", have_no_route(true)), NOTHING);
}

#[test]
fn a_meeting_point_is_removed_when_nobody_waits_there() {
    let remove = || PaymentNodeMessage::RemoveMeetingPoint { name: Id::new("Here") };
    let mut node = hub(&["a", "b"], &["Here"]);
    node.hears("a", make_route(true));
    let waiting = "rejected: expected a meeting point where no route waits, found 1: try again later";
    assert_eq!(node.asks(remove()), [waiting]);
    node.hears("b", make_route(false));
    node.asks(remove());
    assert!(node.engine.node().meeting_points.is_empty());
    // Those that have met don't need it any more.
    let seen = node.hears("a", lock(true));
    assert!(seen.iter().any(|line| line.starts_with("to b: Lock{")), "{seen:?}");
}
