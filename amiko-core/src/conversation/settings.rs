//! The settings and limits of conversations.
//!
//! Invariant: each limit has a name, a default, and an error or an event that reports it; each has a lower bound that
//! lets a conversation make progress.

use std::time::Duration;

/// The lines on the wire besides messages and their confirmations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// After the hello both sides send their resume points, and now and then each side pings the other.
    #[default]
    Amiko,
    /// None: a conversation is resumed by message numbers alone, and begins on a socket that this side dialled only once
    /// that has proved to stay; see [`ConversationSettings::probation`]. A peer that has forgotten what it sent or received
    /// is indistinguishable from one that missed a confirmation, and a peer that is gone from one that owes nothing.
    /// For peers that speak no other dialect.
    ByIndex,
}

/// How a node talks to its peers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConversationSettings {
    /// What is said besides messages and confirmations. Default: [`Dialect::Amiko`].
    pub dialect: Dialect,
    /// Bytes of one line, without its end. Default 64 KiB.
    pub line: usize,
    /// Levels of objects and arrays in one line. Default 32.
    pub depth: u32,
    /// Pause before a peer is dialled the second time; it doubles with each failure, and is shortened at random by up
    /// to a half. Default 50 ms.
    pub back_off_first: Duration,
    /// The longest such pause. Default 30 s.
    pub back_off_limit: Duration,
    /// How long dialling may take; how long a peer may take to say who it is and where it stands, however many bytes and
    /// lines that are; and how long tie-breakers decide between two sockets of one connection. Default 5 s.
    pub handshake: Duration,
    /// With [`Dialect::ByIndex`]: how long only the hello is sent on a socket that this side dialled, unless the peer says
    /// something on it. A peer that keeps another socket closes this one within that time, but acts on what it finds
    /// behind the hello; sent again on the next socket, that would act twice. Default 500 ms.
    pub probation: Duration,
    /// Maximum number of sockets whose peers haven't said hello yet; one more, and the oldest is closed. Default 64.
    pub strangers: usize,
    /// How long a peer may be silent before its socket is closed and dialled anew. Every half of it the peer is
    /// pinged; with [`Dialect::ByIndex`], silence counts only while the peer owes a confirmation. Default 30 s.
    pub silence: Duration,
    /// How long a confirmation waits for something else to be sent, so as to travel with it. It is never late for the peer's
    /// messages, which don't wait for it; but until it comes, they stay in the peer's outbox. Default 10 ms.
    pub confirmation_delay: Duration,
    /// Bytes written to a socket at once; the line that exceeds this is the last. Default 64 KiB.
    pub batch: usize,
}

impl Default for ConversationSettings {
    fn default() -> Self {
        Self {
            dialect: Dialect::Amiko,
            line: 64 << 10,
            depth: 32,
            back_off_first: Duration::from_millis(50),
            back_off_limit: Duration::from_secs(30),
            handshake: Duration::from_secs(5),
            probation: Duration::from_millis(500),
            strangers: 64,
            silence: Duration::from_secs(30),
            confirmation_delay: Duration::from_millis(10),
            batch: 64 << 10,
        }
    }
}
