use amiko_core::prelude::*;
use amiko_core::serializable::Json;

#[derive(Serializable)]
#[amiko(version = 2)]
struct WithoutMigrate {}

#[derive(Serializable)]
#[amiko(migrate = lift)]
struct WithoutVersion {}

#[derive(Serializable)]
#[amiko(version = 0)]
struct Zero {}

#[derive(Serializable)]
#[amiko(version = 2, migrate = lift, transparent)]
struct Transparent(u64);

fn lift(_: u32, _: &mut Json) -> Result<(), String> {
    Ok(())
}

fn main() {}
