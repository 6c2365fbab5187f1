//! Who is compared.
//!
//! Invariant: a contender differs from the one before it in what its name says.

use crate::peer::Setup;
use clap::ValueEnum;

/// One side, in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// As many attempts at a time as workflows.
    Amiko,
    /// As many as there are by default.
    AmikoDefaults,
    /// As it is fastest.
    Duroxide,
    /// The same, with commits as its provider sets them.
    DuroxideNotSynced,
    /// As it comes, but for synced commits.
    DuroxideAsItComes,
}

impl Contender {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amiko => "Amiko",
            Self::AmikoDefaults => "Amiko, 64 attempts at a time",
            Self::Duroxide => "duroxide",
            Self::DuroxideNotSynced => "duroxide, not synced",
            Self::DuroxideAsItComes => "duroxide, as it comes",
        }
    }

    /// Its name on the command line.
    pub fn argument(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }

    /// How it is set up, if it is a peer.
    pub fn peer(self) -> Option<Setup> {
        match self {
            Self::Amiko | Self::AmikoDefaults => None,
            Self::Duroxide => Some(Setup::Fastest),
            Self::DuroxideNotSynced => Some(Setup::NotSynced),
            Self::DuroxideAsItComes => Some(Setup::AsItComes),
        }
    }
}
