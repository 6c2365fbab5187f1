// A derive doesn't see which others stand beside it, as it does attributes of theirs: this is what the compiler says.

use amiko_core::prelude::*;

#[derive(serde::Serialize, serde::Deserialize, Serializable)]
struct Account {
    balance: u64,
}

fn main() {}
