use amiko_core::prelude::*;

#[derive(Clone, Copy, PartialEq, Phases)]
enum Door {
    #[amiko(next(Opne, Closed))]
    Closed,
    #[amiko(next(closed))]
    Open,
    Broken,
}

fn main() {}
