// Time-outs, messages and functions are those of a machine.
use amiko_core::prelude::*;

#[derive(Clone, PartialEq, Phases)]
#[amiko(field = door, within = Room)]
enum Door {
    #[amiko(next(Closed), after(minutes = 15, send = Close))]
    Open,
    #[amiko(next(Locked), on(Open))]
    Closed,
    #[amiko(entry = House::greet, exit = House::leave)]
    Locked,
}

fn main() {}
