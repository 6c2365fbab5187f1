// Two classes of machines of one kind, and one of the kind of the node itself.
use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
#[amiko(key = String, kind = "item")]
struct First {
    value: u64,
}

#[derive(Clone, Serializable)]
#[amiko(key = String, kind = "item")]
struct Second {
    value: u64,
}

#[derive(Clone, Serializable)]
#[amiko(key = String, kind = "node")]
struct Third {
    value: u64,
}

#[derive(Clone, Serializable)]
enum Message {
    Add { amount: u64 },
}

impl StateMachine for First {
    type Node = Root;
    type Message = Message;

    fn handle(&mut self, _: Message, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        Ok(())
    }
}

impl StateMachine for Second {
    type Node = Root;
    type Message = Message;

    fn handle(&mut self, _: Message, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        Ok(())
    }
}

impl StateMachine for Third {
    type Node = Root;
    type Message = Message;

    fn handle(&mut self, _: Message, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        Ok(())
    }
}

impl StateMachine for Root {
    type Node = Root;
    type Message = Message;

    fn handle(&mut self, _: Message, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Root {
    #[amiko(machines)]
    first: Table<First>,
    #[amiko(machines)]
    second: Table<Second>,
    #[amiko(machines)]
    third: Table<Third>,
}

fn main() {}
