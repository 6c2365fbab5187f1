//! Runs a node until it is stopped.
//!
//! Invariant: the first signal loses nothing that was begun; the second one loses what a crash would lose.

use crate::arguments::Run;
use crate::cluster;
use crate::control::{self, Answer, Conversation, MAX_QUESTION, Question};
use crate::failure::{Failure, chain};
use crate::inspect;
use crate::key;
use crate::log::{self, Level};
use crate::owner;
use crate::places;
use crate::screen;
use crate::summary;
use crate::trouble::{self, Trouble};
use amiko_core::PublicKey;
use amiko_core::conversation::NoPeers;
use amiko_core::prelude::*;
use amiko_core::store::{OpenError, Store};
use amiko_examples::payment::{
    Address, Network, Notice, PaymentLimits, PaymentNode, PaymentNodeEnvelope, PaymentNodeMessage, PaymentProtocol,
    Reply,
};
use amiko_examples::running::OutgoingPayment;
use amiko_runtime::{
    BindError, Dialect, Handle, Noise, Offline, Runtime, RuntimeSettings, SecretKey, SendError, Tcp, Transport,
    open_files,
};
use std::error::Error;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

/// Commands that may talk to the node at the same time; further ones wait. With few file descriptors there are fewer: see
/// [`conversations`].
const MAX_CONVERSATIONS: u32 = 1_000;

/// How long the node waits until it accepts the next command when the operating system has refused one.
const BREATH: Duration = Duration::from_millis(50);

/// How long a stopped node waits for answers that are still being sent.
const LAST_WORDS: Duration = Duration::from_millis(500);

pub(crate) type Node<S = Directory> = Handle<PaymentNode, S>;

/// Opens the state of a node on a network; makes the directory if it doesn't exist.
fn open(directory: &Path, network: Network, settings: Settings) -> Result<Engine<PaymentNode>, Failure> {
    owner::check_directory(directory)?;
    let engine = open_store(Directory::open(directory), directory, network, settings)?;
    let found = engine.node().network;
    if found == network {
        return Ok(engine);
    }
    Err(Failure::Refused(format!(
        "expected a node on the network {network} in {}, found one on {found}: run it with `--network {found}`, or choose \
         another directory",
        directory.display()
    )))
}

/// Opens the state in an open store; a new state belongs to this network.
pub(crate) fn open_store(
    store: Result<Directory, OpenError>,
    directory: &Path,
    network: Network,
    settings: Settings,
) -> Result<Engine<PaymentNode>, Failure> {
    let store = store.map_err(|error| Failure::open(&error))?;
    let engine = Engine::open_with(store, settings, || PaymentNode { network, ..PaymentNode::default() })
        .map_err(|error| Failure::engine(&error, directory))?;
    if let Some(torn) = engine.torn() {
        let text = format!(
            "the last write to {} was torn by a crash: {} bytes that were never acknowledged are cut off",
            torn.file.display(),
            torn.bytes_cut
        );
        screen::notice(Level::Warn, text);
    }
    for damaged in engine.damaged() {
        let text = format!(
            "{}; an older snapshot and the journal have led to the same state, and a new one is written",
            damaged.reason
        );
        screen::notice(Level::Warn, text);
    }
    Ok(engine)
}

pub(crate) async fn run(arguments: &Run, directory: &Path, json: bool) -> Result<ExitCode, Failure> {
    let place = places::find(arguments)?;
    let limits =
        arguments.limit.iter().try_fold(PaymentLimits::default(), |limits, (name, value)| limits.with(name, *value));
    let limits = limits.map_err(|rejection| Failure::Usage(rejection.to_string()))?;
    // What is wrong with the command line is told to whoever has written it, and not to a log.
    log::begin(arguments.log)?;
    // This is a first try, so that a port in use leaves no new directory behind; the real bind is below.
    drop(
        std::net::TcpListener::bind(place)
            .map_err(|source| Failure::Refused(chain(&BindError::Listen { address: place, source })))?,
    );
    let (ear, troubles) = trouble::listen();
    let mut settings = RuntimeSettings::default();
    settings.listen = Some(place);
    settings.log = Some(Arc::new(move |event| {
        ear.hear(event);
        log::event(event);
    }));
    if arguments.network == Network::Prototype3 {
        settings.conversation.dialect = Dialect::ByIndex;
    }
    let attended = Attended { arguments, directory, limits, troubles, json };
    match &arguments.store {
        Some(url) => cluster::run(url, settings, attended).await,
        None => {
            let engine = open(directory, arguments.network, engine_settings(arguments))?;
            let key = key(directory, engine.node().key, arguments.network)?;
            lead(Runtime::with_settings(engine, settings), key, attended).await
        }
    }
}

/// How an engine of the node works.
pub(crate) fn engine_settings(arguments: &Run) -> Settings {
    let mut kept = Settings::default();
    if arguments.inspect.is_some() {
        kept.deliveries = inspect::DELIVERIES;
    }
    kept
}

/// Runs a node with its network, and answers commands until it is told to stop.
pub(crate) async fn lead<S: Store + Send + 'static>(
    runtime: Runtime<NoPeers<PaymentNode>, S, Offline>,
    key: Option<SecretKey>,
    attended: Attended<'_>,
) -> Result<ExitCode, Failure> {
    match key {
        Some(key) => {
            let public = key.public();
            let runtime = runtime.with_network(PaymentProtocol, Noise::new(key)).await.map_err(Failure::refused)?;
            attend_one(runtime, Some(public), attended).await
        }
        None => {
            let runtime = runtime.with_network(PaymentProtocol, Tcp).await.map_err(Failure::refused)?;
            attend_one(runtime, None, attended).await
        }
    }
}

async fn attend_one<S: Store + Send + 'static, T: Transport>(
    runtime: Runtime<PaymentProtocol, S, T>,
    key: Option<PublicKey>,
    attended: Attended<'_>,
) -> Result<ExitCode, Failure> {
    let listens = runtime.local_addr();
    let handle = runtime.handle();
    let (_leads, leading) = watch::channel(listens.map(|address| Leads { address, key }));
    attend(handle, async { runtime.run().await.map(drop).map_err(Failure::run) }, leading, attended).await
}

/// The key of the node; none on a network without keys. The user is told if the node had another key before.
fn key(directory: &Path, known: Option<PublicKey>, network: Network) -> Result<Option<SecretKey>, Failure> {
    if network == Network::Prototype3 {
        return Ok(None);
    }
    let key = key::open(directory, known)?;
    let public = key.public();
    if let Some(known) = known.filter(|known| *known != public) {
        let text =
            format!("the key of this node is {public} now and was {known}: every neighbour has to renew its link");
        screen::notice(Level::Warn, text);
    }
    Ok(Some(key))
}

/// A node that leads.
#[derive(Clone, Copy)]
pub(crate) struct Leads {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    pub(crate) key: Option<PublicKey>,
}

/// What a run needs beside its node.
pub(crate) struct Attended<'a> {
    pub(crate) arguments: &'a Run,
    pub(crate) directory: &'a Path,
    pub(crate) limits: PaymentLimits,
    pub(crate) troubles: Receiver<Trouble>,
    pub(crate) json: bool,
}

/// Answers commands while a node runs, until it is told to stop. `leads` says where it listens, each time that it begins to lead.
pub(crate) async fn attend<S: Store + 'static>(
    handle: Node<S>,
    running: impl Future<Output = Result<(), Failure>>,
    leads: watch::Receiver<Option<Leads>>,
    attended: Attended<'_>,
) -> Result<ExitCode, Failure> {
    let Attended { arguments, directory, limits, troubles, json } = attended;
    let listener = listen(directory)?;
    // It ends with the events of the network.
    tokio::spawn(trouble::tell(troubles, handle.clone()));
    let mut signals = Signals::new()?;
    let conversations = conversations();
    let places = Arc::new(Semaphore::new(conversations as usize));
    let begin = greet(&handle, leads, (arguments, directory, limits), json);
    let serve = async { tokio::try_join!(begin, serve(&listener, &handle, &places)).map(drop) };
    let mut running = pin!(running);
    let (served, ended) = tokio::select! {
        ended = &mut running => (Ok(()), Some(ended)),
        served = serve => (served, None),
        _ = signals.next() => {
            screen::notice(Level::Info, "stopping; a second signal ends it at once");
            (Ok(()), None)
        }
    };
    let stop = async {
        handle.stop();
        let ended = match ended {
            Some(ended) => ended,
            None => running.await,
        };
        // Earlier callers may still get their answers.
        drop(tokio::time::timeout(LAST_WORDS, places.acquire_many(conversations)).await);
        ended
    };
    let stopped = tokio::select! {
        stopped = stop => stopped,
        signal = signals.next() => return Ok(ExitCode::from(128 + signal)),
    };
    drop(std::fs::remove_file(control::socket(directory)));
    served.and(stopped).map(|()| ExitCode::SUCCESS)
}

/// Tells a node who it is each time that it begins to lead, and the user where it is for the first time.
async fn greet<S: Store + 'static>(
    handle: &Node<S>,
    mut leads: watch::Receiver<Option<Leads>>,
    (arguments, directory, limits): (&Run, &Path, PaymentLimits),
    json: bool,
) -> Result<(), Failure> {
    let mut greeted = false;
    loop {
        let led = *leads.borrow_and_update();
        if let Some(Leads { address: local, key }) = led {
            let here = || Address { host: local.ip().to_string(), port: local.port() };
            let address = arguments.advertise.clone().unwrap_or_else(here);
            match begin(handle, arguments, address.clone(), key, limits.clone()).await {
                Ok(()) if greeted => screen::notice(Level::Info, format!("leads again, and listens on {local}")),
                Ok(()) => {
                    announce(handle, (arguments, directory, key), local, address, json).await?;
                    greeted = true;
                }
                // It has lost its lease at once: it is told the next time.
                Err(Failure::NotLeader(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        if leads.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Says where a node is.
async fn announce<S: Store + 'static>(
    handle: &Node<S>,
    (arguments, directory, key): (&Run, &Path, Option<PublicKey>),
    local: SocketAddr,
    address: Address,
    json: bool,
) -> Result<(), Failure> {
    let history = arguments.store.is_none().then_some(directory);
    let shown = match &arguments.inspect {
        Some(address) => Some(inspect::begin(address, handle.clone(), history).await?),
        None => None,
    };
    if json {
        let (directory, address) = (directory.display().to_string(), address.to_string());
        let (network, key) = (arguments.network, key.map(|key| key.to_string()));
        let started = Started { directory, network, address, key, listen: local.to_string(), inspect: shown };
        screen::document(&started)?;
    } else {
        let directory = screen::plain(&directory.display().to_string());
        screen::say(format_args!("node {directory} listens on {local}, as {address}"));
        if let Some(url) = shown {
            screen::say(format_args!("inspect it at {url}"));
        }
    }
    screen::written()
}

/// What `run --json` prints when the node is ready.
#[derive(Serializable)]
struct Started {
    directory: String,
    network: Network,
    address: String,
    key: Option<String>,
    listen: String,
    /// Where a browser can look into it, if that was asked for.
    inspect: Option<String>,
}

async fn begin<S: Store>(
    handle: &Node<S>,
    arguments: &Run,
    address: Address,
    key: Option<PublicKey>,
    limits: PaymentLimits,
) -> Result<(), Failure> {
    let external = arguments.external_meeting_point.iter().map(|name| Id::new(name.clone())).collect();
    let configure = PaymentNodeMessage::Configure {
        address: Some(address),
        key,
        payout_address: arguments.payout_address.clone(),
        external_meeting_points: external,
        timeout_increment: arguments.timeout_increment,
        limits,
    };
    match handle.command(PaymentNodeEnvelope::PaymentNode(configure)).await {
        Ok(_) => Ok(()),
        Err(error @ SendError::NotLeader { .. }) => Err(Failure::NotLeader(chain(&error))),
        // The store has failed at once: a standby follows again, and is told the next time that it leads.
        Err(error @ SendError::Unknown) if arguments.standby => Err(Failure::NotLeader(chain(&error))),
        Err(error) => Err(Failure::refused(error)),
    }
}

/// The signals that stop the process.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// The terminal is gone; `None` if whoever started the node has it ignore that, as `nohup` does.
    hangup: Option<Signal>,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Failure> {
        let hear = |kind| signal(kind).map_err(Failure::system);
        let hangup = if hangup_is_ignored() { None } else { Some(hear(SignalKind::hangup())?) };
        Ok(Self { terminate: hear(SignalKind::terminate())?, interrupt: hear(SignalKind::interrupt())?, hangup })
    }

    /// Waits for the next one and returns its number.
    pub(crate) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.terminate.recv() => 15,
            _ = self.interrupt.recv() => 2,
            _ = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            } => 1,
        }
    }
}

/// Whether this process was started with SIGHUP ignored. Where the operating system doesn't say it, it isn't.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

fn listen(directory: &Path) -> Result<UnixListener, Failure> {
    let path = control::socket(directory);
    // This process has locked the directory, so an existing socket belongs to a process that has ended.
    drop(std::fs::remove_file(&path));
    let refused = |error: std::io::Error| {
        Failure::Refused(format!("can't listen on {}: {error}; a shorter path may help", path.display()))
    };
    let listener = UnixListener::bind(&path).map_err(refused)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(refused)?;
    Ok(listener)
}

/// How many commands may talk to the node: a quarter of the files that it may have open. Peers that dial get half of them, and the last
/// quarter is for its own files and its own dialling.
fn conversations() -> u32 {
    u32::try_from(open_files() / 4).unwrap_or(u32::MAX).clamp(1, MAX_CONVERSATIONS)
}

async fn serve<S: Store + 'static>(
    listener: &UnixListener,
    handle: &Node<S>,
    places: &Arc<Semaphore>,
) -> Result<(), Failure> {
    loop {
        // The semaphore is never closed, so this only waits.
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return Ok(()) };
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely no file descriptor is left: the command waits, and the node goes on.
            sleep(BREATH).await;
            continue;
        };
        let handle = handle.clone();
        tokio::spawn(async move {
            // The caller has gone: nobody is left to tell.
            drop(converse(stream, &handle).await);
            drop(place);
        });
    }
}

async fn converse<S: Store + 'static>(stream: UnixStream, handle: &Node<S>) -> std::io::Result<()> {
    let mut conversation = Conversation::new(stream);
    loop {
        let question = match conversation.hear::<Question>(MAX_QUESTION).await {
            Ok(Some(question)) => question,
            Ok(None) => return Ok(()),
            Err(error) => return conversation.say(&refused(format!("the command: {error}"))).await,
        };
        if let Question::Pay { url, via } = question {
            return pay(&mut conversation, handle, PaymentNodeMessage::Pay { url, via }).await;
        }
        let answer = answer(question, handle).await.unwrap_or_else(|refused| refused);
        conversation.say(&answer).await?;
    }
}

async fn answer<S: Store + 'static>(question: Question, handle: &Node<S>) -> Result<Answer, Answer> {
    let message = match question {
        Question::List => return summary::list(handle).await,
        Question::Link { link } => return Ok(Answer::Link { summary: summary::link(handle, &link).await? }),
        Question::Requests => return summary::requests(handle).await,
        Question::Document => {
            let text =
                handle.query(|engine| engine.document_without_secrets()).await.map_err(|error| refusal(&error))?;
            return Ok(Answer::Document { text: text.map_err(|error| refusal(&error))? });
        }
        Question::Payments => {
            let records = handle
                .query(|engine| engine.node().payments.iter().map(|(_, record)| record.clone()).collect::<Vec<_>>());
            return Ok(Answer::Payments { records: records.await.map_err(|error| refusal(&error))? });
        }
        Question::AddLink { name, to } => PaymentNodeMessage::AddLink { name, to },
        Question::RenewLink { link, to } => PaymentNodeMessage::RenewLink { link, to },
        Question::Reconcile { link } => PaymentNodeMessage::Reconcile { link },
        Question::RemoveLink { link } => PaymentNodeMessage::RemoveLink { link },
        Question::AddMeetingPoint { name } => PaymentNodeMessage::AddMeetingPoint { name },
        Question::RemoveMeetingPoint { name } => PaymentNodeMessage::RemoveMeetingPoint { name },
        Question::Cancel { payment } => PaymentNodeMessage::Cancel { payment },
        Question::Accept { link, classes } => PaymentNodeMessage::Accept { link, classes },
        Question::Deposit { link, class, amount } => PaymentNodeMessage::Deposit { link, class, amount },
        Question::Withdraw { link, channel } => PaymentNodeMessage::Withdraw { link, channel },
        Question::PayBack { link, channel, transaction } => PaymentNodeMessage::PayBack { link, channel, transaction },
        Question::Request { amount, receipt, via } => PaymentNodeMessage::Request { amount, receipt, via },
        Question::Pay { .. } | Question::Agree | Question::Refuse => {
            return Err(refused("expected a payment to agree to, found none".into()));
        }
    };
    let done = summary::Done::of(&message);
    let sent = handle.command(PaymentNodeEnvelope::PaymentNode(message)).await;
    let reply = sent.map_err(|error| refusal(&error))?;
    Ok(match reply.map(|reply| reply.read()).transpose().map_err(|error| refusal(&error))? {
        Some(Reply::Url { url }) => Answer::Url { url, did: done.instead_of_url() },
        _ => done.answer(handle).await?,
    })
}

/// The refusal of a command, with the chain of messages that led to it apart.
pub(crate) fn refusal(error: &(dyn Error + 'static)) -> Answer {
    let details = chain(error);
    match error.downcast_ref() {
        Some(SendError::Rejected(rejection)) => Answer::Refused { reason: rejection.reason().to_owned(), details },
        _ => refused(details),
    }
}

fn refused(reason: String) -> Answer {
    Answer::Refused { details: reason.clone(), reason }
}

/// A payment: begins it, asks the user, and reports how it ended.
async fn pay<S: Store>(
    conversation: &mut Conversation,
    handle: &Node<S>,
    message: PaymentNodeMessage,
) -> std::io::Result<()> {
    let refused = |reason: Box<dyn Error + Send + Sync>| refusal(&*reason);
    let told = |notice| match notice {
        Notice::Receipt { payer, amount, receipt } => Answer::Receipt { payer, amount, receipt },
        Notice::Ended { record } => Answer::Ended { record },
    };
    let mut payment = match OutgoingPayment::begin(handle, message).await {
        Ok(payment) => payment,
        Err(reason) => return conversation.say(&refused(reason)).await,
    };
    let first = payment.next().await.map(told);
    let asked = matches!(first, Ok(Answer::Receipt { .. }));
    conversation.say(&first.unwrap_or_else(refused)).await?;
    if !asked {
        return Ok(());
    }
    // A user who leaves without an answer hasn't decided anything, and may go on later.
    let agreed = match conversation.hear::<Question>(MAX_QUESTION).await {
        Ok(Some(Question::Agree)) => true,
        Ok(Some(Question::Refuse)) => false,
        _ => return Ok(()),
    };
    let last = match payment.decide(handle, agreed).await {
        Ok(()) => payment.end().await.map(|record| Answer::Ended { record }),
        Err(reason) => Err(reason),
    };
    conversation.say(&last.unwrap_or_else(refused)).await
}
