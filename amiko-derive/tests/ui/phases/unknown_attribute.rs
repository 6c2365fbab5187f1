use amiko_core::prelude::*;

#[derive(Clone, Copy, PartialEq, Phases)]
#[amiko(initial = Open)]
enum Door {
    #[amiko(then(Open))]
    Closed,
    #[amiko(next(Closed), last)]
    Open,
}

fn main() {}
