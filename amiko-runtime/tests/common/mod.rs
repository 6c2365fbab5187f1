//! A small node that talks, and a peer without one: a socket that says what the test wants.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use amiko_core::PublicKey;
use amiko_core::prelude::*;
use amiko_core::store::{Memory, MemoryWork, RecoverError, Recovered, Recovery, Store, StoreError, Usage, Work};
use amiko_runtime::{
    Acceptance, Dialect, Handle, Notices, Protocol, RunError, Runtime, RuntimeSettings, Tcp, Transport,
};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::ThreadId;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, LocalSet};

/// What a test may take at most; one that hangs fails instead.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Serializable)]
pub(crate) enum Wire {
    Hello { name: String, dice: Option<[u8; 4]> },
    Say { number: u64 },
    Answer { number: u64 },
    Note { text: String },
    Bye,
}

/// The conversation with one peer, over the connection of the same name.
#[derive(Clone, Default, Serializable)]
#[amiko(key = String, reply = u64, kind = "talker")]
pub(crate) struct Talker {
    pub(crate) heard: Vec<u64>,
    pub(crate) answered: Vec<u64>,
}

#[derive(Clone, Serializable)]
pub(crate) enum TalkerMessage {
    Say { number: u64 },
    SayLater { number: u64, millis: u64 },
    Shout { text: String },
    Hear { message: Wire },
}

/// What a listener rejects.
pub(crate) const POISON: u64 = 666;

impl StateMachine for Talker {
    type Node = Talk;
    type Message = TalkerMessage;

    fn handle(&mut self, message: TalkerMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let connection = Id::new(cx.id().key().clone());
        match message {
            TalkerMessage::Say { number } => {
                cx.transmit(&connection, Wire::Say { number });
                cx.reply(number);
            }
            TalkerMessage::SayLater { number, millis } => {
                let at = cx.now() + Duration::from_millis(millis);
                cx.timer(&format!("later-{number}"), at, TalkerMessage::Say { number });
            }
            TalkerMessage::Shout { text } => cx.transmit(&connection, Wire::Note { text }),
            TalkerMessage::Hear { message: Wire::Say { number: POISON } } => return Err(Rejection::new("poison")),
            TalkerMessage::Hear { message: Wire::Say { number } } => {
                self.heard.push(number);
                cx.transmit(&connection, Wire::Answer { number });
                cx.notify(number);
            }
            TalkerMessage::Hear { message: Wire::Answer { number } } => {
                self.answered.push(number);
                cx.notify(number);
            }
            TalkerMessage::Hear { message: Wire::Bye } => cx.close(&connection),
            TalkerMessage::Hear { message: Wire::Note { .. } } => {}
            TalkerMessage::Hear { message: Wire::Hello { .. } } => return Err(Rejection::new("one hello is enough")),
        }
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, network = Wire, notice = u64)]
pub(crate) struct Talk {
    #[amiko(machines)]
    pub(crate) talkers: Table<Talker>,
    pub(crate) met: u64,
}

#[derive(Clone, Serializable)]
pub(crate) enum TalkMessage {
    Meet { name: String, dial: Option<String> },
    Reconcile { name: String },
}

impl StateMachine for Talk {
    type Node = Self;
    type Message = TalkMessage;

    fn handle(&mut self, message: TalkMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let (name, dial) = match message {
            TalkMessage::Meet { name, dial } => (name, dial),
            TalkMessage::Reconcile { name } => {
                cx.reconcile(&Id::new(name));
                return Ok(());
            }
        };
        if !self.talkers.contains(&Id::new(name.clone())) {
            cx.create(&Id::new(name.clone()), Talker::default());
        }
        self.met += 1;
        cx.connect(&Id::new(name), dial.as_deref());
        Ok(())
    }
}

/// Both ends of a conversation have the same name.
pub(crate) struct TalkProtocol {
    /// Both sides may dial.
    pub(crate) dice: bool,
    /// Strangers are welcome.
    pub(crate) open: bool,
}

impl Protocol for TalkProtocol {
    type Node = Talk;

    fn hello(&self, _: &Talk, connection: &Id<Connection<Talk>>, dice: [u8; 4]) -> Result<Wire, Rejection> {
        Ok(Wire::Hello { name: connection.key().clone(), dice: self.dice.then_some(dice) })
    }

    fn accept(&self, node: &Talk, _: Option<PublicKey>, hello: Wire) -> Result<Acceptance<Talk>, Rejection> {
        let Wire::Hello { name, dice } = hello else { return Err(Rejection::new("expected a hello")) };
        let known = node.talkers.contains(&Id::new(name.clone()));
        if !known && !self.open {
            return Err(Rejection::new("expected a name that is known"));
        }
        let event = (!known).then(|| meet(&name, None));
        Ok(Acceptance { connection: Id::new(name), tie_breaker: dice, event })
    }

    fn envelope(&self, _: &Talk, connection: &Id<Connection<Talk>>, message: Wire) -> Result<TalkEnvelope, Rejection> {
        Ok(envelope(connection.key(), TalkerMessage::Hear { message }))
    }
}

pub(crate) fn meet(name: &str, dial: Option<String>) -> TalkEnvelope {
    <Talk as Hosts<Talk>>::envelope(Id::new(()), TalkMessage::Meet { name: name.into(), dial })
}

pub(crate) fn reconcile(name: &str) -> TalkEnvelope {
    <Talk as Hosts<Talk>>::envelope(Id::new(()), TalkMessage::Reconcile { name: name.into() })
}

pub(crate) fn envelope(name: &str, message: TalkerMessage) -> TalkEnvelope {
    <Talk as Hosts<Talker>>::envelope(Id::new(name), message)
}

pub(crate) fn say(name: &str, number: u64) -> TalkEnvelope {
    envelope(name, TalkerMessage::Say { number })
}

/// A store that a test can look at while a node has it.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<Inner>>);

#[derive(Default)]
pub(crate) struct Inner {
    memory: Memory,
    /// Records that it takes between two syncs, if there is a limit.
    room: Option<usize>,
    appended: usize,
    syncs: usize,
    writes: usize,
    gate: Gate,
    /// Which threads have done its work, one after the other.
    workers: Arc<Mutex<Vec<ThreadId>>>,
    /// Whether its next work panics.
    panics: bool,
}

/// Where the thread of the disk waits while it is closed.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn set(&self, closed: bool) {
        *self.0.0.lock().unwrap() = closed;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |closed| *closed).unwrap());
    }
}

/// Work that has to pass the gate first.
pub(crate) struct Gated {
    work: MemoryWork,
    gate: Gate,
    workers: Arc<Mutex<Vec<ThreadId>>>,
    panics: bool,
}

impl Work for Gated {
    type Done = <MemoryWork as Work>::Done;

    fn run(self) -> Self::Done {
        self.workers.lock().unwrap().push(std::thread::current().id());
        self.gate.pass();
        assert!(!self.panics, "the test said so");
        self.work.run()
    }
}

impl Disk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// What a restart would find now.
    pub(crate) fn crash(&self) -> Self {
        Self(Arc::new(Mutex::new(Inner { memory: self.inner().memory.crash(), ..Inner::default() })))
    }

    pub(crate) fn fail_next_sync(&self) {
        self.inner().memory.fail_next_sync();
    }

    pub(crate) fn panic_at_next_sync(&self) {
        self.inner().panics = true;
    }

    pub(crate) fn limit(&self, room: usize) {
        self.inner().room = Some(room);
    }

    /// Syncs that begin from now on don't end.
    pub(crate) fn hold(&self) {
        self.inner().gate.set(true);
    }

    pub(crate) fn let_go(&self) {
        self.inner().gate.set(false);
    }

    /// How often it was only told to write.
    pub(crate) fn writes(&self) -> usize {
        self.inner().writes
    }

    pub(crate) fn syncs(&self) -> usize {
        self.inner().syncs
    }

    /// Which threads have done its work since the last call.
    pub(crate) fn take_workers(&self) -> Vec<ThreadId> {
        std::mem::take(&mut self.inner().workers.lock().unwrap())
    }
}

impl Store for Disk {
    type Work = Gated;

    fn recover(&mut self, visitor: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
        self.inner().memory.recover(visitor)
    }

    fn append(&mut self, sequence: u64, record: &str) -> Result<(), StoreError> {
        let mut inner = self.inner();
        if inner.room.is_some_and(|room| inner.appended >= room) {
            return Err(StoreError::BufferFull { limit: 0, needed: record.len() as u64 });
        }
        inner.appended += 1;
        inner.memory.append(sequence, record)
    }

    fn begin_sync(&mut self) -> Result<Option<Self::Work>, StoreError> {
        let mut inner = self.inner();
        inner.appended = 0;
        inner.syncs += 1;
        let (gate, workers) = (inner.gate.clone(), Arc::clone(&inner.workers));
        let panics = std::mem::take(&mut inner.panics);
        Ok(inner.memory.begin_sync()?.map(|work| Gated { work, gate, workers, panics }))
    }

    fn begin_write(&mut self) -> Result<Option<Self::Work>, StoreError> {
        self.inner().writes += 1;
        let work = self.begin_sync();
        self.inner().syncs -= 1;
        work
    }

    fn end_sync(&mut self, done: <Self::Work as Work>::Done) -> Result<(), StoreError> {
        self.inner().memory.end_sync(done)
    }

    fn begin_snapshot(&mut self, sequence: u64, time: Time) -> Result<(), StoreError> {
        self.inner().memory.begin_snapshot(sequence, time)
    }

    fn write_snapshot(&mut self, piece: &str) -> Result<(), StoreError> {
        self.inner().memory.write_snapshot(piece)
    }

    fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        self.inner().memory.finish_snapshot()
    }

    fn usage(&self) -> Usage {
        self.inner().memory.usage()
    }
}

/// A node that knows this talker already, on disk.
pub(crate) fn engine(name: &str, dial: Option<String>) -> (Engine<Talk, Disk>, Disk) {
    let (mut engine, disk) = reopen(Disk::default());
    engine.command(meet(name, dial), None, Time::from_secs(1)).unwrap();
    engine.sync().unwrap();
    (engine, disk)
}

/// What a restart would find.
pub(crate) fn reopen(disk: Disk) -> (Engine<Talk, Disk>, Disk) {
    (Engine::open(disk.clone(), Settings::default()).unwrap(), disk)
}

/// Quick to dial again and to trust a socket, and open to nobody.
pub(crate) fn settings() -> RuntimeSettings {
    let mut settings = RuntimeSettings::default();
    settings.listen = Some(([127, 0, 0, 1], 0).into());
    settings.conversation.back_off_first = Duration::from_millis(2);
    settings.conversation.back_off_limit = Duration::from_millis(20);
    settings.conversation.probation = Duration::from_millis(2);
    // A disk that is held holds a thread, and not the loop.
    settings.quick_sync = Duration::ZERO;
    settings
}

/// The same, for a peer that says no more than messages and confirmations.
pub(crate) fn by_index() -> RuntimeSettings {
    let mut settings = settings();
    settings.conversation.dialect = Dialect::ByIndex;
    settings
}

/// A node that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle<Talk, Disk>,
    pub(crate) notices: Notices<Talk>,
    pub(crate) log: mpsc::UnboundedReceiver<String>,
    pub(crate) disk: Disk,
    pub(crate) task: JoinHandle<Result<Engine<Talk, Disk>, RunError>>,
}

pub(crate) async fn start((engine, disk): (Engine<Talk, Disk>, Disk), settings: RuntimeSettings) -> Running {
    start_with((engine, disk), settings, TalkProtocol { dice: false, open: false }).await
}

pub(crate) async fn start_with(
    engine: (Engine<Talk, Disk>, Disk),
    settings: RuntimeSettings,
    protocol: TalkProtocol,
) -> Running {
    start_on(engine, settings, protocol, Tcp).await
}

pub(crate) async fn start_on(
    (engine, disk): (Engine<Talk, Disk>, Disk),
    mut settings: RuntimeSettings,
    protocol: TalkProtocol,
    transport: impl Transport,
) -> Running {
    let (told, log) = mpsc::unbounded_channel();
    settings.log = Some(Arc::new(move |event| drop(told.send(format!("{event:?} {event}")))));
    let runtime = Runtime::with_settings(engine, settings).with_network(protocol, transport).await.unwrap();
    let (address, handle) = (runtime.local_addr().unwrap(), runtime.handle());
    let task = tokio::task::spawn_local(runtime.run());
    let notices = handle.notices().await;
    Running { address, handle, notices, log, disk, task }
}

impl Running {
    /// Waits for an event that the log tells in these words.
    pub(crate) async fn logged(&mut self, words: &str) -> String {
        loop {
            let line = self.log.recv().await.unwrap();
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Waits until so many notices have come.
    pub(crate) async fn noticed(&mut self, count: usize) {
        for _ in 0..count {
            self.notices.recv().await.unwrap().unwrap();
        }
    }

    pub(crate) async fn say(&self, name: &str, number: u64) {
        assert_eq!(self.handle.send(&Id::<Talker>::new(name), TalkerMessage::Say { number }).await.unwrap(), number);
    }

    pub(crate) async fn talker(&self, name: &'static str) -> Talker {
        self.handle.query(move |engine| engine.node().talkers.get(&Id::new(name)).cloned().unwrap()).await.unwrap()
    }

    /// Asks again and again until the node is as it should be.
    pub(crate) async fn until(&self, reached: fn(&Engine<Talk, Disk>) -> bool) {
        while !self.handle.query(reached).await.unwrap() {
            tokio::task::yield_now().await;
        }
    }

    /// Ends the node wherever it stands, and gives what is on disk then.
    pub(crate) async fn crash(self) -> Disk {
        self.task.abort();
        assert!(self.task.await.err().unwrap().is_cancelled());
        self.disk.crash()
    }

    pub(crate) async fn stop(self) -> Engine<Talk, Disk> {
        self.handle.stop();
        self.task.await.unwrap().unwrap()
    }
}

/// Everything has been confirmed.
pub(crate) fn settled<S: Store>(engine: &Engine<Talk, S>) -> bool {
    engine.connections().all(|(_, connection)| connection.outbox.is_empty())
}

/// A peer that says exactly what the test wants.
pub(crate) struct Raw {
    stream: BufReader<TcpStream>,
}

impl Raw {
    pub(crate) async fn dial(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) fn new(stream: TcpStream) -> Self {
        // What a test says is there when it has said it, and not when something else was acknowledged.
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// A peer that has said hello.
    pub(crate) async fn hello(address: SocketAddr, name: &str) -> Self {
        let mut raw = Self::dial(address).await;
        raw.send(&hello(name, None)).await;
        raw
    }

    /// A peer that has said hello, and where it stands; and heard where the node does.
    pub(crate) async fn resume(address: SocketAddr, name: &str, ours: [u64; 3], theirs: [u64; 3]) -> Self {
        let mut raw = Self::hello(address, name).await;
        raw.expect(&stands("resume", theirs)).await;
        raw.send(&stands("resume", ours)).await;
        raw
    }

    pub(crate) async fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes()).await;
    }

    /// A node that has closed the socket already takes no more; the test sees it when it reads.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    pub(crate) async fn say(&mut self, index: u64, number: u64) {
        self.send(&said(index, number)).await;
    }

    /// The next line; none when the node has closed the socket.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(without_time(line.trim_end())),
        }
    }

    pub(crate) fn split(self) -> (BufReader<OwnedReadHalf>, OwnedWriteHalf) {
        let (reading, writing) = self.stream.into_inner().into_split();
        (BufReader::new(reading), writing)
    }

    /// Whether the node has said nothing, though it had its turns.
    pub(crate) async fn nothing_yet(&mut self) -> bool {
        turns().await;
        tokio::select! {
            biased;
            _ = self.stream.fill_buf() => false,
            () = std::future::ready(()) => true,
        }
    }

    pub(crate) async fn expect(&mut self, expected: &str) {
        assert_eq!(self.line().await.as_deref(), Some(expected));
    }

    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.line().await, None);
    }
}

pub(crate) fn hello(name: &str, dice: Option<&str>) -> String {
    let dice = dice.map_or("null".into(), |dice| format!("\"!x{dice}\""));
    format!(r#"{{"index":null,"message":{{"_class":"Hello","name":"{name}","dice":{dice}}}}}"#)
}

/// The line but for what the node's clock says.
pub(crate) fn without_time(line: &str) -> String {
    match line.split_once(",\"time\":") {
        Some((before, rest)) => before.to_owned() + rest.trim_start_matches(|digit: char| digit.is_ascii_digit()),
        None => line.to_owned(),
    }
}

/// Received, first unconfirmed, sent.
pub(crate) fn stands(about: &str, [received, first, sent]: [u64; 3]) -> String {
    format!(r#"{{"{about}":{{"received":{received},"first":{first},"sent":{sent}}}}}"#)
}

pub(crate) fn said(index: u64, number: u64) -> String {
    format!(r#"{{"index":{},"message":{{"_class":"Say","number":{number}}}}}"#, index % 65536)
}

pub(crate) fn answer(index: u64, number: u64) -> String {
    format!(r#"{{"index":{},"message":{{"_class":"Answer","number":{number}}}}}"#, index % 65536)
}

/// Lets everybody else have their turns: what is on loopback is read by whoever waits for it.
pub(crate) async fn turns() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Runs a test, for as long as it may take.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let test = async { tokio::time::timeout(PATIENCE, test).await.unwrap() };
    LocalSet::new().block_on(&runtime, test);
}

/// Bytes of memory that the process has. Tests that measure it take turns, see [`alone`].
pub(crate) fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Runs a test while no other of this file runs that does the same: they share their memory.
pub(crate) fn alone(test: impl Future<Output = ()>) {
    static TURN: Mutex<()> = Mutex::new(());
    // One that failed hurts no other.
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    run(test);
}
