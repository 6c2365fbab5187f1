//! Neighbours that say any message at any time: what a protocol would have them say, what would be to their advantage, and
//! whatever comes to their minds.

use super::Payments;
use super::topology::{Topology, link_to, meeting_point};
use amiko_core::sim::{Heard, NodeIndex, Random};
use amiko_examples::payment::{
    ChannelMessage, Message, Network, PaymentNode, PlainDeposit, PlainWithdraw, Token, TransactionId,
};

pub(crate) struct Puppets {
    /// Which puppet is whose neighbour.
    neighbours: Vec<(NodeIndex, NodeIndex)>,
    meeting_points: Vec<NodeIndex>,
    honest: NodeIndex,
    /// What they have heard, the newest last, and who said it. They tell each other everything.
    heard: Vec<(NodeIndex, NodeIndex, Message)>,
    tokens: Vec<Token>,
    transactions: Vec<TransactionId>,
    /// What they have heard and not answered yet.
    unanswered: Vec<(NodeIndex, NodeIndex, Message)>,
}

/// What puppets remember of what they have heard.
const MEMORY: usize = 64;

impl Puppets {
    pub(crate) fn new(topology: &Topology) -> Self {
        Self {
            neighbours: topology.puppets(),
            meeting_points: topology.meeting_points.clone(),
            honest: topology.honest,
            heard: Vec::new(),
            tokens: Vec::new(),
            transactions: Vec::new(),
            unanswered: Vec::new(),
        }
    }

    pub(crate) fn listen(&mut self, all: Vec<Heard<PaymentNode>>) {
        for heard in all.into_iter().filter(|heard| heard.to >= self.honest) {
            match &*heard.message {
                Message::RequestCommit { token, .. } | Message::SettleCommit { token, .. } => {
                    self.tokens.push(token.clone());
                }
                Message::MakeRoute { transaction_id, .. } => self.transactions.push(*transaction_id),
                _ => {}
            }
            let heard = (heard.to, heard.from, (*heard.message).clone());
            self.heard.push(heard.clone());
            self.unanswered.push(heard);
            let excess = self.heard.len().saturating_sub(MEMORY);
            self.heard.drain(..excess);
        }
    }

    /// Now and then one of them says something.
    pub(crate) fn act(&mut self, world: &mut Payments) {
        if self.neighbours.is_empty() || world.random().below(4) != 0 || !world.disturb() {
            return;
        }
        let index = world.random().below(self.neighbours.len() as u64) as usize;
        let (puppet, neighbour) = self.neighbours[index];
        let socket = world.puppet_sockets(puppet).into_iter().find(|(_, to)| *to == neighbour);
        let Some((socket, _)) = socket else {
            let hello = Message::ConnectLink {
                id: link_to(puppet),
                dice: [0; 4],
                callback_host: None,
                callback_port: None,
                callback_id: link_to(neighbour),
            };
            world.puppet_dials(puppet, neighbour, None, hello);
            return;
        };
        let message = match world.random().below(3) {
            0 => self.anything(world.random()),
            1 => self.forwarded(neighbour, world.random()),
            _ => self.answer((puppet, neighbour), world.random()),
        };
        // The socket may have been closed by what was said last.
        drop(world.puppet_says(puppet, socket, message));
    }

    /// What somebody else has said.
    fn forwarded(&self, neighbour: NodeIndex, random: &mut Random) -> Message {
        let others: Vec<&Message> =
            self.heard.iter().filter(|(_, from, _)| *from != neighbour).map(|(_, _, message)| message).collect();
        match pick(&others, random) {
            Some(message) => (*message).clone(),
            None => self.anything(random),
        }
    }

    /// An answer to something that this neighbour has said: the one of the protocol, or one that pays.
    fn answer(&mut self, ends: (NodeIndex, NodeIndex), random: &mut Random) -> Message {
        let found = self.unanswered.iter().position(|(to, from, _)| (*to, *from) == ends);
        let Some((.., message)) = found.map(|found| self.unanswered.remove(found)) else {
            return self.anything(random);
        };
        match message {
            Message::MakeRoute { transaction_id, is_payer_side, start_time, end_time, .. } => match random.below(3) {
                0 => Message::HaveNoRoute { transaction_id, is_payer_side },
                _ => {
                    let (start, end) = (start_time.unwrap_or(1_800_000_000), end_time.unwrap_or(1_800_010_000));
                    let (start_time, end_time) = (Some(start), Some(end + random.below(3) * 3_600));
                    let transaction_id = Some(transaction_id);
                    Message::HaveRoute { transaction_id, is_payer_side, start_time, end_time }
                }
            },
            Message::HaveRoute { transaction_id: Some(transaction_id), is_payer_side, start_time, end_time } => {
                let (amount, channel_index) = (1 + random.below(400), random.below(2) as u32);
                Message::Lock { transaction_id, is_payer_side, amount, start_time, end_time, channel_index }
            }
            Message::Lock { transaction_id, is_payer_side, .. } => match random.below(3) {
                0 => Message::SettleRollback { transaction_id, is_payer_side },
                _ => Message::RequestCommit { token: self.token(random), is_payer_side },
            },
            Message::RequestCommit { token, is_payer_side } => match random.below(3) {
                0 => Message::SettleRollback { transaction_id: hash(&token), is_payer_side },
                _ => Message::SettleCommit { token, is_payer_side: Some(is_payer_side) },
            },
            Message::SettleRollback { transaction_id, is_payer_side } => {
                Message::SettleRollback { transaction_id, is_payer_side }
            }
            _ => self.anything(random),
        }
    }

    fn token(&self, random: &mut Random) -> Token {
        match pick(&self.tokens, random) {
            Some(token) if random.below(4) != 0 => token.clone(),
            _ => Token::new(std::array::from_fn(|_| random.next() as u8)),
        }
    }

    fn transaction(&self, random: &mut Random) -> TransactionId {
        match pick(&self.transactions, random) {
            Some(transaction) if random.below(4) != 0 => *transaction,
            _ => hash(&self.token(random)),
        }
    }

    /// Any message that the protocol has, with anything in it.
    fn anything(&self, random: &mut Random) -> Message {
        let (transaction_id, is_payer_side) = (self.transaction(random), random.below(2) == 0);
        let time = |random: &mut Random| match random.below(4) {
            0 => None,
            1 => Some(random.next()),
            _ => Some(1_800_000_000 + random.below(100_000)),
        };
        let (start_time, end_time) = (time(random), time(random));
        let amount = if random.below(10) == 0 { random.next() } else { random.below(1_000) };
        let channel_index = random.below(4) as u32;
        match random.below(13) {
            0 => Message::Deposit { channel_index, channel_class: "PlainChannel".into() },
            1 => Message::ChannelMessage { channel_index, message: channel_message(amount, random) },
            2 => Message::HaveNoRoute { transaction_id, is_payer_side },
            3 => Message::CancelRoute { transaction_id, is_payer_side },
            4 => Message::Lock { transaction_id, is_payer_side, amount, start_time, end_time, channel_index },
            5 => Message::RequestCommit { token: self.token(random), is_payer_side },
            6 => Message::SettleCommit { token: self.token(random), is_payer_side: Some(is_payer_side) },
            7 => Message::SettleRollback { transaction_id, is_payer_side },
            8 => Message::HaveRoute { transaction_id: Some(transaction_id), is_payer_side, start_time, end_time },
            9 => Message::Cancel,
            10 => Message::Confirm { meeting_point_id: meeting_point(0) },
            11 => Message::Receipt { amount, receipt: String::new(), transaction_id, meeting_points: Vec::new() },
            _ => {
                let begin = (!is_payer_side).then_some(1_800_000_000);
                let point = pick(&self.meeting_points, random).copied().unwrap_or_default();
                Message::MakeRoute {
                    amount: random.below(500),
                    transaction_id,
                    start_time: begin,
                    end_time: begin.map(|begin| begin + random.below(100_000)),
                    meeting_point_id: meeting_point(point),
                    channel_index,
                    is_payer_side,
                }
            }
        }
    }
}

fn channel_message(amount: u64, random: &mut Random) -> Box<dyn ChannelMessage> {
    if random.below(8) == 0 { Box::new(PlainWithdraw {}) } else { Box::new(PlainDeposit { amount }) }
}

fn hash(token: &Token) -> TransactionId {
    token.transaction(Network::Amiko)
}

fn pick<'a, T>(all: &'a [T], random: &mut Random) -> Option<&'a T> {
    all.get(random.below(all.len() as u64) as usize)
}
