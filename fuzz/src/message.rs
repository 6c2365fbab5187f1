//! A payment node with payments under way, whose neighbours say what the fuzzer wants.

use amiko_core::Protocol;
use amiko_core::engine::{Entropy, EventError};
use amiko_core::event::Output;
use amiko_core::prelude::*;
use amiko_core::serializable::{Json, Reader, Unknown};
use amiko_core::store::Memory;
use amiko_examples::payment::{
    Address, ConnectionId, Link, MeetingPoint, Message, Network, PayerMessage, PaymentLimits, PaymentNode,
    PaymentNodeEnvelope, PaymentNodeMessage, PaymentProtocol,
};

/// Steps that one input takes at the most.
const STEPS: usize = 200;

/// When it begins, in Unix seconds.
const BEGIN: u64 = 1_800_000_000;

/// What a neighbour, a payer or a payee may say, with what the input chooses.
const MESSAGES: &[&str] = &[
    r#"{"_class":"MakeRoute","amount":$amount,"transactionID":$hash,"startTime":null,"endTime":null,"meetingPointID":$point,"channelIndex":$index,"isPayerSide":true}"#,
    r#"{"_class":"MakeRoute","amount":$amount,"transactionID":$hash,"startTime":$time,"endTime":$time,"meetingPointID":$point,"channelIndex":$index,"isPayerSide":$side}"#,
    r#"{"_class":"HaveRoute","transactionID":$hash,"isPayerSide":$side,"startTime":$time,"endTime":$time}"#,
    r#"{"_class":"HaveNoRoute","transactionID":$hash,"isPayerSide":$side}"#,
    r#"{"_class":"CancelRoute","transactionID":$hash,"isPayerSide":$side}"#,
    r#"{"_class":"Lock","transactionID":$hash,"isPayerSide":$side,"amount":$amount,"startTime":$time,"endTime":$time,"channelIndex":$index}"#,
    r#"{"_class":"RequestCommit","token":$token,"isPayerSide":$side}"#,
    r#"{"_class":"SettleCommit","token":$token,"isPayerSide":$side}"#,
    r#"{"_class":"SettleCommit","token":$token,"isPayerSide":null}"#,
    r#"{"_class":"SettleRollback","transactionID":$hash,"isPayerSide":$side}"#,
    r#"{"_class":"Receipt","amount":$amount,"receipt":"tea","transactionID":$hash,"meetingPoints":[$point,$point]}"#,
    r#"{"_class":"HaveRoute","transactionID":null,"isPayerSide":false,"startTime":null,"endTime":null}"#,
    r#"{"_class":"Confirm","meetingPointID":$point}"#,
    r#"{"_class":"Cancel"}"#,
    r#"{"_class":"Deposit","channelIndex":$index,"channelClass":$class}"#,
    r#"{"_class":"ChannelMessage","channelIndex":$index,"message":{"_class":$said,"amount":$amount,"limit":$amount}}"#,
];

/// What whoever dials may say first.
const HELLOS: &[&str] = &[
    r#"{"_class":"ConnectLink","ID":$link,"dice":"!x00000000","callbackHost":"there","callbackPort":1,"callbackID":$link}"#,
    r#"{"_class":"AcceptInvitation","ID":$link,"invitation":"!x00000000000000000000000000000000","dice":"!x00000000","callbackHost":null,"callbackPort":null,"callbackID":$link}"#,
    r#"{"_class":"Pay","ID":$payee}"#,
];

/// What the user may ask for.
const COMMANDS: &[&str] = &[
    r#"{"_class":"Request","amount":$amount,"receipt":"tea","via":null}"#,
    r#"{"_class":"Request","amount":$amount,"receipt":"tea","via":$link}"#,
    r#"{"_class":"Pay","url":"amikopay://there/P","via":null}"#,
    r#"{"_class":"Pay","url":"amikopay://there/Q","via":$link}"#,
    r#"{"_class":"Deposit","link":$link,"class":$class,"amount":$amount}"#,
    r#"{"_class":"Withdraw","link":$link,"channel":$index}"#,
    r#"{"_class":"Reconcile","link":$link}"#,
    r#"{"_class":"AddMeetingPoint","name":$point}"#,
];

/// Takes choices from the input; when it is used up, the first of everything.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn choose<'b, T>(&mut self, from: &'b [T]) -> Option<&'b T> {
        from.get(usize::from(self.byte()) % from.len().max(1))
    }

    /// Everything up to the end of the line.
    fn text(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == b'\n').unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or(&[]);
        text
    }
}

/// A node, and all that anybody around it has got to know.
struct World {
    engine: Engine<PaymentNode, Memory>,
    now: u64,
    /// Tokens, and hashes of tokens, as they are in JSON.
    tokens: Vec<String>,
    hashes: Vec<String>,
    payees: Vec<String>,
    /// What the user has put into channels.
    put_in: u128,
    /// The user has agreed to pay something.
    agreed: bool,
}

/// What a message that is refused leaves as it was.
#[derive(PartialEq)]
struct State {
    node: PaymentNode,
    connections: Vec<(ConnectionId, Option<String>, u64, usize, Option<Time>)>,
    timers: Vec<(String, Time)>,
}

impl World {
    fn new() -> Self {
        let settings = {
            let mut settings = Settings::default();
            settings.entropy = Entropy::Seed([1; 32]);
            settings
        };
        let links = ["a", "b", "c"].map(|name| {
            let accepts = ["PlainChannel", "IouChannel"].map(str::to_owned).into();
            let link = Link { remote_id: Some(Id::new("hub")), accepts, ..Link::default() };
            (Id::new(name), link)
        });
        let node = PaymentNode {
            links: links.into_iter().collect(),
            meeting_points: [(Id::new("Here"), MeetingPoint::default())].into_iter().collect(),
            address: Some(Address { host: "here".into(), port: 4321 }),
            external_meeting_points: vec![Id::new("There")],
            ..PaymentNode::default()
        };
        let engine = Engine::open_with(Memory::new(), settings, || node.clone());
        let engine = engine.unwrap_or_else(|error| panic!("{error}"));
        let tokens = (0..3_u8).map(|number| amiko_examples::payment::Token::new([number; 32]));
        let (tokens, hashes) = tokens.map(|token| (json(&token), json(&token.transaction(Network::Amiko)))).unzip();
        let mut world = Self { engine, now: BEGIN, tokens, hashes, payees: Vec::new(), put_in: 0, agreed: false };
        let configure = PaymentNodeMessage::Configure {
            address: node.address.clone(),
            key: None,
            payout_address: None,
            external_meeting_points: node.external_meeting_points.clone(),
            timeout_increment: 3_600,
            limits: PaymentLimits::default(),
        };
        assert!(world.command(PaymentNodeEnvelope::PaymentNode(configure)));
        // A channel of 1000 on each side of each link.
        for link in ["a", "b", "c"] {
            let deposit =
                PaymentNodeMessage::Deposit { link: Id::new(link), class: "PlainChannel".into(), amount: 1000 };
            assert!(world.command(PaymentNodeEnvelope::PaymentNode(deposit)));
            for said in [
                r#"{"_class":"Deposit","channelIndex":1,"channelClass":"PlainChannel"}"#,
                r#"{"_class":"ChannelMessage","channelIndex":1,"message":{"_class":"PlainChannel_Deposit","amount":1000}}"#,
            ] {
                assert!(world.hear(&Id::new(link), said.as_bytes()));
            }
        }
        world
    }

    fn time(&self) -> Time {
        Time::from_secs(self.now)
    }

    /// All that is in the channels.
    fn money(&self) -> u128 {
        let links = self.engine.node().links.iter();
        let channels: Vec<_> = links.flat_map(|(_, link)| link.channels.iter()).collect();
        let parts = channels.iter().flat_map(|channel| {
            let (incoming, outgoing) = channel.claimed();
            [channel.local(), channel.remote(), incoming, outgoing]
        });
        parts.map(u128::from).sum()
    }

    /// What is ours, and what is claimed for us: less than was put in only by a payment that the user has agreed to.
    fn ours(&self) -> u128 {
        let links = self.engine.node().links.iter();
        let incoming = links.flat_map(|(_, link)| link.channels.iter()).map(|channel| u128::from(channel.claimed().0));
        u128::from(self.engine.node().balance()) + incoming.sum::<u128>()
    }

    /// The whole state, but for how far an inbox has come.
    fn state(&self) -> State {
        let connections = self.engine.connections();
        State {
            node: self.engine.node().clone(),
            connections: connections
                .map(|(id, it)| (id, it.dial.clone(), it.sent, it.outbox.len(), it.closing))
                .collect(),
            timers: self.engine.timers().map(|(id, timer)| (id.key().clone(), timer.at)).collect(),
        }
    }

    /// Makes everything durable, and remembers what was told to anybody.
    fn release(&mut self) {
        let outputs = self.engine.sync().unwrap_or_else(|error| panic!("{error}"));
        for output in &outputs {
            let Output::Transmit { message, .. } = output else { continue };
            let Ok(told) = Json::parse(&json(&**message)) else { continue };
            for (field, known) in [("token", &mut self.tokens), ("transactionID", &mut self.hashes)] {
                let Some(text) = told.get(field).map(Json::to_string).filter(|text| text != "null") else { continue };
                if !known.contains(&text) && known.len() < 16 {
                    known.push(text);
                }
            }
        }
        self.payees = self.engine.node().payees.iter().map(|(id, _)| json(&id)).collect();
    }

    fn command(&mut self, envelope: PaymentNodeEnvelope) -> bool {
        let before = self.engine.node().balance();
        let outcome = self.engine.command(envelope, None, self.time());
        self.release();
        self.put_in += u128::from(self.engine.node().balance().saturating_sub(before));
        accepted(outcome.map(drop))
    }

    /// A peer says something. If it is refused, nothing has changed.
    fn hear(&mut self, connection: &ConnectionId, text: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(text) else { return false };
        let Some(message) = read(text) else { return false };
        let Some(index) = self.engine.connection(connection).map(|connection| connection.received) else {
            return false;
        };
        let brings = matches!(message, Message::ChannelMessage { .. });
        let (before, money) = (self.state(), self.money());
        let envelope = PaymentProtocol.envelope(self.engine.node(), connection, message);
        let outcome = self.engine.receive(connection, index, envelope, self.time());
        self.release();
        let accepted = accepted(outcome.map(drop));
        assert!(accepted || self.state() == before, "refused, and something has changed: {text}");
        let after = self.money();
        assert!(if brings { after >= money } else { after == money }, "{money} before, {after} after {text}");
        accepted
    }

    /// Somebody dials.
    fn accept(&mut self, text: &str) {
        let Some(hello) = read(text) else { return };
        if let Ok(welcome) = PaymentProtocol.accept(self.engine.node(), None, hello)
            && let Some(event) = welcome.event
        {
            self.command(event);
        }
    }

    fn fill(&self, template: &str, input: &mut Input<'_>) -> String {
        let mut parts = template.split('$');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|character: char| !character.is_ascii_lowercase()).unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            text += &self.value(name, input);
            text += rest;
        }
        text
    }

    fn value(&self, name: &str, input: &mut Input<'_>) -> String {
        let among =
            |values: &[&str], input: &mut Input<'_>| input.choose(values).map_or("null".into(), |v| v.to_string());
        let known = |values: &[String], input: &mut Input<'_>| input.choose(values).cloned().unwrap_or("null".into());
        match name {
            "amount" => among(&["100", "1", "0", "1000", "1001", "18446744073709551615", "400"], input),
            "index" => among(&["0", "1", "2", "3", "63", "64", "4294967295"], input),
            "side" => among(&["true", "false"], input),
            "point" => among(&[r#""Here""#, r#""There""#, r#""""#, r#""!x01""#], input),
            "link" => among(&[r#""a""#, r#""b""#, r#""c""#, r#""hub""#, r#""""#], input),
            "class" => among(&[r#""PlainChannel""#, r#""IouChannel""#, r#""Link""#], input),
            "said" => among(
                &[
                    r#""PlainChannel_Deposit""#,
                    r#""PlainChannel_Withdraw""#,
                    r#""IouChannel_Credit""#,
                    r#""IouChannel_Withdraw""#,
                ],
                input,
            ),
            "hash" => known(&self.hashes, input),
            "token" => known(&self.tokens, input),
            "payee" => known(&self.payees, input),
            "time" => match input.byte() % 7 {
                0 => self.now.to_string(),
                1 => (self.now + 3_600).to_string(),
                2 => (self.now + 60 * 86_400).to_string(),
                3 => (self.now + 61 * 86_400).to_string(),
                4 => "0".into(),
                5 => u64::MAX.to_string(),
                _ => "null".into(),
            },
            other => panic!("{other}"),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let connections: Vec<_> = self.engine.connections().map(|(id, _)| id).collect();
        match input.byte() % 16 {
            kind @ 0..=8 => {
                let Some(connection) = input.choose(&connections) else { return };
                if kind == 8 {
                    let text = input.text();
                    self.hear(connection, text);
                } else if let Some(template) = input.choose(MESSAGES) {
                    let text = self.fill(template, input);
                    self.hear(connection, text.as_bytes());
                }
            }
            9 => {
                let Some(template) = input.choose(HELLOS) else { return };
                let text = self.fill(template, input);
                self.accept(&text);
            }
            10 => {
                let Some(template) = input.choose(COMMANDS) else { return };
                let text = self.fill(template, input);
                if let Ok(message) = from_json::<PaymentNodeMessage>(&text) {
                    self.command(PaymentNodeEnvelope::PaymentNode(message));
                }
            }
            kind @ 11..=12 => {
                let payers: Vec<_> = self.engine.node().payers.iter().map(|(id, _)| id).collect();
                let Some(payer) = input.choose(&payers) else { return };
                let message = if kind == 11 { PayerMessage::Agree } else { PayerMessage::Refuse };
                let taken = self.command(PaymentNodeEnvelope::Payer(payer.clone(), message));
                self.agreed |= taken && kind == 11;
            }
            13 => {
                let Some(connection) = input.choose(&connections) else { return };
                let sent = self.engine.connection(connection).map_or(0, |connection| connection.sent);
                if let Some(last) = sent.checked_sub(1) {
                    drop(self.engine.confirm(connection, last, self.time()));
                    self.release();
                }
            }
            _ => {
                self.now += input.choose(&[1, 5, 3_600, 86_400, 61 * 86_400]).copied().unwrap_or(1);
                drop(self.engine.tick(self.time()));
                self.release();
            }
        }
    }
}

/// A message as it comes from the network.
fn read(text: &str) -> Option<Message> {
    Message::read(&mut Reader::new(text).with_unknown(Unknown::Ignore)).ok()
}

fn json<T: Serializable>(value: &T) -> String {
    to_json(value).unwrap_or_else(|error| panic!("{error}"))
}

/// Whether it was accepted; what isn't a refusal is a fault of ours.
fn accepted(outcome: Result<(), EventError>) -> bool {
    match outcome {
        Ok(()) => true,
        Err(EventError::Rejected(rejection)) => {
            // Where the build unwinds, the engine has caught it. And books that don't balance are no fault of a peer.
            let text = rejection.to_string();
            assert!(!text.contains("panicked") && !text.contains("the books of"), "{text}");
            false
        }
        Err(EventError::NoConnection { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// The target `message`: what neighbours, payers and payees say, in what order, what the user asks for, and how time
/// passes. A message that is refused changes nothing, none changes the sum of all money but for a deposit, and nobody gets
/// money out of a node whose user has agreed to nothing.
pub fn message(bytes: &[u8]) {
    run(bytes);
}

fn run(bytes: &[u8]) -> World {
    let (mut world, mut input) = (World::new(), Input(bytes));
    for _ in 0..STEPS {
        if input.0.is_empty() {
            break;
        }
        let money = world.money();
        world.step(&mut input);
        assert!(world.money() >= money);
        let (ours, put_in) = (world.ours(), world.put_in);
        assert!(world.agreed || ours >= put_in, "{put_in} put in, {ours} left");
    }
    world
}

#[cfg(test)]
mod tests {
    use super::*;
    use amiko_examples::payment::Outcome;

    #[test]
    fn what_the_input_chooses_from_is_what_can_be_said() {
        let world = World::new();
        for template in MESSAGES.iter().chain(HELLOS) {
            let text = world.fill(template, &mut Input(&[])).replace("\"ID\":null", "\"ID\":\"P\"");
            assert!(read(&text).is_some(), "{text}");
        }
        for template in COMMANDS {
            let text = world.fill(template, &mut Input(&[]));
            assert!(from_json::<PaymentNodeMessage>(&text).is_ok(), "{text}");
        }
    }

    fn seed_of(name: &str) -> Vec<u8> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/message").join(name);
        std::fs::read(path).expect(name)
    }

    /// Otherwise a fuzzer would begin with nothing.
    #[test]
    fn the_seeds_move_money() {
        for seed in ["hub", "meeting_point"] {
            let world = run(&seed_of(seed));
            let channel = |link: &str, index: usize| {
                let channel = &world.engine.node().links.get(&Id::new(link)).expect(link).channels[index];
                (channel.local(), channel.remote())
            };
            assert_eq!((channel("a", 1), channel("b", 0)), ((100, 900), (900, 100)), "{seed}");
        }
        for seed in ["payer", "payee"] {
            let world = run(&seed_of(seed));
            let records: Vec<_> = world.engine.node().payments.iter().map(|(_, record)| record.outcome).collect();
            assert_eq!(records, [Outcome::Committed], "{seed}");
        }
    }
}
