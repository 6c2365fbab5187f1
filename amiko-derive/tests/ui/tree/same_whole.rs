use amiko_core::prelude::*;

#[derive(Serializable)]
struct Payment {
    amount: u64,
}

#[derive(Serializable)]
enum Order {
    #[amiko(transparent)]
    Pay(Payment),
    Nothing,
    #[amiko(transparent)]
    PayBack(Payment),
    #[amiko(transparent)]
    Third {
        payment: Payment,
        #[amiko(skip)]
        count: u64,
    },
}

fn main() {}
