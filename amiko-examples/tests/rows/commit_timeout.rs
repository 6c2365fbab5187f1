//! A commit time-out on an outgoing link, at the end of the lock without `RequestCommit`: the funds are the local side's
//! again, `SettleRollback` goes back towards the payer, and the payer is cancelled.

use super::common::{Net, PAYEE, PAYER};
use super::stories::{Fault, LONG, Outcome, Row, SHORT, Trouble, WHILE, When};
use super::way::{
    AMOUNT, WAY, agreed, assert_cancelled, claimed, has_lock, heard, hops, net, rejections, state, until,
};
use amiko_core::prelude::*;
use amiko_core::sim::NodeIndex;

/// When the amount that a node has locked towards the payee comes back.
pub(crate) fn end_of_lock(net: &Net, node: NodeIndex) -> Time {
    let transactions = &state(&net.world, node).unwrap().transactions;
    let ends = transactions.iter().filter_map(|(_, transaction)| transaction.commit_by);
    Time::from_secs(ends.min().unwrap())
}

#[test]
fn where_the_next_one_never_commits_the_funds_come_back_at_the_end_of_the_lock_and_the_payer_hears_of_it() {
    for (seed, (from, to)) in (700..).zip(hops()) {
        let mut net = net(seed);
        agreed(&mut net);
        until(&mut net, "the amount is locked", |world| has_lock(world, from, to));
        net.world.silence(to, true);
        heard(&mut net);
        let end = end_of_lock(&net, from);
        net.world.run_for((end - net.world.now()) - secs(1));
        assert_eq!(claimed(&net, from, to), (0, AMOUNT), "seed {seed}");
        assert!(net.outcomes(PAYER).is_empty(), "seed {seed}");
        net.world.run_for(secs(2));
        assert_eq!(claimed(&net, from, to), (0, 0), "seed {seed}");
        assert_eq!(net.outcomes(PAYER), ["payer cancelled: the lock was rolled back"], "seed {seed}");
        // Each one asks the one before it, which takes its own back and says so.
        let words = heard(&mut net);
        for pair in WAY.windows(2).take_while(|pair| pair[0] != from) {
            assert!(words.has("SettleRollback", pair[1], pair[0]), "seed {seed}: {words:?}");
            assert!(words.has("SettleRollback", pair[0], pair[1]), "seed {seed}: {words:?}");
        }
        net.world.silence(to, false);
        net.settle();
        assert!(net.outcomes(PAYEE)[0].starts_with("payee cancelled: "), "seed {seed}: {:?}", net.outcomes(PAYEE));
        assert_eq!(rejections(&net), [""; 0], "seed {seed}");
        net.assert_unchanged();
    }
}

#[test]
fn a_payee_that_was_down_when_it_should_have_committed_is_cancelled_too() {
    let mut net = net(710);
    agreed(&mut net);
    until(&mut net, "the amount is locked", |world| has_lock(world, 5, PAYEE));
    net.world.crash(PAYEE);
    net.world.run_for(LONG);
    assert_eq!(net.outcomes(PAYER), ["payer cancelled: the lock was rolled back"]);
    net.world.restart(PAYEE).unwrap();
    net.settle();
    assert_cancelled(&net, "the lock was rolled back", "no route from the payee");
    net.assert_unchanged();
}

#[test]
fn whatever_happens_beside_it_a_payee_that_never_commits_gets_nothing() {
    let own = vec![Fault { trouble: Trouble::Silent(PAYEE), when: When::BothStand, lasts: LONG }];
    let whens = &[When::Reserved, When::BothStand, When::Locked];
    let row = Row { before: |_| {}, own, whens, lasts: &[SHORT, WHILE, LONG], outcome: Outcome::Alike };
    row.play(70_000);
}
