//! Channels that are opened and closed while payments go on, in the simulated world of twelve nodes.

#![allow(clippy::unwrap_used, clippy::panic, dead_code, reason = "what fails here fails the test")]

mod common;

use amiko_core::prelude::*;
use amiko_core::sim::NodeIndex;
use amiko_examples::payment::{ChannelState, IouChannel, PaymentNodeMessage};
use common::{Net, PAYEE, PAYER, link_to};
use std::collections::BTreeMap;
use std::time::Duration;

/// The link in the middle of the route, of which one end or both withdraw the channel.
const ENDS: [NodeIndex; 2] = [4, 5];

/// What goes wrong after a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    None,
    Crash(NodeIndex),
    Cut,
}

fn withdraw(net: &mut Net, node: NodeIndex, channel: u32) {
    let neighbour = if node == ENDS[0] { ENDS[1] } else { ENDS[0] };
    net.asks(node, PaymentNodeMessage::Withdraw { link: link_to(neighbour), channel });
}

fn deposit(net: &mut Net, node: NodeIndex, neighbour: NodeIndex, class: &str, amount: u64) {
    net.asks(node, PaymentNodeMessage::Deposit { link: link_to(neighbour), class: class.into(), amount });
}

fn accept_all(net: &mut Net) {
    for node in 0..12 {
        let links: Vec<_> = net.world.engine(node).unwrap().node().links.iter().map(|(id, _)| id).collect();
        for link in links {
            let classes = ["IouChannel", "PlainChannel"].map(str::to_owned).into();
            net.asks(node, PaymentNodeMessage::Accept { link, classes });
        }
    }
}

fn states(net: &Net, channel: usize) -> [ChannelState; 2] {
    [net.channels(ENDS[0], ENDS[1]), net.channels(ENDS[1], ENDS[0])].map(|channels| *channels[channel].funds().state)
}

/// A payment that is under way, and has been for a while.
fn under_way(seed: u64, milliseconds: u64) -> Net {
    let mut net = Net::new(seed);
    let (node, payer) = net.begin(PAYER, PAYEE, 123);
    net.agree(node, &payer);
    net.world.run_for(Duration::from_millis(milliseconds));
    net
}

#[test]
fn a_channel_that_is_withdrawn_in_any_phase_of_a_payment_closes_at_both_ends_when_it_is_over() {
    // A payment takes some 150 ms. A longer setting tries each moment with more seeds.
    let moments: u64 = std::env::var("AMIKO_WITHDRAWALS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let troubles = [Trouble::None, Trouble::Crash(ENDS[0]), Trouble::Crash(ENDS[1]), Trouble::Cut];
    let (mut outcomes, mut waited) = (BTreeMap::new(), 0);
    for moment in 0..moments {
        let (seed, delay) = (1_000 + moment, moment * 5 % 300);
        for (ends, trouble) in
            [&ENDS[..1], &ENDS[1..], &ENDS[..]].into_iter().flat_map(|ends| troubles.map(|trouble| (ends, trouble)))
        {
            let mut net = under_way(seed, delay);
            let context = format!("{ends:?} withdraw after {delay} ms, then {trouble:?}, seed {seed}");
            ends.iter().for_each(|end| withdraw(&mut net, *end, 0));
            net.world.run_for(Duration::from_millis(moment % 20));
            waited += u32::from(states(&net, 0).contains(&ChannelState::Closing));
            match trouble {
                Trouble::None => {}
                Trouble::Crash(node) => net.world.crash(node),
                Trouble::Cut => net.world.cut(ENDS[0], ENDS[1]),
            }
            net.world.run_for(Duration::from_millis(700));
            match trouble {
                Trouble::None => {}
                Trouble::Crash(node) => net.world.restart(node).unwrap(),
                Trouble::Cut => net.world.heal(ENDS[0], ENDS[1]),
            }
            net.settle();
            let [payer, payee] = [PAYER, PAYEE].map(|end| net.outcomes(end)[0].clone());
            assert_eq!(payer.ends_with("committed"), payee.ends_with("committed"), "{context}: {payer}, {payee}");
            assert_eq!(states(&net, 0), [ChannelState::Closed; 2], "{context}");
            net.assert_settled();
            *outcomes.entry(payer.ends_with("committed")).or_insert(0) += 1;
        }
    }
    // The payment has been in each phase: before its route, with it, and over.
    assert!(outcomes[&true] > 100 && outcomes[&false] > 50 && waited > 100, "{outcomes:?}, {waited} waited");
}

#[test]
fn a_channel_that_is_withdrawn_under_a_lock_that_nobody_commits_closes_when_the_lock_goes_back() {
    let mut net = Net::new(24);
    let (node, payer) = net.begin(PAYER, PAYEE, 123);
    net.agree(node, &payer);
    assert!(net.world.run_until(secs(5), |world| common::locked(world, ENDS[1])));
    net.world.silence(PAYEE, true);
    withdraw(&mut net, ENDS[0], 0);
    net.world.run_for(secs(3_600));
    assert_eq!(states(&net, 0), [ChannelState::Closing; 2]);
    // Six hops of a day each, and one more to be sure.
    net.world.run_for(secs(8 * 86_400));
    assert_eq!(net.outcomes(PAYER), ["payer cancelled: the lock was rolled back"]);
    assert_eq!(states(&net, 0), [ChannelState::Closed; 2]);
    net.world.silence(PAYEE, false);
    net.settle();
    net.assert_settled();
    assert_eq!(net.balance_changes(), [0; 12]);
}

#[test]
fn no_route_goes_over_a_channel_that_was_withdrawn_and_one_that_is_opened_then_takes_its_place() {
    let mut net = Net::new(20);
    net.pay(PAYER, PAYEE, 123, true);
    withdraw(&mut net, ENDS[1], 0);
    net.world.run_for(secs(1));
    assert_eq!(states(&net, 0), [ChannelState::Closed; 2]);
    net.pay(PAYER, PAYEE, 10, true);
    deposit(&mut net, ENDS[0], ENDS[1], "PlainChannel", 500);
    net.world.run_for(secs(1));
    net.pay(PAYER, PAYEE, 10, true);
    let outcomes = net.outcomes(PAYER);
    assert_eq!([&outcomes[0], &outcomes[2]], ["payer committed"; 2]);
    assert!(outcomes[1].starts_with("payer cancelled"), "{outcomes:?}");
    // What was in the closed one stays written down.
    assert_eq!(net.channels(ENDS[0], ENDS[1]).iter().map(|end| end.local()).collect::<Vec<_>>(), [877, 490]);
    net.assert_settled();
}

#[test]
fn a_neighbour_that_asks_before_it_hears_of_a_withdrawal_tries_something_else_at_once() {
    let mut net = Net::new(21);
    let (node, payer) = net.begin(PAYER, PAYEE, 123);
    // The neighbour of the payer closes; the payer asks it before it hears of it.
    net.asks(1, PaymentNodeMessage::Withdraw { link: link_to(PAYER), channel: 0 });
    net.agree(node, &payer);
    let begun = net.world.now();
    net.settle();
    assert_eq!(net.outcomes(PAYER), ["payer cancelled: no route from the payer"]);
    let record = net.world.engine(PAYER).unwrap().node().payments.iter().next().unwrap().1.clone();
    assert!(record.ended - begun < secs(1), "{record:?}");
    net.assert_settled();
}

/// Channels of both classes, by turns, from node 0 to node 7: each can carry 5000 that way, and nothing the other way.
fn mixed(seed: u64) -> Net {
    let mut net = Net::new(seed);
    accept_all(&mut net);
    // Money is put in by whoever pays over a channel; credit is given by whoever is paid.
    for (payer, payee, class) in [
        (0, 1, "PlainChannel"),
        (1, 2, "IouChannel"),
        (2, 4, "PlainChannel"),
        (4, 5, "IouChannel"),
        (5, 7, "PlainChannel"),
    ] {
        let (depositor, neighbour) = if class == "IouChannel" { (payee, payer) } else { (payer, payee) };
        deposit(&mut net, depositor, neighbour, class, 5000);
    }
    net.world.run_for(secs(1));
    net
}

fn debts(net: &Net, debtor: NodeIndex, creditor: NodeIndex) -> (u64, u64) {
    let end = |node, neighbour| {
        let channel = &net.channels(node, neighbour)[1];
        (**channel).as_any().downcast_ref::<IouChannel>().unwrap().clone()
    };
    let (debtor, creditor) = (end(debtor, creditor), end(creditor, debtor));
    assert_eq!((debtor.limit_local, debtor.limit_remote), (creditor.limit_remote, creditor.limit_local));
    assert_eq!(debtor.local_debt(), creditor.remote_debt());
    (debtor.local_debt(), creditor.local_debt())
}

#[test]
fn a_payment_over_channels_of_both_classes_moves_money_and_debts_and_comes_back() {
    let mut net = mixed(22);
    let before: Vec<_> = (0..12).map(|node| net.world.engine(node).unwrap().node().balance()).collect();
    // More than the channels that were there before can carry.
    net.pay(PAYER, PAYEE, 1500, true);
    assert_eq!(net.outcomes(PAYER), ["payer committed"]);
    assert_eq!((debts(&net, 1, 2), debts(&net, 4, 5)), ((1500, 0), (1500, 0)));
    net.pay(PAYEE, PAYER, 1400, true);
    assert_eq!(net.outcomes(PAYEE), ["payee committed", "payer committed"]);
    assert_eq!((debts(&net, 1, 2), debts(&net, 4, 5)), ((100, 0), (100, 0)));
    let after = (0..12).map(|node| net.world.engine(node).unwrap().node().balance());
    let changes: Vec<_> = after.zip(&before).map(|(after, before)| after as i64 - *before as i64).collect();
    assert_eq!(changes, [-100, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 0]);
    net.assert_settled();
    // Nobody can owe more than it was allowed.
    net.pay(PAYER, PAYEE, 4901, true);
    assert!(net.outcomes(PAYER).last().unwrap().starts_with("payer cancelled"), "{:?}", net.outcomes(PAYER));
    net.pay(PAYER, PAYEE, 4900, true);
    assert_eq!((debts(&net, 1, 2), debts(&net, 4, 5)), ((5000, 0), (5000, 0)));
    net.assert_settled();
}

#[test]
fn a_debt_is_the_same_at_both_ends_whenever_one_of_them_crashes_or_withdraws() {
    let mut committed = 0;
    for moment in 0..50 {
        for node in ENDS {
            let seed = 2_000 + moment;
            let mut net = mixed(seed);
            let (payer, id) = net.begin(PAYER, PAYEE, 1500);
            net.agree(payer, &id);
            net.world.run_for(Duration::from_millis(moment * 4));
            let withdrawn = moment % 2 == 0;
            if withdrawn {
                withdraw(&mut net, node, 1);
            }
            net.world.crash(node);
            net.world.run_for(Duration::from_millis(400));
            net.world.restart(node).unwrap();
            net.settle();
            let paid = net.outcomes(PAYER)[0].ends_with("committed");
            assert_eq!(net.outcomes(PAYEE)[0].ends_with("committed"), paid, "node {node}, seed {seed}");
            assert_eq!(debts(&net, 4, 5), (if paid { 1500 } else { 0 }, 0), "node {node}, seed {seed}");
            let state = if withdrawn { ChannelState::Closed } else { ChannelState::Open };
            assert_eq!(states(&net, 1), [state; 2], "node {node}, seed {seed}");
            net.assert_settled();
            committed += u32::from(paid);
        }
    }
    assert!((20..100).contains(&committed), "{committed} committed");
}

#[test]
fn deposits_of_both_sides_at_the_same_moment_are_the_same_at_both_ends() {
    for seed in 0..20 {
        for class in ["PlainChannel", "IouChannel"] {
            let mut net = Net::new(3_000 + seed);
            accept_all(&mut net);
            // Neither hears of what the other does.
            net.world.cut(ENDS[0], ENDS[1]);
            deposit(&mut net, ENDS[0], ENDS[1], class, 500);
            deposit(&mut net, ENDS[1], ENDS[0], class, 300);
            deposit(&mut net, ENDS[1], ENDS[0], class, 20);
            if seed % 2 == 0 {
                withdraw(&mut net, ENDS[0], 1);
            }
            net.world.crash(ENDS[(seed % 2) as usize]);
            net.world.restart(ENDS[(seed % 2) as usize]).unwrap();
            net.world.heal(ENDS[0], ENDS[1]);
            net.world.run_for(secs(60));
            let amounts: Vec<_> =
                net.channels(ENDS[0], ENDS[1]).iter().map(|channel| (channel.local(), channel.remote())).collect();
            let expected = if class == "PlainChannel" { [(500, 300), (0, 20)] } else { [(300, 500), (20, 0)] };
            assert_eq!(amounts[1..], expected, "{class}, seed {seed}");
            let state = if seed % 2 == 0 { ChannelState::Closed } else { ChannelState::Open };
            assert_eq!((states(&net, 1), states(&net, 2)), ([state; 2], [ChannelState::Open; 2]));
            net.assert_settled();
        }
    }
}

#[test]
fn deposits_of_two_classes_at_the_same_moment_cancel_each_other_and_the_next_ones_stand() {
    let mut net = Net::new(25);
    accept_all(&mut net);
    net.world.cut(ENDS[0], ENDS[1]);
    deposit(&mut net, ENDS[0], ENDS[1], "PlainChannel", 5000);
    deposit(&mut net, ENDS[1], ENDS[0], "IouChannel", 5000);
    net.world.heal(ENDS[0], ENDS[1]);
    net.world.run_for(secs(60));
    assert_eq!(states(&net, 1), [ChannelState::Closed; 2]);
    deposit(&mut net, ENDS[0], ENDS[1], "PlainChannel", 600);
    net.world.run_for(secs(1));
    deposit(&mut net, ENDS[1], ENDS[0], "IouChannel", 700);
    net.world.run_for(secs(1));
    let ends = [(0, 1), (1, 0)].map(|(one, other)| {
        let channels = net.channels(ENDS[one], ENDS[other]).iter().skip(2);
        channels.map(|end| (end.class_name(), end.local(), end.remote())).collect::<Vec<_>>()
    });
    assert_eq!(ends[0], [("PlainChannel", 600, 0), ("IouChannel", 700, 0)]);
    assert_eq!(ends[1], [("PlainChannel", 0, 600), ("IouChannel", 0, 700)]);
}

#[test]
fn a_deposit_that_the_neighbour_refuses_uses_up_its_index_and_the_next_ones_stand() {
    let mut net = Net::new(23);
    let classes = ["IouChannel", "PlainChannel"].map(str::to_owned).into();
    net.asks(ENDS[0], PaymentNodeMessage::Accept { link: link_to(ENDS[1]), classes });
    deposit(&mut net, ENDS[0], ENDS[1], "IouChannel", 500);
    net.world.run_for(secs(1));
    let reason = "expected a class of channel that this link accepts, PlainChannel, found \"IouChannel\"; \
                  `amiko-node link accept link_to_4 IouChannel PlainChannel` accepts it, too";
    let refused = net.channels(ENDS[1], ENDS[0])[1].remark();
    assert_eq!(refused, format!("refused: {reason}"));
    let engine = net.world.engine(ENDS[1]).unwrap();
    let reasons: Vec<_> = engine.rejections().map(|rejected| rejected.rejection.reason().to_owned()).collect();
    assert_eq!(reasons, [format!("this channel was refused: {reason}")]);
    net.pay(PAYER, PAYEE, 123, true);
    // What either end opens then is the same channel at both.
    deposit(&mut net, ENDS[0], ENDS[1], "PlainChannel", 2000);
    net.world.run_for(secs(1));
    deposit(&mut net, ENDS[1], ENDS[0], "PlainChannel", 70);
    net.world.run_for(secs(1));
    let ends = [(0, 1), (1, 0)].map(|(one, other)| {
        let channels = net.channels(ENDS[one], ENDS[other]).iter().skip(2);
        channels.map(|end| (end.local(), end.remote())).collect::<Vec<_>>()
    });
    assert_eq!(ends, [vec![(2000, 0), (0, 70)], vec![(0, 2000), (70, 0)]]);
    net.pay(PAYER, PAYEE, 500, true);
    assert_eq!(net.outcomes(PAYER), ["payer committed"; 2]);
}
