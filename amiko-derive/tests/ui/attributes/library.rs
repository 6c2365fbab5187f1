use amiko_core::prelude::*;

#[derive(Serializable)]
#[amiko(crate)]
struct Alone {}

#[derive(Serializable)]
#[amiko(crate = "amiko_core")]
struct Text {}

#[derive(Serializable)]
#[amiko(crate = amiko_core, crate = amiko_core)]
struct Twice {}

#[amiko(polymorphic, crate = "amiko_core")]
trait Shape: Serializable {}

#[amiko(polymorphic, crate)]
trait Other: Serializable {}

fn main() {}
