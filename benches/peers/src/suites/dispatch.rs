//! What a message costs: from one machine to another, or into one machine.

use crate::contest::Contest;
use crate::effort::Effort;
use crate::report::{Asked, Report};
use amiko_benches::{bounce, engine, payment};
use amiko_core::prelude::*;
use std::collections::VecDeque;
use std::hint::black_box;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::unbounded_channel;

const TEXT: &str = "\
Nanoseconds for one message, all on one thread.

- **Amiko, an event**: a message comes to one of 1,000 small objects, and that one sends another message to a second object. \
  Both objects are changed; the event is committed: its difference and its cause are written as JSON for the journal (in \
  memory, where every 100 events are synced, and forgotten), and the version before is kept. That is two messages, and far more than what the others do.
- **Amiko, a message more**: what each message costs in an event of 1,000 that two objects send each other.
- **actix, ractor, kameo**: two actors send each other a message to and fro; one of these messages.
- **statig, rust-fsm**: a machine of two states goes from one into the other: a function call, without any queue.
- **match and queue**: a number in one of two structs is changed by a `match` on a message from a `VecDeque`.";

const EVENT: &str = "Amiko, an event";
const RACTOR: &str = "ractor";
/// Messages of an event, where it has many.
const MANY: u64 = 1_000;
const ACCOUNTS: u64 = 1_000;
/// Events that are made durable at once.
const GROUP: u64 = 100;

/// What two actors send each other: how often it still goes to and fro.
struct Ball(usize);

/// Tells that the ball is down.
type Down = tokio::sync::mpsc::UnboundedSender<()>;

mod with_actix {
    use super::{Ball, Down};
    use actix::prelude::*;

    #[derive(Message)]
    #[rtype(result = "()")]
    pub(super) struct Hit(pub(super) Ball);

    #[derive(Message)]
    #[rtype(result = "()")]
    pub(super) struct Meet(pub(super) Addr<Player>);

    pub(super) struct Player {
        pub(super) other: Option<Addr<Self>>,
        pub(super) down: Down,
    }

    impl Actor for Player {
        type Context = Context<Self>;
    }

    impl Handler<Meet> for Player {
        type Result = ();

        fn handle(&mut self, Meet(other): Meet, _: &mut Context<Self>) {
            self.other = Some(other);
        }
    }

    impl Handler<Hit> for Player {
        type Result = ();

        fn handle(&mut self, Hit(Ball(left)): Hit, _: &mut Context<Self>) {
            match (left.checked_sub(1), &self.other) {
                (Some(left), Some(other)) => other.do_send(Hit(Ball(left))),
                _ => self.down.send(()).expect("somebody waits"),
            }
        }
    }
}

mod with_ractor {
    use super::{Ball, Down};
    use ractor::{Actor, ActorProcessingErr, ActorRef};

    pub(super) enum PlayerMessage {
        Meet(ActorRef<PlayerMessage>),
        Hit(Ball),
    }

    pub(super) struct Player;

    pub(super) struct PlayerState {
        other: Option<ActorRef<PlayerMessage>>,
        down: Down,
    }

    impl Actor for Player {
        type Msg = PlayerMessage;
        type State = PlayerState;
        type Arguments = Down;

        async fn pre_start(&self, _: ActorRef<PlayerMessage>, down: Down) -> Result<PlayerState, ActorProcessingErr> {
            Ok(PlayerState { other: None, down })
        }

        async fn handle(
            &self,
            _: ActorRef<PlayerMessage>,
            message: PlayerMessage,
            state: &mut PlayerState,
        ) -> Result<(), ActorProcessingErr> {
            match message {
                PlayerMessage::Meet(other) => state.other = Some(other),
                PlayerMessage::Hit(Ball(left)) => match (left.checked_sub(1), &state.other) {
                    (Some(left), Some(other)) => other.send_message(PlayerMessage::Hit(Ball(left)))?,
                    _ => state.down.send(())?,
                },
            }
            Ok(())
        }
    }
}

mod with_kameo {
    use super::{Ball, Down};
    use kameo::Actor;
    use kameo::actor::ActorRef;
    use kameo::message::{Context, Message};

    #[derive(Actor)]
    pub(super) struct Player {
        pub(super) other: Option<ActorRef<Player>>,
        pub(super) down: Down,
    }

    pub(super) struct Meet(pub(super) ActorRef<Player>);

    impl Message<Meet> for Player {
        type Reply = ();

        async fn handle(&mut self, Meet(other): Meet, _: &mut Context<Self, ()>) {
            self.other = Some(other);
        }
    }

    impl Message<Ball> for Player {
        type Reply = ();

        async fn handle(&mut self, Ball(left): Ball, _: &mut Context<Self, ()>) {
            match (left.checked_sub(1), &self.other) {
                (Some(left), Some(other)) => other.tell(Ball(left)).await.expect("is there"),
                _ => self.down.send(()).expect("somebody waits"),
            }
        }
    }
}

mod with_statig {
    use statig::prelude::*;

    #[derive(Default)]
    pub(super) struct Door {
        pub(super) moves: u64,
    }

    pub(super) enum Push {
        Hard,
    }

    #[state_machine(initial = "State::closed()", state(derive(Debug)))]
    impl Door {
        #[state]
        fn closed(&mut self, event: &Push) -> Outcome<State> {
            match event {
                Push::Hard => {
                    self.moves += 1;
                    Transition(State::open())
                }
            }
        }

        #[state]
        fn open(&mut self, event: &Push) -> Outcome<State> {
            match event {
                Push::Hard => {
                    self.moves += 1;
                    Transition(State::closed())
                }
            }
        }
    }
}

mod with_rust_fsm {
    rust_fsm::state_machine! {
        pub(super) door(Closed)

        Closed(Push) => Open,
        Open(Push) => Closed,
    }
}

/// What one would write by hand: two machines, a queue, and a `match`.
#[derive(Default)]
struct Hands {
    machines: [u64; 2],
    queue: VecDeque<(usize, Stroke)>,
}

enum Stroke {
    Add(u64),
    Take(u64),
}

impl Hands {
    fn play(&mut self, times: usize) {
        self.queue.push_back((0, Stroke::Add(1)));
        for _ in 0..times {
            let Some((to, stroke)) = self.queue.pop_front() else { return };
            let machine = &mut self.machines[to];
            let next = match stroke {
                Stroke::Add(amount) => {
                    *machine = machine.wrapping_add(amount);
                    Stroke::Take(amount)
                }
                Stroke::Take(amount) => {
                    *machine = machine.wrapping_sub(amount);
                    Stroke::Add(amount)
                }
            };
            self.queue.push_back((1 - to, black_box(next)));
        }
        self.queue.clear();
    }
}

fn one_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts")
}

/// Whole events, as many as it is told.
fn events() -> impl FnMut(usize) {
    let (mut engine, mut number) = (engine(ACCOUNTS), 0);
    move |times| {
        for _ in 0..times {
            let (to, message) = payment(number, ACCOUNTS);
            number += 1;
            engine.send(&to, message, Time::from_secs(1)).expect("handles");
            if number % GROUP == 0 {
                engine.sync().expect("syncs");
            }
        }
    }
}

/// As many messages in events of many.
fn messages() -> impl FnMut(usize) {
    let (mut engine, mut number) = (engine(ACCOUNTS), 0);
    move |times| {
        let mut left = times as u64;
        while left > 0 {
            let messages = left.min(MANY);
            let (to, message) = bounce(number, ACCOUNTS, messages - 1);
            number += 1;
            engine.send(&to, message, Time::from_secs(1)).expect("handles");
            left -= messages;
        }
    }
}

fn actix() -> impl FnMut(usize) {
    use actix::Actor as _;
    let system = actix::System::new();
    let (down, mut is_down) = unbounded_channel();
    let first = system.block_on(async {
        let first = with_actix::Player { other: None, down: down.clone() }.start();
        let second = with_actix::Player { other: Some(first.clone()), down }.start();
        first.send(with_actix::Meet(second)).await.expect("is there");
        first
    });
    move |times| {
        system.block_on(async {
            first.do_send(with_actix::Hit(Ball(times)));
            is_down.recv().await.expect("comes down");
        });
    }
}

fn ractor() -> impl FnMut(usize) {
    use ractor::Actor as _;
    use with_ractor::{Player, PlayerMessage};
    let system = one_thread();
    let (down, mut is_down) = unbounded_channel();
    let first = system.block_on(async {
        let (first, _) = Player::spawn(None, Player, down.clone()).await.expect("starts");
        let (second, _) = Player::spawn(None, Player, down).await.expect("starts");
        first.send_message(PlayerMessage::Meet(second.clone())).expect("is there");
        second.send_message(PlayerMessage::Meet(first.clone())).expect("is there");
        first
    });
    move |times| {
        system.block_on(async {
            first.send_message(PlayerMessage::Hit(Ball(times))).expect("is there");
            is_down.recv().await.expect("comes down");
        });
    }
}

fn kameo() -> impl FnMut(usize) {
    use kameo::actor::Spawn as _;
    use with_kameo::{Meet, Player};
    let system = one_thread();
    let (down, mut is_down) = unbounded_channel();
    let first = system.block_on(async {
        let first = Player::spawn(Player { other: None, down: down.clone() });
        let second = Player::spawn(Player { other: Some(first.clone()), down });
        first.tell(Meet(second)).await.expect("is there");
        first
    });
    move |times| {
        system.block_on(async {
            first.tell(Ball(times)).await.expect("is there");
            is_down.recv().await.expect("comes down");
        });
    }
}

fn statig() -> impl FnMut() {
    use statig::prelude::*;
    let mut door = with_statig::Door::default().state_machine();
    move || black_box(&mut door).handle(&with_statig::Push::Hard)
}

pub(super) fn run(effort: Effort) -> Report {
    let mut contest = Contest::new("a message");
    contest.batch(EVENT, events());
    contest.batch("Amiko, a message more", messages());
    contest.batch("actix", actix());
    contest.batch(RACTOR, ractor());
    contest.batch("kameo", kameo());
    contest.single("statig", statig());
    let mut rust_fsm = with_rust_fsm::door::StateMachine::new();
    contest.single("rust-fsm", move || black_box(&mut rust_fsm).consume(&with_rust_fsm::door::Input::Push).is_ok());
    let mut hands = Hands::default();
    contest.batch("match and queue", move |times| hands.play(times));

    let samples = contest.measure(effort);
    let work = "event with one internal message, two small objects changed, to ractor's message between two actors";
    Report {
        text: TEXT.into(),
        bounds: vec![samples.bound(work, EVENT, RACTOR, Asked::AtMost(1.5))],
        tables: vec![samples.table()],
        ..Report::default()
    }
}
