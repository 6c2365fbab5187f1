use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
#[amiko(key = u64, index(by_owner = ownr, by_price = price, by_price = price))]
struct Order {
    owner: String,
    price: u64,
}

#[derive(Clone, Serializable)]
#[amiko(index(by_owner = owner))]
struct WithoutKey {
    owner: String,
}

#[derive(Clone, Serializable)]
#[amiko(key = u64, index)]
struct Nothing {}

#[derive(Clone, Serializable)]
#[amiko(key = u64, index(by_owner))]
struct NoValue {
    owner: String,
}

#[derive(Clone, Serializable)]
#[amiko(key = u64, index(by_state = state))]
enum Door {
    Open,
    Closed,
}

fn main() {}
