// What only the engine may ask needs what only the engine has.
use amiko_core::__private_0_1_0::EngineOnly;

fn main() {
    let _only = EngineOnly { engine: 1 };
}
