// A handler that would end or undo the event itself: nothing would be written, or undone, any more.
use amiko_core::tree::Tree as _;
use amiko_core::__private_0_1_0::{EngineOnly, EngineTable as _, Sliced};
use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Account {
    balance: u64,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Bank {
    #[amiko(objects)]
    accounts: Table<Account>,
    total: u64,
}

#[derive(Clone, Serializable)]
enum Message {
    Cheat,
}

impl StateMachine for Bank {
    type Node = Self;
    type Message = Message;

    fn handle(&mut self, _: Message, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let undo = self.take_undo(None);
        self.roll_back(&undo);
        let undo = self.accounts.take_undo();
        self.accounts.roll_back(&undo);
        self.slices();
        let only = EngineOnly::new();
        let copied = Clone::clone(&only);
        let Sliced(table) = self.accounts.sliced(&only);
        Ok(())
    }
}

/// What a node that is written by hand is given can't be kept.
fn keep(only: &EngineOnly) -> &'static EngineOnly {
    only
}

fn main() {}
