//! Transactions: each phase, each message and each time-out, and what stops loops.

use crate::machine::{BEGIN, Machine, NOTHING, hub, other_token, token, transaction};
use crate::messages::{
    cancel_route, have_no_route, have_route, lock, make_route, request_commit, settle_commit, settle_rollback,
};
use amiko_core::prelude::*;
use amiko_examples::payment::{Transaction, TransactionMessage as Said, TransactionPhase};

/// A half-route that came from `a`, in a phase.
fn transaction_in(phase: TransactionPhase) -> Machine {
    let mut hub = hub(&["a", "b", "c"], &[]);
    hub.hears("a", make_route(true));
    if phase != TransactionPhase::Searching {
        hub.hears("b", have_route(true, 7));
    }
    if !matches!(phase, TransactionPhase::Searching | TransactionPhase::Reserved) {
        hub.hears("a", lock(true));
    }
    if phase == TransactionPhase::Requested {
        hub.hears("b", request_commit(true));
    }
    if phase == TransactionPhase::RollingBack {
        hub.after(secs(7));
    }
    assert_eq!(hub.engine.node().transactions.get(&transaction(true, 0)).map(|found| *found.phase), Some(phase));
    hub
}

#[test]
fn what_does_not_fit_a_phase_is_refused_and_changes_nothing() {
    use TransactionPhase::{Locked, Requested, Reserved, RollingBack, Searching};
    let (start_time, end_time) = (BEGIN, BEGIN + 7);
    let make = Said::MakeRoute;
    let met = Said::Met { other: transaction(false, 0), start_time, end_time };
    let have = Said::HaveRoute { start_time, end_time };
    let request = Said::RequestCommit { token: token() };
    let settle = Said::SettleCommit { token: token() };
    let (returned, taken_back) = (Said::Returned, Said::TakenBack);
    let (route_timeout, lock_timeout) = (Said::RouteTimeout, Said::LockTimeout);
    let (commit_timeout, settle_timeout) = (Said::CommitTimeout, Said::SettleTimeout);
    let before_the_lock = [&request, &settle, &returned, &taken_back, &commit_timeout, &settle_timeout];
    let after_the_lock = [&make, &met, &have, &Said::Lock, &route_timeout, &lock_timeout];
    let over = [&request, &returned, &commit_timeout];
    let refused = [
        (Searching, [&before_the_lock[..], &[&Said::Lock, &lock_timeout]].concat()),
        (Reserved, [&before_the_lock[..], &[&make, &met, &have, &route_timeout]].concat()),
        (Locked, after_the_lock.to_vec()),
        (Requested, [&after_the_lock[..], &over].concat()),
        (RollingBack, [&after_the_lock[..], &over].concat()),
    ];
    for (phase, messages) in refused {
        let mut hub = transaction_in(phase);
        for message in messages {
            let seen = hub.tells(&transaction(true, 0), message.clone());
            let name = format!("{message:?}");
            let name = name.split(' ').next().unwrap();
            assert_eq!(seen.len(), 1, "{phase:?} {message:?} {seen:?}");
            assert!(seen[0].starts_with(&format!("rejected: {name}")), "{seen:?}");
            assert!(seen[0].ends_with(&format!(" doesn't fit a transaction that is {phase:?}")), "{seen:?}");
        }
    }
}

#[test]
fn what_was_said_before_the_lock_was_known_is_passed_over() {
    for phase in [TransactionPhase::Locked, TransactionPhase::Requested, TransactionPhase::RollingBack] {
        let mut hub = transaction_in(phase);
        assert_eq!(hub.tells(&transaction(true, 0), Said::HaveNoRoute), NOTHING);
        assert_eq!(hub.tells(&transaction(true, 0), Said::CancelRoute), NOTHING);
    }
}

#[test]
fn another_token_is_refused() {
    let wrong = ["rejected: expected the token of this transaction, found another"];
    for phase in [TransactionPhase::Locked, TransactionPhase::Requested, TransactionPhase::RollingBack] {
        let mut hub = transaction_in(phase);
        assert_eq!(hub.tells(&transaction(true, 0), Said::SettleCommit { token: other_token() }), wrong);
    }
    let mut hub = transaction_in(TransactionPhase::Locked);
    assert_eq!(hub.tells(&transaction(true, 0), Said::RequestCommit { token: other_token() }), wrong);
}

#[test]
fn a_search_tries_one_link_after_the_other() {
    let mut hub = hub(&["a", "b", "c", "d"], &[]);
    assert_eq!(
        hub.hears("a", make_route(true)),
        [
            "to b: MakeRoute{amount:123,transactionID:T,startTime:null,endTime:null,meetingPointID:Here,channelIndex:0,isPayerSide:true}",
            "channel a0: open 1000/877",
            "channel b0: open 877/1000",
            "claim a 1T: 123 in reserved on 0 ?..?, 1T",
            "claim b 1T: 123 out reserved on 0 ?..?, 1T",
            "timer transaction/1T/@phase: +5",
            "transaction 1T: Searching 123 to Here, link a > link b, ?..? by ?, 1/bcd"
        ]
    );
    assert_eq!(
        hub.hears("b", have_no_route(true)),
        [
            "to c: MakeRoute{amount:123,transactionID:T,startTime:null,endTime:null,meetingPointID:Here,channelIndex:0,isPayerSide:true}",
            "channel b0: open 1000/1000",
            "channel c0: open 877/1000",
            "claim b 1T: gone",
            "claim c 1T: 123 out reserved on 0 ?..?, 1T",
            "transaction 1T: Searching 123 to Here, link a > link c, ?..? by ?, 2/bcd"
        ]
    );
    // Too late.
    assert_eq!(hub.hears("b", have_route(true, 7)), NOTHING);
    assert_eq!(
        hub.after(secs(5)),
        [
            "to c: CancelRoute{transactionID:T,isPayerSide:true}",
            "to d: MakeRoute{amount:123,transactionID:T,startTime:null,endTime:null,meetingPointID:Here,channelIndex:0,isPayerSide:true}",
            "channel c0: open 1000/1000",
            "channel d0: open 877/1000",
            "claim c 1T: gone",
            "claim d 1T: 123 out reserved on 0 ?..?, 1T",
            "timer transaction/1T/@phase: +10",
            "transaction 1T: Searching 123 to Here, link a > link d, ?..? by ?, 3/bcd"
        ]
    );
    assert_eq!(
        hub.hears("d", have_no_route(true)),
        [
            "to a: HaveNoRoute{transactionID:T,isPayerSide:true}",
            "channel a0: open 1000/1000",
            "channel d0: open 1000/1000",
            "claim a 1T: gone",
            "claim d 1T: gone",
            "timer transaction/1T/@phase: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
}

#[test]
fn a_node_with_no_other_link_says_so_at_once() {
    let mut hub = hub(&["a"], &[]);
    assert_eq!(hub.hears("a", make_route(true)), ["to a: HaveNoRoute{transactionID:T,isPayerSide:true}"]);
    hub.assert_idle();
}

#[test]
fn each_attempt_has_five_seconds() {
    let mut hub = hub(&["a", "b", "c"], &[]);
    hub.hears("a", make_route(false));
    assert_eq!(hub.after(std::time::Duration::from_millis(4_999)), NOTHING);
    assert_eq!(
        hub.after(std::time::Duration::from_millis(1)),
        [
            "to b: CancelRoute{transactionID:T,isPayerSide:false}",
            "to c: MakeRoute{amount:123,transactionID:T,startTime:+0,endTime:+86400,meetingPointID:Here,channelIndex:0,isPayerSide:false}",
            "channel b0: open 1000/1000",
            "channel c0: open 1000/877",
            "claim b 0T: gone",
            "claim c 0T: 123 in reserved on 0 +0..+86400, 0T",
            "timer transaction/0T/@phase: +10",
            "transaction 0T: Searching 123 to Here, link a > link c, +0..+86400 by ?, 2/bc"
        ]
    );
    assert_eq!(
        hub.after(secs(5)),
        [
            "to c: CancelRoute{transactionID:T,isPayerSide:false}",
            "to a: HaveNoRoute{transactionID:T,isPayerSide:false}",
            "channel a0: open 1000/1000",
            "channel c0: open 1000/1000",
            "claim a 0T: gone",
            "claim c 0T: gone",
            "timer transaction/0T/@phase: gone",
            "transaction 0T: gone"
        ]
    );
    hub.assert_idle();
}

#[test]
fn a_route_that_is_cancelled_during_the_search_is_cancelled_onward() {
    let mut hub = transaction_in(TransactionPhase::Searching);
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
fn a_route_that_is_cancelled_after_it_stands_is_cancelled_onward() {
    let mut hub = transaction_in(TransactionPhase::Reserved);
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
fn a_route_that_falls_after_it_stood_goes_back_without_another_try() {
    let mut hub = transaction_in(TransactionPhase::Reserved);
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
}

#[test]
fn no_lock_within_five_seconds_ends_the_route_in_both_directions() {
    let mut hub = transaction_in(TransactionPhase::Reserved);
    assert_eq!(
        hub.after(secs(5)),
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
fn no_token_until_the_agreed_time_takes_back_what_is_ours_and_asks_the_payers_direction() {
    let mut hub = transaction_in(TransactionPhase::Locked);
    assert_eq!(hub.after(secs(6)), NOTHING);
    assert_eq!(
        hub.after(secs(1)),
        [
            "to b: SettleRollback{transactionID:T,isPayerSide:true}",
            "to a: SettleRollback{transactionID:T,isPayerSide:true}",
            "channel b0: open 1000/1000",
            "claim b 1T: gone",
            "timer transaction/1T/commit: gone",
            "transaction 1T: RollingBack 123 to Here, link a > link b, +0..+7 by +7, 1/bc"
        ]
    );
    assert_eq!(hub.hears("b", request_commit(true)), NOTHING);
    assert_eq!(
        hub.hears("a", settle_rollback(true)),
        ["channel a0: open 1000/1000", "claim a 1T: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
    assert_eq!(hub.hears("b", request_commit(true)), NOTHING);
}

#[test]
fn no_token_on_the_payees_side_until_the_agreed_time_takes_back_what_is_ours_and_asks_the_payers_direction() {
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(false));
    hub.hears("b", have_route(false, 86_400));
    hub.hears("b", lock(false));
    // The outgoing link is the payee's: its lock began and ends at once.
    assert_eq!(
        hub.after(secs(0)),
        [
            "to a: SettleRollback{transactionID:T,isPayerSide:false}",
            "to b: SettleRollback{transactionID:T,isPayerSide:false}",
            "channel a0: open 1000/1000",
            "claim a 0T: gone",
            "timer transaction/0T/commit: gone",
            "transaction 0T: RollingBack 123 to Here, link a > link b, +0..+86400 by +0, 1/b"
        ]
    );
    assert_eq!(
        hub.hears("b", settle_rollback(false)),
        ["channel b0: open 1000/1000", "claim b 0T: gone", "transaction 0T: gone"]
    );
    hub.assert_idle();
}

#[test]
fn the_token_on_the_payees_side_travels_against_the_search() {
    let mut hub = hub(&["a", "b"], &[]);
    let mut message = make_route(false);
    if let amiko_examples::payment::Message::MakeRoute { end_time, .. } = &mut message {
        *end_time = Some(BEGIN + 100);
    }
    hub.hears("a", message);
    assert_eq!(
        hub.hears("b", have_route(false, 86_500)),
        [
            "to a: HaveRoute{transactionID:T,isPayerSide:false,startTime:+0,endTime:+100}",
            "transaction 0T: Reserved 123 to Here, link a > link b, +0..+86500 by +100, 1/b"
        ]
    );
    assert_eq!(
        hub.hears("b", lock(false)),
        [
            "to a: Lock{transactionID:T,isPayerSide:false,amount:123,startTime:null,endTime:null,channelIndex:0}",
            "claim a 0T: 123 out locked on 0 +0..+100, 0T",
            "claim b 0T: 123 in locked on 0 +0..+86500, 0T",
            "timer transaction/0T/@phase: gone",
            "timer transaction/0T/commit: +100",
            "transaction 0T: Locked 123 to Here, link a > link b, +0..+86500 by +100, 1/b"
        ]
    );
    assert_eq!(
        hub.hears("a", request_commit(false)),
        [
            "to a: SettleCommit{token:TOKEN,isPayerSide:false}",
            "to b: RequestCommit{token:TOKEN,isPayerSide:false}",
            "channel a0: open 877/1123",
            "claim a 0T: gone",
            "timer transaction/0T/commit: gone",
            "transaction 0T: Requested 123 to Here, link a > link b, +0..+86500 by +100, 1/b"
        ]
    );
    assert_eq!(
        hub.hears("b", settle_commit(false)),
        ["channel b0: open 1123/877", "claim b 0T: gone", "transaction 0T: gone"]
    );
    hub.assert_idle();
}

#[test]
fn a_token_that_is_on_its_way_is_not_rolled_back_by_time() {
    let mut hub = transaction_in(TransactionPhase::Requested);
    assert_eq!(hub.after(secs(30 * 86_400)), NOTHING);
    assert_eq!(
        hub.hears("a", settle_commit(true)),
        ["channel a0: open 1123/877", "claim a 1T: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
}

#[test]
fn a_second_visit_may_not_use_the_links_of_the_first_one_nor_where_that_came_from() {
    let mut hub = hub(&["a", "b", "c"], &[]);
    hub.hears("a", make_route(true));
    // The first visit came from a, tries b now, and could go on to c.
    assert_eq!(hub.hears("c", make_route(true)), ["to c: HaveNoRoute{transactionID:T,isPayerSide:true}"]);
    assert_eq!(hub.engine.node().transactions.len(), 1);
    assert_eq!(
        hub.hears("b", have_no_route(true)),
        [
            "to c: MakeRoute{amount:123,transactionID:T,startTime:null,endTime:null,meetingPointID:Here,channelIndex:0,isPayerSide:true}",
            "channel b0: open 1000/1000",
            "channel c0: open 877/1000",
            "claim b 1T: gone",
            "claim c 1T: 123 out reserved on 0 ?..?, 1T",
            "transaction 1T: Searching 123 to Here, link a > link c, ?..? by ?, 2/bc"
        ]
    );
    assert_eq!(
        hub.hears("c", have_no_route(true)),
        [
            "to a: HaveNoRoute{transactionID:T,isPayerSide:true}",
            "channel a0: open 1000/1000",
            "channel c0: open 1000/1000",
            "claim a 1T: gone",
            "claim c 1T: gone",
            "timer transaction/1T/@phase: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
}

#[test]
fn a_half_route_that_has_ended_does_not_go_round_in_circles() {
    let mut hub = hub(&["a", "b", "c"], &[]);
    hub.hears("a", make_route(true));
    hub.hears("a", cancel_route(true));
    assert_eq!(hub.ended(), 1);
    // It comes round over another link, and the word that it isn't wanted would follow it.
    assert_eq!(hub.hears("c", make_route(true)), ["to c: HaveNoRoute{transactionID:T,isPayerSide:true}"]);
    // The other half is another half-route.
    assert_eq!(hub.hears("c", make_route(false)).len(), 7);
    // Nobody looks for it any more.
    hub.after(secs(5));
    assert_eq!(hub.hears("c", make_route(true)).len(), 7);
}

#[test]
fn one_of_which_all_have_answered_leaves_nothing() {
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(true));
    hub.hears("b", have_no_route(true));
    assert_eq!((hub.ended(), hub.engine.node().transactions.len()), (0, 0));
}

#[test]
fn a_second_visit_may_use_a_link_that_has_come_since() {
    let mut hub = hub(&["a", "b", "c"], &[]);
    hub.hears("a", make_route(true));
    let name = Id::new("d");
    hub.asks(amiko_examples::payment::PaymentNodeMessage::AddLink { name, to: None });
    hub.asks(amiko_examples::payment::PaymentNodeMessage::Deposit {
        link: Id::new("d"),
        class: "PlainChannel".into(),
        amount: 500,
    });
    assert_eq!(
        hub.hears("c", make_route(true)),
        [
            "to d: MakeRoute{amount:123,transactionID:T,startTime:null,endTime:null,meetingPointID:Here,channelIndex:0,isPayerSide:true}",
            "channel c0: open 1000/877",
            "channel d0: open 377/0",
            "claim c 1T: 123 in reserved on 0 ?..?, 1T.1",
            "claim d 1T: 123 out reserved on 0 ?..?, 1T.1",
            "timer transaction/1T.1/@phase: +5",
            "transaction 1T.1: Searching 123 to Here, link c > link d, ?..? by ?, 1/d"
        ]
    );
    // Each instance answers its own neighbour.
    assert_eq!(
        hub.hears("d", have_no_route(true)),
        [
            "to c: HaveNoRoute{transactionID:T,isPayerSide:true}",
            "channel c0: open 1000/1000",
            "channel d0: open 500/0",
            "claim c 1T: gone",
            "claim d 1T: gone",
            "timer transaction/1T.1/@phase: gone",
            "transaction 1T.1: gone"
        ]
    );
    assert_eq!(
        hub.hears("b", have_no_route(true)),
        [
            "to c: MakeRoute{amount:123,transactionID:T,startTime:null,endTime:null,meetingPointID:Here,channelIndex:0,isPayerSide:true}",
            "channel b0: open 1000/1000",
            "channel c0: open 877/1000",
            "claim b 1T: gone",
            "claim c 1T: 123 out reserved on 0 ?..?, 1T",
            "transaction 1T: Searching 123 to Here, link a > link c, ?..? by ?, 2/bc"
        ]
    );
    assert_eq!(
        hub.hears("c", have_no_route(true)),
        [
            "to a: HaveNoRoute{transactionID:T,isPayerSide:true}",
            "channel a0: open 1000/1000",
            "channel c0: open 1000/1000",
            "claim a 1T: gone",
            "claim c 1T: gone",
            "timer transaction/1T/@phase: gone",
            "transaction 1T: gone"
        ]
    );
    hub.assert_idle();
}

#[test]
fn the_next_instance_is_the_first_free_one() {
    let mut hub = hub(&["a", "b"], &[]);
    assert_eq!(Transaction::next_id(hub.engine.node(), crate::machine::route(true)), transaction(true, 0));
    hub.hears("a", make_route(true));
    assert_eq!(Transaction::next_id(hub.engine.node(), crate::machine::route(true)), transaction(true, 1));
    assert_eq!(Transaction::next_id(hub.engine.node(), crate::machine::route(false)), transaction(false, 0));
}
