//! Workflows beside their peers: see `amiko_workflows::command`.

fn main() {
    amiko_workflows::command::main();
}
