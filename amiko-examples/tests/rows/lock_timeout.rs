//! A lock time-out at a node, 5 s after `HaveRoute` without `Lock`: `HaveNoRoute` goes back, `CancelRoute` goes forward.

use super::common::{PAYEE, PAYER};
use super::stories::{Fault, LONG, Outcome, Row, SHORT, Trouble, WHILE, When};
use super::way::{
    HUBS, MEETING, after, agreed, before, claims, heard, in_phase, net, rejections, run_for_millis, until,
};
use amiko_examples::payment::TransactionPhase;

#[test]
fn a_hub_whose_route_stands_and_isnt_locked_gives_up_by_itself_and_says_so_in_both_directions() {
    for (seed, node) in (500..).zip(HUBS) {
        let mut net = net(seed);
        agreed(&mut net);
        let (payer_side, payee_side) = (before(node), after(node));
        until(&mut net, "the route stands", |world| in_phase(world, node, TransactionPhase::Reserved));
        // Nobody tells it anything any more; what it says comes through.
        net.world.clog(payer_side, node);
        net.world.clog(payee_side, node);
        net.world.take_heard();
        run_for_millis(&mut net, 4_900);
        assert!(in_phase(&net.world, node, TransactionPhase::Reserved), "seed {seed}");
        assert_eq!(claims(&net, &[node]), [2], "seed {seed}");
        run_for_millis(&mut net, 600);
        assert_eq!(claims(&net, &[node]), [0], "seed {seed}");
        let words = heard(&mut net);
        // Back is where its half comes from: on the payee's side, the payee's direction. Both halves meet here and there.
        let (back, forward) = if node == 5 { (payee_side, payer_side) } else { (payer_side, payee_side) };
        let onward = if node == MEETING { "HaveNoRoute" } else { "CancelRoute" };
        assert!(words.has("HaveNoRoute", node, back) && words.has(onward, node, forward), "seed {seed}");
        net.world.heal(payer_side, node);
        net.world.heal(payee_side, node);
        net.settle();
        assert!(net.outcomes(PAYER)[0].starts_with("payer cancelled: "), "seed {seed}: {:?}", net.outcomes(PAYER));
        assert!(net.outcomes(PAYEE)[0].starts_with("payee cancelled: "), "seed {seed}: {:?}", net.outcomes(PAYEE));
        assert_eq!(rejections(&net), [""; 0], "seed {seed}");
        net.assert_unchanged();
    }
}

#[test]
fn a_payee_whose_payer_never_locks_is_free_again_with_all_hubs_while_the_payer_is_still_silent() {
    let mut net = net(510);
    agreed(&mut net);
    until(&mut net, "the payer's half stands", |world| in_phase(world, PAYER, TransactionPhase::Reserved));
    net.world.silence(PAYER, true);
    run_for_millis(&mut net, 6_000);
    assert_eq!(claims(&net, &[1, 2, 4, 5, 7]), [0; 5]);
    assert_eq!(net.outcomes(PAYEE), ["payee cancelled: no route from the payee"]);
    net.world.silence(PAYER, false);
    net.settle();
    assert!(net.outcomes(PAYER)[0].starts_with("payer cancelled: "), "{:?}", net.outcomes(PAYER));
    net.assert_unchanged();
}

#[test]
fn whatever_happens_beside_it_a_route_that_nobody_locks_ends() {
    let own = vec![Fault { trouble: Trouble::Clogged(PAYEE, PAYER), when: When::Confirmed, lasts: WHILE }];
    let whens = &[When::Receipt, When::Confirmed, When::Reserved];
    let row = Row { before: |_| {}, own, whens, lasts: &[SHORT, LONG], outcome: Outcome::Alike };
    row.play(50_000);
}
