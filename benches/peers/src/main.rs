//! Everything beside its peers: see `amiko_peers::command`.

fn main() -> std::process::ExitCode {
    amiko_peers::command::main(None)
}
