//! `amiko`: looks into the state directory of any node, running or not, without its classes. It changes
//! nothing but for `repair --yes`. `copy` makes a copy.
//!
//! Exit codes: 0 success, 1 the output can't be written, 2 wrong usage, 3 there is no such directory, node, version or path, or it is
//! in use, 4 the directory is damaged.

mod arguments;
mod blame;
mod copy;
mod database;
mod directory;
mod failure;
mod inspect;
mod log;
mod output;
mod pager;
mod phases;
mod progress;
mod repair;
mod show;
mod stat;
mod verify;

use arguments::{Arguments, Command};
use clap::{CommandFactory, Parser};
use std::process::ExitCode;

fn main() -> ExitCode {
    let Arguments { mut command, json, secrets } = Arguments::parse();
    let _cleaning = database::Cleaning;
    let looked_at = match database::look(&mut command) {
        Ok(looked_at) => looked_at,
        Err(failure) => return failed(&failure, None),
    };
    let paged = match &command {
        Command::Log(log) => !log.follow,
        Command::Repair(_)
        | Command::Verify(_)
        | Command::Copy(_)
        | Command::Inspect(_)
        | Command::Completions { .. }
        | Command::Man => false,
        _ => true,
    };
    let mut output = output::Output::new(json, paged);
    let outcome = match command {
        Command::Show(show) => show::show(&show, secrets, &mut output),
        Command::Export(export) => show::export(&export, secrets, &mut output),
        Command::Log(log) => log::log(&log, secrets, &mut output),
        Command::Grep(grep) => log::grep(&grep, secrets, &mut output),
        Command::Diff(diff) => show::diff(&diff, secrets, &mut output),
        Command::Blame(blame) => blame::blame(&blame, secrets, &mut output),
        Command::Stat(stat) => stat::stat(&stat, secrets, &mut output),
        Command::Copy(copy) => copy::copy(&copy, &mut output),
        Command::Inspect(inspect) => inspect::inspect(&inspect, &mut output),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "amiko", &mut text);
            output.bytes(&text)
        }
        Command::Man => {
            let mut text = Vec::new();
            let rendered = clap_mangen::Man::new(Arguments::command()).render(&mut text);
            rendered.map_err(failure::Failure::from).and_then(|()| output.bytes(&text))
        }
        Command::Verify(verify) => verify::verify(&verify, &mut output),
        Command::Repair(repair) => repair::repair(&repair, &mut output),
    };
    // What there is to say of a failure stands behind what was shown before.
    let shown = output.end();
    match outcome.and(shown) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => failed(&failure, looked_at.as_ref()),
    }
}

/// Says why. Where a copy was looked at, it is named as what it is a copy of.
fn failed(failure: &failure::Failure, looked_at: Option<&database::LookedAt>) -> ExitCode {
    let text = failure.to_string();
    eprintln!("amiko: {}", looked_at.map_or(text.clone(), |looked_at| looked_at.named(&text)));
    ExitCode::from(failure.exit_code())
}
