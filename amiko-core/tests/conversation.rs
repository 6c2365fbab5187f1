//! What two nodes say to each other, on a virtual clock and without a socket.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::conversation::{
    Acceptance, Action, ConversationSettings, Conversations, DialError, Dialect, Disconnect, Event, Moment, Progress,
    Refusal, SocketId,
};
use amiko_core::prelude::*;
use amiko_core::sim::{FaultKind, Faults, World};
use amiko_core::store::Memory;
use amiko_core::{Draw, Hosts, Protocol, PublicKey};
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
    /// The last dice.
    dice: u32,
}

#[derive(Clone, Serializable)]
enum Said {
    Hello { dice: u32 },
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
    Drawn { dice: u32 },
}

/// More than any world dials.
const LAST_DICE: u32 = 1_000_000;

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
            TalkerMessage::Drawn { dice } if dice > LAST_DICE => return Err(Rejection::new("no dice are left")),
            TalkerMessage::Drawn { dice } => self.dice = dice,
        }
        Ok(())
    }
}

struct Talk;

impl Protocol for Talk {
    type Node = Talker;

    /// Dice that only rise.
    fn draw(&self, node: &Talker, _: &Id<Connection<Talker>>, _: [u8; 4]) -> Draw<Talker> {
        let dice = node.dice + 1;
        Draw { tie_breaker: dice.to_be_bytes(), event: Some(envelope(TalkerMessage::Drawn { dice })) }
    }

    fn hello(&self, _: &Talker, _: &Id<Connection<Talker>>, dice: [u8; 4]) -> Result<Said, Rejection> {
        Ok(Said::Hello { dice: u32::from_be_bytes(dice) })
    }

    fn accept(&self, _: &Talker, _: Option<PublicKey>, _: Said) -> Result<Acceptance<Talker>, Rejection> {
        Ok(Acceptance { connection: Id::new("peer"), tie_breaker: None, event: None })
    }

    fn envelope(&self, _: &Talker, _: &Id<Connection<Talker>>, said: Said) -> Result<TalkerEnvelope, Rejection> {
        Ok(envelope(match said {
            Said::Number { number } => TalkerMessage::Hear { number },
            Said::Text { .. } => TalkerMessage::Noise,
            Said::Hello { .. } => return Err(Rejection::new("expected a number, found a hello")),
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
fn what_is_received_is_confirmed_soon_though_there_is_nothing_else_to_say() {
    let mut world = world(4, ConversationSettings::default());
    world.command(0, envelope(TalkerMessage::Say { from: 0, to: 10 })).unwrap();
    let confirmed = |world: &World<Talk>| {
        world.engine(0).unwrap().connections().all(|(_, connection)| connection.outbox.is_empty())
    };
    assert!(!confirmed(&world));
    assert!(world.run_until(Duration::from_secs(1), confirmed), "{} of 10 were heard", talker(&world, 1).heard);
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
        Self::start(engine, settings)
    }

    fn start(engine: Engine<Talker, Memory>, settings: ConversationSettings) -> Self {
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

    fn says(&mut self, from: u64, to: u64) {
        let say = envelope(TalkerMessage::Say { from, to });
        self.engine.command(say, None, Time::from_secs(1) + self.now).unwrap();
        self.work();
    }

    /// It dials when it may, and is answered.
    fn dials(&mut self) -> SocketId {
        self.pass(Duration::from_secs(1));
        let actions = self.actions();
        let [Action::Dial { socket, .. }] = actions[..] else { panic!("{actions:?}") };
        self.conversations.handle_dialled(socket, Ok(()), self.now);
        socket
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

const HELLO: &str = r#"{"index":null,"message":{"_class":"Hello","dice":1}}"#;
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
    node.pass(node.conversations.settings().confirmation_delay);
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
fn a_confirmation_waits_for_company_but_not_for_long() {
    let (mut node, socket) = accepted();
    let delay = node.conversations.settings().confirmation_delay;
    let due = |node: &Node| node.conversations.poll_timeout().map(|at| at - node.now);
    node.pass(Duration::ZERO);
    node.hear(socket, number(0).trim_end());
    assert_eq!((node.said(), due(&node)), (String::new(), Some(delay)));
    // A message takes it along, and others that came meanwhile are covered by it.
    node.hear(socket, number(1).trim_end());
    node.says(0, 1);
    assert_eq!(node.said(), "{\"received\":1}\n".to_owned() + &number(0));
    // The next one has the deadline of the first one, so that a node has one at a time to look after.
    node.pass(delay / 2);
    node.hear(socket, number(2).trim_end());
    assert_eq!((node.said(), due(&node)), (String::new(), Some(delay / 2)));
    node.pass(delay / 2);
    assert_eq!(node.said(), "{\"received\":2}\n");
    // And nothing is left to wait for but the peer's silence.
    assert!(due(&node) > Some(delay));
    node.hear(socket, number(3).trim_end());
    node.pass(delay);
    assert_eq!(node.said(), "{\"received\":3}\n");
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
fn a_peer_that_is_never_silent_is_asked_too_so_that_its_clock_is_heard() {
    let (mut node, socket) = accepted();
    let second = Duration::from_secs(1);
    let mut pings = 0;
    for index in 0..60 {
        node.pass(second);
        node.hear(socket, number(index).trim_end());
        pings += node.said().matches("{\"ping\":").count();
    }
    assert_eq!(pings, 4);
    // One that says nothing any more has as long as any other.
    node.pass(node.conversations.settings().silence - second);
    assert!(node.actions().is_empty());
    node.pass(node.conversations.settings().silence / 2);
    assert!(matches!(node.actions()[..], [Action::Abort { .. }]));
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
fn of_a_stranger_that_is_there_when_the_node_stops_it_is_said() {
    let mut node = Node::new(None, ConversationSettings::default());
    for peer in ["one", "another"] {
        node.conversations.handle_accepted(peer.into(), node.now);
    }
    node.conversations.stop();
    assert!(matches!(node.actions()[..], [Action::Abort { .. }, Action::Abort { .. }]));
    let events = node.events();
    assert_eq!(
        events.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "one refused: lost before its hello: the node stops",
            "another refused: lost before its hello: the node stops"
        ]
    );
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

fn by_index() -> ConversationSettings {
    let mut settings = ConversationSettings::default();
    settings.dialect = Dialect::ByIndex;
    settings
}

fn hello(dice: u32) -> String {
    format!("{{\"index\":null,\"message\":{{\"_class\":\"Hello\",\"dice\":{dice}}}}}\n")
}

fn number(number: u64) -> String {
    format!("{{\"index\":{number},\"message\":{{\"_class\":\"Number\",\"number\":{number}}}}}\n")
}

#[test]
fn by_index_nothing_follows_the_hello_before_the_socket_has_proved_to_stay() {
    let probation = by_index().probation;
    let mut node = Node::new(Some("there"), by_index());
    node.says(0, 1);
    // One that doesn't stay: whatever time passes, nothing was said on it that could act.
    let refused = node.dials();
    node.work();
    assert_eq!(node.said(), hello(1));
    node.pass(probation - Duration::from_millis(1));
    assert_eq!(node.said(), "");
    node.conversations.handle_ended(refused, Disconnect::Ended, node.now);
    node.actions();
    // One that proves to stay by time alone.
    let silent = node.dials();
    node.work();
    node.says(1, 2);
    assert_eq!(node.said(), hello(2));
    node.pass(probation - Duration::from_millis(1));
    assert_eq!(node.said(), "");
    node.pass(Duration::from_millis(1));
    assert_eq!(node.said(), number(0) + &number(1));
    node.says(2, 3);
    assert_eq!(node.said(), number(2));
    node.conversations.handle_ended(silent, Disconnect::Ended, node.now);
    node.actions();
    // One on which the peer says something.
    let spoken = node.dials();
    node.work();
    assert_eq!(node.said(), hello(3));
    node.hear(spoken, r#"{"received":0}"#);
    assert_eq!(node.said(), number(1) + &number(2));
}

#[test]
fn by_index_no_clock_is_told_whoever_tells_one() {
    let mut node = Node::new(None, by_index());
    let socket = node.conversations.handle_accepted("peer".into(), node.now);
    node.hear(socket, HELLO);
    node.hear(socket, r#"{"ping":{"received":0,"first":0,"sent":0,"time":1003}}"#);
    assert_eq!(node.engine.node().ahead, [0; 0]);
    assert!(matches!(node.events().last(), Some(Event::Disconnected { reason: Disconnect::Protocol(_), .. })));
}

#[test]
fn a_socket_that_the_peer_has_dialled_needs_no_time_to_prove_itself() {
    let mut node = Node::new(None, by_index());
    node.says(0, 1);
    let socket = node.conversations.handle_accepted("peer".into(), node.now);
    node.hear(socket, HELLO);
    assert_eq!(node.said(), number(0));
}

#[test]
fn what_a_draw_records_is_on_disk_before_the_hello_leaves() {
    let mut node = Node::new(Some("there"), by_index());
    for dice in 1..=3 {
        node.dials();
        let time = Time::from_secs(1) + node.now;
        let advance = |node: &mut Node| node.conversations.advance(&mut node.engine, &Talk, node.now, time).unwrap();
        assert_eq!(advance(&mut node), Progress::Taken);
        for _ in 0..2 {
            // However often it is asked, it draws once, and waits for the disk.
            assert_eq!(advance(&mut node), Progress::Sync);
            assert_eq!((node.said().as_str(), node.engine.node().dice), ("", dice));
        }
        node.work();
        assert_eq!(node.said(), hello(dice));
        // The power fails as soon as it is said.
        let store = node.engine.into_store().crash();
        node = Node::start(Engine::open(store, Settings::default()).unwrap(), by_index());
    }
}

#[test]
fn without_a_draw_no_hello_is_said_and_the_peer_is_dialled_again() {
    let mut node = Node::new(Some("there"), ConversationSettings::default());
    node.engine.command(envelope(TalkerMessage::Drawn { dice: LAST_DICE }), None, Time::from_secs(1)).unwrap();
    node.work();
    for _ in 0..2 {
        let socket = node.dials();
        node.work();
        assert_eq!(node.said(), "");
        assert!(matches!(node.actions()[..], [Action::Abort { socket: gone }] if gone == socket));
        let events = node.events();
        let [Event::DialFailed { error: DialError::Hello(rejection), .. }] = &events[..] else { panic!("{events:?}") };
        assert!(rejection.to_string().starts_with("no dice are left"), "{rejection}");
    }
}
