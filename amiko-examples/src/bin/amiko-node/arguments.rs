//! The command line.

use crate::failure::Failure;
use crate::log::Format;
use amiko_examples::payment::{Address, Network, PaymentUrl, PayoutAddress, PlainChannel, RawTransaction};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::PathBuf;

/// A payment node: it routes payments over channels with its neighbours, and survives crashes.
#[derive(Parser)]
#[command(
    name = "amiko-node",
    version,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 node not running, \
                                 4 state directory damaged, 5 another process leads the node, 129, 130 or 143 a second signal ended the node at once."
)]
pub(crate) struct Arguments {
    /// The state directory of the node [default: $AMIKO_DIR, $XDG_STATE_HOME/amiko, or ~/.local/state/amiko]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Print one JSON document, and nothing else, on standard output, also of a failure.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say of a refusal also in which message to which object it was.
    #[arg(long, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    pub(crate) fn directory(&self) -> Result<PathBuf, Failure> {
        self.dir.clone().or_else(|| default_directory(|name| std::env::var_os(name))).ok_or_else(|| {
            Failure::Usage(
                "expected --dir DIR, the state directory of the node, or $AMIKO_DIR, or $HOME; found none".into(),
            )
        })
    }
}

/// Where the state is if nobody says it.
fn default_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let named = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // A relative path in it is to be ignored: https://specifications.freedesktop.org/basedir-spec
    let state = || named("XDG_STATE_HOME").filter(|path| path.is_absolute());
    named("AMIKO_DIR").or_else(|| Some(state().or_else(|| Some(named("HOME")?.join(".local/state")))?.join("amiko")))
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Let twelve nodes pay each other, each with its own state directory and TCP listener.
    Demo(Demo),
    /// Run a node until it is stopped.
    Run(Run),
    /// Neighbours.
    #[command(subcommand)]
    Link(Link),
    /// Put an amount into a new channel of a link.
    Deposit {
        /// The link.
        link: String,
        /// How much, in satoshi: for a PlainChannel the deposit, for an IouChannel what the neighbour may owe this node, and for
        /// an IOUChannel, the prototype's, what this node may owe the neighbour.
        amount: u64,
        /// The class of the channel. The link has to accept it, here and at the neighbour.
        #[arg(long, default_value = PlainChannel::CLASS, value_name = "CLASS")]
        class: String,
    },
    /// Close a channel of a link: no new payment uses it, and when the last one has ended, it is closed.
    Withdraw {
        /// The link.
        link: String,
        /// The index of the channel, counted from 0.
        channel: u32,
        /// When an IOUChannel is closed and this node owes something in it: the raw Bitcoin transaction that pays it, which the
        /// neighbour is told.
        #[arg(long, value_name = "HEX")]
        transaction: Option<RawTransaction>,
    },
    /// Meeting points.
    #[command(subcommand)]
    MeetingPoint(MeetingPoint),
    /// Request a payment to this node; prints its URL.
    Request {
        /// How much, in satoshi.
        amount: u64,
        /// For what.
        #[arg(long, default_value = "", value_name = "TEXT")]
        receipt: String,
        /// The only link that may be used first.
        #[arg(long, value_name = "LINK")]
        via: Option<String>,
        /// Draw the URL as a QR code, too, for a dark terminal; not with --json
        #[arg(long)]
        qr: bool,
    },
    /// Pay what a URL requests: shows amount and receipt, asks, and waits until it is over.
    Pay {
        /// What the payee has sent.
        url: PaymentUrl,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
        /// The only link that may be used first.
        #[arg(long, value_name = "LINK")]
        via: Option<String>,
    },
    /// Show the state of the node.
    List {
        /// Only this link.
        #[arg(long, value_name = "NAME")]
        link: Option<String>,
    },
    /// Show the requests for payments to this node that nobody has paid yet.
    Requests,
    /// Take back a request that nobody has agreed to pay, or a payment that waits for this node's user.
    Cancel {
        /// The payment, as `requests` and `list` name it, or its URL.
        payment: String,
    },
    /// Show the payment log.
    Payments,
    /// Change the state of a stopped node by hand, in $VISUAL or $EDITOR: checked, shown, and one line of the journal.
    Edit(Edit),
    /// Check every file of a stopped node, and say everything that is wrong; changes nothing.
    Verify,
    /// Print what a shell reads to complete the commands of this program.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Print the manual page of this program, or of one of its commands, for `man -l -`.
    Man {
        /// The command, like `link add`.
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Salvage the intact part of a damaged state directory; sets every file aside and removes none.
    Repair {
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum Link {
    /// Add a neighbour; prints the URL to send to it.
    Add {
        /// What the link is called here.
        name: String,
        /// The URL that the neighbour has sent. It holds a secret, so that an error doesn't repeat it.
        #[arg(long, value_name = "URL")]
        to: Option<String>,
    },
    /// Give a link to another neighbour, or to the same one with a new key; prints the URL to send to it. The previous
    /// neighbour can't use the link any more.
    Renew {
        /// What the link is called here.
        name: String,
        /// The URL that the neighbour has sent.
        #[arg(long, value_name = "URL")]
        to: Option<String>,
    },
    /// Let channels of a link be of these classes and no others: PlainChannel, with which a link begins; IouChannel, with
    /// which the neighbour can let this node owe it; and IOUChannel, the prototype's, with which the neighbour can owe this node
    /// as much as it deposits. Channels that are there stay.
    Accept {
        /// What the link is called here.
        name: String,
        /// The classes; none to accept no new channel.
        #[arg(value_name = "CLASS")]
        classes: Vec<String>,
    },
    /// Forget a link. Refused while money is in it, or while a payment uses it.
    Remove {
        /// What the link is called here.
        name: String,
    },
    /// Use a link again that was taken out of use because one of the two states was older than it should be.
    Reconcile {
        /// What the link is called here.
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum MeetingPoint {
    /// Let routes meet on this node.
    Add {
        /// The name of the meeting point.
        name: String,
    },
    /// Let no routes meet there any more. Refused while routes wait there, or while an open request names it.
    Remove {
        /// The name of the meeting point.
        name: String,
    },
}

#[derive(Args)]
pub(crate) struct Edit {
    /// Don't ask.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Continue with the file that a refused edit has left.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Demo {
    /// How many payments.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) payments: u32,
    /// How many at a time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4_000))]
    pub(crate) concurrency: u32,
    /// How much each, in satoshi.
    #[arg(long, default_value_t = 123, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) amount: u64,
    /// What each side of each link has [default: 1000, or amount × payments where that is more]
    #[arg(long)]
    pub(crate) funds: Option<u64>,
    /// Draw the network on the terminal while payments pass: balances, and the links that they use; not with --json
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Args)]
pub(crate) struct Run {
    /// Which network: amiko, encrypted and between nodes with keys; or prototype3, plain TCP without keys. A state directory
    /// belongs to one of them
    #[arg(long, default_value_t = Network::Amiko, value_name = "NETWORK")]
    pub(crate) network: Network,
    /// Let other machines reach a node on prototype3: anybody on the path can read and change everything, and take
    /// the place of any neighbour
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Keep the state in a database instead of the state directory: postgres://USER@HOST/DATABASE, or @FILE with that in it, for an
    /// address with a password. The directory still has the key, which all processes of one node share, and the socket for commands
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// What the node is called in the database
    #[arg(long, value_name = "NAME", default_value = "amiko", requires = "store")]
    pub(crate) node: String,
    /// If another process leads the node, follow it, and lead when nobody else does
    #[arg(long, requires = "store")]
    pub(crate) standby: bool,
    /// How long a leader that isn't heard of any more stays the leader, in milliseconds
    #[arg(long, default_value_t = 10_000, value_name = "MILLISECONDS", requires = "store",
          value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub(crate) lease: u64,
    /// Where to listen: a name or an address of this machine. With 0.0.0.0, all of them, --advertise is needed
    #[arg(long, default_value = "127.0.0.1:4321", value_name = "HOST:PORT")]
    pub(crate) listen: Address,
    /// Where others can dial this node, as its URLs say it [default: where it listens]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<Address>,
    /// A Bitcoin address of the kind P2PKH at which neighbours pay what they owe in an IOUChannel; without one, they can't
    /// deposit in such a channel.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) payout_address: Option<PayoutAddress>,
    /// A meeting point of another node that payments to this one may use.
    #[arg(long, value_name = "NAME")]
    pub(crate) external_meeting_point: Vec<String>,
    /// How the log on standard error is written: for people, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub(crate) log: Format,
    /// Show this node in a browser, at an address of this machine; with port 0, at any that is free. The address is printed, with
    /// a token that a browser needs
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) inspect: Option<Address>,
    /// How long this node has to pass on a token.
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub(crate) timeout_increment: u64,
    /// Another limit of what others may take of this node; several times for several: channels, routes, unconfirmed, lock,
    /// amount, receipt, name, clock, link_name, payments [default: as documented at PaymentLimits]
    #[arg(long, value_name = "NAME=VALUE", value_parser = limit)]
    pub(crate) limit: Vec<(String, u64)>,
}

fn limit(text: &str) -> Result<(String, u64), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let value = value.parse().map_err(|error| format!("expected a number after {name}=: {error}"))?;
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_that_of_the_first_variable_that_says_one() {
        let directory = |variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
            default_directory(value).map(|path| path.display().to_string())
        };
        let home = ("HOME", "/home/ann");
        assert_eq!(directory(&[home, ("XDG_STATE_HOME", "/state"), ("AMIKO_DIR", "a")]).as_deref(), Some("a"));
        assert_eq!(
            directory(&[home, ("XDG_STATE_HOME", "/state"), ("AMIKO_DIR", "")]).as_deref(),
            Some("/state/amiko")
        );
        for state in ["", "state"] {
            let found = directory(&[home, ("XDG_STATE_HOME", state)]);
            assert_eq!(found.as_deref(), Some("/home/ann/.local/state/amiko"));
        }
        assert_eq!(directory(&[]), None);
    }
}
