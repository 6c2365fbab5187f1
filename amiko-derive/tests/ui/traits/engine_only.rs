// What only the engine may ask needs what only the engine has.
use amiko_core::derive::EngineOnly;

fn main() {
    let _only = EngineOnly { engine: 1 };
}
