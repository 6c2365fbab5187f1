//! A machine that asks for an effect that its node doesn't list.

use amiko_core::prelude::*;
use amiko_core::{Effect, Performed};

#[derive(Clone, Serializable)]
struct Charge {
    cents: u64,
}

impl Effect for Charge {
    type Outcome = String;
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Order {}

#[derive(Clone, Serializable)]
enum OrderMessage {
    Pay,
    #[amiko(performed)]
    Charged {
        performed: Performed<Charge>,
    },
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
