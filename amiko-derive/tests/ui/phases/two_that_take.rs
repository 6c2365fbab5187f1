// One of the enums of a machine says what is taken.
use amiko_core::prelude::*;

#[derive(Clone, PartialEq, Serializable, Phases)]
#[amiko(machine = House)]
enum Door {
    #[amiko(on(Open))]
    Closed,
}

#[derive(Clone, PartialEq, Serializable, Phases)]
#[amiko(machine = House, field = light)]
enum Light {
    #[amiko(on(Open))]
    Off,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct House {
    phase: Phase<Door>,
    light: Phase<Light>,
}

#[derive(Clone, Serializable)]
enum HouseMessage {
    Open,
    Close,
}

impl StateMachine for House {
    type Node = Self;
    type Message = HouseMessage;

    fn handle(&mut self, _: HouseMessage, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        Ok(())
    }
}

fn main() {}
