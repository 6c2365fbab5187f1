use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
#[amiko(key = u64)]
struct Deposit {}

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Account {}

fn main() {
    let _ = Id::<Deposit>::new("one");
    let _ = Id::<Deposit>::new(1_u32);
    let _ = Id::<Account>::new(1);
}
