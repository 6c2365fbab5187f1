//! Payers: each phase, each message, each time-out.

use crate::machine::{Machine, NOTHING, hub, other_token, token};
use crate::messages::{AMOUNT, have_no_route, have_route, lock, request_commit, settle_commit_with, settle_rollback};
use amiko_core::prelude::*;
use amiko_examples::payment::{Message, Network, PayerMessage, PayerPhase, PaymentNodeMessage, TransactionId};

fn receipt() -> Message {
    receipt_with(token().transaction(Network::Amiko), &["Here", "There"])
}

fn receipt_with(transaction_id: TransactionId, points: &[&str]) -> Message {
    let meeting_points = points.iter().map(|point| Id::new(*point)).collect();
    Message::Receipt { amount: AMOUNT, receipt: "tea".into(), transaction_id, meeting_points }
}

fn route_from_payee() -> Message {
    Message::HaveRoute { transaction_id: None, is_payer_side: false, start_time: None, end_time: None }
}

const PAYER: &str = "P@payer";

/// A payer over the link `a`.
fn payer_in(phase: PayerPhase) -> Machine {
    let mut node = hub(&["a"], &[]);
    let url = "amikopay://shop/P".parse().unwrap();
    node.asks(PaymentNodeMessage::Pay { url, via: None });
    let steps: [&dyn Fn(&mut Machine); 5] = [
        &|node| drop(node.hears(PAYER, receipt())),
        &|node| drop(node.tells(&node.payer(), PayerMessage::Agree)),
        &|node| drop(node.hears("a", have_route(true, 1000))),
        &|node| drop(node.hears(PAYER, route_from_payee())),
        &|node| drop(node.hears("a", request_commit(true))),
    ];
    let order = [
        PayerPhase::Initial,
        PayerPhase::HasReceipt,
        PayerPhase::Confirmed,
        PayerPhase::HasPayerRoute,
        PayerPhase::Locked,
        PayerPhase::ReceivedRequestCommit,
    ];
    if phase == PayerPhase::HasPayeeRoute {
        steps[0](&mut node);
        steps[1](&mut node);
        steps[3](&mut node);
    } else {
        let count = order.iter().position(|found| *found == phase).unwrap();
        steps[..count].iter().for_each(|step| step(&mut node));
    }
    assert_eq!(node.engine.node().payers.get(&node.payer()).map(|payer| *payer.phase), Some(phase));
    node
}

#[test]
fn a_payer_asks_gets_the_receipt_and_asks_its_user() {
    let mut node = hub(&["a"], &[]);
    let url = "amikopay://shop/P".parse().unwrap();
    assert_eq!(
        node.asks(PaymentNodeMessage::Pay { url, via: None }),
        [
            "opened P@payer",
            "paying P@payer",
            "payer P@payer: Initial since +0 at shop:4321",
            "timer payer/P@payer/@phase: +5"
        ]
    );
    assert_eq!(
        node.hears(PAYER, receipt()),
        [
            "asked whether P@payer pays 123 for tea",
            "payer P@payer: HasReceipt since +0 at shop:4321, 123 for tea, T at Here",
            "timer payer/P@payer/@phase: +86400"
        ]
    );
    assert_eq!(
        node.tells(&node.payer(), PayerMessage::Agree),
        [
            "to P@payer: Confirm{meetingPointID:Here}",
            "to a: MakeRoute{amount:123,transactionID:T,startTime:null,endTime:null,meetingPointID:Here,channelIndex:0,isPayerSide:true}",
            "channel a0: open 877/1000",
            "claim a 1T: 123 out reserved on 0 ?..?, 1T",
            "payer P@payer: Confirmed since +0 at shop:4321, 123 for tea, T at Here",
            "timer payer/P@payer/@phase: gone",
            "timer transaction/1T/@phase: +5",
            "transaction 1T: Searching 123 to Here, payer P@payer > link a, ?..? by ?, 1/a"
        ]
    );
}

#[test]
fn a_payer_that_has_both_halves_locks() {
    let mut node = payer_in(PayerPhase::Confirmed);
    assert_eq!(
        node.hears("a", have_route(true, 1000)),
        [
            "claim a 1T: 123 out reserved on 0 +0..+1000, 1T",
            "payer P@payer: HasPayerRoute since +0 at shop:4321, 123 for tea, T at Here",
            "transaction 1T: Reserved 123 to Here, payer P@payer > link a, +0..+1000 by +1000, 1/a"
        ]
    );
    assert_eq!(
        node.hears(PAYER, route_from_payee()),
        [
            "to a: Lock{transactionID:T,isPayerSide:true,amount:123,startTime:null,endTime:null,channelIndex:0}",
            "claim a 1T: 123 out locked on 0 +0..+1000, 1T",
            "payer P@payer: Locked since +0 at shop:4321, 123 for tea, T at Here",
            "timer transaction/1T/@phase: gone",
            "timer transaction/1T/commit: +1000",
            "transaction 1T: Locked 123 to Here, payer P@payer > link a, +0..+1000 by +1000, 1/a"
        ]
    );
}

#[test]
fn a_payer_that_has_both_halves_in_the_other_order_locks() {
    let mut node = payer_in(PayerPhase::Confirmed);
    assert_eq!(
        node.hears(PAYER, route_from_payee()),
        ["payer P@payer: HasPayeeRoute since +0 at shop:4321, 123 for tea, T at Here"]
    );
    assert_eq!(
        node.hears("a", have_route(true, 1000)),
        [
            "to a: Lock{transactionID:T,isPayerSide:true,amount:123,startTime:null,endTime:null,channelIndex:0}",
            "claim a 1T: 123 out locked on 0 +0..+1000, 1T",
            "payer P@payer: Locked since +0 at shop:4321, 123 for tea, T at Here",
            "timer transaction/1T/@phase: gone",
            "timer transaction/1T/commit: +1000",
            "transaction 1T: Locked 123 to Here, payer P@payer > link a, +0..+1000 by +1000, 1/a"
        ]
    );
}

#[test]
fn a_token_over_the_route_commits_after_a_second() {
    let mut node = payer_in(PayerPhase::Locked);
    assert_eq!(
        node.hears("a", request_commit(true)),
        [
            "to a: SettleCommit{token:TOKEN,isPayerSide:true}",
            "channel a0: open 877/1123",
            "claim a 1T: gone",
            "payer P@payer: ReceivedRequestCommit since +0 at shop:4321, 123 for tea, T at Here",
            "timer payer/P@payer/@phase: +1",
            "timer transaction/1T/commit: gone",
            "transaction 1T: gone"
        ]
    );
    assert_eq!(
        node.after(secs(1)),
        [
            "ended P",
            "log P@payer: Payer Committed 123 for tea, T, +0..+1 ",
            "payer P@payer: gone",
            "timer payer/P@payer/@phase: gone"
        ]
    );
    assert_eq!(node.confirmed(), ["closed P@payer"]);
    node.assert_idle();
}

#[test]
fn a_token_over_the_route_and_from_the_payee_commits_at_once() {
    let mut node = payer_in(PayerPhase::ReceivedRequestCommit);
    node.confirmed();
    assert_eq!(
        node.hears(PAYER, settle_commit_with(token(), None)),
        [
            "ended P",
            "closed P@payer",
            "log P@payer: Payer Committed 123 for tea, T, +0..+0 ",
            "payer P@payer: gone",
            "timer payer/P@payer/@phase: gone"
        ]
    );
    node.assert_idle();
}

#[test]
fn a_token_from_the_payee_settles_the_route() {
    let mut node = payer_in(PayerPhase::Locked);
    assert_eq!(
        node.hears(PAYER, settle_commit_with(token(), None)),
        [
            "ended P",
            "to a: SettleCommit{token:TOKEN,isPayerSide:true}",
            "channel a0: open 877/1123",
            "claim a 1T: gone",
            "log P@payer: Payer Committed 123 for tea, T, +0..+0 ",
            "payer P@payer: gone",
            "timer transaction/1T/commit: gone",
            "transaction 1T: gone"
        ]
    );
    node.assert_idle();
    assert_eq!(node.hears("a", request_commit(true)), NOTHING);
    assert_eq!(node.hears(PAYER, Message::Cancel), ["rejected: the payment that this was about has ended"]);
}

#[test]
fn another_token_is_refused_by_the_payer() {
    let mut node = payer_in(PayerPhase::Locked);
    assert_eq!(
        node.hears(PAYER, settle_commit_with(other_token(), None)),
        ["rejected: expected the token of this payment, found another"]
    );
    assert_eq!(
        node.tells(&node.payer(), PayerMessage::RequestCommit { token: other_token() }),
        ["rejected: expected the token of this payment, found another"]
    );
    let mut node = payer_in(PayerPhase::ReceivedRequestCommit);
    assert_eq!(
        node.hears(PAYER, settle_commit_with(other_token(), None)),
        ["rejected: expected the token of this payment, found another"]
    );
}

#[test]
fn a_receipt_without_a_meeting_point_is_refused() {
    let mut node = payer_in(PayerPhase::Initial);
    assert_eq!(
        node.hears(PAYER, receipt_with(token().transaction(Network::Amiko), &[])),
        ["rejected: expected a meeting point in the receipt, found none"]
    );
}

#[test]
fn no_receipt_within_five_seconds_cancels() {
    let mut node = payer_in(PayerPhase::Initial);
    assert_eq!(
        node.after(secs(5)),
        [
            "ended P",
            "closed P@payer",
            "log P@payer: Payer Cancelled 0 for , +0..+5 the payee sent no receipt",
            "payer P@payer: gone",
            "timer payer/P@payer/@phase: gone"
        ]
    );
    node.assert_idle();
}

#[test]
fn a_user_that_says_nothing_for_a_day_has_refused() {
    let mut node = payer_in(PayerPhase::HasReceipt);
    assert_eq!(node.after(secs(86_399)), NOTHING);
    assert_eq!(
        node.after(secs(1)),
        [
            "to P@payer: Cancel{}",
            "ended P",
            "log P@payer: Payer Cancelled 123 for tea, T, +0..+86400 not agreed",
            "payer P@payer: gone",
            "timer payer/P@payer/@phase: gone"
        ]
    );
    assert_eq!(node.confirmed(), ["closed P@payer"]);
    node.assert_idle();
}

#[test]
fn a_user_can_refuse() {
    let mut node = payer_in(PayerPhase::HasReceipt);
    assert_eq!(
        node.tells(&node.payer(), PayerMessage::Refuse),
        [
            "to P@payer: Cancel{}",
            "ended P",
            "log P@payer: Payer Cancelled 123 for tea, T, +0..+0 not agreed",
            "payer P@payer: gone",
            "timer payer/P@payer/@phase: gone"
        ]
    );
    node.assert_idle();
}

#[test]
fn a_payee_that_cancels_early_ends_the_payment() {
    let mut node = payer_in(PayerPhase::Initial);
    assert_eq!(
        node.hears(PAYER, Message::Cancel),
        [
            "ended P",
            "closed P@payer",
            "log P@payer: Payer Cancelled 0 for , +0..+0 the payee cancelled",
            "payer P@payer: gone",
            "timer payer/P@payer/@phase: gone"
        ]
    );
    let mut node = payer_in(PayerPhase::HasReceipt);
    assert_eq!(
        node.hears(PAYER, Message::Cancel),
        [
            "ended P",
            "closed P@payer",
            "log P@payer: Payer Cancelled 123 for tea, T, +0..+0 the payee cancelled",
            "payer P@payer: gone",
            "timer payer/P@payer/@phase: gone"
        ]
    );
    node.assert_idle();
}

#[test]
fn a_payee_that_cancels_while_a_route_is_looked_for_ends_the_route_too() {
    let mut node = payer_in(PayerPhase::Confirmed);
    assert_eq!(
        node.hears(PAYER, Message::Cancel),
        [
            "ended P",
            "to a: CancelRoute{transactionID:T,isPayerSide:true}",
            "channel a0: open 1000/1000",
            "claim a 1T: gone",
            "log P@payer: Payer Cancelled 123 for tea, T, +0..+0 the payee found no route",
            "payer P@payer: gone",
            "timer transaction/1T/@phase: gone",
            "transaction 1T: gone"
        ]
    );
    node.assert_idle();
    for phase in [PayerPhase::HasPayerRoute, PayerPhase::HasPayeeRoute] {
        let mut node = payer_in(phase);
        let seen = node.hears(PAYER, Message::Cancel);
        assert!(seen.contains(&"to a: CancelRoute{transactionID:T,isPayerSide:true}".to_owned()), "{seen:?}");
        node.assert_idle();
    }
}

#[test]
fn a_payee_that_cancels_after_the_lock_is_too_late() {
    for phase in [PayerPhase::Locked, PayerPhase::ReceivedRequestCommit] {
        assert_eq!(payer_in(phase).hears(PAYER, Message::Cancel), NOTHING);
    }
}

#[test]
fn no_route_from_the_payer_cancels() {
    let mut node = payer_in(PayerPhase::Confirmed);
    assert_eq!(
        node.hears("a", have_no_route(true)),
        [
            "to P@payer: Cancel{}",
            "ended P",
            "channel a0: open 1000/1000",
            "claim a 1T: gone",
            "log P@payer: Payer Cancelled 123 for tea, T, +0..+0 no route from the payer",
            "payer P@payer: gone",
            "timer transaction/1T/@phase: gone",
            "transaction 1T: gone"
        ]
    );
    node.assert_idle();
    for phase in [PayerPhase::HasPayerRoute, PayerPhase::HasPayeeRoute] {
        let mut node = payer_in(phase);
        let seen = node.hears("a", have_no_route(true));
        assert!(seen.contains(&format!("to {PAYER}: Cancel{{}}")), "{seen:?}");
        node.assert_idle();
    }
}

#[test]
fn no_lock_within_five_seconds_ends_the_payers_half() {
    let mut node = payer_in(PayerPhase::HasPayerRoute);
    assert_eq!(
        node.after(secs(5)),
        [
            "to a: CancelRoute{transactionID:T,isPayerSide:true}",
            "to P@payer: Cancel{}",
            "ended P",
            "channel a0: open 1000/1000",
            "claim a 1T: gone",
            "log P@payer: Payer Cancelled 123 for tea, T, +0..+5 no route from the payer",
            "payer P@payer: gone",
            "timer transaction/1T/@phase: gone",
            "transaction 1T: gone"
        ]
    );
    node.assert_idle();
}

#[test]
fn a_lock_that_is_rolled_back_cancels() {
    let mut node = payer_in(PayerPhase::Locked);
    assert_eq!(
        node.hears("a", settle_rollback(true)),
        [
            "to a: SettleRollback{transactionID:T,isPayerSide:true}",
            "to P@payer: Cancel{}",
            "ended P",
            "channel a0: open 1000/1000",
            "claim a 1T: gone",
            "log P@payer: Payer Cancelled 123 for tea, T, +0..+0 the lock was rolled back",
            "payer P@payer: gone",
            "timer transaction/1T/commit: gone",
            "transaction 1T: gone"
        ]
    );
    node.assert_idle();
    let mut node = payer_in(PayerPhase::Locked);
    assert_eq!(
        node.after(secs(1000)),
        [
            "to a: SettleRollback{transactionID:T,isPayerSide:true}",
            "to P@payer: Cancel{}",
            "ended P",
            "channel a0: open 1000/1000",
            "claim a 1T: gone",
            "log P@payer: Payer Cancelled 123 for tea, T, +0..+1000 the lock was rolled back",
            "payer P@payer: gone",
            "timer transaction/1T/commit: gone",
            "transaction 1T: gone"
        ]
    );
    node.assert_idle();
}

#[test]
fn a_payer_without_a_link_that_can_carry_the_amount_cancels_at_once() {
    let mut node = hub(&[], &[]);
    node.asks(PaymentNodeMessage::Pay { url: "amikopay://shop/P".parse().unwrap(), via: None });
    node.hears(PAYER, receipt());
    assert_eq!(
        node.tells(&node.payer(), PayerMessage::Agree),
        [
            "to P@payer: Confirm{meetingPointID:Here}",
            "to P@payer: Cancel{}",
            "ended P",
            "log P@payer: Payer Cancelled 123 for tea, T, +0..+0 no route from the payer",
            "payer P@payer: gone",
            "timer payer/P@payer/@phase: gone"
        ]
    );
    node.assert_idle();
}

#[test]
fn what_does_not_fit_a_payers_phase_is_refused_and_changes_nothing() {
    use PayerPhase::{Confirmed, HasPayeeRoute, HasPayerRoute, HasReceipt, Initial, Locked, ReceivedRequestCommit};
    let all = [Initial, HasReceipt, Confirmed, HasPayerRoute, HasPayeeRoute, Locked, ReceivedRequestCommit];
    let settle = settle_commit_with(token(), None);
    let said = |message: &Message| PayerMessage::Remote { message: message.clone() };
    let request = PayerMessage::RequestCommit { token: token() };
    let fits = [
        (PayerMessage::Begin, vec![Initial]),
        (PayerMessage::Agree, vec![HasReceipt]),
        (PayerMessage::Refuse, vec![HasReceipt]),
        (PayerMessage::AgreeTimeout, vec![HasReceipt]),
        (PayerMessage::ReceiptTimeout, vec![Initial]),
        (PayerMessage::SettleTimeout, vec![ReceivedRequestCommit]),
        (PayerMessage::HaveRoute, vec![Confirmed, HasPayeeRoute]),
        (PayerMessage::HaveNoRoute, vec![Confirmed, HasPayerRoute, HasPayeeRoute]),
        (PayerMessage::RolledBack, vec![Locked]),
        (request, vec![Locked]),
        (said(&receipt()), vec![Initial]),
        (said(&route_from_payee()), vec![Confirmed, HasPayerRoute]),
        (said(&settle), vec![Locked, ReceivedRequestCommit]),
        (said(&have_route(true, 1)), vec![]),
        (said(&lock(true)), vec![]),
        (said(&Message::Confirm { meeting_point_id: Id::new("Here") }), vec![]),
    ];
    for phase in all {
        let mut node = payer_in(phase);
        for (message, _) in fits.iter().filter(|(_, phases)| !phases.contains(&phase)) {
            let seen = node.tells(&node.payer(), message.clone());
            assert_eq!(seen.len(), 1, "{phase:?} {message:?} {seen:?}");
            assert!(seen[0].ends_with(&format!(" doesn't fit a payer that is {phase:?}")), "{seen:?}");
        }
    }
}

#[test]
fn the_trouble_of_a_payer_is_the_reason_that_its_payment_has_ended() {
    let trouble = |over| PayerMessage::Trouble { reason: "nobody is there".into(), over };
    let mut node = payer_in(PayerPhase::Initial);
    node.tells(&node.payer(), trouble(false));
    let ended = "log P@payer: Payer Cancelled 0 for , +0..+5 nobody is there".to_owned();
    assert!(node.after(secs(5)).contains(&ended));
    node.assert_idle();

    let mut node = payer_in(PayerPhase::Initial);
    let ended = "log P@payer: Payer Cancelled 0 for , +0..+0 nobody is there".to_owned();
    assert!(node.tells(&node.payer(), trouble(true)).contains(&ended));
    node.assert_idle();

    // Later it is none.
    for phase in [PayerPhase::HasReceipt, PayerPhase::Confirmed, PayerPhase::Locked] {
        let mut node = payer_in(phase);
        assert_eq!(node.tells(&node.payer(), trouble(true)), NOTHING);
    }
}

#[test]
fn a_payment_is_taken_back_until_its_user_has_agreed() {
    let cancel = || PaymentNodeMessage::Cancel { payment: "P".into() };
    for phase in [PayerPhase::Initial, PayerPhase::HasReceipt] {
        let mut node = payer_in(phase);
        let seen = node.asks(cancel());
        assert!(seen.iter().any(|line| line.ends_with("the payment was taken back")), "{seen:?}");
        let told = seen.contains(&"to P@payer: Cancel{}".to_owned());
        assert_eq!(told, phase == PayerPhase::HasReceipt, "{seen:?}");
    }
    let mut node = payer_in(PayerPhase::Confirmed);
    let refused =
        "rejected: expected a payment that nobody has agreed to, found that P is being paid: it ends by itself";
    assert_eq!(node.asks(cancel()), [refused]);
}

#[test]
fn a_link_that_a_payment_uses_stays() {
    let remove = || PaymentNodeMessage::RemoveLink { link: Id::new("a") };
    let mut node = payer_in(PayerPhase::Confirmed);
    assert!(node.asks(remove())[0].starts_with("rejected: expected a link without money, found "));
}
