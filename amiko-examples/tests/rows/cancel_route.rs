//! `CancelRoute` walks forward along the half-route, releases the reservations, and deletes the transactions and the half
//! that waits at the meeting point.

use super::common::{PAYEE, PAYER};
use super::stories::{Fault, LONG, Outcome, Row, SHORT, Trouble, WHILE, When};
use super::way::{agreed, assert_cancelled, claims, close, heard, in_phase, net, run_for_millis, until, waits};
use amiko_core::sim::NodeIndex;
use amiko_examples::payment::TransactionPhase;

struct Case {
    /// A channel that is closed, so that one half finds no way.
    closed: (NodeIndex, NodeIndex),
    /// Who says `Cancel` to whom.
    cancel: (NodeIndex, NodeIndex),
    /// Where the other half has been, and what walks along it.
    half: &'static [NodeIndex],
    walk: &'static [(NodeIndex, NodeIndex)],
    ended: (&'static str, &'static str),
}

const CASES: [Case; 2] = [
    Case {
        closed: (1, 2),
        cancel: (PAYER, PAYEE),
        half: &[7, 5, 4],
        walk: &[(7, 5), (5, 4)],
        ended: ("no route from the payer", "the payer cancelled"),
    },
    Case {
        closed: (5, 7),
        cancel: (PAYEE, PAYER),
        half: &[0, 1, 2, 4],
        walk: &[(0, 1), (1, 2), (2, 4)],
        ended: ("the payee found no route", "no route from the payee"),
    },
];

#[test]
fn the_half_that_isnt_wanted_any_more_is_gone_from_each_node_without_a_time_out() {
    for (seed, Case { closed, cancel, half, walk, ended }) in (300..).zip(CASES) {
        let mut net = net(seed);
        close(&mut net, closed.0, closed.1);
        agreed(&mut net);
        // The other half comes all the way before it hears that it isn't wanted.
        net.world.clog(cancel.0, cancel.1);
        until(&mut net, "the other half waits at the meeting point", waits);
        run_for_millis(&mut net, 500);
        assert!(claims(&net, half).iter().all(|claims| *claims == 1 || *claims == 2), "{:?}", claims(&net, half));
        heard(&mut net);
        net.world.heal(cancel.0, cancel.1);
        run_for_millis(&mut net, 300);
        assert_eq!(heard(&mut net).of("CancelRoute"), walk, "seed {seed}");
        assert_eq!(claims(&net, half), vec![0; half.len()], "seed {seed}");
        assert!(!waits(&net.world), "seed {seed}");
        // What is left of them is the memory of a moment.
        let left = [TransactionPhase::Searching, TransactionPhase::Reserved];
        assert!(!half.iter().any(|node| left.iter().any(|phase| in_phase(&net.world, *node, *phase))), "seed {seed}");
        assert_cancelled(&net, ended.0, ended.1);
        net.settle();
        net.assert_settled();
        assert_eq!(net.balance_changes(), [0; 12], "seed {seed}");
    }
}

#[test]
fn whatever_happens_beside_it_a_half_that_isnt_wanted_any_more_is_gone() {
    for (case, seed) in CASES.iter().zip([30_000, 31_000]) {
        let before = match case.closed {
            (1, 2) => |net: &mut super::common::Net| close(net, 1, 2),
            _ => |net: &mut super::common::Net| close(net, 5, 7),
        };
        let delayed = Trouble::Clogged(case.cancel.0, case.cancel.1);
        for lasts in [SHORT, WHILE] {
            let own = vec![Fault { trouble: delayed, when: When::Confirmed, lasts }];
            let whens = &[When::Receipt, When::Confirmed, When::Reserved];
            let row = Row { before, own, whens, lasts: &[SHORT, LONG], outcome: Outcome::Cancelled };
            row.play(seed);
        }
    }
}
