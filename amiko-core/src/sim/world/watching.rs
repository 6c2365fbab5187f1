//! What whoever watches a world may know of its conversations.
//!
//! Invariant: nothing in here changes what happens.

use super::{Heard, World};
use crate::conversation::{About, Disconnect, Event, Frame, Protocol, SocketId, parse, read_message, unwrap};
use crate::serializable::Json;
use crate::sim::NodeIndex;
use crate::sim::network::Piece;
use crate::sim::trace::class;
use crate::tree::Id;
use std::sync::Arc;
use std::time::Duration;

impl<P: Protocol> World<P> {
    pub(super) fn happened(&mut self, event: &Event) {
        if let Event::Disconnected { reason: Disconnect::Protocol(_) | Disconnect::Silent { .. }, .. } = event {
            self.given_up += 1;
        }
        if let Event::Disconnected { .. } | Event::Refused { .. } | Event::Rejected { .. } = event {
            self.refused = Some(event.to_string());
        }
    }

    pub(super) fn count_dial(&mut self, node: NodeIndex, address: &str) {
        /// Pauses double, and begin anew when a conversation was good: so many dials in so short a time are none of these.
        const STORM: (usize, Duration) = (150, Duration::from_secs(10));
        let dials = self.dials.entry((node, address.to_owned())).or_default();
        dials.push_back(self.now);
        if dials.len() > STORM.0
            && let Some(first) = dials.pop_front()
            && self.now - first < STORM.1
        {
            self.storm = Some((node, address.to_owned()));
        }
    }

    /// The message in a line that a node is about to hear.
    pub(super) fn understand(
        &self,
        node: NodeIndex,
        from: NodeIndex,
        id: SocketId,
        line: &[u8],
    ) -> Option<Heard<P::Node>> {
        let (host, depth) = (self.host(node), self.conversation.depth);
        let connection = Id::new(host.conversations.as_ref()?.connection(id)?);
        let Ok(Frame::Message { index, message }) = parse(std::str::from_utf8(line).ok()?.trim_end(), depth) else {
            return None;
        };
        let received = host.engine.as_ref()?.connection(&connection)?.received;
        let (index, message) = (unwrap(index, received), Arc::new(read_message(message, depth).ok()?));
        Some(Heard { from, to: node, connection, index, message, acted: index == received })
    }

    /// What a line is called in a trace, and the message in it.
    pub(super) fn name(&self, piece: &Piece) -> (String, Option<Json>) {
        let Piece::Line(line) = piece else { return ("closed".into(), None) };
        let json = |message: &str| Json::parse(message).ok();
        match parse(std::str::from_utf8(line).unwrap_or_default().trim_end(), self.conversation.depth) {
            Ok(Frame::Hello { message }) => (format!("hello {}", class(json(message).as_ref())), json(message)),
            Ok(Frame::Message { index, message }) => {
                (format!("{index} {}", class(json(message).as_ref())), json(message))
            }
            Ok(Frame::Received { index }) => (format!("received {index}"), None),
            Ok(Frame::ResumePoint { about: About::Resume, standing, .. }) => (format!("resume ({standing})"), None),
            Ok(Frame::ResumePoint { about: About::Ping, .. }) => ("ping".into(), None),
            Ok(Frame::ResumePoint { about: About::Pong, .. }) => ("pong".into(), None),
            Err(error) => (format!("not a line: {error}"), None),
        }
    }
}
