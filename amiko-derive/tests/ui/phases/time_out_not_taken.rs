// It would be rejected, and gone.
use amiko_core::prelude::*;

#[derive(Clone, PartialEq, Serializable, Phases)]
#[amiko(machine = House)]
enum Door {
    #[amiko(next(Open), on(Open))]
    Closed,
    #[amiko(next(Closed), after(minutes = 15, send = Close), on(Open))]
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

fn main() {}
