// Objects that have the kind of a class of machines: their removal would take the timers of those.
use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
#[amiko(key = String, kind = "item")]
struct Machine {
    value: u64,
}

#[derive(Clone, Serializable)]
#[amiko(key = String, kind = "item")]
struct Plain {
    value: u64,
}

#[derive(Clone, Serializable)]
enum Message {
    Add { amount: u64 },
}

impl StateMachine for Machine {
    type Node = Root;
    type Message = Message;

    fn handle(&mut self, _: Message, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
struct Root {
    #[amiko(machines)]
    machines: Table<Machine>,
    #[amiko(objects)]
    plain: Table<Plain>,
}

fn main() {}
