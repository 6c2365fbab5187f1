//! What an application says about the conversations with its peers: defined in the core, where the simulated world uses it
//! as well.

pub use amiko_core::{Protocol, Welcome};
