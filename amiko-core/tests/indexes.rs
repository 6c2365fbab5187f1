//! Secondary indexes in a node: in a handler, after a roll-back, after a restart, and in no file.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use amiko_core::engine::EventError;
use amiko_core::event::Request;
use amiko_core::prelude::*;
use amiko_core::store::Memory;

#[derive(Clone, Serializable)]
#[amiko(key = u64, index(by_owner = owner, by_state: (bool, u64) = Self::state))]
struct Order {
    owner: Id<Customer>,
    price: u64,
    paid: bool,
}

impl Order {
    fn state(&self) -> (bool, u64) {
        (self.paid, self.price)
    }
}

#[derive(Clone, Serializable)]
#[amiko(key = String, reply = Vec<Id<Order>>)]
struct Customer {
    limit: u64,
}

#[derive(Clone, Serializable)]
enum CustomerMessage {
    /// Places an order, and asks again in the same event.
    Place {
        order: u64,
        price: u64,
    },
    Ask,
}

#[derive(Clone, Serializable)]
enum OrderMessage {
    Pay,
}

#[derive(Clone, Default, Serializable, Node)]
struct Shop {
    #[amiko(machines)]
    customers: Table<Customer>,
    #[amiko(machines)]
    orders: Table<Order>,
}

impl StateMachine for Customer {
    type Node = Shop;
    type Message = CustomerMessage;

    fn handle(&mut self, message: CustomerMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            CustomerMessage::Place { order, price } => {
                let owner = cx.id().clone();
                cx.create(&Id::new(order), Order { owner: owner.clone(), price, paid: false });
                cx.send(&owner, CustomerMessage::Ask);
            }
            CustomerMessage::Ask => {
                let owed: u64 = cx.find(Order::BY_OWNER, cx.id()).map(|(_, order)| order.price).sum();
                if owed > self.limit {
                    return Err(Rejection::new(format!("expected orders for at most {}, found {owed}", self.limit)));
                }
                let orders = cx.find(Order::BY_OWNER, cx.id()).map(|(id, _)| id).collect();
                cx.reply(orders);
            }
        }
        Ok(())
    }
}

impl StateMachine for Order {
    type Node = Shop;
    type Message = OrderMessage;

    fn handle(&mut self, OrderMessage::Pay: OrderMessage, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.paid = true;
        Ok(())
    }
}

fn shop() -> Shop {
    Shop { customers: [(Id::new("alice"), Customer { limit: 10 })].into_iter().collect(), ..Shop::default() }
}

fn unpaid(engine: &Engine<Shop, Memory>) -> Vec<u64> {
    let unpaid = engine.node().orders.find_range(Order::BY_STATE, (false, 0)..(true, 0));
    unpaid.map(|(id, _)| *id.key()).collect()
}

/// What a customer is told of their orders.
fn ask(shop: &mut Engine<Shop, Memory>, message: CustomerMessage) -> Result<Vec<u64>, EventError> {
    let envelope = Shop::envelope(Id::<Customer>::new("alice"), message);
    shop.command(envelope, Some(Request(1)), Time::from_secs(1))?;
    let reply = shop.sync().unwrap().into_iter().find_map(|output| match output {
        Output::Reply { reply, .. } => Some(reply.read::<Vec<Id<Order>>>().unwrap()),
        _ => None,
    });
    Ok(reply.unwrap().iter().map(|id| *id.key()).collect())
}

#[test]
fn an_index_follows_events_and_roll_backs_and_is_rebuilt_on_opening() {
    let mut engine = Engine::open_with(Memory::new(), Settings::default(), shop).unwrap();
    let place = |order, price| CustomerMessage::Place { order, price };
    assert_eq!(ask(&mut engine, place(2, 5)).unwrap(), [2]);
    assert_eq!(ask(&mut engine, place(1, 4)).unwrap(), [1, 2]);
    // The third is created, found, and too much: nothing of it remains.
    let error = ask(&mut engine, place(3, 2)).unwrap_err();
    assert!(error.to_string().contains("at most 10, found 11"), "{error}");
    assert_eq!(ask(&mut engine, CustomerMessage::Ask).unwrap(), [1, 2]);
    assert_eq!(unpaid(&engine), [1, 2]);
    engine.send(&Id::<Order>::new(1), OrderMessage::Pay, Time::from_secs(2)).unwrap();
    engine.sync().unwrap();
    assert_eq!(unpaid(&engine), [2]);

    assert!(!engine.document().unwrap().contains("by_"));
    let engine = Engine::<Shop, Memory>::open(engine.into_store().crash(), Settings::default()).unwrap();
    assert_eq!(unpaid(&engine), [2]);
}
