// Names of the user that generated code has, too.
#![allow(dead_code)]

use amiko_core::machine::Phased as _;
use amiko_core::prelude::{Context, Node, Phases, Rejection, Serializable, StateMachine, Table};

#[derive(Clone, Serializable)]
#[amiko(key = u64)]
struct Option {
    phase: amiko_core::Phase<Result>,
}

#[derive(Clone, Serializable)]
enum Message {
    Some,
    None { time: u64 },
}

/// Others see it, and not its machine.
#[derive(Clone, Debug, PartialEq, Serializable, Phases)]
#[amiko(machine = Option)]
pub enum Result {
    #[amiko(next(Err), on(Some, None), after(minutes = 1, send = Some), exit = Option::leave)]
    Ok,
    #[amiko(next(Ok))]
    Err { inner: amiko_core::Phase<Vec>, time: u64 },
}

#[derive(Clone, Debug, PartialEq, Serializable, Phases)]
#[amiko(machine = Option, within = Result)]
pub enum Vec {
    String,
}

impl Option {
    fn leave(&mut self, _: &mut Context<'_, Self>) -> std::result::Result<(), Rejection> {
        Ok(())
    }
}

impl StateMachine for Option {
    type Node = Root;
    type Message = Message;

    fn handle(&mut self, message: Message, cx: &mut Context<'_, Self>) -> std::result::Result<(), Rejection> {
        let time = match message {
            Message::Some => 0,
            Message::None { time } => time,
        };
        self.enter(Result::Err { inner: amiko_core::Phase::new(), time }, cx)
    }
}

#[derive(Clone, Default, Serializable, Node)]
struct Root {
    #[amiko(machines)]
    options: Table<Option>,
}

fn main() {}
