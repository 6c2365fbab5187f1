//! Messages to be sent back to ourselves in the future.

use crate::Serializable;
use crate::time::Time;
use crate::tree::Tree;

/// A message that is to be delivered at a moment, or soon after it; its ID is its owner's kind and key, and its name.
#[derive(Clone, Serializable)]
#[amiko(key = String, kind = "timer")]
pub struct Timer<N: Tree> {
    /// When it is due.
    pub at: Time,
    /// What is delivered then.
    pub envelope: N::Envelope,
}
