//! Networks: who is whose neighbour, with how much money, and where routes meet.

use super::Payments;
use amiko_core::prelude::*;
use amiko_core::sim::{NodeIndex, Random};
use amiko_examples::payment::{
    Address, Channel, Link, MeetingPoint, PaymentLimits, PaymentNode, PaymentNodeEnvelope, PaymentNodeMessage,
    PlainChannel,
};

/// Seconds that each node has to pass on a token: far longer than faults last.
const TIMEOUT_INCREMENT: u64 = 3_600;

/// Two neighbours. The first one dials; the second one may dial as well.
pub(crate) struct Edge {
    pub(crate) ends: (NodeIndex, NodeIndex),
    both_dial: bool,
    /// What the first and the second one have in each channel.
    pub(crate) channels: Vec<(u64, u64)>,
}

pub(crate) struct Topology {
    pub(crate) nodes: usize,
    /// From this one on nodes are puppets, which say what they like.
    pub(crate) honest: usize,
    pub(crate) edges: Vec<Edge>,
    /// The nodes that have a meeting point.
    pub(crate) meeting_points: Vec<NodeIndex>,
}

pub(crate) fn link_to(node: NodeIndex) -> Id<Link> {
    Id::new(format!("link_to_{node}"))
}

fn address(node: NodeIndex) -> Address {
    Address { host: format!("node{node}"), port: 4321 }
}

pub(crate) fn meeting_point(node: NodeIndex) -> Id<MeetingPoint> {
    Id::new(format!("point{node}"))
}

impl Topology {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let nodes = match random.below(10) {
            0 => 20 + random.below(31),
            1..=3 => 10 + random.below(10),
            _ => 3 + random.below(7),
        } as usize;
        let mut pairs = Vec::new();
        for node in 1..nodes {
            pairs.push((random.below(node as u64) as usize, node));
        }
        for _ in 0..random.below(nodes as u64) {
            let (one, other) = (random.below(nodes as u64) as usize, random.below(nodes as u64) as usize);
            let pair = (one.min(other), one.max(other));
            if one != other && !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        let edges = pairs.into_iter().map(|(one, other)| Edge {
            ends: if random.below(2) == 0 { (one, other) } else { (other, one) },
            both_dial: random.below(4) == 0,
            channels: (0..1 + random.below(3)).map(|_| (random.below(2_000), random.below(2_000))).collect(),
        });
        let edges = edges.collect();
        let meeting_points = (0..1 + random.below(4)).map(|_| random.below(nodes as u64) as usize).collect();
        Self { nodes, honest: nodes, edges, meeting_points }
    }

    /// The same with some more nodes, which are puppets, in the middle of the others.
    pub(crate) fn with_puppets(mut self, random: &mut Random) -> Self {
        for _ in 0..1 + random.below(2) {
            let puppet = self.nodes;
            self.nodes += 1;
            let first = random.below(self.honest as u64) as usize;
            for neighbour in (0..self.honest.min(1 + random.below(3) as usize)).map(|more| (first + more) % self.honest)
            {
                let channels = (0..1 + random.below(2)).map(|_| (random.below(2_000), random.below(2_000))).collect();
                self.edges.push(Edge { ends: (puppet, neighbour), both_dial: false, channels });
            }
        }
        self
    }

    /// The puppets, and who is whose neighbour.
    pub(crate) fn puppets(&self) -> Vec<(NodeIndex, NodeIndex)> {
        self.edges.iter().map(|edge| edge.ends).filter(|(puppet, _)| *puppet >= self.honest).collect()
    }

    pub(crate) fn build(&self, world: &mut Payments) {
        for node in 0..self.nodes {
            if node >= self.honest {
                world.add_puppet(&address(node).to_string());
                continue;
            }
            let index = world.add(&address(node).to_string(), self.node(node)).unwrap();
            let configure = PaymentNodeMessage::Configure {
                address: Some(address(node)),
                key: None,
                payout_address: None,
                external_meeting_points: self.external(node),
                limits: PaymentLimits::default(),
                timeout_increment: TIMEOUT_INCREMENT,
            };
            world.command(index, PaymentNodeEnvelope::PaymentNode(configure)).unwrap();
        }
    }

    fn node(&self, node: NodeIndex) -> PaymentNode {
        let links = self.edges.iter().filter_map(|edge| {
            let (peer, dials, swapped) = match edge.ends {
                (one, other) if one == node => (other, true, false),
                (one, other) if other == node => (one, edge.both_dial, true),
                _ => return None,
            };
            let channel = |&(first, second): &(u64, u64)| -> Box<dyn Channel> {
                Box::new(if swapped { PlainChannel::open(second, first) } else { PlainChannel::open(first, second) })
            };
            let link = Link {
                remote_id: Some(link_to(node)),
                peer: dials.then(|| address(peer).to_string()),
                channels: edge.channels.iter().map(channel).collect(),
                ..Link::default()
            };
            Some((link_to(peer), link))
        });
        let own = self.meeting_points.contains(&node).then(|| (meeting_point(node), MeetingPoint::default()));
        PaymentNode {
            links: links.collect(),
            meeting_points: own.into_iter().collect(),
            address: Some(address(node)),
            timeout_increment: TIMEOUT_INCREMENT,
            ..PaymentNode::default()
        }
    }

    fn external(&self, node: NodeIndex) -> Vec<Id<MeetingPoint>> {
        let mut points: Vec<NodeIndex> = self.meeting_points.iter().copied().filter(|point| *point != node).collect();
        points.sort_unstable();
        points.dedup();
        points.into_iter().map(meeting_point).collect()
    }

    /// What a node has at the beginning.
    pub(crate) fn funds(&self, node: NodeIndex) -> u64 {
        let of = |edge: &Edge| {
            let (first, second) =
                edge.channels.iter().fold((0, 0), |sum, channel| (sum.0 + channel.0, sum.1 + channel.1));
            u64::from(edge.ends.0 == node) * first + u64::from(edge.ends.1 == node) * second
        };
        self.edges.iter().map(of).sum()
    }
}
