// Who makes a machine has no data for its first phase.
use amiko_core::prelude::*;

#[derive(Clone, PartialEq, Phases)]
enum Door {
    #[amiko(next(Closed))]
    Open { angle: u64 },
    #[amiko(next(Open))]
    Closed,
}

fn main() {}
