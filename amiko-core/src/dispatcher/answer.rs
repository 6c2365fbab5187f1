//! What was answered to commands with a key.

use crate::Serializable;
use crate::serializable::{Json, Secret};
use crate::time::Time;

/// The answer to a command that acts once; its ID is the key of the command.
#[derive(Clone, Serializable)]
#[amiko(key = String, kind = "answer")]
pub struct Answer {
    /// When it was given.
    pub at: Time,
    /// The first 16 bytes of the SHA-256 of the command's text: another command of the same key is refused.
    pub command: [u8; 16],
    /// The reply, if there was one. It is hidden from people, because it may be secret.
    pub reply: Secret<Vec<Json>>,
}
