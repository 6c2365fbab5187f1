// All at once, and what both derives find only once.
use amiko_core::prelude::*;

#[derive(Clone, Copy, PartialEq, Serializable, Phases)]
#[amiko(colour = "red")]
enum Door {
    #[amiko(next(Opne, Locked, Locked))]
    Closed,
    #[amiko(next, then(Closed))]
    Open,
    #[amiko(next(Open), rename = "bolted")]
    Locked { bolts: u64 },
}

fn main() {}
