//! Neighbours whose clocks differ.

use crate::machine::{Machine, NOTHING, hub, link, route};
use crate::messages::{AMOUNT, have_route, lock, make_route};
use amiko_core::Protocol;
use amiko_core::prelude::*;
use amiko_examples::payment::{ConnectionId, Link, PaymentNode, PaymentProtocol};

/// Half of the default increment.
const HALF: i64 = 43_200;

/// The neighbour tells what its clock says, so far ahead of ours.
fn told(hub: &mut Machine, connection: &str, ahead: i64) -> Vec<String> {
    let theirs = Time::from_secs(hub.now.as_secs().checked_add_signed(ahead).unwrap());
    let connection: ConnectionId = Id::new(connection);
    match PaymentProtocol.clock(hub.engine.node(), &connection, hub.now, theirs) {
        Some(event) => hub.commands(event),
        None => Vec::new(),
    }
}

fn ahead(hub: &Machine, name: &str) -> i64 {
    hub.engine.node().links.get(&Id::new(name)).unwrap().clock_ahead
}

fn reserved(hub: &Machine, name: &str) -> usize {
    hub.engine.node().links.get(&Id::new(name)).unwrap().channels.iter().map(|channel| channel.claims()).sum()
}

#[test]
fn a_difference_is_noted_when_it_has_changed_and_the_way_of_a_line_is_none() {
    let mut hub = hub(&["a", "b"], &[]);
    let version = hub.engine.version();
    for small in [0, 1, -1] {
        assert_eq!(told(&mut hub, "a", small), NOTHING);
    }
    assert_eq!((ahead(&hub, "a"), hub.engine.version()), (0, version));
    for seconds in [2, -3_600, HALF, 0] {
        told(&mut hub, "a", seconds);
        assert_eq!((ahead(&hub, "a"), ahead(&hub, "b")), (seconds, 0));
    }
    // Whoever pays or is paid here shares no time-out with us.
    assert_eq!(told(&mut hub, "0123456789abcdef@payer", 3_600), NOTHING);
    // A clock may say anything.
    for extreme in [u64::MAX, 0] {
        let theirs = Time::from_millis(extreme);
        let event = PaymentProtocol.clock(hub.engine.node(), &Id::new("a"), hub.now, theirs).unwrap();
        hub.commands(event);
        let found = ahead(&hub, "a");
        assert!(found.unsigned_abs() > HALF.unsigned_abs() && (found > 0) == (extreme > 0), "{found}");
        hub = hub.restarted();
        assert_eq!(ahead(&hub, "a"), found);
    }
}

#[test]
fn no_route_uses_a_link_whose_clocks_differ_by_more_than_half_of_the_increment() {
    for (ahead, agrees) in [(HALF, true), (-HALF, true), (HALF + 1, false), (-HALF - 1, false)] {
        for wrong in ["a", "b"] {
            let mut hub = hub(&["a", "b"], &[]);
            told(&mut hub, wrong, ahead);
            let said = hub.hears("a", make_route(true));
            let refused = said.contains(&"to a: HaveNoRoute{transactionID:T,isPayerSide:true}".to_owned());
            assert_eq!((refused, reserved(&hub, wrong)), (!agrees, usize::from(agrees)), "{wrong} {ahead}: {said:?}");
        }
    }
}

#[test]
fn half_of_the_increment_is_half_of_that_of_the_node() {
    let links = [(Id::new("a"), link()), (Id::new("b"), link())].into_iter().collect();
    let mut hub = Machine::new(PaymentNode { links, timeout_increment: 20, ..PaymentNode::default() });
    told(&mut hub, "a", 11);
    assert_eq!(hub.hears("a", make_route(true)), ["to a: HaveNoRoute{transactionID:T,isPayerSide:true}"]);
    told(&mut hub, "a", 8);
    hub.hears("a", make_route(true));
    assert_eq!(reserved(&hub, "b"), 1);
}

#[test]
fn what_is_locked_after_a_clock_went_wrong_goes_back_at_once() {
    // The clock of the neighbour that locks.
    let mut hub = hub(&["a", "b"], &[]);
    hub.hears("a", make_route(true));
    hub.hears("b", have_route(true, 100));
    told(&mut hub, "a", HALF + 1);
    let said = hub.hears("a", lock(true));
    assert!(said.contains(&"to a: SettleRollback{transactionID:T,isPayerSide:true}".to_owned()), "{said:?}");
    assert!(said.contains(&"to b: CancelRoute{transactionID:T,isPayerSide:true}".to_owned()), "{said:?}");
    assert_eq!(reserved(&hub, "b"), 0);
    hub.hears("a", crate::messages::settle_rollback(true));
    hub.assert_idle();
    // That of the neighbour with which we would lock.
    let mut hub = self::hub(&["a", "b"], &[]);
    hub.hears("a", make_route(true));
    hub.hears("b", have_route(true, 100));
    told(&mut hub, "b", -HALF - 1);
    let said = hub.hears("a", lock(true));
    assert!(said.contains(&"to a: SettleRollback{transactionID:T,isPayerSide:true}".to_owned()), "{said:?}");
    assert!(said.contains(&"to b: CancelRoute{transactionID:T,isPayerSide:true}".to_owned()), "{said:?}");
    assert!(!said.iter().any(|line| line.contains("to b: Lock")), "{said:?}");
    hub.hears("a", crate::messages::settle_rollback(true));
    hub.assert_idle();
    // On the payee's side the neighbour has asked for the route, so it is told that there is none.
    let mut hub = self::hub(&["a", "b"], &["Here"]);
    hub.hears("a", make_route(true));
    hub.hears("b", make_route(false));
    told(&mut hub, "b", HALF + 1);
    let said = hub.hears("a", lock(true));
    assert!(said.contains(&"to b: HaveNoRoute{transactionID:T,isPayerSide:false}".to_owned()), "{said:?}");
    hub.hears("a", crate::messages::settle_rollback(true));
    hub.assert_idle();
    // What was locked before is settled as ever.
    let mut hub = self::hub(&["a", "b"], &[]);
    hub.hears("a", make_route(true));
    hub.hears("b", have_route(true, 100));
    hub.hears("a", lock(true));
    told(&mut hub, "a", HALF + 1);
    told(&mut hub, "b", HALF + 1);
    hub.hears("b", crate::messages::request_commit(true));
    hub.hears("a", crate::messages::settle_commit(true));
    hub.assert_idle();
    let links = &hub.engine.node().links;
    let local = |name: &str| links.get(&Id::<Link>::new(name)).unwrap().channels[0].local();
    assert_eq!((local("a"), local("b")), (1_000 + AMOUNT, 1_000 - AMOUNT));
    assert!(!links.get(&Id::<Link>::new("a")).unwrap().routes.contains_key(&route(true)));
}
