//! The network of twelve nodes from the example in the protocol's description.

use super::{Address, Link, MeetingPoint, PaymentNode, PlainChannel};
use amiko_core::prelude::*;

/// The links between neighbours.
pub const LINKS: [(usize, usize); 11] =
    [(0, 1), (1, 2), (2, 3), (2, 4), (2, 8), (8, 9), (4, 5), (5, 6), (5, 7), (5, 10), (10, 11)];

/// The node where payments meet: node 4.
pub const MEETING_POINT: &str = "Node4";

/// The twelve nodes, one for each address: each link has one channel with these funds on both sides.
pub fn twelve_nodes(addresses: &[Address; 12], funds: u64) -> Vec<PaymentNode> {
    let link = |from: usize, to: usize| {
        let link = Link {
            remote_id: Some(Id::new(format!("link_to_{from}"))),
            // Only one side dials, so that two sockets for one link are the exception.
            peer: (from < to).then(|| addresses.get(to).map(ToString::to_string)).flatten(),
            channels: vec![Box::new(PlainChannel::open(funds, funds))],
            ..Link::default()
        };
        (Id::new(format!("link_to_{to}")), link)
    };
    let node = |index: usize| PaymentNode {
        links: LINKS
            .iter()
            .filter_map(|&(one, other)| match index {
                _ if index == one => Some(link(one, other)),
                _ if index == other => Some(link(other, one)),
                _ => None,
            })
            .collect(),
        meeting_points: (index == 4).then(|| (Id::new(MEETING_POINT), MeetingPoint::default())).into_iter().collect(),
        address: addresses.get(index).cloned(),
        external_meeting_points: if index == 4 { Vec::new() } else { vec![Id::new(MEETING_POINT)] },
        ..PaymentNode::default()
    };
    (0..addresses.len()).map(node).collect()
}
