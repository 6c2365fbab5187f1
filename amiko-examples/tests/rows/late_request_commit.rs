//! `RequestCommit` after the commit time-out is ignored: what it is about is settled already.

use super::commit_timeout::end_of_lock;
use super::common::{PAYEE, PAYER, links};
use super::stories::{Fault, LONG, Outcome, Row, SHORT, Trouble, When};
use super::way::{AMOUNT, agreed, has_lock, heard, hops, net, payer_is, rejections, run_for_millis, until};
use amiko_core::prelude::*;
use amiko_examples::payment::PayerPhase;

#[test]
fn a_token_that_comes_after_the_end_of_the_lock_on_any_link_changes_nothing() {
    for (seed, (to, from)) in (800..).zip(hops()) {
        let mut net = net(seed);
        agreed(&mut net);
        // The payer hears of the token over the route or not at all.
        until(&mut net, "the payer has both halves", |world| payer_is(world, PayerPhase::Locked));
        net.world.clog(PAYEE, PAYER);
        net.world.clog(from, to);
        until(&mut net, "the amount is locked", |world| has_lock(world, from, to));
        let end = end_of_lock(&net, to);
        net.world.run_for((end - net.world.now()) + secs(1));
        assert_eq!(net.outcomes(PAYER), ["payer cancelled: the lock was rolled back"], "seed {seed}");
        let before = links(&net.world, to);
        heard(&mut net);
        net.world.heal(from, to);
        net.world.heal(PAYEE, PAYER);
        run_for_millis(&mut net, 500);
        assert!(heard(&mut net).has("RequestCommit", from, to), "seed {seed}");
        assert_eq!(links(&net.world, to), before, "seed {seed}");
        assert_eq!(rejections(&net), [""; 0], "seed {seed}");
        net.settle();
        net.assert_settled();
        // Whoever has paid for the token and couldn't pass it on has paid for all; the payee itself has nothing then.
        let mut changes = [0; 12];
        if from != PAYEE {
            (changes[from], changes[PAYEE]) = (-(AMOUNT as i64), AMOUNT as i64);
        }
        assert_eq!(net.balance_changes(), changes, "seed {seed}");
        let words = if from == PAYEE { "payee cancelled: the lock was rolled back" } else { "payee committed" };
        assert_eq!(net.outcomes(PAYEE), [words], "seed {seed}");
    }
}

#[test]
fn whatever_happens_beside_it_a_token_that_comes_too_late_leaves_nothing_over() {
    let late = |from, to| Fault { trouble: Trouble::Clogged(from, to), when: When::BothStand, lasts: LONG };
    for (seed, from, to) in [(80_000, PAYEE, 5), (81_000, 2, 1)] {
        let own = vec![late(PAYEE, PAYER), late(from, to)];
        let whens = &[When::BothStand, When::Locked, When::Shown];
        let row = Row { before: |_| {}, own, whens, lasts: &[SHORT, LONG], outcome: Outcome::Alike };
        row.play(seed);
    }
}
