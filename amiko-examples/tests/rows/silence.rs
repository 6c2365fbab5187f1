//! A peer is silent, a link is down, or a node is restarted in any of the states: the same as silence, and the time-outs
//! decide. After a restart the timers that ran out meanwhile fire first.

use super::common::PAYEE;
use super::stories::{LONG, Outcome, Row, SHORT, Trouble, WHILE, When};
use super::way::{MEETING, agreed, assert_cancelled, has_lock, heard, in_phase, net, until};
use amiko_core::prelude::*;
use amiko_examples::payment::TransactionPhase;

#[test]
fn whoever_is_silent_or_down_in_any_phase_the_payment_ends_alike_and_leaves_nothing_over() {
    let row =
        Row { before: |_| {}, own: vec![], whens: &When::ALL, lasts: &[SHORT, WHILE, LONG], outcome: Outcome::Alike };
    let outcomes = row.play(10_000);
    // Some come through, and some don't.
    assert!(outcomes[&(true, true)] > 150 && outcomes[&(false, false)] > 100, "{outcomes:?}");
}

#[test]
fn what_has_run_out_while_a_node_was_away_comes_before_what_waits_for_it() {
    for (seed, trouble) in [(1_000, Trouble::Silent(5)), (1_001, Trouble::Crashed(5))] {
        let mut net = net(seed);
        agreed(&mut net);
        until(&mut net, "the route stands", |world| in_phase(world, 5, TransactionPhase::Reserved));
        trouble.begin(&mut net);
        until(&mut net, "the lock waits for it", |world| has_lock(world, MEETING, 5));
        net.world.run_for(secs(6));
        heard(&mut net);
        trouble.mend(&mut net);
        net.settle();
        // It has given up, and the lock is one that comes too late.
        let words = heard(&mut net);
        assert!(words.has("Lock", MEETING, 5) && !words.has("Lock", 5, PAYEE), "seed {seed}: {words:?}");
        assert_cancelled(&net, "the lock was rolled back", "no route from the payee");
        net.assert_unchanged();
    }
}
