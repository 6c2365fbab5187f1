//! The network of the prototype on real sockets: conversations that prototype nodes have had, replayed with a node of ours in
//! the place of each of them; each message as bytes in and bytes out; dialling; and real processes, also restarted ones.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod dialling;
mod lines;
mod node;
mod peer;
mod processes;
mod recording;
mod replay;
mod restarts;
