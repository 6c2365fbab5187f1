//! Payments over the twelve nodes, in a simulated world with a virtual clock: those that work, and those that don't.

#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

mod common;

use amiko_core::dispatcher::Older;
use amiko_core::prelude::*;
use amiko_examples::payment::{Network, PaymentNodeEnvelope, PaymentNodeMessage};
use common::{Net, PAYEE, PAYER};
use std::time::Duration;

const NETWORKS: [Network; 2] = [Network::Amiko, Network::Prototype3];

#[test]
fn a_payment_over_six_links_moves_the_money_and_leaves_nothing_over() {
    for network in NETWORKS {
        let mut net = Net::on(network, 1);
        net.pay(PAYER, PAYEE, 123, true);
        assert_eq!(net.outcomes(PAYER), ["payer committed"]);
        assert_eq!(net.outcomes(PAYEE), ["payee committed"]);
        assert_eq!(net.balance_changes(), [-123, 0, 0, 0, 0, 0, 0, 123, 0, 0, 0, 0]);
        net.assert_settled();
    }
}

#[test]
fn payments_both_ways_at_once_all_commit() {
    let mut net = Net::new(2);
    let payers: Vec<_> =
        (0..8).map(|n| if n % 2 == 0 { net.begin(PAYER, PAYEE, 100) } else { net.begin(PAYEE, PAYER, 100) }).collect();
    for (node, payer) in &payers {
        net.agree(*node, payer);
    }
    net.settle();
    assert_eq!(net.outcomes(PAYER).iter().filter(|outcome| *outcome == "payer committed").count(), 4);
    assert_eq!(net.outcomes(PAYEE).iter().filter(|outcome| *outcome == "payer committed").count(), 4);
    assert_eq!(net.balance_changes(), [0; 12]);
    net.assert_settled();
}

#[test]
fn a_payment_that_is_refused_is_cancelled_at_both_ends() {
    let mut net = Net::new(3);
    net.pay(PAYER, PAYEE, 123, false);
    assert_eq!(net.outcomes(PAYER), ["payer cancelled: not agreed"]);
    assert_eq!(net.outcomes(PAYEE), ["payee cancelled: the payer refused"]);
    net.assert_unchanged();
}

#[test]
fn an_amount_that_no_channel_can_carry_finds_no_route_and_waits_for_no_time_out() {
    let mut net = Net::new(4);
    let begun = net.world.now();
    net.pay(PAYER, PAYEE, 1001, true);
    assert_eq!(net.outcomes(PAYER).len(), 1);
    assert!(net.outcomes(PAYER)[0].starts_with("payer cancelled"), "{:?}", net.outcomes(PAYER));
    assert!(net.outcomes(PAYEE)[0].starts_with("payee cancelled"), "{:?}", net.outcomes(PAYEE));
    let payments = &net.world.engine(PAYER).unwrap().node().payments;
    assert!(payments.iter().all(|(_, record)| record.ended - begun < Duration::from_secs(5)));
    net.assert_unchanged();
}

#[test]
fn a_meeting_point_that_is_nowhere_ends_in_no_route() {
    let mut net = Net::new(5);
    net.rename_meeting_point("Nowhere");
    net.pay(PAYER, PAYEE, 123, true);
    assert!(net.outcomes(PAYER)[0].starts_with("payer cancelled"), "{:?}", net.outcomes(PAYER));
    assert!(net.outcomes(PAYEE)[0].starts_with("payee cancelled"), "{:?}", net.outcomes(PAYEE));
    net.assert_unchanged();
}

#[test]
fn a_silent_hub_runs_into_the_route_time_out() {
    let mut net = Net::new(6);
    let begun = net.world.now();
    let (node, payer) = net.begin(PAYER, PAYEE, 123);
    net.world.silence(5, true);
    net.agree(node, &payer);
    net.world.run_for(secs(30));
    assert!(net.outcomes(PAYER)[0].starts_with("payer cancelled"), "{:?}", net.outcomes(PAYER));
    assert!(net.world.now() - begun >= secs(5));
    // When it speaks again, what was said meanwhile is taken back there too.
    net.world.silence(5, false);
    net.settle();
    net.assert_unchanged();
}

#[test]
fn a_payer_that_falls_silent_after_the_route_runs_into_the_lock_time_out() {
    let mut net = Net::new(7);
    let (node, payer) = net.begin(PAYER, PAYEE, 123);
    net.agree(node, &payer);
    // The payer's half stands on its neighbour: from here on the payer says nothing.
    assert!(net.world.run_until(secs(5), |world| common::reserved(world, 1)));
    net.world.silence(PAYER, true);
    net.world.run_for(secs(30));
    assert!(net.outcomes(PAYEE)[0].starts_with("payee cancelled"), "{:?}", net.outcomes(PAYEE));
    assert_eq!(common::transactions(&net.world, 1), 0);
    net.world.silence(PAYER, false);
    net.settle();
    assert!(net.outcomes(PAYER)[0].starts_with("payer cancelled"), "{:?}", net.outcomes(PAYER));
    net.assert_unchanged();
}

#[test]
fn a_payee_that_falls_silent_before_the_receipt_is_given_up() {
    let mut net = Net::new(8);
    let url = net.request(PAYEE, 123);
    net.world.silence(PAYEE, true);
    net.begin_pay(PAYER, &url);
    net.world.run_for(secs(6));
    assert_eq!(net.outcomes(PAYER), ["payer cancelled: the payee sent no receipt"]);
}

#[test]
fn a_payee_that_falls_silent_after_the_receipt_is_given_up() {
    let mut net = Net::new(9);
    let (node, payer) = net.begin(PAYER, PAYEE, 123);
    net.world.silence(PAYEE, true);
    net.agree(node, &payer);
    net.world.run_for(secs(30));
    assert!(net.outcomes(PAYER)[0].starts_with("payer cancelled"), "{:?}", net.outcomes(PAYER));
    net.world.silence(PAYEE, false);
    net.settle();
    net.assert_unchanged();
}

#[test]
fn a_hub_that_crashes_at_any_moment_and_comes_back_ends_the_payment_at_both_ends_alike() {
    // A payment takes some 150 ms. A longer setting tries each moment with more seeds.
    let moments: u64 = std::env::var("AMIKO_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let mut outcomes = std::collections::BTreeMap::new();
    for moment in 0..moments {
        let delay = moment * 2 % 300;
        for hub in [4, 5] {
            let mut net = Net::new(100 + moment);
            let (node, payer) = net.begin(PAYER, PAYEE, 123);
            net.agree(node, &payer);
            net.world.run_for(Duration::from_millis(delay));
            net.world.crash(hub);
            net.world.run_for(Duration::from_millis(700));
            net.world.restart(hub).unwrap();
            net.settle();
            let outcome = net.outcomes(PAYER)[0].split(':').next().unwrap_or_default().to_owned();
            assert_eq!(
                outcome.ends_with("committed"),
                net.outcomes(PAYEE)[0].ends_with("committed"),
                "hub {hub} crashed after {delay} ms, seed {}: {:?} {:?}",
                100 + moment,
                net.outcomes(PAYER),
                net.outcomes(PAYEE)
            );
            net.assert_settled();
            *outcomes.entry(outcome).or_insert(0) += 1;
        }
    }
    assert!(outcomes["payer committed"] > moments, "{outcomes:?}");
}

#[test]
fn a_cut_link_delays_a_payment_and_loses_nothing() {
    let mut net = Net::new(10);
    let (node, payer) = net.begin(PAYER, PAYEE, 123);
    net.agree(node, &payer);
    net.world.run_for(Duration::from_millis(40));
    net.world.cut(2, 4);
    net.world.run_for(Duration::from_millis(900));
    net.world.heal(2, 4);
    net.settle();
    assert_eq!(net.outcomes(PAYER), ["payer committed"]);
    net.assert_settled();
}

#[test]
fn a_lock_that_nobody_commits_goes_back_when_its_time_is_over() {
    for network in NETWORKS {
        let mut net = Net::on(network, 11);
        let (node, payer) = net.begin(PAYER, PAYEE, 123);
        net.agree(node, &payer);
        assert!(net.world.run_until(secs(5), |world| common::locked(world, 5)));
        net.world.silence(PAYEE, true);
        // Six hops of a day each, and one more to be sure.
        net.world.run_for(secs(8 * 86_400));
        assert_eq!(net.outcomes(PAYER), ["payer cancelled: the lock was rolled back"]);
        net.world.silence(PAYEE, false);
        net.settle();
        // Its own time-outs ran out meanwhile, and go before the lock that waited for it.
        assert!(net.outcomes(PAYEE)[0].starts_with("payee cancelled"), "{:?}", net.outcomes(PAYEE));
        net.assert_unchanged();
    }
}

#[test]
fn a_payee_that_is_cut_off_with_its_token_has_nothing_when_the_time_is_over() {
    for network in NETWORKS {
        let mut net = Net::on(network, 14);
        let (node, payer) = net.begin(PAYER, PAYEE, 123);
        net.agree(node, &payer);
        assert!(net.world.run_until(secs(5), |world| common::requested(world, PAYEE)));
        net.world.cut(PAYEE, 5);
        net.world.cut(PAYEE, PAYER);
        net.world.run_for(secs(8 * 86_400));
        assert_eq!(net.outcomes(PAYER), ["payer cancelled: the lock was rolled back"]);
        net.world.heal(PAYEE, 5);
        net.world.heal(PAYEE, PAYER);
        net.settle();
        assert_eq!(net.outcomes(PAYEE), ["payee cancelled: the lock was rolled back"]);
        net.assert_unchanged();
    }
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let documents = |seed| {
        let mut net = Net::new(seed);
        net.pay(PAYER, PAYEE, 123, true);
        (0..12).map(|node| net.world.engine(node).unwrap().document().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(documents(12), documents(12));
    assert_ne!(documents(12), documents(13));
}

#[test]
fn a_hub_that_is_put_back_to_a_backup_is_refused_by_its_neighbours_and_newest_state_heals_it() {
    const HUB: usize = 4;
    let mut net = Net::new(13);
    let conflicts = |net: &Net| -> Vec<(usize, String, Older)> {
        let of = |node: usize| net.world.engine(node).unwrap().connections();
        (0..12)
            .flat_map(|node| of(node).filter_map(move |(id, end)| Some((node, id.key().clone(), end.conflict?.older))))
            .collect()
    };
    net.world.crash(HUB);
    let backup = net.world.backup(HUB).unwrap();
    net.world.restart(HUB).unwrap();
    net.world.run_for(secs(60));
    net.pay(PAYER, PAYEE, 123, true);
    assert_eq!(conflicts(&net), []);

    net.world.crash(HUB);
    let newest = net.world.backup(HUB).unwrap();
    net.world.replace_disk(HUB, backup);
    net.world.restart(HUB).unwrap();
    net.world.run_for(secs(60));
    // Those that it has told something since; a payment never passed the others.
    let expected = [
        (2, "link_to_4", Older::Theirs),
        (4, "link_to_2", Older::Ours),
        (4, "link_to_5", Older::Ours),
        (5, "link_to_4", Older::Theirs),
    ];
    assert_eq!(conflicts(&net), expected.map(|(node, link, older)| (node, link.to_owned(), older)));

    net.world.crash(HUB);
    net.world.replace_disk(HUB, newest);
    net.world.restart(HUB).unwrap();
    for neighbour in [2, 5] {
        let reconcile = PaymentNodeMessage::Reconcile { link: Id::new("link_to_4") };
        net.world.command(neighbour, PaymentNodeEnvelope::PaymentNode(reconcile)).unwrap();
    }
    net.world.run_for(secs(60));
    assert_eq!(conflicts(&net), []);
    net.pay(PAYER, PAYEE, 123, true);
    assert_eq!(net.balance_changes(), [-246, 0, 0, 0, 0, 0, 0, 246, 0, 0, 0, 0]);
    net.assert_settled();
}
