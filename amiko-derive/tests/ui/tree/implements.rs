use amiko_core::prelude::*;

#[amiko(polymorphic)]
trait Shape: Serializable {}

#[derive(Clone, Serializable)]
#[amiko(implements(Shape))]
struct Generic<T> {
    side: T,
}

#[derive(Clone, Serializable)]
#[amiko(transparent, implements(Shape))]
struct Transparent(u64);

#[derive(Clone, Serializable)]
#[amiko(implements(Shape))]
enum Enum {
    One,
}

fn main() {}
