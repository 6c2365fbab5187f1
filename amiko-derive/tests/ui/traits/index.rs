use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
#[amiko(key = u64, index(by_price = price))]
struct Order {
    price: f64,
}

#[derive(Clone, Serializable)]
#[amiko(key = u64, index(by_size: usize = Self::size))]
struct Box {
    width: u64,
}

impl Box {
    fn size(&self) -> u64 {
        self.width
    }
}

fn main() {}
