//! What happened in a world, for people and for programs.
//!
//! Invariant: two worlds of one seed that were told the same have the same trace, byte for byte.

use super::{FaultKind, NodeIndex};
use crate::Serializable;
use crate::serializable::{Json, to_json};
use crate::time::Time;
use std::fmt::Write;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serializable)]
pub struct TraceEntry {
    /// Which step of the world this is.
    pub step: u64,
    /// When, in the time of the world.
    pub time: Time,
    /// What.
    pub what: Happening,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Serializable)]
pub enum Happening {
    /// A node was told to do something.
    Command {
        /// Which node.
        node: NodeIndex,
        /// What.
        envelope: Json,
        /// Why it didn't, if it didn't.
        rejected: Option<String>,
    },
    /// Timers of a node were due.
    Timer {
        /// Which node.
        node: NodeIndex,
    },
    /// A line has arrived.
    Arrived {
        /// Who has said it.
        from: NodeIndex,
        /// Who has heard it.
        to: NodeIndex,
        /// On which socket.
        socket: u64,
        /// What it is.
        line: String,
        /// The message in it, if there is one.
        message: Option<Json>,
        /// Why nothing came of it, if nothing did.
        refused: Option<String>,
    },
    /// A line never arrives.
    Lost {
        /// Who has said it.
        from: NodeIndex,
        /// Who would have heard it.
        to: NodeIndex,
        /// On which socket.
        socket: u64,
        /// What it is.
        line: String,
    },
    /// Something went wrong, or right again.
    Fault {
        /// What.
        fault: FaultKind,
        /// With which nodes.
        nodes: Vec<NodeIndex>,
        /// Whether it is over now.
        over: bool,
    },
    /// A node was started, or couldn't be.
    Started {
        /// Which node.
        node: NodeIndex,
        /// Why it couldn't be.
        failed: Option<String>,
    },
    /// A service has heard a call of a node.
    Called {
        /// Which node.
        node: NodeIndex,
        /// For which effect.
        effect: String,
        /// Which attempt this is.
        attempt: u32,
        /// What it answers.
        said: String,
    },
    /// A node was told what came of a call, or that its time is over.
    Answered {
        /// Which node.
        node: NodeIndex,
        /// For which effect.
        effect: String,
        /// Which attempt this is.
        attempt: u32,
        /// What it was told.
        said: String,
    },
    /// The disk of a node failed, and so the node ended.
    Ended {
        /// Which node.
        node: NodeIndex,
        /// What was wrong.
        reason: String,
    },
}

/// Everything that happened while a world was recorded.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    pub(super) entries: Vec<TraceEntry>,
}

impl Trace {
    /// What happened, in order.
    pub fn entries(&self) -> &[TraceEntry] {
        &self.entries
    }

    /// One JSON object a line.
    pub fn to_json_lines(&self) -> String {
        let mut lines = String::new();
        for entry in &self.entries {
            // What was read as JSON, numbers and texts: all of it can be written.
            if let Ok(line) = to_json(entry) {
                lines.push_str(&line);
                lines.push('\n');
            }
        }
        lines
    }

    /// The last entries, this many of them, as a sequence diagram of
    /// [Mermaid](https://mermaid.js.org/syntax/sequenceDiagram.html).
    pub fn to_mermaid(&self, last: usize) -> String {
        let mut text = String::from("sequenceDiagram\n");
        let entries = &self.entries[self.entries.len().saturating_sub(last)..];
        let mut nodes: Vec<NodeIndex> = entries.iter().flat_map(|entry| entry.what.nodes()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        for node in nodes {
            // Writing to a string doesn't fail; nor below.
            let _ = writeln!(text, "    participant n{node}");
        }
        for entry in entries {
            let at = entry.time.as_millis();
            let _ = match &entry.what {
                Happening::Command { node, envelope, rejected } => {
                    let (name, cross) = (class(envelope.get("message")), if rejected.is_some() { " ✗" } else { "" });
                    writeln!(text, "    Note over n{node}: {at} {name}{cross}")
                }
                Happening::Timer { node } => writeln!(text, "    Note over n{node}: {at} timer"),
                Happening::Arrived { from, to, line, refused, .. } => {
                    let cross = if refused.is_some() { " ✗" } else { "" };
                    writeln!(text, "    n{from}->>n{to}: {at} {line}{cross}")
                }
                Happening::Lost { from, to, line, .. } => writeln!(text, "    n{from}--xn{to}: {at} {line} lost"),
                Happening::Fault { fault, nodes, over } => {
                    let over = if *over { " is over" } else { "" };
                    let over_nodes: Vec<String> = nodes.iter().take(2).map(|node| format!("n{node}")).collect();
                    writeln!(text, "    Note over {}: {at} {fault}{over}", over_nodes.join(","))
                }
                Happening::Started { node, failed } => {
                    let what = if failed.is_some() { "can't start" } else { "starts" };
                    writeln!(text, "    Note over n{node}: {at} {what}")
                }
                Happening::Called { node, effect, attempt, said } => {
                    writeln!(text, "    n{node}->>n{node}: {at} call {attempt} for {effect}: {said}")
                }
                Happening::Answered { node, effect, said, .. } => {
                    writeln!(text, "    Note over n{node}: {at} answer for {effect}: {said}")
                }
                Happening::Ended { node, .. } => writeln!(text, "    Note over n{node}: {at} its disk fails"),
            };
        }
        text
    }
}

impl Happening {
    fn nodes(&self) -> Vec<NodeIndex> {
        match self {
            Self::Command { node, .. }
            | Self::Timer { node }
            | Self::Started { node, .. }
            | Self::Called { node, .. }
            | Self::Answered { node, .. }
            | Self::Ended { node, .. } => vec![*node],
            Self::Arrived { from, to, .. } | Self::Lost { from, to, .. } => vec![*from, *to],
            Self::Fault { nodes, .. } => nodes.clone(),
        }
    }
}

/// The class of an object, or what stands for it.
pub(super) fn class(object: Option<&Json>) -> String {
    let text = |json: &Json| json.as_str().map(str::to_owned);
    let named = object.and_then(|object| object.get("_class").and_then(text).or_else(|| text(object)));
    named.unwrap_or_else(|| "message".into())
}
