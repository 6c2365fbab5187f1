use amiko_core::prelude::*;

#[derive(Clone, PartialEq, Phases)]
enum Door {
    #[amiko(next(Open))]
    Closed,
    #[amiko(next(Closed))]
    Open,
    #[amiko(next(Closed, Broken))]
    Locked,
    Broken,
    #[amiko(initial, next(Closed))]
    New,
}

fn main() {}
