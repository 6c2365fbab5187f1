//! Nodes that call services, in worlds in which everything goes wrong: each service hears of an effect at least once and by one
//! key, and each owner hears once what came of it.
//!
//! `AMIKO_SEEDS` says how many worlds, and `AMIKO_SEED` names one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::conversation::NoPeers;
use amiko_core::effect::{Effect, Failure, Outcome, Policy};
use amiko_core::prelude::*;
use amiko_core::sim::{FaultKind, Faults, Swarm, World};
use amiko_core::{Hosts, Performed};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

#[derive(Debug, Clone, Serializable)]
struct Charge {
    order: u64,
}

impl Effect for Charge {
    /// The key by which the service knows the charge.
    type Outcome = String;

    fn policy(&self) -> Policy {
        Policy { total: Duration::from_secs(600), attempt: Duration::from_secs(3), ..Policy::default() }
    }
}

/// The parcels of an order leave one after the other.
#[derive(Debug, Clone, Serializable)]
struct Ship {
    order: u64,
    parcel: u64,
}

impl Effect for Ship {
    type Outcome = u64;
    const ORDERED: bool = true;

    fn policy(&self) -> Policy {
        Policy { attempts: 8, attempt: Duration::from_secs(3), ..Policy::default() }
    }
}

#[derive(Debug, Clone, Default, Serializable)]
#[amiko(key = u64)]
struct Order {
    charges: u64,
    cancelled: u64,
    receipts: Vec<String>,
    refused: u64,
    parcels: u64,
    shipped: u64,
    /// The first parcel that wasn't the next one.
    wrong: Option<u64>,
}

#[derive(Clone, Serializable)]
enum OrderMessage {
    Pay,
    Cancel,
    Pack {
        parcels: u64,
    },
    Drop,
    #[amiko(performed)]
    Charged {
        performed: Performed<Charge>,
    },
    #[amiko(performed)]
    Shipped {
        performed: Performed<Ship>,
    },
}

/// An order that refuses to hear that it was charged.
const STUBBORN: u64 = 3;

impl StateMachine for Order {
    type Node = Shop;
    type Message = OrderMessage;

    fn handle(&mut self, message: OrderMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let order = *cx.id().key();
        match message {
            OrderMessage::Pay => {
                cx.perform("charge", Charge { order });
                self.charges += 1;
            }
            OrderMessage::Cancel => {
                self.cancelled += self.charges - self.cancelled - self.receipts.len() as u64 - self.refused;
                cx.cancel_effect("charge");
            }
            OrderMessage::Pack { parcels } => {
                for parcel in self.parcels..self.parcels + parcels {
                    cx.perform(&format!("ship {parcel}"), Ship { order, parcel });
                }
                self.parcels += parcels;
            }
            OrderMessage::Drop => cx.remove(&cx.id().clone()),
            OrderMessage::Charged { .. } if order == STUBBORN => return Err(Rejection::new("it wasn't me")),
            OrderMessage::Charged { performed } => match performed.outcome {
                Outcome::Done { value } => self.receipts.push(value),
                Outcome::GivenUp { .. } => self.refused += 1,
            },
            OrderMessage::Shipped { performed } => {
                if performed.name != format!("ship {}", self.shipped) {
                    self.wrong.get_or_insert(self.shipped);
                }
                self.shipped += 1;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Default, Serializable, Node)]
#[amiko(effects(Charge, Ship))]
struct Shop {
    #[amiko(machines)]
    orders: Table<Order>,
}

const NODES: usize = 3;
const ORDERS: u64 = 40;
/// How many calls of a class a node makes at a time.
const AT_ONCE: usize = 5;

/// What the services know: it doesn't depend on the states of the nodes.
#[derive(Default)]
struct Outside {
    /// The order of each key, by node, and whether it was charged.
    charged: BTreeMap<String, (usize, u64)>,
    /// The last parcel of each order that was called for the first time.
    parcels: BTreeMap<(usize, u64), u64>,
    keys: BTreeMap<String, u64>,
    wrong: Option<String>,
}

fn give_services(world: &mut World<NoPeers<Shop>>, outside: &Rc<RefCell<Outside>>) {
    let mut random = amiko_core::sim::Random::new(world.random().next());
    let known = Rc::clone(outside);
    world.performer(AT_ONCE, move |Charge { order }: &Charge, call| match random.below(20) {
        0 => Err(Failure::fatal("no such card")),
        1 | 2 => Err(Failure::retry("busy")),
        3 => Err(Failure::retry_after(Duration::from_secs(5), "too many")),
        _ => {
            let mut outside = known.borrow_mut();
            let charged = *outside.charged.entry(call.key.clone()).or_insert((call.node, *order));
            if charged != (call.node, *order) {
                outside.wrong = Some(format!("key {} stands for two charges", call.key));
            }
            Ok(call.key.clone())
        }
    });
    let known = Rc::clone(outside);
    world.performer(AT_ONCE, move |Ship { order, parcel }: &Ship, call| {
        let mut outside = known.borrow_mut();
        if outside.keys.insert(call.key.clone(), *parcel).is_none() {
            let last = outside.parcels.insert((call.node, *order), *parcel);
            if last.is_some_and(|last| last >= *parcel) {
                outside.wrong = Some(format!("order {order} of node {} ships {parcel} after {last:?}", call.node));
            }
        }
        Ok(*parcel)
    });
}

fn envelope(order: u64, message: OrderMessage) -> ShopEnvelope {
    <Shop as Hosts<Order>>::envelope(Id::new(order), message)
}

fn orders() -> Shop {
    Shop { orders: (0..ORDERS).map(|order| (Id::new(order), Order::default())).collect() }
}

/// Each outcome was heard once: as often as there were charges that weren't cancelled; and what was heard is what the service did.
fn check(world: &World<NoPeers<Shop>>, outside: &Outside) -> Result<(), String> {
    if let Some(wrong) = &outside.wrong {
        return Err(wrong.clone());
    }
    for node in 0..NODES {
        for (id, order) in world.engine(node).unwrap().node().orders.iter() {
            let (key, heard) = (*id.key(), order.receipts.len() as u64 + order.refused);
            let expected = if key == STUBBORN { 0 } else { order.charges - order.cancelled };
            let of_it = order.receipts.iter().all(|key| outside.charged.get(key) == Some(&(node, *id.key())));
            let mut once = order.receipts.clone();
            once.sort();
            once.dedup();
            if (heard, order.shipped, order.wrong) != (expected, order.parcels, None)
                || !of_it
                || once.len() != order.receipts.len()
            {
                return Err(format!("{id} of node {node} has heard {heard} of {expected}: {order:?}"));
            }
        }
    }
    Ok(())
}

fn scenario(world: &mut World<NoPeers<Shop>>) -> Result<(), String> {
    let outside = Rc::new(RefCell::new(Outside::default()));
    give_services(world, &outside);
    for node in 0..NODES {
        world.add(&format!("node {node}"), orders()).unwrap();
    }
    let faults = Faults::draw(world.random());
    world.start_faults(faults);
    for _ in 0..1_700 {
        world.run_for(Duration::from_millis(200));
        if !world.disturb() {
            break;
        }
        let (node, order) = (world.random().below(NODES as u64) as usize, world.random().below(ORDERS));
        let message = match world.random().below(100) {
            0..60 => OrderMessage::Pay,
            60..65 => OrderMessage::Cancel,
            65 => OrderMessage::Drop,
            _ => OrderMessage::Pack { parcels: 1 + world.random().below(4) },
        };
        // It may be down; and an order that is being charged can't be charged twice.
        drop(world.command(node, envelope(order, message)));
        if let Some(broken) = world.broken_promise() {
            return Err(broken.to_owned());
        }
    }
    world.stop_faults();
    let done = |world: &World<_>| (0..NODES).all(|node| world.engine(node).is_some_and(|it| it.effects().count() == 0));
    if !world.run_until(Duration::from_secs(7_200), done) {
        return Err("expected all effects to be over, found some".into());
    }
    check(world, &outside.borrow())
}

#[test]
fn owners_hear_once_and_services_at_least_once() {
    let summary = Swarm::from_environment(5).run(NoPeers::new, scenario).unwrap_or_else(|failed| panic!("{failed}"));
    println!("{summary}");
    // One world alone may have nodes that are hardly ever up.
    assert!(summary.seeds < 10 || summary.events > summary.seeds * 1_000, "{summary}");
}

#[test]
fn answers_that_are_lost_are_asked_for_again_by_the_same_key() {
    let mut world = World::new(NoPeers::<Shop>::new(), 1);
    let outside = Rc::new(RefCell::new(Outside::default()));
    give_services(&mut world, &outside);
    let node = world.add("shop", orders()).unwrap();
    world.start_faults(Faults::none().per_call(FaultKind::LostAnswer, 5_000).per_call(FaultKind::RepeatedCall, 5_000));
    for order in 0..ORDERS {
        world.command(node, envelope(order, OrderMessage::Pack { parcels: 4 })).unwrap();
    }
    let over = |world: &World<_>| world.engine(node).unwrap().effects().count() == 0;
    assert!(world.run_until(Duration::from_secs(3_600), over));
    let times = |world: &World<_>| world.called().values().map(|called| called.times).collect::<Vec<_>>();
    assert_eq!(times(&world).len() as u64, 4 * ORDERS);
    assert!(times(&world).iter().any(|times| *times > 2), "{:?}", world.called());
    assert_eq!(world.broken_promise(), None);
}
