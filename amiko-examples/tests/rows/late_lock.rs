//! `Lock` arrives for a transaction that has timed out: the amount is reserved and locked on the incoming link, and
//! `SettleRollback` goes back at once, so that the funds are released.

use super::common::PAYER;
use super::stories::{Fault, LONG, Outcome, Row, SHORT, Trouble, WHILE, When};
use super::way::{
    AMOUNT, agreed, assert_cancelled, claimed, claims, has_lock, heard, hops, in_phase, net, run_for_millis, until,
};
use amiko_examples::payment::TransactionPhase;

#[test]
fn a_lock_that_comes_too_late_on_any_link_is_taken_and_given_back_at_once() {
    for (seed, (from, to)) in (600..).zip(hops()) {
        let mut net = net(seed);
        agreed(&mut net);
        until(&mut net, "the route stands", |world| in_phase(world, to, TransactionPhase::Reserved));
        net.world.clog(from, to);
        until(&mut net, "the amount is locked before it", |world| has_lock(world, from, to));
        run_for_millis(&mut net, 6_000);
        // It has timed out where the lock hasn't come to, and there alone.
        assert_eq!(claimed(&net, to, from), (0, 0), "seed {seed}");
        assert_eq!(claimed(&net, from, to), (0, AMOUNT), "seed {seed}");
        assert!(net.outcomes(PAYER).is_empty(), "seed {seed}");
        heard(&mut net);
        net.world.heal(from, to);
        // Locked here, until the neighbour has taken it back.
        until(&mut net, "the lock has come", |world| has_lock(world, to, from));
        assert_eq!(claimed(&net, to, from), (AMOUNT, 0), "seed {seed}");
        run_for_millis(&mut net, 500);
        let words = heard(&mut net);
        assert_eq!(words.of("Lock"), [(from, to)], "seed {seed}");
        assert!(words.has("SettleRollback", to, from) && words.has("SettleRollback", from, to), "seed {seed}");
        assert_eq!(claims(&net, &[0, 1, 2, 4, 5, 7]), [0; 6], "seed {seed}");
        assert_cancelled(&net, "the lock was rolled back", "no route from the payee");
        net.settle();
        net.assert_unchanged();
    }
}

#[test]
fn whatever_happens_beside_it_a_lock_that_comes_too_late_is_given_back() {
    for (seed, (from, to)) in [60_000, 61_000].into_iter().zip([(PAYER, 1), (4, 5)]) {
        let own = vec![Fault { trouble: Trouble::Clogged(from, to), when: When::BothStand, lasts: WHILE }];
        let whens = &[When::Reserved, When::BothStand, When::Locked];
        let row = Row { before: |_| {}, own, whens, lasts: &[SHORT, LONG], outcome: Outcome::Alike };
        row.play(seed);
    }
}
