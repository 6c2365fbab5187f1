//! There is no link left to try, or only another meeting point: `HaveNoRoute` goes back to the payer or the payee, who sends
//! `Cancel` to the other; both are cancelled, and every reservation is released.

use super::common::{Net, PAYEE, PAYER};
use super::stories::{LONG, Outcome, Row, SHORT, When};
use super::way::{agreed, assert_cancelled, claims, close, heard, net, run_for_millis};
use amiko_core::prelude::*;
use amiko_core::sim::NodeIndex;
use amiko_examples::payment::PaymentNodeMessage;

const FROM_PAYER: (&str, &str) = ("no route from the payer", "the payer cancelled");
const FROM_PAYEE: (&str, &str) = ("the payee found no route", "no route from the payee");

/// A channel that is closed; who has told whom that there is no route; and how it ends at the payer and the payee.
type Obstacle = ((NodeIndex, NodeIndex), &'static [(NodeIndex, NodeIndex)], (&'static str, &'static str));

const OBSTACLES: [Obstacle; 5] = [
    ((0, 1), &[], FROM_PAYER),
    ((1, 2), &[(1, 0)], FROM_PAYER),
    ((2, 4), &[(3, 2), (9, 8), (8, 2), (2, 1), (1, 0)], FROM_PAYER),
    ((4, 5), &[(6, 5), (11, 10), (10, 5), (5, 7)], FROM_PAYEE),
    ((5, 7), &[], FROM_PAYEE),
];

/// No node has anything reserved for anybody, though no time-out can have run out.
fn assert_released(net: &Net) {
    assert_eq!(claims(net, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), [0; 12]);
}

#[test]
fn a_half_that_has_no_link_left_to_try_ends_the_other_one_at_once() {
    for (seed, ((one, other), expected, (payer, payee))) in (100..).zip(OBSTACLES) {
        let mut net = net(seed);
        close(&mut net, one, other);
        net.world.take_heard();
        agreed(&mut net);
        run_for_millis(&mut net, 1_500);
        let words = heard(&mut net);
        let told = words.of("HaveNoRoute");
        for told_by in expected {
            assert!(told.contains(told_by), "seed {seed}: {told_by:?} isn't among {told:?}");
        }
        let cancels = if payer == FROM_PAYER.0 { (PAYER, PAYEE) } else { (PAYEE, PAYER) };
        assert_eq!(words.of("Cancel"), [cancels], "seed {seed}");
        assert_released(&net);
        assert_cancelled(&net, payer, payee);
        net.settle();
        net.assert_settled();
        assert_eq!(net.balance_changes(), [0; 12], "seed {seed}");
    }
}

#[test]
fn where_there_is_no_route_from_either_side_both_are_cancelled_and_nobody_waits() {
    let too_much: fn(&mut Net) = |net| {
        net.pay(PAYER, PAYEE, 1_001, true);
    };
    let another_meeting_point: fn(&mut Net) = |net| {
        net.rename_meeting_point("Nowhere");
        for node in [3, 9, 6] {
            net.asks(node, PaymentNodeMessage::AddMeetingPoint { name: Id::new("Elsewhere") });
        }
        net.pay(PAYER, PAYEE, 100, true);
    };
    for (seed, pay) in [(200, too_much), (201, another_meeting_point)] {
        let mut net = net(seed);
        let begun = net.world.now();
        pay(&mut net);
        for (end, role) in [(PAYER, "payer cancelled: "), (PAYEE, "payee cancelled: ")] {
            let record = net.world.engine(end).unwrap().node().payments.iter().next().unwrap().1.clone();
            assert!(record.ended - begun < secs(2), "seed {seed}: {record:?}");
            assert!(net.outcomes(end)[0].starts_with(role) && net.outcomes(end).len() == 1, "seed {seed}");
        }
        net.assert_unchanged();
    }
}

#[test]
fn a_half_that_comes_to_another_meeting_point_goes_on_to_its_own() {
    let mut net = net(202);
    // All those that are tried before the right one.
    for node in [1, 2, 3, 10, 11] {
        net.asks(node, PaymentNodeMessage::AddMeetingPoint { name: Id::new("Elsewhere") });
    }
    agreed(&mut net);
    net.settle();
    let told = heard(&mut net).of("HaveNoRoute");
    assert!(told.contains(&(3, 2)) && told.contains(&(10, 5)), "{told:?}");
    assert_eq!(net.outcomes(PAYER), ["payer committed"]);
    net.assert_settled();
}

#[test]
fn whatever_happens_beside_it_a_payment_without_a_route_is_cancelled() {
    // Here or there, or from neither side.
    let befores: [fn(&mut Net); 3] =
        [|net| close(net, 1, 2), |net| close(net, 4, 5), |net| net.rename_meeting_point("Nowhere")];
    for (before, seed) in befores.into_iter().zip([20_000, 21_000, 22_000]) {
        let whens = &[When::Asked, When::Receipt, When::Confirmed, When::Reserved];
        let row = Row { before, own: vec![], whens, lasts: &[SHORT, LONG], outcome: Outcome::Cancelled };
        let outcomes = row.play(seed);
        assert!(outcomes[&(false, false)] >= 48, "{outcomes:?}");
    }
}
