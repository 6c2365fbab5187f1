//! The shop on a clock of its own, without a service around it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use super::*;
use amiko_core::store::Memory;

type Shops = Engine<Shop, Memory>;

/// How long an order may stay unpaid.
const EXPIRY: Duration = minutes(15);

const NOON: Time = Time::from_secs(1_800_000_000);

fn shop() -> Shops {
    let mut shop = Engine::open_with(Memory::new(), Settings::default(), stocked).unwrap();
    let place = ShopMessage::Place { item: Id::new("nuts"), count: 7, card: None };
    shop.send(&Id::<Shop>::node(), place, NOON).unwrap();
    shop
}

fn found(shop: &Shops) -> (u64, OrderPhase) {
    let node = shop.node();
    (node.items.get(&Id::new("nuts")).unwrap().stock, *node.orders.get(&Id::new(1_u64)).unwrap().phase)
}

#[test]
fn the_diagram_in_the_documentation_is_that_of_the_code() {
    let diagram: String = OrderPhase::CHART.mermaid().lines().map(|line| format!("/// {line}\n")).collect();
    assert!(include_str!("../orders.rs").contains(&format!("/// ```mermaid\n{diagram}/// ```\n")), "{diagram}");
}

#[test]
fn an_order_that_isnt_paid_expires_and_the_stock_comes_back() {
    let mut shop = shop();
    shop.tick(NOON + (EXPIRY - Duration::from_millis(1))).unwrap();
    assert_eq!(found(&shop), (999_993, OrderPhase::Placed));
    shop.tick(NOON + EXPIRY).unwrap();
    assert_eq!(found(&shop), (1_000_000, OrderPhase::Expired));
    assert!(shop.send(&Id::<Order>::new(1_u64), OrderMessage::Pay, NOON + EXPIRY).is_err());
}

#[test]
fn an_order_that_is_paid_is_shipped_and_doesnt_expire() {
    let mut shop = shop();
    for message in [OrderMessage::Pay, OrderMessage::Ship] {
        shop.send(&Id::<Order>::new(1_u64), message, NOON).unwrap();
    }
    shop.tick(NOON + EXPIRY).unwrap();
    assert_eq!(found(&shop), (999_993, OrderPhase::Shipped));
}

/// A shop in which an order is placed with a card, and the service has answered.
fn charged(answer: Result<String, Failure>) -> Shops {
    let mut shop = Engine::open_with(Memory::new(), Settings::default(), stocked).unwrap();
    let place = ShopMessage::Place { item: Id::new("nuts"), count: 7, card: Some("4711".into()) };
    shop.send(&Id::<Shop>::node(), place, NOON).unwrap();
    assert_eq!(found(&shop), (999_993, OrderPhase::Charging));
    // What may have been paid doesn't expire, and isn't paid for again.
    shop.tick(NOON + EXPIRY).unwrap();
    assert!(shop.send(&Id::<Order>::new(1_u64), OrderMessage::Pay, NOON + EXPIRY).is_err());
    let (effect, number) = shop.effects().map(|(id, pending)| (id, pending.number)).next().unwrap();
    shop.performed::<Charge>(&effect, number, answer, NOON + EXPIRY).unwrap();
    shop
}

#[test]
fn an_order_is_charged_or_refused_and_then_the_stock_comes_back() {
    let answer = |shop: &Shops| shop.node().orders.get(&Id::new(1_u64)).unwrap().answer.clone().unwrap();
    let mut shop = charged(Ok("receipt 1".into()));
    assert_eq!((found(&shop), answer(&shop)), ((999_993, OrderPhase::Charged), "receipt 1".into()));
    shop.send(&Id::<Order>::new(1_u64), OrderMessage::Ship, NOON + EXPIRY).unwrap();
    assert_eq!(found(&shop), (999_993, OrderPhase::Shipped));

    let shop = charged(Err(Failure::fatal("no money")));
    assert_eq!((found(&shop), answer(&shop)), ((1_000_000, OrderPhase::Refused), "no money".into()));
}

#[test]
fn a_charge_that_isnt_answered_is_tried_for_years_and_one_that_takes_too_much_never() {
    let shop = charged(Err(Failure::retry("no answer")));
    assert_eq!(found(&shop), (999_993, OrderPhase::Charging));
    let (effect, number) = shop.effects().map(|(id, pending)| (id, pending.number)).next().unwrap();
    let (mut shop, years) = (shop, NOON + secs(3 * 365 * 24 * 3600));
    shop.effect_failed(&effect, number, Failure::retry("no answer"), years).unwrap();
    assert_eq!((found(&shop), shop.effects().count()), ((999_993, OrderPhase::Charging), 1));

    let place = ShopMessage::Place { item: Id::new("nuts"), count: 1_000_000, card: Some("4711".into()) };
    assert!(shop.send(&Id::<Shop>::node(), place, years).is_err());
    assert_eq!(shop.effects().count(), 1);
}
