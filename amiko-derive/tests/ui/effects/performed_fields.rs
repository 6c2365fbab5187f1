//! Variants that can't be made of what came of an effect.

use amiko_core::prelude::*;
use amiko_core::{Effect, Performed};

#[derive(Clone, Serializable)]
struct Charge {
    cents: u64,
}

impl Effect for Charge {
    type Outcome = String;
}

#[derive(Clone, Serializable)]
enum OrderMessage {
    #[amiko(performed)]
    Charged {
        performed: Performed<Charge>,
        more: u64,
    },
    #[amiko(performed)]
    Nothing,
}

#[derive(Clone, Serializable)]
#[amiko(performed)]
struct Charged {
    performed: Performed<Charge>,
}

fn main() {}
