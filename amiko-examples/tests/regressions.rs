//! Faults that were found in the payment node, in the simulated world of twelve nodes: each must not come back.

#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

mod common;

use amiko_core::prelude::*;
use amiko_core::sim::NodeIndex;
use amiko_examples::payment::{Link, LinkMessage, PayeePhase, PaymentNodeEnvelope};
use common::{Net, PAYEE, PAYER, Payments};

/// The payee has shown the token.
fn shown(world: &Payments) -> bool {
    let payees = &world.engine(PAYEE).unwrap().node().payees;
    payees.iter().any(|(_, payee)| payee.phase == PayeePhase::SentRequestCommit)
}

/// A payment of 123 up to the moment when the payee has shown the token, and nobody has heard of it.
fn up_to_the_token(seed: u64) -> Net {
    let mut net = Net::new(seed);
    let (node, payer) = net.begin(PAYER, PAYEE, 123);
    net.agree(node, &payer);
    assert!(net.world.run_until(secs(5), shown));
    net
}

fn link(net: &Net, node: NodeIndex, to: NodeIndex) -> &Link {
    net.world.engine(node).unwrap().node().links.get(&Id::new(format!("link_to_{to}"))).unwrap()
}

fn rejections(net: &Net) -> Vec<String> {
    let of = |node| net.world.engine(node).unwrap().rejections().map(|rejected| rejected.rejection.to_string());
    (0..12).flat_map(of).collect()
}

#[test]
fn a_payer_that_takes_its_money_back_after_the_lock_does_not_have_its_neighbour_pay() {
    let mut net = Net::new(0);
    let (node, payer) = net.begin(PAYER, PAYEE, 123);
    net.agree(node, &payer);
    assert!(net.world.run_until(secs(5), |world| common::locked(world, PAYER)));
    let transactions = &net.world.engine(PAYER).unwrap().node().transactions;
    let route = transactions.iter().next().unwrap().0.key().route;
    let takes_back = PaymentNodeEnvelope::Link(Id::new("link_to_1"), LinkMessage::TakeBack { route });
    net.world.command(PAYER, takes_back).unwrap();
    net.world.run_for(secs(30));
    // The payment goes its way; what the neighbour is to have for it stays locked.
    assert_eq!(net.outcomes(PAYEE), ["payee committed"]);
    assert_eq!(link(&net, 1, 0).channels[0].claimed(), (123, 0));
    assert!(link(&net, 1, 0).routes.get(&route).unwrap().locked);
}

#[test]
fn a_commit_and_a_rollback_that_cross_leave_both_ends_of_every_channel_agreed() {
    for seed in [5, 6, 7] {
        let mut net = up_to_the_token(seed);
        net.world.cut(4, 5);
        // What the payer, who hears the token from the payee, and its neighbour say to each other waits, and crosses.
        net.world.clog(PAYER, 1);
        net.world.clog(1, PAYER);
        let due = net.world.engine(4).unwrap().next_due().unwrap();
        net.world.run_for((due - net.world.now()) + secs(20));
        net.world.heal(PAYER, 1);
        net.world.heal(4, 5);
        net.world.run_for(secs(60));
        assert_eq!(rejections(&net), Vec::<String>::new());
        net.assert_settled();
        // The payer has paid, and the payee is paid; the way between them had come to its end before, and cost the node
        // that couldn't pass on the token in time.
        assert_eq!(net.balance_changes(), [-123, 123, 0, 0, 0, -123, 0, 123, 0, 0, 0, 0]);
        assert_eq!(net.outcomes(PAYER), ["payer committed"]);
        assert_eq!(net.outcomes(PAYEE), ["payee committed"]);
    }
}

#[test]
fn a_commit_that_waits_for_a_link_until_after_its_time_is_taken_where_the_token_has_come_by() {
    let mut net = up_to_the_token(5);
    net.world.cut(0, 1);
    net.world.run_for(secs(3 * 86_400));
    net.world.heal(0, 1);
    net.world.run_for(secs(60));
    assert_eq!(rejections(&net), Vec::<String>::new());
    net.assert_settled();
    assert_eq!(net.balance_changes(), [-123, 0, 0, 0, 0, 0, 0, 123, 0, 0, 0, 0]);
}

#[test]
fn a_request_whose_payer_has_gone_is_over_after_a_day() {
    let mut net = Net::new(8);
    let url = net.request(PAYEE, 123);
    net.world.silence(PAYEE, true);
    net.begin_pay(PAYER, &url);
    net.world.run_for(secs(6));
    net.world.silence(PAYEE, false);
    net.world.run_for(secs(86_400));
    assert_eq!(net.outcomes(PAYER), ["payer cancelled: the payee sent no receipt"]);
    assert_eq!(net.outcomes(PAYEE), ["payee cancelled: nobody paid in time"]);
    net.assert_unchanged();
}

#[test]
fn a_request_that_expires_while_its_payer_is_asked_ends_on_both_nodes() {
    let mut net = Net::new(9);
    let url = net.request(PAYEE, 123);
    net.world.run_for(secs(86_395));
    net.begin_pay(PAYER, &url);
    net.world.run_for(secs(60));
    assert_eq!(net.outcomes(PAYER), ["payer cancelled: the payee cancelled"]);
    assert_eq!(net.outcomes(PAYEE), ["payee cancelled: nobody paid in time"]);
    net.assert_unchanged();
}

#[test]
fn a_payer_that_agrees_as_the_request_expires_gets_everything_back() {
    for early in [0, 1, 2, 5, 10, 20, 50] {
        let mut net = Net::new(10);
        let url = net.request(PAYEE, 123);
        net.world.run_for(secs(86_395));
        let payer = net.begin_pay(PAYER, &url);
        let due = net.world.engine(PAYEE).unwrap().next_due().unwrap();
        let rest = due - net.world.now();
        net.world.run_for(rest - std::time::Duration::from_millis(early));
        net.agree(PAYER, &payer);
        net.world.run_for(secs(60));
        net.assert_settled();
        let moved = i64::from(net.outcomes(PAYEE) == ["payee committed"]) * 123;
        assert_eq!(net.balance_changes()[PAYEE], moved, "{early}");
        assert_eq!(net.balance_changes()[PAYER], -moved, "{early}");
    }
}

#[test]
fn a_commit_that_waits_for_a_link_until_after_its_time_is_taken_where_the_way_back_has_begun() {
    let mut net = Net::new(5);
    let (node, payer) = net.begin(PAYER, PAYEE, 123);
    net.agree(node, &payer);
    assert!(net.world.run_until(secs(5), |world| common::locked(world, 5)));
    net.world.cut(0, 1);
    assert!(net.world.run_until(secs(5), shown));
    net.world.cut(4, 5);
    // The payer has the token from the payee and has settled; its word to its neighbour waits, longer than any time-out.
    net.world.run_for(secs(20 * 86_400));
    net.world.heal(0, 1);
    net.world.heal(4, 5);
    net.world.run_for(secs(86_400));
    net.assert_settled();
    assert_eq!(rejections(&net), [""; 0]);
}

#[test]
fn a_payee_that_is_away_until_its_lock_has_gone_back_has_nobody_pay() {
    let mut net = Net::new(11);
    let (node, payer) = net.begin(PAYER, PAYEE, 123);
    net.agree(node, &payer);
    assert!(net.world.run_until(secs(5), |world| common::locked(world, PAYER)));
    // What it says is in its outbox and reaches nobody.
    net.world.swallow(PAYEE, 5);
    net.world.swallow(PAYEE, PAYER);
    assert!(net.world.run_until(secs(5), shown));
    net.world.crash(PAYEE);
    // Nor does the payer hear that its neighbour has taken the lock back.
    net.world.cut(4, 5);
    net.world.run_for(secs(86_400));
    net.world.heal(PAYEE, 5);
    net.world.heal(PAYEE, PAYER);
    net.world.restart(PAYEE).unwrap();
    net.world.run_for(secs(60));
    net.world.heal(4, 5);
    net.settle();
    assert_eq!(net.outcomes(PAYER), ["payer cancelled: the lock was rolled back"]);
    assert_eq!(net.outcomes(PAYEE), ["payee cancelled: the lock was rolled back"]);
    net.assert_unchanged();
}
