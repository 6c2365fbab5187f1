// A phase is copied with its machine.
use amiko_core::prelude::*;

#[derive(PartialEq, Phases)]
enum Door {
    #[amiko(next(Open))]
    Closed,
    Open,
}

fn main() {}
