//! Outputs that wait for the disk.
//!
//! Invariant: no [`Output`] is exposed outside the engine before the commit that caused it is on disk. The only way
//! to get them is [`Engine::sync`](super::Engine::sync).

use crate::event::Output;
use crate::machine::Node;
use crate::sabotage::{Sabotage, sabotaged};
use crate::version::Version;
use std::collections::VecDeque;

/// Outputs in the order of their commits, sealed until those are on disk.
pub(super) struct Sealed<N: Node>(VecDeque<(Version, Output<N>)>);

impl<N: Node> Sealed<N> {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    #[inline]
    pub(super) fn seal(&mut self, version: Version, outputs: impl IntoIterator<Item = Output<N>>) {
        self.0.extend(outputs.into_iter().map(|output| (version, output)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The outputs whose commits are on disk, oldest first.
    pub(super) fn release(&mut self, durable: Version) -> Vec<Output<N>> {
        let (confirm, perform) = (sabotaged(Sabotage::ConfirmBeforeSync), sabotaged(Sabotage::EffectBeforeCommit));
        if confirm || perform {
            let is_early = |output: &Output<N>| match output {
                Output::Confirm { .. } => confirm,
                Output::Perform { .. } => perform,
                _ => false,
            };
            let (early, rest): (VecDeque<_>, _) =
                self.0.drain(..).partition(|(version, output)| *version <= durable || is_early(output));
            self.0 = rest;
            return early.into_iter().map(|(_, output)| output).collect();
        }
        let released = self.0.partition_point(|(version, _)| *version <= durable);
        self.0.drain(..released).map(|(_, output)| output).collect()
    }
}
