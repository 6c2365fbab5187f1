// Fields that change through a shared reference, though serde writes them: no undo log sees that.
use amiko_core::prelude::*;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

#[derive(Serializable)]
struct Locked {
    mutex: Mutex<u64>,
    inside: Option<Box<AtomicU64>>,
}

fn main() {}
