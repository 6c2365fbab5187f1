use amiko_core::prelude::*;

#[derive(Clone, PartialEq, Phases)]
enum Door {
    #[amiko(next(Open))]
    Closed,
    Open { bolt: Phase<Bolt>, light: Phase<Light> },
}

#[derive(Clone, PartialEq, Phases)]
#[amiko(machine = House, field = door, within = Door)]
enum Bolt {
    Out,
}

#[derive(Clone, PartialEq, Phases)]
enum Light {
    Off,
}

fn main() {}
