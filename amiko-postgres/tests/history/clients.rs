//! Those who ask: each has one command under way at a time, and remembers what it was told, and when.

use super::processes::Processes;
use super::random::Random;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// What a client has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Put,
    /// A command that its handler rejects.
    Refuse,
    Read,
}

/// What it knows of it in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The answer, and the address of the process that gave it.
    Done {
        value: u64,
        by: String,
    },
    Rejected,
    /// Nobody led, or somebody else: it wasn't carried out, and wasn't sent again.
    Refused,
    /// No answer until the end.
    Open,
}

/// One question, with all attempts to ask it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) client: u64,
    pub(crate) number: u64,
    pub(crate) question: Question,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    pub(crate) outcome: Outcome,
    /// Attempts after which it wasn't known whether it had happened.
    pub(crate) unknown: u64,
    /// Attempts that weren't carried out.
    pub(crate) elsewhere: u64,
}

pub(crate) const ALL_WRITE: u8 = 0;
pub(crate) const WANDERERS_WRITE: u8 = 1;
pub(crate) const NOBODY_WRITES: u8 = 2;

/// What clients share.
pub(crate) struct Town {
    pub(crate) processes: Arc<Processes>,
    /// Who writes: nobody, only those who wander, or all.
    pub(crate) quiet: Arc<AtomicU8>,
    /// No new questions.
    pub(crate) over: AtomicBool,
    /// No new attempts.
    pub(crate) ended: AtomicBool,
}

enum Answer {
    Done(u64),
    Rejected,
    Elsewhere(Option<String>),
    /// It wasn't sent.
    Unsent,
    Unknown,
}

pub(crate) struct Client {
    town: Arc<Town>,
    random: Random,
    name: u64,
    place: usize,
    connection: Option<(String, BufReader<TcpStream>)>,
    /// The longest pause between two questions.
    pause: Duration,
    /// Whether it asks another process each time.
    wanders: bool,
}

impl Client {
    pub(crate) fn new(town: Arc<Town>, name: u64, seed: u64, pause: Duration) -> Self {
        Self { town, random: Random::new(seed), name, place: 0, connection: None, pause, wanders: false }
    }

    /// One that asks any process, each time.
    pub(crate) fn wandering(self) -> Self {
        Self { wanders: true, ..self }
    }

    /// Puts until it is over.
    pub(crate) async fn put(mut self) -> Vec<Asked> {
        let mut asked = Vec::new();
        for number in 1.. {
            let question = if self.random.below(20) == 0 { Question::Refuse } else { Question::Put };
            if !self.go_on(&mut asked, number, question).await {
                break;
            }
        }
        asked
    }

    /// Reads until it is over.
    pub(crate) async fn read(mut self) -> Vec<Asked> {
        let mut asked = Vec::new();
        while self.go_on(&mut asked, 0, Question::Read).await {}
        asked
    }

    async fn go_on(&mut self, asked: &mut Vec<Asked>, number: u64, question: Question) -> bool {
        if self.town.over.load(Ordering::Relaxed) {
            return false;
        }
        if self.wanders {
            self.connection = None;
            self.place = self.random.below(self.town.processes.places.len() as u64) as usize;
        }
        let quiet = if self.wanders { NOBODY_WRITES } else { WANDERERS_WRITE };
        while question != Question::Read
            && self.town.quiet.load(Ordering::Relaxed) >= quiet
            && !self.town.over.load(Ordering::Relaxed)
        {
            sleep(Duration::from_millis(10)).await;
        }
        asked.push(self.ask(number, question).await);
        sleep(self.random.up_to(self.pause)).await;
        true
    }

    /// Asks until it has an answer. What wasn't carried out is sometimes given up.
    pub(crate) async fn ask(&mut self, number: u64, question: Question) -> Asked {
        let line = match question {
            Question::Put => format!("put {} {number}\n", self.name),
            Question::Refuse => format!("refuse {} {number}\n", self.name),
            Question::Read => "read\n".to_owned(),
        };
        let begun = Instant::now();
        let (mut unknown, mut elsewhere) = (0, 0);
        let outcome = loop {
            match self.attempt(&line).await {
                Answer::Done(value) => {
                    let by = self.connection.as_ref().map(|(address, _)| address.clone()).unwrap();
                    break Outcome::Done { value, by };
                }
                Answer::Rejected => break Outcome::Rejected,
                Answer::Elsewhere(leader) => {
                    elsewhere += 1;
                    if unknown == 0 && self.random.below(4) == 0 {
                        break Outcome::Refused;
                    }
                    self.turn_to(leader).await;
                }
                Answer::Unsent => self.turn_to(None).await,
                Answer::Unknown => {
                    unknown += 1;
                    self.turn_to(None).await;
                }
            }
            if self.town.ended.load(Ordering::Relaxed) {
                break Outcome::Open;
            }
        };
        Asked { client: self.name, number, question, begun, ended: Instant::now(), outcome, unknown, elsewhere }
    }

    async fn turn_to(&mut self, leader: Option<String>) {
        self.connection = None;
        let count = self.town.processes.places.len();
        let place = leader.and_then(|leader| self.town.processes.place_of(&leader));
        if place.is_none() {
            sleep(Duration::from_millis(10)).await;
        }
        self.place = place.unwrap_or((self.place + 1) % count);
    }

    async fn attempt(&mut self, line: &str) -> Answer {
        if self.connection.is_none() {
            let Some(address) = self.town.processes.address(self.place) else { return Answer::Unsent };
            let Ok(Ok(stream)) = timeout(Duration::from_secs(1), TcpStream::connect(&address)).await else {
                return Answer::Unsent;
            };
            self.connection = Some((address, BufReader::new(stream)));
        }
        let Some((_, connection)) = &mut self.connection else { return Answer::Unsent };
        if connection.get_mut().write_all(line.as_bytes()).await.is_err() {
            return Answer::Unknown;
        }
        let mut answer = String::new();
        // Half of the answers are waited for until the connection ends, so that some come very late.
        let limit = self.town.processes.lease * if self.random.below(2) == 0 { 1 } else { 6 };
        match timeout(limit, connection.read_line(&mut answer)).await {
            Ok(Ok(1..)) => parse(answer.trim_end()),
            _ => Answer::Unknown,
        }
    }

    /// Every entry, once there is a leader: its number, its client, and the number of the client's command.
    pub(crate) async fn dump(&mut self) -> Option<Vec<[u64; 3]>> {
        if self.ask(0, Question::Read).await.outcome == Outcome::Open {
            return None;
        }
        let (_, connection) = self.connection.as_mut()?;
        connection.get_mut().write_all(b"dump\n").await.ok()?;
        let mut line = String::new();
        connection.read_line(&mut line).await.ok()?;
        let count = line.trim_end().strip_prefix("entries ")?.parse().ok()?;
        let mut entries = Vec::new();
        while entries.len() < count {
            line.clear();
            connection.read_line(&mut line).await.ok()?;
            let numbers: Vec<u64> = line.trim_end().split(' ').map(|number| number.parse().unwrap()).collect();
            entries.push(numbers.try_into().ok()?);
        }
        Some(entries)
    }
}

fn parse(answer: &str) -> Answer {
    match answer.split_once(' ').unwrap_or((answer, "")) {
        ("done", value) => Answer::Done(value.parse().unwrap()),
        ("rejected", _) => Answer::Rejected,
        ("elsewhere", "-") => Answer::Elsewhere(None),
        ("elsewhere", leader) => Answer::Elsewhere(Some(leader.to_owned())),
        ("unknown", _) => Answer::Unknown,
        _ => panic!("expected an answer of a ledger, found {answer:?}"),
    }
}
