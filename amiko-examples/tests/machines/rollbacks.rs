//! Rollbacks: whose money is locked decides what becomes of it, and only it, and only once its time is over.

use crate::machine::{BEGIN, Machine, NOTHING, hub, link, token, transaction};
use crate::messages::{
    AMOUNT, cancel_route, have_route, lock, lock_with, make_route, make_route_with, request_commit, settle_commit,
    settle_rollback,
};
use amiko_core::prelude::*;
use amiko_examples::payment::{
    Link, LinkMessage, MeetingPoint, Message, Network, Payee, PayeeMessage, PaymentNode, TransactionMessage,
    TransactionPhase,
};

/// Payer's side, from `a` to `b`, where the amount is locked: until 100 s with `b`, and a day more with `a`.
fn locked() -> Machine {
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(true));
    hub.hears("b", have_route(true, 100));
    hub.hears("a", lock(true));
    hub
}

/// The same after the token has come by.
fn requested() -> Machine {
    let mut hub = locked();
    hub.hears("b", request_commit(true));
    hub
}

/// The same after the time of the lock with `b`.
fn rolling_back() -> Machine {
    let mut hub = locked();
    hub.after(secs(100));
    hub
}

/// A node with a payee at its own meeting point, over the link `a`, where the amount is locked and the token is shown.
fn payee_at_its_own_meeting_point() -> Machine {
    let payee = Payee {
        phase: Phase::INITIAL,
        begun: Time::from_secs(BEGIN),
        amount: AMOUNT,
        receipt: "tea".into(),
        token: token(),
        meeting_points: vec![Id::new("Here")],
        via: None,
        told: false,
    };
    let mut node = Machine::new(PaymentNode {
        links: [(Id::new("a"), link())].into_iter().collect(),
        payees: [(Id::new("P"), payee)].into_iter().collect(),
        meeting_points: [(Id::new("Here"), MeetingPoint::default())].into_iter().collect(),
        ..PaymentNode::default()
    });
    node.tells(&Id::<Payee>::new("P"), PayeeMessage::Dialled);
    node.hears("P", Message::Confirm { meeting_point_id: Id::new("Here") });
    node.hears("a", make_route(true));
    node.hears("a", lock(true));
    // The payment's connection is closed after its time.
    node.after(secs(3600));
    node
}

fn phase(node: &Machine, payer_side: bool) -> Option<TransactionPhase> {
    node.engine.node().transactions.get(&transaction(payer_side, 0)).map(|transaction| *transaction.phase)
}

#[test]
fn a_payer_that_takes_its_money_back_after_the_payee_has_shown_the_token_does_not_get_it_before_its_time() {
    let mut node = payee_at_its_own_meeting_point();
    assert_eq!(node.hears("a", settle_rollback(true)), ["timer transaction/1T/settle: +172800"]);
    assert_eq!(node.after(secs(169_199)), NOTHING);
    assert_eq!(
        node.hears("a", settle_commit(true)),
        [
            "to P: SettleCommit{token:TOKEN,isPayerSide:null}",
            "ended P",
            "channel a0: open 1123/877",
            "claim a 1T: gone",
            "log P: Payee Committed 123 for tea, T, +0..+172799 ",
            "payee P: gone",
            "timer transaction/1T/settle: gone",
            "transaction 0T: gone",
            "transaction 1T: gone"
        ]
    );
    node.assert_idle();
}

#[test]
fn a_payer_that_takes_its_money_back_after_the_token_has_come_by_does_not_get_it_before_its_time() {
    let mut hub = requested();
    assert_eq!(hub.hears("a", settle_rollback(true)), ["timer transaction/1T/settle: +86500"]);
    // Said twice, it is heard once.
    assert_eq!(hub.hears("a", settle_rollback(true)), NOTHING);
    assert_eq!(hub.after(secs(86_499)), NOTHING);
    assert_eq!(
        hub.hears("a", settle_commit(true)),
        ["channel a0: open 1123/877", "claim a 1T: gone", "timer transaction/1T/settle: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
}

#[test]
fn a_payer_that_takes_its_money_back_before_the_token_has_come_by_ends_nothing_on_the_way_to_the_payee() {
    let mut hub = locked();
    assert_eq!(hub.hears("a", settle_rollback(true)), ["timer transaction/1T/settle: +86500"]);
    assert_eq!(phase(&hub, true), Some(TransactionPhase::Locked));
    assert_eq!(
        hub.hears("b", request_commit(true)),
        [
            "to b: SettleCommit{token:TOKEN,isPayerSide:true}",
            "to a: RequestCommit{token:TOKEN,isPayerSide:true}",
            "channel b0: open 877/1123",
            "claim b 1T: gone",
            "timer transaction/1T/commit: gone",
            "transaction 1T: Requested 123 to Here, link a > link b, +0..+100 by +100, 1/b"
        ]
    );
    assert_eq!(hub.hears("a", settle_commit(true)).len(), 4);
    hub.assert_idle();
}

#[test]
fn a_payer_that_took_its_money_back_too_early_has_it_when_its_time_is_over() {
    let mut hub = locked();
    hub.hears("a", settle_rollback(true));
    assert_eq!(
        hub.after(secs(100)),
        [
            "to b: SettleRollback{transactionID:T,isPayerSide:true}",
            "to a: SettleRollback{transactionID:T,isPayerSide:true}",
            "channel b0: open 1000/1000",
            "claim b 1T: gone",
            "timer transaction/1T/commit: gone",
            "transaction 1T: RollingBack 123 to Here, link a > link b, +0..+100 by +100, 1/b"
        ]
    );
    // It has forgotten the route, and doesn't answer.
    assert_eq!(hub.after(secs(86_399)), NOTHING);
    assert_eq!(
        hub.after(secs(1)),
        ["channel a0: open 1000/1000", "claim a 1T: gone", "timer transaction/1T/settle: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
}

#[test]
fn a_payer_takes_its_money_back_when_its_time_is_over_even_if_the_token_has_come_by() {
    let mut hub = requested();
    assert_eq!(hub.after(secs(86_500)), NOTHING);
    assert_eq!(
        hub.hears("a", settle_rollback(true)),
        ["channel a0: open 1000/1000", "claim a 1T: gone", "transaction 1T: gone"]
    );
    // What was paid onward stays paid.
    assert_eq!(hub.engine.node().links.get(&Id::new("b")).unwrap().channels[0].remote(), 1123);
    hub.assert_idle();
}

#[test]
fn a_payers_neighbour_that_knows_the_token_commits_though_it_is_asked_to_roll_back() {
    let mut hub = rolling_back();
    assert_eq!(
        hub.hears("a", settle_commit(true)),
        ["channel a0: open 1123/877", "claim a 1T: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
    assert_eq!(hub.hears("b", request_commit(true)), NOTHING);
}

#[test]
fn a_rollback_that_is_asked_of_a_link_that_is_settled_already_changes_nothing() {
    let mut hub = requested();
    assert_eq!(hub.hears("b", settle_rollback(true)), NOTHING);
    assert_eq!(phase(&hub, true), Some(TransactionPhase::Requested));
}

#[test]
fn a_payers_neighbour_that_answers_late_is_waited_for_because_it_may_have_committed() {
    let mut hub = rolling_back();
    assert_eq!(hub.after(secs(10 * 86_400)), NOTHING);
    assert_eq!(
        hub.hears("a", settle_commit(true)),
        ["channel a0: open 1123/877", "claim a 1T: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
    let mut hub = rolling_back();
    assert_eq!(hub.after(secs(10 * 86_400)), NOTHING);
    assert_eq!(
        hub.hears("a", settle_rollback(true)),
        ["channel a0: open 1000/1000", "claim a 1T: gone", "transaction 1T: gone"]
    );
    hub.assert_idle();
}

#[test]
fn the_times_of_both_sides_of_a_node_are_a_day_apart() {
    let hub = locked();
    let found = hub.engine.node().transactions.get(&transaction(true, 0)).unwrap();
    assert_eq!((found.commit_by, found.settle_by), (Some(BEGIN + 100), Some(BEGIN + 86_500)));
    let mut hub = crate::machine::hub(&["a", "b"], &[]);
    hub.hears("a", make_route_with(AMOUNT, Some(BEGIN), Some(BEGIN + 100), 0, false));
    hub.hears("b", have_route(false, 86_500));
    let found = hub.engine.node().transactions.get(&transaction(false, 0)).unwrap();
    assert_eq!((found.commit_by, found.settle_by), (Some(BEGIN + 100), Some(BEGIN + 86_500)));
}

#[test]
fn a_payees_half_that_comes_back_to_its_payers_half_waits_for_the_payers_neighbour() {
    let mut hub = hub(&["a", "b"], &["Here"]);
    hub.hears("a", make_route(true));
    hub.hears("b", make_route_with(AMOUNT, Some(BEGIN), Some(BEGIN + 100), 0, false));
    hub.hears("a", lock(true));
    // Too early: the payee's half doesn't hear of it.
    assert_eq!(hub.hears("a", settle_rollback(true)), ["timer transaction/1T/settle: +172900"]);
    assert_eq!(
        (phase(&hub, true), phase(&hub, false)),
        (Some(TransactionPhase::Locked), Some(TransactionPhase::Locked))
    );
    assert_eq!(hub.hears("b", request_commit(false)).len(), 7);
    let requested = Some(TransactionPhase::Requested);
    assert_eq!((phase(&hub, true), phase(&hub, false)), (requested, requested));
    assert_eq!(hub.hears("a", settle_commit(true)).len(), 5);
    hub.assert_idle();
}

#[test]
fn a_late_lock_is_only_answered_whatever_has_become_of_the_channel() {
    let rolled_back = ["to a: SettleRollback{transactionID:T,isPayerSide:true}"];
    // The channel has closed meanwhile.
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(true));
    hub.hears("b", have_route(true, 86_400));
    hub.after(secs(5));
    hub.tells(&Id::<Link>::new("a"), LinkMessage::Withdraw { channel_index: 0 });
    assert_eq!(hub.hears("a", lock(true)), rolled_back);
    // All that is the neighbour's is reserved by another route.
    let mut hub = crate::machine::hub(&["a", "b"], &[]);
    hub.hears("a", make_route(true));
    hub.hears("b", have_route(true, 86_400));
    hub.after(secs(5));
    let other = Message::MakeRoute {
        amount: 1000,
        transaction_id: crate::machine::other_token().transaction(Network::Amiko),
        start_time: Some(BEGIN),
        end_time: Some(BEGIN),
        meeting_point_id: Id::new("Here"),
        channel_index: 0,
        is_payer_side: false,
    };
    hub.hears("b", other);
    assert_eq!(hub.hears("a", lock(true)), rolled_back);
    // Whatever amount it names, nothing of it is taken.
    assert_eq!(hub.hears("a", lock_with(true, u64::MAX, 0)), rolled_back);
    assert_eq!(hub.hears("a", settle_rollback(true)), NOTHING);
}

#[test]
fn whose_lock_was_too_late_takes_its_money_back_and_says_so() {
    let mut hub = locked();
    assert_eq!(hub.hears("b", cancel_route(true)), NOTHING);
    let seen = hub.hears("b", settle_rollback(true));
    assert_eq!(
        seen[..3],
        [
            "to b: SettleRollback{transactionID:T,isPayerSide:true}",
            "to a: SettleRollback{transactionID:T,isPayerSide:true}",
            "channel b0: open 1000/1000"
        ]
    );
}

#[test]
fn time_and_the_payers_neighbour_are_each_heard_once() {
    let mut hub = rolling_back();
    let id = transaction(true, 0);
    assert_eq!(
        hub.tells(&id, TransactionMessage::CommitTimeout),
        ["rejected: CommitTimeout doesn't fit a transaction that is RollingBack"]
    );
    assert_eq!(hub.tells(&id, TransactionMessage::SettleTimeout).len(), 3);
    hub.assert_idle();
}

#[test]
fn a_node_that_was_down_when_its_time_was_over_does_the_same_as_soon_as_it_starts() {
    let searching = || {
        let mut hub = hub(&["a", "b"], &[]);
        hub.hears("a", make_route(true));
        hub
    };
    let reserved = || {
        let mut hub = hub(&["a", "b"], &[]);
        hub.hears("a", make_route(true));
        hub.hears("b", have_route(true, 100));
        hub
    };
    // Too early, so that its time decides.
    let taken_back = || {
        let mut hub = requested();
        hub.hears("a", settle_rollback(true));
        hub
    };
    let phases: [fn() -> Machine; 4] = [searching, reserved, locked, taken_back];
    for (phase, node) in ["searching", "reserved", "locked", "taken back"].into_iter().zip(phases) {
        // Longer than each of the four times: for a route, for a lock, for a commit, and for what is settled.
        let over = secs(2 * 86_400);
        let (mut there, mut down) = (node(), node().restarted());
        let expected = there.after(over);
        assert!(expected.len() >= 3, "{phase}: {expected:?}");
        assert_eq!(down.after(over), expected, "{phase}");
        // And once more in the middle of what follows.
        let mut down = down.restarted();
        assert_eq!(there.hears("a", settle_rollback(true)), down.hears("a", settle_rollback(true)), "{phase}");
        down.assert_idle();
    }
}
