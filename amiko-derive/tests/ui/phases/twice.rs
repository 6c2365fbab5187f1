use amiko_core::prelude::*;

#[derive(Clone, Copy, PartialEq, Phases)]
enum Door {
    #[amiko(next(Open, Open))]
    Closed,
    #[amiko(next(Closed), next(Open))]
    Open,
    #[amiko(next(Closed))]
    #[amiko(next(Open))]
    Locked,
}

fn main() {}
