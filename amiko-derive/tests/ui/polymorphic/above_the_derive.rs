use amiko_core::prelude::*;

#[amiko(key = String, kind = "account")]
#[derive(Clone, Serializable)]
struct Account {
    #[amiko(default)]
    balance: u64,
}

#[amiko(rename_all = "camelCase")]
#[derive(Clone, Serializable)]
enum Order {
    #[amiko(rename = "take")]
    Take { from: Id<Account> },
    Nothing,
}

#[amiko(machine)]
/// Its documentation may stand anywhere.
#[derive(Clone, Default)]
#[derive(Serializable, amiko_core::Node)]
struct Bank {
    #[amiko(objects)]
    accounts: Table<Account>,
}

impl StateMachine for Bank {
    type Node = Self;
    type Message = Order;

    fn handle(&mut self, _: Order, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        Ok(())
    }
}

// Here it was forgotten.
#[amiko(class = "Account")]
#[derive(Clone)]
struct Forgotten {
    #[amiko(default)]
    balance: u64,
}

fn main() {}
