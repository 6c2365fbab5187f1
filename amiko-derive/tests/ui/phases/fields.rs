use amiko_core::prelude::*;

#[derive(Clone, Copy, PartialEq, Phases)]
enum Door {
    #[amiko(next(Open))]
    Closed,
    #[amiko(next(Closed))]
    Open { angle: u64 },
    Locked(u64),
    Broken(),
}

fn main() {}
