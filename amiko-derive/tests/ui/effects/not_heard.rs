//! A machine that asks for an effect, and has no message for what comes of it.

use amiko_core::Effect;
use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
struct Charge {
    cents: u64,
}

impl Effect for Charge {
    type Outcome = String;
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, effects(Charge))]
struct Order {}

#[derive(Clone, Serializable)]
enum OrderMessage {
    Pay,
}

impl StateMachine for Order {
    type Node = Self;
    type Message = OrderMessage;

    fn handle(&mut self, _: OrderMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        cx.perform("charge", Charge { cents: 5 });
        Ok(())
    }
}

fn main() {}
