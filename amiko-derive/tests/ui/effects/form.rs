//! Lists of effects that aren't right.

use amiko_core::Effect;
use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
struct Charge {
    cents: u64,
}

impl Effect for Charge {
    type Outcome = String;
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(effects())]
struct Shop {}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(effects(Charge, Charge))]
struct TwoShops {}

fn main() {}
