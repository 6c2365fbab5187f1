//! What two nodes say to each other, on a virtual clock and without a socket.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::conversation::{
    Acceptance, Action, ConversationSettings, Conversations, DialError, Dialect, Disconnect, Event, Moment, Progress,
    Refusal, SocketId,
};
use amiko_core::prelude::*;
use amiko_core::sim::{FaultKind, Faults, World};
use amiko_core::store::Memory;
use amiko_core::{Hosts, Protocol, PublicKey};
use std::time::Duration;

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, network = Said)]
struct Talker {
    heard: u64,
    /// The first that wasn't the next one.
    wrong: Option<u64>,
    rejected: u64,
    /// By how many milliseconds the peer's clock was ahead, each time that it told.
    ahead: Vec<u64>,
}

#[derive(Clone, Serializable)]
enum Said {
    Hello,
    Number { number: u64 },
    Text { text: String },
}

#[derive(Clone, Serializable)]
enum TalkerMessage {
    Meet { at: Option<String> },
    Say { from: u64, to: u64 },
    Shout { length: usize },
    Hear { number: u64 },
    Clock { ahead: u64 },
    Noise,
}

impl StateMachine for Talker {
    type Node = Self;
    type Message = TalkerMessage;

    fn handle(&mut self, message: TalkerMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let peer = Id::new("peer");
        match message {
            TalkerMessage::Meet { at } => cx.connect(&peer, at.as_deref()),
            TalkerMessage::Say { from, to } => {
                (from..to).for_each(|number| cx.transmit(&peer, Said::Number { number }));
            }
            TalkerMessage::Shout { length } => cx.transmit(&peer, Said::Text { text: "x".repeat(length) }),
            TalkerMessage::Hear { number } => {
                if number != self.heard {
                    self.wrong.get_or_insert(number);
                }
                self.heard += 1;
            }
            TalkerMessage::Clock { ahead } if ahead > 9_000 => {
                return Err(Rejection::new(format!("expected a clock that is right, found one {ahead} ms ahead")));
            }
            TalkerMessage::Clock { ahead } => self.ahead.push(ahead),
            TalkerMessage::Noise => self.rejected += 1,
        }
        Ok(())
    }
}

struct Talk;

impl Protocol for Talk {
    type Node = Talker;

    fn hello(&self, _: &Talker, _: &Id<Connection<Talker>>, _: [u8; 4]) -> Result<Said, Rejection> {
        Ok(Said::Hello)
    }

    fn accept(&self, _: &Talker, _: Option<PublicKey>, _: Said) -> Result<Acceptance<Talker>, Rejection> {
        Ok(Acceptance { connection: Id::new("peer"), tie_breaker: None, event: None })
    }

    fn envelope(&self, _: &Talker, _: &Id<Connection<Talker>>, said: Said) -> Result<TalkerEnvelope, Rejection> {
        Ok(envelope(match said {
            Said::Number { number } => TalkerMessage::Hear { number },
            Said::Text { .. } => TalkerMessage::Noise,
            Said::Hello => return Err(Rejection::new("expected a number, found a hello")),
        }))
    }

    fn clock(&self, _: &Talker, _: &Id<Connection<Talker>>, ours: Time, theirs: Time) -> Option<TalkerEnvelope> {
        let ahead = theirs.as_millis().checked_sub(ours.as_millis()).filter(|ahead| *ahead > 0)?;
        Some(envelope(TalkerMessage::Clock { ahead }))
    }
}

fn envelope(message: TalkerMessage) -> TalkerEnvelope {
    <Talker as Hosts<Talker>>::envelope(Id::new(()), message)
}

/// Two nodes, of which the first dials the other.
fn world(seed: u64, conversation: ConversationSettings) -> World<Talk> {
    let mut world = World::new(Talk, seed);
    let mut settings = Settings::default();
    settings.check_records = false;
    world.set_settings(settings);
    world.set_conversation(conversation);
    for (address, at) in [("one", Some("other")), ("other", None)] {
        let node = world.add(address, Talker::default()).unwrap();
        world.command(node, envelope(TalkerMessage::Meet { at: at.map(str::to_owned) })).unwrap();
    }
    world
}

fn talker(world: &World<Talk>, node: usize) -> &Talker {
    world.engine(node).unwrap().node()
}

#[test]
fn numbers_of_16_bits_go_around_whatever_the_wire_does_with_lines() {
    /// More than once around.
    const MESSAGES: u64 = 70_000;
    for (seed, dialect) in [(1, Dialect::Amiko), (2, Dialect::ByIndex)] {
        let mut settings = ConversationSettings::default();
        settings.dialect = dialect;
        let mut world = world(seed, settings);
        let faults = Faults::none().per_line(FaultKind::Loss, 4).per_line(FaultKind::Duplication, 10);
        world.start_faults(faults.per_line(FaultKind::Reordering, 4));
        for from in (0..MESSAGES).step_by(1_000) {
            let to = from + 1_000;
            world.command(0, envelope(TalkerMessage::Say { from, to })).unwrap();
            assert!(
                world.run_until(Duration::from_secs(3_600), |world| talker(world, 1).heard == to),
                "{dialect:?}, seed {seed}: {} of {to} arrived",
                talker(&world, 1).heard
            );
        }
        assert_eq!(talker(&world, 1).wrong, None, "{dialect:?}, seed {seed}");
        assert!(world.counts()[&FaultKind::Loss] > 3, "{:?}", world.counts());
    }
}

#[test]
fn a_message_that_is_too_long_for_a_line_is_used_up_and_the_others_arrive() {
    let mut settings = ConversationSettings::default();
    settings.line = 200;
    let mut world = world(3, settings);
    for message in [
        TalkerMessage::Say { from: 0, to: 1 },
        TalkerMessage::Shout { length: 500 },
        TalkerMessage::Shout { length: 50 },
        TalkerMessage::Say { from: 1, to: 2 },
    ] {
        world.command(0, envelope(message)).unwrap();
    }
    assert!(world.run_until(Duration::from_secs(60), |world| talker(world, 1).heard == 2));
    // `null`, in the place of the long one, means nothing.
    assert_eq!(talker(&world, 1).rejected, 1);
    assert_eq!(world.given_up(), 0);
}

/// A node that a test speaks with in bytes.
struct Node {
    engine: Engine<Talker, Memory>,
    conversations: Conversations,
    now: Moment,
}

impl Node {
    fn new(dial: Option<&str>, settings: ConversationSettings) -> Self {
        let mut engine = Engine::open(Memory::new(), Settings::default()).unwrap();
        let at = dial.map(str::to_owned);
        engine.command(envelope(TalkerMessage::Meet { at }), None, Time::from_secs(1)).unwrap();
        engine.sync().unwrap();
        let mut conversations = Conversations::new(settings, || 0);
        conversations.start(&engine, Moment::ZERO);
        Self { engine, conversations, now: Moment::ZERO }
    }

    fn time(&self) -> Time {
        Time::from_secs(1) + self.now
    }

    /// Lets it work until nothing is left, and obeys when it wants a sync.
    fn work(&mut self) {
        let time = self.time();
        loop {
            match self.conversations.advance(&mut self.engine, &Talk, self.now, time).unwrap() {
                Progress::Taken => {}
                Progress::Idle if !self.engine.unreleased() => return,
                Progress::Idle | Progress::Sync => {
                    for output in self.engine.sync().unwrap() {
                        self.conversations.handle_output(&output, &self.engine, self.now);
                    }
                }
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.conversations.handle_timeout(&self.engine, self.now);
        self.work();
    }

    /// Says a line, byte by byte.
    fn hear(&mut self, socket: SocketId, line: &str) {
        for byte in line.bytes().chain([b'\n']) {
            self.conversations.handle_bytes(socket, &[byte], self.now);
        }
        self.work();
    }

    /// The peer dials anew, and says this after its hello.
    fn hear_from_new(&mut self, line: &str) {
        let socket = self.conversations.handle_accepted("peer".into(), self.now);
        self.hear(socket, HELLO);
        self.said();
        self.hear(socket, line);
    }

    fn said(&mut self) -> String {
        let mut said = String::new();
        while let Some(transmit) = self.conversations.poll_transmit(&self.engine, self.now, self.time()) {
            said.push_str(std::str::from_utf8(&transmit.bytes).unwrap());
            self.conversations.handle_written(transmit.socket);
        }
        said
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.conversations.poll_action()).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.conversations.poll_event()).collect()
    }
}

const HELLO: &str = r#"{"index":null,"message":"Hello"}"#;
const RESUME: &str = r#"{"resume":{"received":0,"first":0,"sent":0,"time":1000}}"#;

/// A node that a peer has dialled, and that peer's socket.
fn accepted() -> (Node, SocketId) {
    let mut node = Node::new(None, ConversationSettings::default());
    let socket = node.conversations.handle_accepted("peer".into(), node.now);
    node.hear(socket, HELLO);
    assert_eq!(node.said(), format!("{RESUME}\n"));
    node.hear(socket, RESUME);
    (node, socket)
}

#[test]
fn a_conversation_from_hello_to_confirmation() {
    let (mut node, socket) = accepted();
    node.hear(socket, r#"{"index":0,"message":{"_class":"Number","number":0}}"#);
    assert_eq!(node.said(), "{\"received\":0}\n");
    assert_eq!(node.engine.node().heard, 1);
    // Again: it is used up, and confirmed again.
    node.hear(socket, r#"{"index":0,"message":{"_class":"Number","number":0}}"#);
    assert_eq!(node.engine.node().heard, 1);
    node.hear(socket, r#"{"index":2,"message":{"_class":"Number","number":2}}"#);
    assert!(matches!(node.actions()[..], [Action::Abort { socket: gone }] if gone == socket));
    let events = node.events();
    let last = events.last().unwrap();
    assert!(matches!(last, Event::Disconnected { reason: Disconnect::Protocol(_), .. }), "{last}");
    assert!(last.to_string().contains("found one 1 further on"), "{last}");
}

#[test]
fn a_silent_peer_is_asked_and_then_given_up() {
    let (mut node, socket) = accepted();
    node.events();
    let silence = node.conversations.settings().silence;
    node.pass(silence / 2 - Duration::from_millis(1));
    assert_eq!(node.said(), "");
    node.pass(Duration::from_millis(1));
    assert!(node.said().starts_with("{\"ping\":"));
    // It answers, and is asked again much later.
    node.hear(socket, r#"{"pong":{"received":0,"first":0,"sent":0}}"#);
    node.pass(silence / 2);
    assert!(node.said().starts_with("{\"ping\":"));
    node.pass(silence / 2);
    assert!(matches!(node.actions()[..], [Action::Abort { .. }]));
    assert!(matches!(node.events()[..], [Event::Disconnected { reason: Disconnect::Silent { .. }, .. }]));
    // And whoever asks is answered.
    let (mut node, socket) = accepted();
    node.hear(socket, r#"{"ping":{"received":0,"first":0,"sent":0}}"#);
    assert!(node.said().starts_with("{\"pong\":"));
}

#[test]
fn a_node_hears_what_its_peers_clock_says_and_may_refuse_one_that_is_wrong() {
    let (mut node, socket) = accepted();
    assert_eq!(node.engine.node().ahead, [0; 0]);
    node.pass(node.conversations.settings().silence / 2);
    assert!(node.said().ends_with(",\"time\":16000}}\n"));
    node.hear(socket, r#"{"pong":{"received":0,"first":0,"sent":0,"time":16003}}"#);
    node.hear(socket, r#"{"ping":{"received":0,"first":0,"sent":0,"time":16004}}"#);
    assert!(node.said().starts_with("{\"pong\":") && node.events().len() == 1);
    // A peer needn't tell.
    node.hear(socket, r#"{"pong":{"received":0,"first":0,"sent":0}}"#);
    assert_eq!(node.engine.node().ahead, [3, 4]);
    node.hear(socket, r#"{"pong":{"received":0,"first":0,"sent":0,"time":25001}}"#);
    assert!(matches!(node.actions()[..], [Action::Abort { socket: gone }] if gone == socket));
    let events = node.events();
    let [Event::Disconnected { reason: reason @ Disconnect::Failed(_), .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(reason.to_string().contains("expected a clock that is right, found one 9001 ms ahead"), "{reason}");
    // When a conversation begins, the clock comes before everything else.
    node.hear_from_new(r#"{"resume":{"received":0,"first":0,"sent":0,"time":16009}}"#);
    assert_eq!(node.engine.node().ahead, [3, 4, 9]);
    node.hear_from_new(r#"{"resume":{"received":0,"first":0,"sent":0,"time":99999}}"#);
    assert!(matches!(node.events().last(), Some(Event::Disconnected { reason: Disconnect::Failed(_), .. })));
}

#[test]
fn a_stranger_says_hello_in_time_or_goes() {
    let mut node = Node::new(None, ConversationSettings::default());
    let limit = node.conversations.settings().handshake;
    node.conversations.handle_accepted("peer".into(), node.now);
    node.pass(limit - Duration::from_millis(1));
    assert!(node.events().is_empty());
    node.pass(Duration::from_millis(1));
    assert!(matches!(node.actions()[..], [Action::Abort { .. }]));
    assert!(matches!(node.events()[..], [Event::Refused { reason: Refusal::Timeout { .. }, .. }]));
}

#[test]
fn a_peer_that_cant_be_reached_is_dialled_with_pauses_that_double() {
    let mut node = Node::new(Some("there"), ConversationSettings::default());
    let mut pauses = Vec::new();
    node.pass(Duration::ZERO);
    for _ in 0..12 {
        let actions = node.actions();
        let [Action::Dial { socket, address }] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(address, "there");
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        node.conversations.handle_dialled(*socket, Err(DialError::from(refused)), node.now);
        let failed = node.events();
        let [Event::DialFailed { retry, .. }] = failed[..] else { panic!("{failed:?}") };
        pauses.push(retry.as_millis());
        node.pass(retry - Duration::from_millis(1));
        assert!(node.actions().is_empty());
        node.pass(Duration::from_millis(1));
    }
    assert_eq!(pauses[..4], [50, 100, 200, 400]);
    assert_eq!(pauses.last(), Some(&30_000));
}
