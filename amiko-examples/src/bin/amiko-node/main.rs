//! `amiko-node`: a payment node, and the commands of its user.
//!
//! Exit codes: 0 success, 1 refused or failed, 2 wrong usage, 3 node not running, 4 state directory damaged, 5 another one
//! leads the node; 128 plus the number of the signal if a second signal ended `run` at once (129, 130, 143).

mod arguments;
mod client;
mod cluster;
mod control;
mod demo;
mod edit;
mod failure;
mod inspect;
mod key;
mod log;
mod owner;
mod places;
mod repair;
mod run;
mod screen;
mod show;
mod summary;
mod texts;
mod trouble;
mod verify;
mod watch;

use arguments::{Arguments, Command};
use clap::Parser;
use failure::Failure;
use std::process::ExitCode;

/// Events allocate much, and what one thread of a node has allocated another one often frees.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misused(&error),
    };
    let result = dispatch(&arguments).and_then(|code| screen::written().map(|()| code));
    let code = result.unwrap_or_else(|failure| {
        if arguments.json {
            screen::print_failure(&failure);
        }
        screen::complain(&failure);
        ExitCode::from(failure.exit_code())
    });
    log::end();
    code
}

/// A command line that can't be carried out; or `--help` and `--version`, which clap has as errors too.
fn misused(error: &clap::Error) -> ExitCode {
    let wanted = std::env::args_os().take_while(|argument| argument != "--").any(|argument| argument == "--json");
    if wanted && error.use_stderr() {
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
        screen::print_failure(&Failure::Usage(text.into()));
    }
    match screen::usage::<Arguments>(error) {
        Err(error) if !matches!(error.kind(), std::io::ErrorKind::BrokenPipe) => ExitCode::FAILURE,
        _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
    }
}

fn dispatch(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
    let json = arguments.json;
    match &arguments.command {
        Command::Completions { shell } => texts::completions(*shell, json).map(|()| ExitCode::SUCCESS),
        Command::Man { command } => texts::manual(command, json).map(|()| ExitCode::SUCCESS),
        Command::Edit(edit) => edit::edit(edit, &arguments.directory()?, json),
        Command::Verify => verify::verify(&arguments.directory()?, json),
        Command::Repair { yes } => repair::repair(&arguments.directory()?, *yes, json),
        Command::Demo(demo) => runtime.block_on(demo::demo(demo, arguments.dir.as_deref(), json)),
        Command::Run(run) => runtime.block_on(run::run(run, &arguments.directory()?, json)),
        other => runtime.block_on(client::command(other, &arguments.directory()?, arguments)),
    }
}
