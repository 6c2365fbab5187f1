//! Messages that are scheduled for later.

use crate::Serializable;
use crate::time::Time;
use crate::tree::Tree;

/// A message to be delivered at a moment, or soon after; its ID is its owner's kind and key, and its name.
#[derive(Clone, Serializable)]
#[amiko(key = String, kind = "timer")]
pub struct Timer<N: Tree> {
    /// When it is due.
    pub at: Time,
    /// The message that is delivered then.
    pub envelope: N::Envelope,
}
