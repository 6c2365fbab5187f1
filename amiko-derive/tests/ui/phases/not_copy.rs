// A phase is a value like a number.
use amiko_core::prelude::*;

#[derive(PartialEq, Phases)]
enum Door {
    #[amiko(next(Open))]
    Closed,
    Open,
}

fn main() {}
