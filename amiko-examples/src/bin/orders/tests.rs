//! The shop on a clock of its own, without a service around it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use super::*;
use amiko_core::store::Memory;

type Shops = Engine<Shop, Memory>;

const NOON: Time = Time::from_secs(1_800_000_000);

fn shop() -> Shops {
    let mut shop = Engine::open_with(Memory::new(), Settings::default(), stocked).unwrap();
    let place = ShopMessage::Place { item: Id::new("nuts"), count: 7 };
    shop.send(&Id::<Shop>::node(), place, NOON).unwrap();
    shop
}

fn found(shop: &Shops) -> (u64, Phase) {
    let node = shop.node();
    (node.items.get(&Id::new("nuts")).unwrap().stock, node.orders.get(&Id::new(1_u64)).unwrap().phase)
}

#[test]
fn an_order_that_isnt_paid_expires_and_the_stock_comes_back() {
    let mut shop = shop();
    shop.tick(NOON + (EXPIRY - Duration::from_millis(1))).unwrap();
    assert_eq!(found(&shop), (999_993, Phase::Placed));
    shop.tick(NOON + EXPIRY).unwrap();
    assert_eq!(found(&shop), (1_000_000, Phase::Expired));
    assert!(shop.send(&Id::<Order>::new(1_u64), OrderMessage::Pay, NOON + EXPIRY).is_err());
}

#[test]
fn an_order_that_is_paid_is_shipped_and_doesnt_expire() {
    let mut shop = shop();
    for message in [OrderMessage::Pay, OrderMessage::Ship] {
        shop.send(&Id::<Order>::new(1_u64), message, NOON).unwrap();
    }
    shop.tick(NOON + EXPIRY).unwrap();
    assert_eq!(found(&shop), (999_993, Phase::Shipped));
}
