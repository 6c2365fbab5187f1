//! Workflows beside their peer: see `amiko_workflows::command`.

fn main() {
    amiko_workflows::command::main();
}
