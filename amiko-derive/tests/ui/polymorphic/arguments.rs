use amiko_core::prelude::*;

#[amiko]
trait Nothing: Serializable {}

#[amiko(polymorph)]
trait Misspelt: Serializable {}

#[amiko(polymorphic, secret)]
trait More: Serializable {}

#[amiko(key = String)]
trait Class: Serializable {}

fn main() {}
