//! What waits for the disk before it leaves.
//!
//! Invariant: nobody outside the engine holds an [`Output`] before the commit that caused it is on disk. There is one
//! way to get them, [`Engine::sync`](super::Engine::sync).

use crate::event::Output;
use crate::machine::Node;
use crate::sabotage::{Sabotage, sabotaged};
use crate::version::Version;
use std::collections::VecDeque;

/// Outputs in the order of their commits, locked up until those are on disk.
pub(super) struct Sealed<N: Node>(VecDeque<(Version, Output<N>)>);

impl<N: Node> Sealed<N> {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(super) fn seal(&mut self, version: Version, outputs: impl IntoIterator<Item = Output<N>>) {
        self.0.extend(outputs.into_iter().map(|output| (version, output)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those whose commits are on disk, oldest first.
    pub(super) fn release(&mut self, durable: Version) -> Vec<Output<N>> {
        if sabotaged(Sabotage::ConfirmBeforeSync) {
            let is_confirmation = |output: &Output<N>| matches!(output, Output::Confirm { .. });
            let (early, rest): (VecDeque<_>, _) =
                self.0.drain(..).partition(|(version, output)| *version <= durable || is_confirmation(output));
            self.0 = rest;
            return early.into_iter().map(|(_, output)| output).collect();
        }
        let released = self.0.partition_point(|(version, _)| *version <= durable);
        self.0.drain(..released).map(|(_, output)| output).collect()
    }
}
