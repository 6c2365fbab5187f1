//! How commands reach a running node: JSON lines over a Unix socket in its directory.
//!
//! Invariant: only the owner of the directory can talk to the node: the socket has mode 0600.

use amiko_core::prelude::*;
use amiko_examples::payment::{Link, LinkUrl, MeetingPoint, Network, Payer, PaymentRecord, PaymentUrl, RawTransaction};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// The limit for a question, in bytes: twice what the operating system takes as one argument, so that the node itself can say
/// which limit of its own a text exceeds. Answers may be longer: a node shows its whole state.
pub(crate) const MAX_QUESTION: u64 = 256 << 10;
/// The limit for an answer, in bytes.
pub(crate) const MAX_ANSWER: u64 = 1 << 30;

/// The requests of commands.
#[derive(Debug, Serializable)]
pub(crate) enum Question {
    AddLink { name: Id<Link>, to: Option<LinkUrl> },
    RenewLink { link: Id<Link>, to: Option<LinkUrl> },
    RemoveLink { link: Id<Link> },
    AddMeetingPoint { name: Id<MeetingPoint> },
    RemoveMeetingPoint { name: Id<MeetingPoint> },
    Cancel { payment: String },
    Reconcile { link: Id<Link> },
    Accept { link: Id<Link>, classes: BTreeSet<String> },
    Deposit { link: Id<Link>, class: String, amount: u64 },
    Withdraw { link: Id<Link>, channel: u32 },
    PayBack { link: Id<Link>, channel: u32, transaction: RawTransaction },
    Request { amount: u64, receipt: String, via: Option<Id<Link>> },
    Pay { url: PaymentUrl, via: Option<Id<Link>> },
    Agree,
    Refuse,
    List,
    Link { link: Id<Link> },
    Document,
    Requests,
    Payments,
}

/// The answers of the node.
#[derive(Debug, Serializable)]
pub(crate) enum Answer {
    /// What was done, and what the link holds now that it was done to.
    Done {
        did: String,
        link: Option<LinkSummary>,
    },
    /// A URL to send to somebody; or what was done, where it needn't be sent.
    Url {
        url: String,
        did: Option<String>,
    },
    Receipt {
        payer: Id<Payer>,
        amount: u64,
        receipt: String,
    },
    Ended {
        record: PaymentRecord,
    },
    State {
        summary: Summary,
    },
    Link {
        summary: LinkSummary,
    },
    Requests {
        requests: Vec<RequestSummary>,
    },
    Document {
        text: String,
    },
    Payments {
        records: Vec<PaymentRecord>,
    },
    /// `details` says in which message of which chain it was.
    Refused {
        reason: String,
        details: String,
    },
}

/// The state of a node, for people.
#[derive(Debug, Serializable)]
pub(crate) struct Summary {
    pub(crate) network: Network,
    pub(crate) address: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) payout_address: Option<String>,
    pub(crate) links: Vec<LinkSummary>,
    pub(crate) meeting_points: Vec<String>,
    pub(crate) external_meeting_points: Vec<String>,
    pub(crate) payments: Vec<String>,
    pub(crate) transactions: usize,
    pub(crate) timers: usize,
    pub(crate) conflicts: Vec<String>,
    pub(crate) clocks: Vec<String>,
    /// The links that may have no more channels.
    pub(crate) full: Vec<String>,
    pub(crate) rejections: Vec<String>,
}

#[derive(Debug, Serializable)]
#[amiko(rename_all = "camelCase")]
pub(crate) struct LinkSummary {
    pub(crate) name: String,
    pub(crate) connected: bool,
    /// It waits for a peer that shows its invitation.
    pub(crate) invited: bool,
    pub(crate) conflict: bool,
    /// By how many seconds the neighbour's clock is ahead.
    pub(crate) clock_ahead: i64,
    pub(crate) peer: Option<String>,
    pub(crate) channels: Vec<ChannelSummary>,
    /// What can be paid and received over its open channels.
    pub(crate) local: u64,
    pub(crate) remote: u64,
    pub(crate) reserved: u64,
    pub(crate) unconfirmed: usize,
}

/// A request that nobody has paid yet.
#[derive(Debug, Serializable)]
pub(crate) struct RequestSummary {
    pub(crate) payment: String,
    pub(crate) amount: u64,
    pub(crate) receipt: String,
    pub(crate) begun: Time,
    pub(crate) state: String,
    pub(crate) url: Option<String>,
}

#[derive(Debug, Serializable)]
pub(crate) struct ChannelSummary {
    pub(crate) class: String,
    pub(crate) state: String,
    pub(crate) local: u64,
    pub(crate) remote: u64,
    pub(crate) reserved: u64,
    pub(crate) remark: String,
}

/// The path of a node's socket.
pub(crate) fn socket(directory: &Path) -> PathBuf {
    directory.join("control.sock")
}

/// One end of a conversation.
pub(crate) struct Conversation {
    stream: BufReader<UnixStream>,
    /// Whether refusals say in which message of which chain they were.
    pub(crate) verbose: bool,
}

impl Conversation {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream), verbose: false }
    }

    pub(crate) async fn say<T: Serializable>(&mut self, value: &T) -> std::io::Result<()> {
        let mut line = to_json(value).map_err(std::io::Error::other)?;
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes()).await
    }

    /// The next message of the other end; `None` if it has gone.
    pub(crate) async fn hear<T: Serializable>(&mut self, limit: u64) -> std::io::Result<Option<T>> {
        let mut line = Vec::new();
        let length = (&mut self.stream).take(limit).read_until(b'\n', &mut line).await?;
        if length == 0 {
            return Ok(None);
        }
        if u64::try_from(length).is_ok_and(|length| length >= limit) && line.last() != Some(&b'\n') {
            let reason = format!("expected at most {limit} bytes, found more");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
        }
        let line = String::from_utf8(line).map_err(std::io::Error::other)?;
        from_json(&line).map(Some).map_err(std::io::Error::other)
    }
}
