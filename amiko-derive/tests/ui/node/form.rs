use amiko_core::prelude::*;

#[derive(Clone, Default, Serializable, Node)]
#[amiko(network, reply = "Text", notice(u64), check = 5)]
struct Root {
    #[amiko(machines = true)]
    value: u64,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine = true, network = , check)]
struct Other {
    #[amiko(machine)]
    value: u64,
}

fn main() {}
