//! Effects in a model: everything that may come of them, in every order, with crashes.

#![allow(clippy::unwrap_used, clippy::panic)]

use amiko_core::conversation::NoPeers;
use amiko_core::effect::{Effect, Failure, Outcome, Policy};
use amiko_core::prelude::*;
use amiko_core::{Hosts, Performed};
use amiko_model::stateright::Property;
use amiko_model::{FaultLimits, WorldModel, WorldState};

#[derive(Clone, Serializable)]
struct Charge {}

impl Effect for Charge {
    type Outcome = u64;

    fn policy(&self) -> Policy {
        Policy { attempts: 2, ..Policy::default() }
    }
}

#[derive(Clone, Serializable)]
struct Mail {}

impl Effect for Mail {
    type Outcome = ();
    const ORDERED: bool = true;
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, effects(Charge, Mail))]
struct Order {
    paid: u64,
    refused: u64,
    cancelled: bool,
    mailed: Vec<String>,
    /// It cancels nothing when it is cancelled: which is wrong.
    forgets: bool,
}

#[derive(Clone, Serializable)]
enum OrderMessage {
    Pay,
    Cancel,
    #[amiko(performed)]
    Charged {
        performed: Performed<Charge>,
    },
    #[amiko(performed)]
    Mailed {
        performed: Performed<Mail>,
    },
}

impl StateMachine for Order {
    type Node = Self;
    type Message = OrderMessage;

    fn handle(&mut self, message: OrderMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            OrderMessage::Pay => cx.perform("charge", Charge {}),
            OrderMessage::Cancel if self.paid + self.refused > 0 => return Err(Rejection::new("it is too late")),
            OrderMessage::Cancel => {
                self.cancelled = true;
                if !self.forgets {
                    cx.cancel_effect("charge");
                }
            }
            OrderMessage::Charged { performed } => match performed.outcome {
                Outcome::Done { value } => {
                    self.paid += value;
                    cx.perform("receipt", Mail {});
                    cx.perform("advertisement", Mail {});
                }
                Outcome::GivenUp { .. } => self.refused += 1,
            },
            OrderMessage::Mailed { performed } => self.mailed.push(performed.name),
        }
        Ok(())
    }
}

type Shops = NoPeers<Order>;

fn order(state: &WorldState<Order>) -> &Order {
    state.nodes().next().unwrap()
}

fn model(forgets: bool) -> WorldModel<Shops> {
    let mut model = WorldModel::new(Shops::new());
    let node = model.add("shop", Order { forgets, ..Order::default() }).unwrap();
    let envelope = |message| <Order as Hosts<Order>>::envelope(Id::node(), message);
    model.command(node, &envelope(OrderMessage::Pay)).unwrap();
    model.choice("to cancel", node, envelope(OrderMessage::Cancel)).unwrap();
    model.performer(|_: &Charge| vec![Ok(5), Err(Failure::retry("busy")), Err(Failure::fatal("no such card"))]);
    model.performer(|_: &Mail| vec![Ok(())]);
    model.set_fault_limits(FaultLimits { crashes: 1, ..FaultLimits::default() });
    model.property(Property::always("it is charged once, and what is cancelled isn't", |_, state| {
        let order = order(state);
        order.paid <= 5 && order.refused <= 1 && !(order.cancelled && order.paid + order.refused > 0)
    }));
    model.property(Property::always("mails leave in their order", |_, state| {
        ["receipt", "advertisement"].iter().take(order(state).mailed.len()).eq(order(state).mailed.iter())
    }));
    model.property(Property::eventually("it is paid, refused or cancelled, and nothing is left", |_, state| {
        let order = order(state);
        let over = order.refused + u64::from(order.cancelled) == 1 || (order.paid, order.mailed.len()) == (5, 2);
        over && state.effects(0).is_some_and(|effects| effects.is_empty())
    }));
    model.property(Property::sometimes("paid", |_, state| order(state).paid == 5));
    model.property(Property::sometimes("refused", |_, state| order(state).refused == 1));
    model.property(Property::sometimes("cancelled", |_, state| order(state).cancelled));
    model
}

#[test]
fn whatever_comes_of_an_effect_its_owner_hears_it_once() {
    let found = model(false).explore();
    assert!(found.failures.is_empty(), "{found}");
    // Two attempts that end in three ways, a cancellation and a crash at every moment, and two mails.
    assert!(found.states > 30, "{found}");
    println!("{found}");
}

#[test]
fn an_order_that_forgets_to_cancel_its_charge_is_found_with_the_way_to_it() {
    let found = model(true).explore();
    let text = found.to_string();
    assert!(text.contains("it is charged once, and what is cancelled isn't"), "{text}");
    assert!(text.contains("the effect node//charge of shop has the outcome"), "{text}");
}
