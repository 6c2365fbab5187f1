//! The pages, as HTML.
//!
//! Invariant: every text of the state is escaped, and shortened where it is long; nothing here asks the node.

mod diagrams;
mod event;
mod frame;
mod health;
mod outside;
mod rehearsal;
mod rejections;
mod tree;
mod values;

pub(crate) use frame::{frame, notice, shell};
pub(crate) use rehearsal::outcome;

use crate::live::Refused;
use amiko_core::event::CausedDelivery;
use amiko_runtime::EffectState;
use std::time::Duration;

/// What was asked of the node before a page is made.
#[derive(Default)]
pub(crate) struct Answers {
    /// Whether there is a node that runs.
    pub(crate) live: bool,
    pub(crate) deliveries: Option<Vec<CausedDelivery>>,
    pub(crate) rejections: Vec<Refused>,
    pub(crate) connected: Vec<String>,
    pub(crate) effects: Vec<EffectState>,
    /// How long the node leads for certain, if several processes can.
    pub(crate) lease: Option<Duration>,
    /// How long the last syncs took.
    pub(crate) syncs: Vec<Duration>,
    /// Sizes of the files of the directory, in bytes.
    pub(crate) files: Vec<(String, u64)>,
    /// What keeps the page from following the node.
    pub(crate) trouble: Option<String>,
}
