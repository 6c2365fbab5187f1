use amiko_core::prelude::*;
use amiko_core::serializable::{Json, UnknownFields};
use std::collections::BTreeMap;

#[derive(Serializable)]
struct Fits {
    value: u64,
}

#[derive(Serializable)]
struct Tuple(u64, u64);

#[derive(Serializable)]
enum Choice {
    One { value: u64 },
}

#[derive(Serializable)]
#[amiko(version = 2, migrate = lift)]
struct Lifted {
    value: u64,
}

fn lift(_: u32, _: &mut Json) -> Result<(), String> {
    Ok(())
}

#[derive(Serializable)]
#[amiko(transparent)]
struct Whole {
    value: u64,
}

#[derive(Serializable)]
#[amiko(unknown = "keep")]
struct Keeps {
    rest: UnknownFields,
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct OfSerde {
    value: u64,
}

#[derive(Serializable)]
struct Outer {
    #[amiko(flatten)]
    tuple: Tuple,
    #[amiko(flatten)]
    choice: Choice,
    #[amiko(flatten)]
    lifted: Lifted,
    #[amiko(flatten)]
    whole: Whole,
    #[amiko(flatten)]
    keeps: Keeps,
    #[amiko(flatten)]
    option: Option<Fits>,
    #[amiko(flatten)]
    map: BTreeMap<String, u64>,
}

#[derive(Serializable)]
struct Serde {
    #[amiko(flatten)]
    of_serde: OfSerde,
}

fn main() {}
