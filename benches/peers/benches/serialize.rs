//! The suite `serialize` alone.

fn main() -> std::process::ExitCode {
    amiko_peers::command::main(Some(amiko_peers::suites::Suite::Serialize))
}
