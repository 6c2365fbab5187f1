//! The command line.
//!
//! Invariant: each command names the directory first, and changes nothing in it; only `repair --yes` does. `copy` makes another one.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Looks into the state directory of any Amiko node, running or not. It changes nothing but for `repair --yes`.
///
/// A node in a database stands for a directory, as postgres://user@host/database#node. Where the address has a password, it can be
/// in a file, as @FILE#node, which nobody else may read.
///
/// What a class has as `Secret` is hidden, as far as `classes.json` in the directory says so.
#[derive(Parser)]
#[command(name = "amiko", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Prints one JSON document.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Shows secrets, too.
    #[arg(long, global = true)]
    pub(crate) secrets: bool,
}

const EXIT_CODES: &str = "Exit codes: 0 success, 1 the output can't be written, 2 wrong usage, 3 there is no such \
                          directory, node, version or path, it is in use, or it can't be read or written, 4 the directory is damaged.\n\nOn a terminal, NO_COLOR=1 leaves colours \
                          out, and what is longer than the screen goes through PAGER, by default `less -FRX`; through none if it is empty.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Shows the state, or what stands at a path in it.
    Show(Show),
    /// Prints the whole document of a version, as JSON.
    Export(Export),
    /// Shows the events, one a line: version, time, cause, and what changed.
    Log(Log),
    /// Shows the events whose record contains a text.
    Grep(Grep),
    /// Shows what differs between two versions.
    Diff(Diff),
    /// Shows which event set the value at a path.
    Blame(Blame),
    /// Shows sizes, times, rates, the largest tables and the biggest objects; or how long objects are in their phases.
    Stat(Stat),
    /// Checks all files of a directory that isn't in use.
    Verify(Verify),
    /// Salvages a damaged directory that isn't in use: shows what it would do, and does it with --yes.
    ///
    /// Only what doesn't take the classes of the node is checked: checksums, numbers, that each patch fits, and that the journal
    /// leads to each snapshot. Strong references and the rules of the node aren't; its program checks them with
    /// `amiko_core::engine::repair`. Nothing is removed: what was there before is put aside.
    Repair(Repair),
    /// Copies a node with all that is kept of it, from a directory into another one, into a database, or back, and reads the copy back.
    ///
    /// It copies each snapshot and each record since the oldest one, to a node or a directory that doesn't exist yet. Copying a directory to
    /// another directory makes a backup; the node may keep running. Into a database and back, nobody may have it open: stop the node first,
    /// and run the copy from then on, not both.
    Copy(Copy),
    /// Shows a directory in a browser, until it is stopped; prints the address.
    Inspect(Inspect),
    /// Prints completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Prints the man page.
    Man,
}

impl Command {
    /// The directory that a command looks into.
    pub(crate) fn directory(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Show(Show { directory, .. })
            | Self::Export(Export { directory, .. })
            | Self::Log(Log { directory, .. })
            | Self::Grep(Grep { directory, .. })
            | Self::Diff(Diff { directory, .. })
            | Self::Blame(Blame { directory, .. })
            | Self::Stat(Stat { directory, .. })
            | Self::Verify(Verify { directory })
            | Self::Repair(Repair { directory, .. })
            | Self::Inspect(Inspect { directory, .. }) => Some(directory),
            Self::Copy(_) | Self::Completions { .. } | Self::Man => None,
        }
    }
}

#[derive(Args)]
pub(crate) struct Copy {
    /// The state directory, or a node in a database: postgres://user@host/database#node.
    pub(crate) from: PathBuf,
    /// A directory or a node that doesn't exist yet.
    pub(crate) to: PathBuf,
}

#[derive(Args)]
pub(crate) struct Inspect {
    /// The state directory.
    pub(crate) directory: PathBuf,
    /// Where to listen, on the loopback; with port 0, at any that is free.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "HOST:PORT")]
    pub(crate) listen: String,
}

/// A moment of the state.
#[derive(Args)]
pub(crate) struct At {
    /// The version, or a time such as 2026-11-29T15:00:00Z. By default the newest.
    #[arg(long)]
    pub(crate) at: Option<String>,
}

#[derive(Args)]
pub(crate) struct Show {
    /// The state directory.
    pub(crate) directory: PathBuf,
    /// Where to look, as /state/accounts/alice. By default the whole document.
    #[arg(default_value = "")]
    pub(crate) path: String,
    #[command(flatten)]
    pub(crate) at: At,
    /// Entries of a table that are shown; 0 shows all.
    #[arg(long, default_value_t = 20)]
    pub(crate) entries: usize,
    /// Shows the entries after this one, of the table or list at the path.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, requires = "path")]
    pub(crate) from: Option<String>,
}

#[derive(Args)]
pub(crate) struct Export {
    /// The state directory.
    pub(crate) directory: PathBuf,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Args)]
pub(crate) struct Log {
    /// The state directory.
    pub(crate) directory: PathBuf,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Shows the newest ones only, so many.
    #[arg(long, short = 'n')]
    pub(crate) last: Option<usize>,
    /// Waits for new events, until it is stopped.
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) follow: bool,
    /// Shows the whole patch of each event.
    #[arg(long, short)]
    pub(crate) patch: bool,
}

/// Which events are shown.
#[derive(Args, Default)]
pub(crate) struct Filter {
    /// Events of an object, as KIND/KEY, or TABLE/KEY for those that changed an entry.
    #[arg(long)]
    pub(crate) object: Option<String>,
    /// Events that began with a message of this class.
    #[arg(long)]
    pub(crate) class: Option<String>,
    /// Events since a version, or since a time such as 2026-11-29T15:00:00Z.
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Events that were rejected, and only used up their input.
    #[arg(long)]
    pub(crate) rejected: bool,
    /// Events in which something entered this phase, as OrderPhase=Paid; for OrderPhase alone, entered or left any of its phases.
    #[arg(long, value_name = "ENUM[=PHASE]")]
    pub(crate) phase: Option<String>,
}

#[derive(Args)]
pub(crate) struct Grep {
    /// What the record of the event contains.
    pub(crate) text: String,
    /// The state directory.
    pub(crate) directory: PathBuf,
    #[command(flatten)]
    pub(crate) filter: Filter,
}

#[derive(Args)]
pub(crate) struct Diff {
    /// The state directory.
    pub(crate) directory: PathBuf,
    /// A version, or a time.
    pub(crate) from: String,
    /// A later one. By default the newest.
    pub(crate) to: Option<String>,
}

#[derive(Args)]
pub(crate) struct Blame {
    /// The state directory.
    pub(crate) directory: PathBuf,
    /// Where to look, as /state/accounts/alice/balance.
    pub(crate) path: String,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The state directory.
    pub(crate) directory: PathBuf,
}

#[derive(Args)]
pub(crate) struct Repair {
    /// The state directory.
    pub(crate) directory: PathBuf,
    /// Does it.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args)]
pub(crate) struct Stat {
    /// The state directory.
    pub(crate) directory: PathBuf,
    /// Tables that are listed.
    #[arg(long, default_value_t = 10)]
    pub(crate) tables: usize,
    /// Objects that are listed, the biggest ones.
    #[arg(long, default_value_t = 5)]
    pub(crate) objects: usize,
    /// Shows phases instead: how often each was entered and left, how long that took, and how many objects are in it now.
    #[arg(long, conflicts_with_all = ["tables", "objects"])]
    pub(crate) phases: bool,
}
