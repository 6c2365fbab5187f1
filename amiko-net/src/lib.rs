//! The tokio runtime of an Amiko node: sockets, framing, acknowledgement, reconnection, and one event loop.
//!
//! A [`Runtime`] owns an [`Engine`](amiko_core::Engine). It feeds it commands, lines from peers and due timers, makes
//! what they caused durable with one sync for as many of them as were waiting, and only then sends, answers and
//! notifies. A [`Protocol`] says what the first line of a connection is and what a peer's message means to the node;
//! a [`Handle`] is how other tasks and threads talk to it.
//!
//! # On the wire
//!
//! One JSON object a line, at most [`NetSettings::line`] bytes and [`NetSettings::depth`] levels:
//!
//! | line | what it says |
//! |---|---|
//! | `{"index":null,"message":{…}}` | first line of whoever dialled: which connection this is |
//! | `{"index":7,"message":{…}}` | message 7 of this connection, counted from 0, modulo 65,536 |
//! | `{"received":7}` | all messages up to and including 7 have been processed, and that is on disk |
//!
//! A message is sent again on each new socket until it is confirmed, in order, and acts once. A line that isn't one of
//! these closes the socket; a message that the node doesn't understand, or rejects, is used up and the link goes on.
//!
//! # What a user may rely on
//!
//! - Nothing leaves before the commit that caused it is on disk: no message, confirmation, answer or notice. A failed
//!   sync ends the loop.
//! - On one socket no message is sent twice, or before an earlier one.
//! - Due timers go before commands and lines.
//! - Every queue is bounded: see [`NetSettings`]. Who sends more than the node can take is made to wait.
//!
//! Invariant of the crate: the outbox in the engine is the only queue of messages to a peer. A socket holds one batch of
//! lines that is being written, and a number: how far into the outbox it has come.

mod dial;
mod error;
mod event;
mod framing;
mod handle;
mod links;
mod protocol;
mod runtime;
mod session;
mod settings;
mod socket;
mod transport;
mod wire;

pub use error::{
    BindError, CommandError, DialError, Disconnect, LineError, ProtocolError, Refusal, RunError, Stopped, Unsendable,
};
pub use event::{Event, Log};
pub use handle::Handle;
pub use protocol::{Protocol, Welcome};
pub use runtime::Runtime;
pub use settings::{Clock, NetSettings};
pub use transport::{Stream, Tcp, Transport};
