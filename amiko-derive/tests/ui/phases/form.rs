use amiko_core::prelude::*;

#[derive(Clone, Copy, PartialEq, Phases)]
enum Door {
    #[amiko(next)]
    Closed,
    #[amiko(next())]
    Open,
    #[amiko(next = Open)]
    Locked,
    #[amiko(next(Open Closed))]
    Blocked,
    #[amiko(next(Door::Open))]
    Stuck,
    #[amiko(next("Open"))]
    Broken,
}

fn main() {}
