//! One node and its engine, and everything that comes out of it after one input.

use amiko_core::engine::{Engine, Entropy, EventError, Settings};
use amiko_core::event::{Output, Request};
use amiko_core::prelude::*;
use amiko_core::serializable::{Text, Writer};
use amiko_core::store::Memory;
use amiko_core::{Hosts, Key, Protocol, PublicKey};
use amiko_examples::payment::{
    Address, ConnectionId, Direction, IouChannel, Link, MeetingPoint, Message, Neighbour, Network, Notice, Payee,
    Payer, PaymentNode, PaymentNodeEnvelope, PaymentNodeMessage, PaymentProtocol, PlainChannel, Reply, Reservation,
    RouteId, Token, Transaction, TransactionKey, TransactionPhase,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// When each test begins. In what is seen, Unix times are counted from here.
pub(crate) const BEGIN: u64 = 1_800_000_000;
/// Nothing came out.
pub(crate) const NOTHING: [&str; 0] = [];

/// The token of transaction `T`.
pub(crate) fn token() -> Token {
    Token::new([7; 32])
}

/// The token of transaction `U`.
pub(crate) fn other_token() -> Token {
    Token::new([8; 32])
}

pub(crate) fn route(payer_side: bool) -> RouteId {
    RouteId { payer_side, transaction: token().transaction(Network::Amiko) }
}

pub(crate) fn transaction(payer_side: bool, instance: u32) -> Id<Transaction> {
    Id::new(TransactionKey { route: route(payer_side), instance })
}

/// A link with one channel of 1000 on each side.
pub(crate) fn link() -> Link {
    Link {
        remote_id: Some(Id::new("hub")),
        channels: vec![Box::new(PlainChannel::open(1000, 1000))],
        ..Link::default()
    }
}

/// A node with these links, and with these meeting points of its own.
pub(crate) fn hub(links: &[&str], points: &[&str]) -> Machine {
    hub_on(Network::Amiko, links, points)
}

pub(crate) fn hub_on(network: Network, links: &[&str], points: &[&str]) -> Machine {
    Machine::new(PaymentNode {
        network,
        links: links.iter().map(|name| (Id::new(*name), link())).collect(),
        meeting_points: points.iter().map(|name| (Id::new(*name), MeetingPoint::default())).collect(),
        address: Some(Address { host: "here".into(), port: 4321 }),
        ..PaymentNode::default()
    })
}

/// One node: gives it inputs one at a time, and says what each of them did.
pub(crate) struct Machine {
    pub(crate) engine: Engine<PaymentNode, Memory>,
    network: Network,
    pub(crate) now: Time,
    /// What is long and random, and what it is called in what is seen.
    names: Vec<(String, &'static str)>,
    before: BTreeMap<String, String>,
    rejections: usize,
}

impl Machine {
    pub(crate) fn new(node: PaymentNode) -> Self {
        Self::with_settings(node, Settings::default())
    }

    pub(crate) fn with_settings(node: PaymentNode, mut settings: Settings) -> Self {
        settings.entropy = Entropy::Seed([1; 32]);
        settings.rejections = 10_000;
        let configure = PaymentNodeMessage::Configure {
            address: node.address.clone(),
            key: node.key,
            payout_address: node.payout_address.clone(),
            external_meeting_points: node.external_meeting_points.clone(),
            timeout_increment: node.timeout_increment,
            limits: node.limits.clone(),
        };
        let network = node.network;
        let engine = Engine::open_with(Memory::new(), settings, || node).unwrap();
        let now = Time::from_secs(BEGIN);
        let mut machine = Self { engine, network, now, names: Vec::new(), before: BTreeMap::new(), rejections: 0 };
        machine.name(&token(), "T", "TOKEN");
        machine.name(&other_token(), "U", "OTHER");
        machine.asks(configure);
        machine
    }

    /// How a token and its transaction are called in what is seen.
    pub(crate) fn name(&mut self, token: &Token, transaction: &'static str, token_name: &'static str) {
        let hex = |json: String| json.trim_matches('"').to_owned();
        let hash = hex(to_json(&token.transaction(self.network)).unwrap());
        self.names.push((hash.trim_start_matches("!x").to_owned(), transaction));
        self.names.push((hex(to_json(token).unwrap()).trim_start_matches("!x").to_owned(), token_name));
    }

    /// How an ID is called in what is seen.
    pub(crate) fn name_id(&mut self, id: &str, name: &'static str) {
        self.names.push((id.to_owned(), name));
    }

    /// A neighbour, the payer or the payee says something on a connection. It is confirmed, whatever comes of it.
    pub(crate) fn hears(&mut self, connection: &str, message: Message) -> Vec<String> {
        let connection: ConnectionId = Id::new(connection);
        let index = self.engine.connection(&connection).unwrap().received;
        let envelope = PaymentProtocol.envelope(self.engine.node(), &connection, message);
        let outcome = self.engine.receive(&connection, index, envelope, self.now);
        let mut seen = self.seen(outcome.map(drop));
        let confirmed = format!("confirmed {} {index}", connection.key());
        assert_eq!(seen.remove(0), self.readable(&confirmed));
        seen
    }

    /// An object of the node is told something.
    pub(crate) fn tells<M>(&mut self, id: &Id<M>, message: M::Message) -> Vec<String>
    where
        M: StateMachine<Node = PaymentNode>,
        PaymentNode: Hosts<M>,
    {
        let outcome = self.engine.send(id, message, self.now);
        self.seen(outcome.map(drop))
    }

    /// The user asks for something.
    pub(crate) fn asks(&mut self, message: PaymentNodeMessage) -> Vec<String> {
        self.commands(PaymentNodeEnvelope::PaymentNode(message))
    }

    pub(crate) fn commands(&mut self, envelope: PaymentNodeEnvelope) -> Vec<String> {
        let outcome = self.engine.command(envelope, Some(Request(1)), self.now);
        self.seen(outcome.map(drop))
    }

    /// A peer dials and says this first.
    pub(crate) fn welcomes(&mut self, hello: Message) -> Vec<String> {
        self.welcomes_from(None, hello)
    }

    /// The same, of a peer that has proven that it has this key.
    pub(crate) fn welcomes_from(&mut self, key: Option<PublicKey>, hello: Message) -> Vec<String> {
        match PaymentProtocol.accept(self.engine.node(), key, hello) {
            Ok(welcome) => {
                let mut seen = vec![format!("welcome {} {:?}", welcome.connection.key(), welcome.tie_breaker)];
                seen.extend(welcome.event.map(|event| self.commands(event)).into_iter().flatten());
                seen.into_iter().map(|line| self.readable(&line)).collect()
            }
            Err(rejection) => vec![format!("unwelcome: {}", rejection.reason())],
        }
    }

    /// Time passes.
    pub(crate) fn after(&mut self, time: Duration) -> Vec<String> {
        self.now = self.now + time;
        let outcome = self.engine.tick(self.now);
        self.seen(outcome.map(drop))
    }

    /// The peer has confirmed everything, so that nothing waits on any connection.
    pub(crate) fn confirmed(&mut self) -> Vec<String> {
        let sent: Vec<_> = self.engine.connections().map(|(id, connection)| (id, connection.sent)).collect();
        for (connection, sent) in sent.into_iter().filter(|(_, sent)| *sent > 0) {
            self.engine.confirm(&connection, sent - 1, self.now).unwrap();
        }
        self.seen(Ok(()))
    }

    /// The same node after a crash, when it has started again: of what was synced nothing is missing.
    pub(crate) fn restarted(self) -> Self {
        let store = self.engine.into_store().crash();
        let mut settings = Settings::default();
        settings.entropy = Entropy::Seed([1; 32]);
        settings.rejections = 10_000;
        Self { engine: Engine::open(store, settings).unwrap(), rejections: 0, ..self }
    }

    /// What has been done to the engine itself isn't said again.
    pub(crate) fn forget(&mut self) {
        self.seen(Ok(()));
    }

    fn seen(&mut self, outcome: Result<(), EventError>) -> Vec<String> {
        let mut seen: Vec<String> = self.engine.sync().unwrap().iter().map(|output| self.output(output)).collect();
        let rejections: Vec<_> = self.engine.rejections().skip(self.rejections).cloned().collect();
        self.rejections += rejections.len();
        seen.extend(rejections.iter().map(|rejected| format!("rejected: {}", rejected.rejection.reason())));
        match outcome {
            Ok(()) | Err(EventError::Rejected(_)) => {}
            Err(error) => seen.push(format!("error: {error}")),
        }
        let now = summary(&self.engine);
        let gone = self.before.keys().filter(|key| !now.contains_key(*key)).map(|key| format!("{key}: gone"));
        let changed = now.iter().filter(|(key, value)| self.before.get(*key) != Some(value));
        let mut lines: Vec<String> = changed.map(|(key, value)| format!("{key}: {value}")).chain(gone).collect();
        self.before = now;
        lines = lines.iter().map(|line| self.readable(line)).collect();
        lines.sort();
        seen = seen.iter().map(|line| self.readable(line)).collect();
        seen.extend(lines);
        seen
    }

    fn output(&self, output: &Output<PaymentNode>) -> String {
        match output {
            Output::Transmit { connection, message, .. } => format!("to {}: {}", connection.key(), wire(message)),
            Output::Confirm { connection, index } => format!("confirmed {} {index}", connection.key()),
            Output::Opened { connection } => format!("opened {}", connection.key()),
            Output::Closed { connection } => format!("closed {}", connection.key()),
            Output::Perform { effect, .. } | Output::EffectEnded { effect, .. } => format!("{effect}"),
            Output::Reply { reply, .. } => match reply.read().unwrap() {
                Reply::Url { url } => format!("reply {url}"),
                Reply::Paying { payer } => format!("paying {}", payer.key()),
            },
            Output::Notice(Notice::Receipt { payer, amount, receipt }) => {
                format!("asked whether {} pays {amount} for {receipt}", payer.key())
            }
            Output::Notice(Notice::Ended { record }) => format!("ended {}", record.payment),
        }
    }

    fn readable(&self, line: &str) -> String {
        let named = self.names.iter().fold(line.replace("!x", ""), |line, (long, name)| line.replace(long, name));
        times(&named)
    }

    pub(crate) fn payee(&self) -> (Id<Payee>, Payee) {
        let payee = self.engine.node().payees.iter().next().unwrap();
        (payee.0, payee.1.clone())
    }

    pub(crate) fn payer(&self) -> Id<Payer> {
        self.engine.node().payers.iter().next().unwrap().0
    }

    /// How many half-routes are remembered that have ended.
    pub(crate) fn ended(&self) -> usize {
        self.engine.node().transactions.iter().filter(|(_, found)| found.phase == TransactionPhase::Ended).count()
    }

    /// No claim, transaction, waiting half or timer is left, but what is remembered of half-routes that have ended.
    pub(crate) fn assert_idle(&self) {
        let node = self.engine.node();
        let ended = self.ended();
        assert_eq!((node.claims(), node.transactions.len(), self.engine.timers().count()), (0, ended, ended));
        assert!(node.links.iter().all(|(_, link)| link.routes.is_empty()));
        assert!(node.meeting_points.iter().all(|(_, point)| point.waiting.is_empty()));
    }
}

/// A message as it is on the wire, but for quotation marks.
fn wire(message: &Message) -> String {
    let mut out = Writer::new().with_text(Text::Ascii);
    message.write(&mut out).unwrap();
    let parts: Vec<String> = out.as_str().split("{\"_class\":\"").map(str::to_owned).collect();
    let object = |part: &String| match part.split_once('"') {
        Some((class, rest)) => format!("{class}{{{}", rest.strip_prefix(',').unwrap_or(rest)),
        None => part.clone(),
    };
    let first = parts.first().cloned().unwrap_or_default();
    (first + &parts.iter().skip(1).map(object).collect::<String>()).replace('"', "")
}

/// A number of about today is a moment: seconds since [`BEGIN`].
fn times(line: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for character in line.chars().chain(['\n']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        match digits.parse::<u64>() {
            Ok(time) if (BEGIN..BEGIN + 100_000_000).contains(&time) => out.push_str(&format!("+{}", time - BEGIN)),
            _ => out.push_str(&digits),
        }
        digits.clear();
        out.push(character);
    }
    out.trim_end_matches('\n').to_owned()
}

/// Every object of the node and every timer, each with all its fields in one line. What is remembered of a half-route that
/// has ended has its own test, and is as good as gone here.
fn summary(engine: &Engine<PaymentNode, Memory>) -> BTreeMap<String, String> {
    let node = engine.node();
    let mut lines = BTreeMap::new();
    let address = node.address.as_ref().map(ToString::to_string);
    let external: Vec<_> = node.external_meeting_points.iter().map(|point| point.key().as_str()).collect();
    lines.insert("node".into(), format!("{address:?} {external:?} {}", node.timeout_increment));
    for (id, link) in node.links.iter() {
        links(id.key(), link, &mut lines);
    }
    for (id, point) in node.meeting_points.iter() {
        let waiting: Vec<_> = point.waiting.values().map(|id| id.key().encode().into_owned()).collect();
        lines.insert(format!("point {}", id.key()), format!("waiting {waiting:?}").replace('"', ""));
    }
    for (id, transaction) in node.transactions.iter().filter(|(_, found)| found.phase != TransactionPhase::Ended) {
        lines.insert(format!("transaction {}", id.key().encode()), transaction_line(transaction));
    }
    for (id, payer) in node.payers.iter() {
        let bill = payer.bill.as_ref().map_or(String::new(), |bill| {
            format!(", {} for {}, {:?} at {}", bill.amount, bill.receipt, bill.transaction, bill.meeting_point.key())
        });
        let via = payer.via.as_ref().map_or(String::new(), |via| format!(", via {}", via.key()));
        let begun = payer.begun.as_secs();
        lines.insert(id.to_string(), format!("{:?} since {begun} at {}{bill}{via}", payer.phase, payer.peer));
    }
    for (id, payee) in node.payees.iter() {
        let points: Vec<_> = payee.meeting_points.iter().map(|point| point.key().as_str()).collect();
        let told = if payee.told { ", told" } else { "" };
        let via = payee.via.as_ref().map_or(String::new(), |via| format!(", via {}", via.key()));
        let (begun, amount, receipt) = (payee.begun.as_secs(), payee.amount, &payee.receipt);
        let line = format!("{:?} since {begun}, {amount} for {receipt} at {points:?}{told}{via}", payee.phase);
        lines.insert(id.to_string(), line.replace('"', ""));
    }
    for (id, record) in node.payments.iter() {
        let name = id.key().split_once('/').map_or(id.key().as_str(), |(_, name)| name);
        let (begun, ended) = (record.begun.as_secs(), record.ended.as_secs());
        let what = format!("{:?} {:?} {:?} for {}", record.role, record.outcome, record.amount, record.receipt);
        let hash = record.transaction.map_or(String::new(), |hash| format!(", {hash:?}"));
        lines.insert(format!("log {name}"), format!("{what}{hash}, {begun}..{ended} {}", record.reason));
    }
    let ended = |id: &str| {
        let mut ended = node.transactions.iter().filter(|(_, found)| found.phase == TransactionPhase::Ended);
        ended.any(|(transaction, _)| id == format!("transaction/{}/@phase", transaction.key().encode()))
    };
    for (id, timer) in engine.timers().filter(|(id, _)| !ended(id.key())) {
        lines.insert(id.to_string(), timer.at.as_secs().to_string());
    }
    lines
}

fn links(name: &str, link: &Link, lines: &mut BTreeMap<String, String>) {
    let remote = link.remote_id.as_ref().map_or("unknown", |id| id.key());
    let accepts = match link.accepts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["PlainChannel"] => String::new(),
        ref others => format!(", accepts {}", others.join(" ")),
    };
    lines.insert(format!("link {name}"), format!("to {remote} at {:?}{accepts}", link.peer));
    let mut claims: BTreeMap<RouteId, String> = BTreeMap::new();
    for (index, channel) in link.channels.iter().enumerate() {
        let funds = channel.funds();
        let amounts = format!("{:?} {}/{}", funds.state, funds.amount_local, funds.amount_remote).to_lowercase();
        let iou = (**channel).as_any().downcast_ref::<IouChannel>();
        let remark = if channel.remark().is_empty() { String::new() } else { format!(" ({})", channel.remark()) };
        let more = iou.map_or(remark, |iou| format!(" of {}/{}", iou.limit_local, iou.limit_remote));
        lines.insert(format!("channel {name}{index}"), amounts + &more);
        let maps = [
            (&funds.transactions_incoming_reserved, "in reserved"),
            (&funds.transactions_outgoing_reserved, "out reserved"),
            (&funds.transactions_incoming_locked, "in locked"),
            (&funds.transactions_outgoing_locked, "out locked"),
        ];
        for (map, kind) in maps {
            for (route, Reservation { start_time, end_time, amount }) in map.iter() {
                let time = |time: &Option<u64>| time.map_or("?".into(), |time| time.to_string());
                let line = format!("{amount} {kind} on {index} {}..{}", time(start_time), time(end_time));
                let old = claims.insert(*route, line);
                assert_eq!(old, None, "two claims of one route on {name}");
            }
        }
    }
    assert!(link.routes.keys().eq(claims.keys()), "routes and claims of {name}");
    for (id, route) in link.routes.iter() {
        let way = if route.direction == Direction::Incoming { "in" } else { "out" };
        let kind = if route.locked { "locked" } else { "reserved" };
        let claim = &claims[id];
        assert!(claim.contains(&format!("{way} {kind} on {} ", route.channel_index)), "{claim} {route:?}");
        let line = format!("{claim}, {}", route.transaction.key().encode());
        lines.insert(format!("claim {name} {}", Key::encode(id)), line);
    }
}

fn transaction_line(transaction: &Transaction) -> String {
    let neighbour = |neighbour: &Neighbour| match neighbour {
        Neighbour::Link { id } => format!("link {}", id.key()),
        Neighbour::Payer { id } => format!("payer {}", id.key()),
        Neighbour::Payee { id } => format!("payee {}", id.key()),
        Neighbour::MeetingPoint { id } => format!("point {}", id.key()),
        Neighbour::Half { id } => format!("half {}", id.key().encode()),
    };
    let time = |time: Option<u64>| time.map_or("?".into(), |time| time.to_string());
    let links: Vec<_> = transaction.links.iter().map(|id| id.key().as_str()).collect();
    let via = transaction.via.as_ref().map_or(String::new(), |via| format!(", via {}", via.key()));
    format!(
        "{:?} {} to {}, {} > {}, {}..{} by {}, {}/{}{via}",
        transaction.phase,
        transaction.amount,
        transaction.meeting_point.key(),
        neighbour(&transaction.source),
        transaction.onward.as_ref().map_or("?".into(), neighbour),
        time(transaction.start_time),
        time(transaction.end_time),
        time(transaction.commit_by),
        transaction.tried,
        links.join("")
    )
}
