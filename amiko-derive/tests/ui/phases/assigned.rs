// A phase changes by moves only, and those of a machine are made by the machine.
use amiko_core::prelude::*;

#[derive(Clone, PartialEq, Serializable, Phases)]
#[amiko(machine = House)]
enum Door {
    #[amiko(next(Open))]
    Closed,
    Open,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct House {
    phase: Phase<Door>,
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

fn main() {
    let mut house = House::default();
    house.phase = Door::Open;
    let _ = house.phase.enter(Door::Open);
}
