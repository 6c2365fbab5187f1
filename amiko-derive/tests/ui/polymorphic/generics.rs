use amiko_core::prelude::*;

#[amiko(polymorphic)]
trait Shape<T>: Serializable {
    fn area(&self) -> T;
}

fn main() {}
