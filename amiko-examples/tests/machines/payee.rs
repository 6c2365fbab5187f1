//! Payees: each phase, each message, each time-out.

use crate::machine::{Machine, NOTHING, hub, link, token};
use crate::messages::{
    AMOUNT, cancel_route, have_no_route, have_route, lock, settle_commit, settle_commit_with, settle_rollback,
};
use amiko_core::prelude::*;
use amiko_examples::payment::{Message, Payee, PayeeMessage, PayeePhase, PaymentNode, PaymentNodeMessage};

/// The connection of the payment.
const PAYMENT: &str = "P";

/// A payee over the link `a` that is asked for 123, to meet at `Here` on another node.
fn requested(meeting_points: &[&str], own: &[&str]) -> Machine {
    let payee = Payee {
        phase: Phase::INITIAL,
        begun: Time::from_secs(crate::machine::BEGIN),
        amount: AMOUNT,
        receipt: "tea".into(),
        token: token(),
        meeting_points: meeting_points.iter().map(|point| Id::new(*point)).collect(),
        via: None,
        told: false,
    };
    Machine::new(PaymentNode {
        links: [(Id::new("a"), link())].into_iter().collect(),
        payees: [(Id::new(PAYMENT), payee)].into_iter().collect(),
        meeting_points: own
            .iter()
            .map(|point| (Id::new(*point), amiko_examples::payment::MeetingPoint::default()))
            .collect(),
        ..PaymentNode::default()
    })
}

fn id() -> Id<Payee> {
    Id::new(PAYMENT)
}

fn confirm() -> Message {
    Message::Confirm { meeting_point_id: Id::new("Here") }
}

fn payee_in(phase: PayeePhase) -> Machine {
    let mut node = requested(&["There", "Here"], &[]);
    node.tells(&id(), PayeeMessage::Dialled);
    let steps: [&dyn Fn(&mut Machine); 3] = [
        &|node| drop(node.hears(PAYMENT, confirm())),
        &|node| drop(node.hears("a", have_route(false, 86_400))),
        &|node| drop(node.hears("a", lock(false))),
    ];
    let order = [PayeePhase::Initial, PayeePhase::Confirmed, PayeePhase::HasRoute, PayeePhase::SentRequestCommit];
    let count = order.iter().position(|found| *found == phase).unwrap();
    steps[..count].iter().for_each(|step| step(&mut node));
    assert_eq!(node.payee().1.phase, phase);
    node
}

#[test]
fn a_payee_that_is_dialled_sends_the_receipt_once() {
    let mut node = requested(&["There", "Here"], &[]);
    assert_eq!(
        node.tells(&id(), PayeeMessage::Dialled),
        [
            "opened P",
            "to P: Receipt{amount:123,receipt:tea,transactionID:T,meetingPoints:[There,Here]}",
            "payee P: Initial since +0, 123 for tea at [There, Here], told"
        ]
    );
    assert_eq!(node.tells(&id(), PayeeMessage::Dialled), NOTHING);
}

#[test]
fn a_payer_that_confirms_starts_the_payees_half_with_a_day_for_the_first_link() {
    let mut node = payee_in(PayeePhase::Initial);
    node.after(secs(10));
    assert_eq!(
        node.hears(PAYMENT, confirm()),
        [
            "to a: MakeRoute{amount:123,transactionID:T,startTime:+10,endTime:+86410,meetingPointID:Here,channelIndex:0,isPayerSide:false}",
            "channel a0: open 1000/877",
            "claim a 0T: 123 in reserved on 0 +10..+86410, 0T",
            "payee P: Confirmed since +0, 123 for tea at [There, Here], told",
            "timer transaction/0T/@phase: +15",
            "transaction 0T: Searching 123 to Here, payee P > link a, +10..+86410 by ?, 1/a"
        ]
    );
}

#[test]
fn a_meeting_point_that_is_not_one_of_the_payees_is_refused() {
    let mut node = payee_in(PayeePhase::Initial);
    assert_eq!(
        node.hears(PAYMENT, Message::Confirm { meeting_point_id: Id::new("Elsewhere") }),
        ["rejected: expected one of the payee's meeting points, found meetingPoint Elsewhere"]
    );
}

#[test]
fn a_payee_tells_the_payer_that_its_half_stands() {
    let mut node = payee_in(PayeePhase::Confirmed);
    assert_eq!(
        node.hears("a", have_route(false, 86_400)),
        [
            "to P: HaveRoute{transactionID:null,isPayerSide:false,startTime:null,endTime:null}",
            "payee P: HasRoute since +0, 123 for tea at [There, Here], told",
            "transaction 0T: Reserved 123 to Here, payee P > link a, +0..+86400 by +0, 1/a"
        ]
    );
}

#[test]
fn a_lock_makes_the_payee_show_the_token_to_the_neighbour() {
    let mut node = payee_in(PayeePhase::HasRoute);
    assert_eq!(
        node.hears("a", lock(false)),
        [
            "to a: RequestCommit{token:TOKEN,isPayerSide:false}",
            "claim a 0T: 123 in locked on 0 +0..+86400, 0T",
            "payee P: SentRequestCommit since +0, 123 for tea at [There, Here], told",
            "timer transaction/0T/@phase: gone",
            "transaction 0T: Requested 123 to Here, payee P > link a, +0..+86400 by +0, 1/a"
        ]
    );
}

#[test]
fn a_settled_lock_commits_the_payment() {
    let mut node = payee_in(PayeePhase::SentRequestCommit);
    assert_eq!(
        node.hears("a", settle_commit(false)),
        [
            "to P: SettleCommit{token:TOKEN,isPayerSide:null}",
            "ended P",
            "channel a0: open 1123/877",
            "claim a 0T: gone",
            "log P: Payee Committed 123 for tea, T, +0..+0 ",
            "payee P: gone",
            "transaction 0T: gone"
        ]
    );
    node.assert_idle();
    assert_eq!(node.hears(PAYMENT, Message::Cancel), ["rejected: the payment that this was about has ended"]);
    assert_eq!(node.confirmed(), ["closed P"]);
}

#[test]
fn a_lock_that_its_owner_takes_back_at_the_end_of_its_time_cancels_the_payment() {
    let mut node = payee_in(PayeePhase::SentRequestCommit);
    node.after(secs(2 * 86_400));
    assert_eq!(
        node.hears("a", settle_rollback(false)),
        [
            "ended P",
            "channel a0: open 1000/1000",
            "claim a 0T: gone",
            "log P: Payee Cancelled 123 for tea, T, +0..+172800 the lock was rolled back",
            "payee P: gone",
            "transaction 0T: gone"
        ]
    );
    node.assert_idle();
}

#[test]
fn no_route_from_the_payee_cancels_the_payment() {
    let mut node = payee_in(PayeePhase::Confirmed);
    assert_eq!(
        node.hears("a", have_no_route(false)),
        [
            "to P: Cancel{}",
            "ended P",
            "channel a0: open 1000/1000",
            "claim a 0T: gone",
            "log P: Payee Cancelled 123 for tea, T, +0..+0 no route from the payee",
            "payee P: gone",
            "timer transaction/0T/@phase: gone",
            "transaction 0T: gone"
        ]
    );
    node.assert_idle();
    let mut node = payee_in(PayeePhase::Confirmed);
    assert_eq!(
        node.after(secs(5)),
        [
            "to a: CancelRoute{transactionID:T,isPayerSide:false}",
            "to P: Cancel{}",
            "ended P",
            "channel a0: open 1000/1000",
            "claim a 0T: gone",
            "log P: Payee Cancelled 123 for tea, T, +0..+5 no route from the payee",
            "payee P: gone",
            "timer transaction/0T/@phase: gone",
            "transaction 0T: gone"
        ]
    );
    node.assert_idle();
}

#[test]
fn a_route_that_falls_cancels_the_payment() {
    let mut node = payee_in(PayeePhase::HasRoute);
    assert_eq!(
        node.hears("a", have_no_route(false)),
        [
            "to P: Cancel{}",
            "ended P",
            "channel a0: open 1000/1000",
            "claim a 0T: gone",
            "log P: Payee Cancelled 123 for tea, T, +0..+0 no route from the payee",
            "payee P: gone",
            "timer transaction/0T/@phase: gone",
            "transaction 0T: gone"
        ]
    );
    node.assert_idle();
    let mut node = payee_in(PayeePhase::HasRoute);
    assert_eq!(
        node.after(secs(5)),
        [
            "to a: CancelRoute{transactionID:T,isPayerSide:false}",
            "to P: Cancel{}",
            "ended P",
            "channel a0: open 1000/1000",
            "claim a 0T: gone",
            "log P: Payee Cancelled 123 for tea, T, +0..+5 no route from the payee",
            "payee P: gone",
            "timer transaction/0T/@phase: gone",
            "transaction 0T: gone"
        ]
    );
    node.assert_idle();
}

#[test]
fn a_payer_that_cancels_before_it_confirms_ends_the_payment() {
    let mut node = payee_in(PayeePhase::Initial);
    assert_eq!(
        node.hears(PAYMENT, Message::Cancel),
        ["ended P", "log P: Payee Cancelled 123 for tea, T, +0..+0 the payer refused", "payee P: gone"]
    );
    node.assert_idle();
}

#[test]
fn a_payer_that_cancels_during_the_search_or_after_it_ends_the_route_too() {
    let mut node = payee_in(PayeePhase::Confirmed);
    assert_eq!(
        node.hears(PAYMENT, Message::Cancel),
        [
            "ended P",
            "to a: CancelRoute{transactionID:T,isPayerSide:false}",
            "channel a0: open 1000/1000",
            "claim a 0T: gone",
            "log P: Payee Cancelled 123 for tea, T, +0..+0 the payer cancelled",
            "payee P: gone",
            "timer transaction/0T/@phase: gone",
            "transaction 0T: gone"
        ]
    );
    node.assert_idle();
    let mut node = payee_in(PayeePhase::HasRoute);
    assert_eq!(
        node.hears(PAYMENT, Message::Cancel),
        [
            "ended P",
            "to a: CancelRoute{transactionID:T,isPayerSide:false}",
            "channel a0: open 1000/1000",
            "claim a 0T: gone",
            "log P: Payee Cancelled 123 for tea, T, +0..+0 the payer cancelled",
            "payee P: gone",
            "timer transaction/0T/@phase: gone",
            "transaction 0T: gone"
        ]
    );
    node.assert_idle();
}

#[test]
fn a_payer_that_cancels_after_the_lock_is_too_late() {
    assert_eq!(payee_in(PayeePhase::SentRequestCommit).hears(PAYMENT, Message::Cancel), NOTHING);
}

#[test]
fn a_payee_on_the_node_of_the_meeting_point_waits_there() {
    let mut node = requested(&["Here"], &["Here"]);
    node.tells(&id(), PayeeMessage::Dialled);
    assert_eq!(
        node.hears(PAYMENT, confirm()),
        [
            "payee P: Confirmed since +0, 123 for tea at [Here], told",
            "point Here: waiting [0T]",
            "timer transaction/0T/@phase: +5",
            "transaction 0T: Searching 123 to Here, payee P > point Here, +0..+86400 by ?, 0/"
        ]
    );
    assert_eq!(
        node.hears("a", crate::messages::make_route(true)),
        [
            "to P: HaveRoute{transactionID:null,isPayerSide:false,startTime:null,endTime:null}",
            "to a: HaveRoute{transactionID:T,isPayerSide:true,startTime:+0,endTime:+172800}",
            "channel a0: open 1000/877",
            "claim a 1T: 123 in reserved on 0 +0..+172800, 1T",
            "payee P: HasRoute since +0, 123 for tea at [Here], told",
            "point Here: waiting []",
            "timer transaction/1T/@phase: +5",
            "transaction 0T: Reserved 123 to Here, payee P > half 1T, +0..+86400 by +0, 0/",
            "transaction 1T: Reserved 123 to Here, link a > half 0T, +0..+86400 by +86400, 0/"
        ]
    );
    assert_eq!(
        node.hears("a", lock(true)),
        [
            "to a: RequestCommit{token:TOKEN,isPayerSide:true}",
            "claim a 1T: 123 in locked on 0 +0..+172800, 1T",
            "payee P: SentRequestCommit since +0, 123 for tea at [Here], told",
            "timer transaction/0T/@phase: gone",
            "timer transaction/1T/@phase: gone",
            "transaction 0T: Requested 123 to Here, payee P > half 1T, +0..+86400 by +0, 0/",
            "transaction 1T: Requested 123 to Here, link a > half 0T, +0..+86400 by +86400, 0/"
        ]
    );
    // Only now is the amount on this node.
    assert_eq!(
        node.hears("a", settle_commit(true)),
        [
            "to P: SettleCommit{token:TOKEN,isPayerSide:null}",
            "ended P",
            "channel a0: open 1123/877",
            "claim a 1T: gone",
            "log P: Payee Committed 123 for tea, T, +0..+0 ",
            "payee P: gone",
            "transaction 0T: gone",
            "transaction 1T: gone"
        ]
    );
    node.assert_idle();
}

#[test]
fn a_payee_without_a_link_that_can_carry_the_amount_cancels_at_once() {
    let mut node = requested(&["Here"], &[]);
    node.tells(&id(), PayeeMessage::Dialled);
    node.tells(
        &Id::<amiko_examples::payment::Link>::new("a"),
        amiko_examples::payment::LinkMessage::Withdraw { channel_index: 0 },
    );
    assert_eq!(
        node.hears(PAYMENT, confirm()),
        [
            "to P: Cancel{}",
            "ended P",
            "log P: Payee Cancelled 123 for tea, T, +0..+0 no route from the payee",
            "payee P: gone"
        ]
    );
    node.assert_idle();
}

/// A request that the user has made, and its ID.
fn asked() -> (Machine, Id<Payee>) {
    let mut node = hub(&["a"], &["Here"]);
    node.asks(PaymentNodeMessage::Request { amount: AMOUNT, receipt: "tea".into(), via: None });
    let (id, _) = node.payee();
    (node, id)
}

#[test]
fn a_request_that_nobody_pays_expires_after_a_day() {
    let (mut node, id) = asked();
    assert_eq!(node.after(secs(86_399)), NOTHING);
    let seen = node.after(secs(1));
    let id = id.key();
    assert_eq!(
        (&seen[0], seen[1].ends_with("+0..+86400 nobody paid in time")),
        (&format!("ended {id}"), true),
        "{seen:?}"
    );
    assert_eq!(seen[2..], [format!("payee {id}: gone"), format!("timer payee/{id}/@phase: gone")]);
    node.assert_idle();
}

#[test]
fn a_payer_that_has_the_receipt_hears_that_the_request_has_expired() {
    let (mut node, id) = asked();
    node.tells(&id, PayeeMessage::Dialled);
    let seen = node.after(secs(86_400));
    assert_eq!(seen[0], format!("to {}: Cancel{{}}", id.key()));
    node.assert_idle();
}

#[test]
fn a_request_that_is_confirmed_does_not_expire() {
    let (mut node, id) = asked();
    node.tells(&id, PayeeMessage::Dialled);
    let expected = format!("timer payee/{}/@phase: gone", id.key());
    assert!(node.hears(id.key(), confirm()).contains(&expected));
}

#[test]
fn what_does_not_fit_a_payees_phase_is_refused_and_changes_nothing() {
    use PayeePhase::{Confirmed, HasRoute, Initial, SentRequestCommit};
    let said = |message: Message| PayeeMessage::Remote { message };
    let fits = [
        (PayeeMessage::HaveRoute, vec![Confirmed]),
        (PayeeMessage::HaveNoRoute, vec![Confirmed, HasRoute]),
        (PayeeMessage::Locked, vec![HasRoute]),
        (PayeeMessage::Settled, vec![SentRequestCommit]),
        (PayeeMessage::RolledBack, vec![SentRequestCommit]),
        (PayeeMessage::Expired, vec![Initial]),
        (said(confirm()), vec![Initial]),
        (said(settle_commit_with(token(), None)), vec![]),
        (said(have_route(false, 1)), vec![]),
        (said(cancel_route(false)), vec![]),
        (said(Message::Pay { id: Id::new(PAYMENT) }), vec![]),
    ];
    for phase in [Initial, Confirmed, HasRoute, SentRequestCommit] {
        let mut node = payee_in(phase);
        for (message, _) in fits.iter().filter(|(_, phases)| !phases.contains(&phase)) {
            let seen = node.tells(&id(), message.clone());
            assert_eq!(seen.len(), 1, "{phase:?} {message:?} {seen:?}");
            assert!(seen[0].ends_with(&format!(" doesn't fit a payee that is {phase:?}")), "{seen:?}");
        }
    }
}

#[test]
fn a_request_is_taken_back_until_somebody_has_agreed_to_pay_it() {
    let cancel = || PaymentNodeMessage::Cancel { payment: PAYMENT.into() };
    let mut node = payee_in(PayeePhase::Initial);
    let seen = node.asks(cancel());
    assert!(seen.iter().any(|line| line.ends_with("the request was taken back")), "{seen:?}");
    assert!(seen.iter().any(|line| line.ends_with(": Cancel{}")), "the payer is told: {seen:?}");
    let mut node = payee_in(PayeePhase::Confirmed);
    let seen = node.asks(cancel());
    assert!(seen[0].starts_with("rejected: expected a payment that nobody has agreed to"), "{seen:?}");
}
