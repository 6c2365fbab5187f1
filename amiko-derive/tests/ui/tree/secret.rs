use amiko_core::prelude::*;

#[derive(Serializable)]
struct Account {
    #[amiko(secret)]
    pin: [u8; 4],
    #[amiko(secret)]
    key: Secret<[u8; 32]>,
}

fn main() {}
