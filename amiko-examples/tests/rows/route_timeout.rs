//! A route time-out at a node, 5 s without `HaveRoute`: `HaveNoRoute` goes back, `CancelRoute` goes forward.

use super::common::{Net, PAYEE, PAYER};
use super::stories::{Fault, LONG, Outcome, Row, SHORT, Trouble, When};
use super::way::{MEETING, agreed, asks, claims, heard, net, payee_is, rejections, run_for_millis, until, waits};
use amiko_core::sim::NodeIndex;
use amiko_examples::payment::PayeePhase;

/// Who waits for whom, and who has asked.
struct Wait {
    from: NodeIndex,
    node: NodeIndex,
    onward: NodeIndex,
}

/// Hubs of both halves.
const WAITS: [Wait; 3] =
    [Wait { from: 0, node: 1, onward: 2 }, Wait { from: 1, node: 2, onward: 4 }, Wait { from: 7, node: 5, onward: 4 }];

fn assert_cancelled(net: &Net, seed: u64) {
    assert!(net.outcomes(PAYER)[0].starts_with("payer cancelled: "), "seed {seed}: {:?}", net.outcomes(PAYER));
    assert!(net.outcomes(PAYEE)[0].starts_with("payee cancelled: "), "seed {seed}: {:?}", net.outcomes(PAYEE));
    assert_eq!(rejections(net), [""; 0], "seed {seed}");
    net.assert_unchanged();
}

#[test]
fn a_hub_that_waits_in_vain_gives_up_by_itself_and_says_so_in_both_directions() {
    for (seed, Wait { from, node, onward }) in (400..).zip(WAITS) {
        let mut net = net(seed);
        agreed(&mut net);
        until(&mut net, "the hub has asked", |world| asks(world, node, onward));
        // It hears neither that nobody wants its half any more, nor an answer; what it says comes through.
        net.world.clog(from, node);
        net.world.clog(onward, node);
        net.world.take_heard();
        run_for_millis(&mut net, 4_900);
        assert!(asks(&net.world, node, onward) && claims(&net, &[node]) == [2], "seed {seed}");
        run_for_millis(&mut net, 600);
        assert_eq!(claims(&net, &[node]), [0], "seed {seed}");
        let words = heard(&mut net);
        assert!(words.has("HaveNoRoute", node, from) && words.has("CancelRoute", node, onward), "seed {seed}");
        net.world.heal(from, node);
        net.world.heal(onward, node);
        net.settle();
        assert_cancelled(&net, seed);
    }
}

#[test]
fn a_half_that_waits_in_vain_at_the_meeting_point_leaves_it() {
    // The half of the payer, and that of the payee; each time the other one doesn't come.
    for (seed, from, late) in [(410, 2, (PAYEE, 5)), (411, 5, (PAYER, 1))] {
        let mut net = net(seed);
        agreed(&mut net);
        net.world.cut(late.0, late.1);
        until(&mut net, "a half waits", waits);
        net.world.clog(from, MEETING);
        heard(&mut net);
        run_for_millis(&mut net, 4_900);
        assert!(waits(&net.world) && claims(&net, &[MEETING]) == [1], "seed {seed}");
        run_for_millis(&mut net, 600);
        assert!(!waits(&net.world), "seed {seed}");
        assert_eq!(claims(&net, &[MEETING]), [0], "seed {seed}");
        assert!(heard(&mut net).has("HaveNoRoute", MEETING, from), "seed {seed}");
        net.world.heal(late.0, late.1);
        net.world.heal(from, MEETING);
        net.settle();
        assert_cancelled(&net, seed);
    }
}

#[test]
fn an_end_that_waits_in_vain_cancels_the_payment() {
    for (seed, end, neighbour, words) in [
        (420, PAYER, 1, "payer cancelled: no route from the payer"),
        (421, PAYEE, 5, "payee cancelled: no route from the payee"),
    ] {
        let mut net = net(seed);
        net.world.silence(neighbour, true);
        agreed(&mut net);
        until(&mut net, "the payee has heard that", |world| payee_is(world, PayeePhase::Confirmed));
        // Neither end hears what the other one has come to.
        net.world.clog(PAYER, PAYEE);
        net.world.clog(PAYEE, PAYER);
        run_for_millis(&mut net, 4_900);
        assert!(net.outcomes(end).is_empty(), "seed {seed}");
        run_for_millis(&mut net, 600);
        assert_eq!(net.outcomes(end), [words], "seed {seed}");
        assert_eq!(claims(&net, &[end]), [0], "seed {seed}");
        net.world.heal(PAYER, PAYEE);
        net.world.silence(neighbour, false);
        net.settle();
        assert_cancelled(&net, seed);
    }
}

#[test]
fn whatever_happens_beside_it_a_route_that_nobody_answers_ends() {
    // Longer than a route is waited for, and shorter than a crash that lasts: so some are answered after all.
    for (seed, from, to) in [(40_000, MEETING, 2), (41_000, 5, PAYEE)] {
        let own = vec![Fault { trouble: Trouble::Clogged(from, to), when: When::Receipt, lasts: LONG / 2 }];
        let whens = &[When::Receipt, When::Confirmed, When::Reserved];
        let row = Row { before: |_| {}, own, whens, lasts: &[SHORT, LONG], outcome: Outcome::Alike };
        row.play(seed);
    }
}
