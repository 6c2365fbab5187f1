use amiko_core::prelude::*;

#[derive(Serializable, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    balance: u64,
    #[serde(rename = "sum")]
    total: u64,
}

#[derive(serde::Serialize, Serializable)]
enum Order {
    #[serde(rename = "take")]
    Take {
        #[serde(skip)]
        amount: u64,
    },
}

// Not ours: a type of serde that has phases.
#[derive(Clone, Copy, PartialEq, serde::Serialize, Phases)]
#[serde(rename_all = "camelCase")]
enum Phase {
    Open,
}

fn main() {}
