use amiko_core::prelude::*;

#[amiko(polymorphic)]
trait Shape: Serializable {}

#[derive(Serializable)]
#[amiko(implements(Shape))]
struct Square {}

impl Shape for Square {}

fn main() {}
