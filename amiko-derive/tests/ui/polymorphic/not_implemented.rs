// The class says that it implements the trait, and doesn't.
use amiko_core::prelude::*;

#[amiko(polymorphic)]
trait Shape: Serializable {}

#[derive(Clone, Serializable)]
#[amiko(implements(Shape))]
struct Square {}

fn main() {}
