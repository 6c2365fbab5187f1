use amiko_core::prelude::*;

#[amiko(polymorphic)]
trait Shape: Send {
    fn area(&self) -> f64;
}

fn main() {}
