//! What two nodes have to say to each other.

mod peer;
mod protocol;

pub use peer::{PeerAddress, PeerAddressError, PublicKey};
pub use protocol::{Protocol, Welcome};
