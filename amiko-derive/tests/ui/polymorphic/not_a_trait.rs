use amiko_core::prelude::*;

#[amiko(polymorphic)]
struct Shape {}

// The derive was forgotten.
#[amiko(key = String)]
struct Account {
    balance: u64,
}

fn main() {}
