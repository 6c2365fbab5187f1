//! One socket: a task that reads lines and writes batches.
//!
//! Invariant: a socket keeps at most one unfinished line, [`NetSettings::waiting`] lines that wait for the event loop, and
//! two batches; it reads nothing while the loop has no room, or the peer has said more than it may.

use crate::error::{DialError, Disconnect, ProtocolError};
use crate::framing::Lines;
use crate::places::Place;
use crate::rate::Rate;
use crate::settings::{Dialect, NetSettings};
use crate::transport::Transport;
use amiko_core::PublicKey;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Bytes that are read at once.
const READ: usize = 16 << 10;

/// The shortest silence that is waited for.
const TICK: Duration = Duration::from_millis(1);

/// The batch that is being written, and the last one of a socket that is to be closed.
const BATCHES: usize = 2;

/// Tells one socket or dialling from another, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SocketId(pub(crate) u64);

/// What the tasks tell the event loop.
pub(crate) enum Signal<T: Transport> {
    Accepted {
        incoming: T::Incoming,
        peer: SocketAddr,
    },
    AcceptFailed {
        error: io::Error,
    },
    Dialled {
        connection: String,
        dialling: SocketId,
        outcome: Result<T::Stream, DialError>,
    },
    /// The first line of a peer that dialled, and who it has proven to be.
    Hello {
        socket: SocketId,
        key: Option<PublicKey>,
        line: String,
    },
    Line {
        socket: SocketId,
        line: String,
        /// Its place among those of its peer that wait.
        place: Option<OwnedSemaphorePermit>,
    },
    /// A batch was written: there is room for the next.
    Written {
        socket: SocketId,
    },
    /// The peer has said nothing for a while.
    Silent {
        socket: SocketId,
    },
    /// The socket is gone.
    Ended {
        socket: SocketId,
        reason: End,
    },
}

/// Why a socket is gone.
pub(crate) enum End {
    Disconnect(Disconnect),
    /// The first lines didn't come in time, handshake and all.
    NoHello,
}

/// What a socket is opened on.
pub(crate) enum Opening<T: Transport> {
    /// This side dialled, and the handshake is over.
    Dialled(T::Stream),
    /// A peer dialled. It has one deadline for the handshake and its first line together.
    Accepted { transport: Arc<T>, incoming: T::Incoming },
}

/// The loop's end of a socket. Dropped, the socket sends what it was given, closes, and waits a moment for the peer to
/// close it too.
pub(crate) struct Socket {
    pub(crate) id: SocketId,
    batches: mpsc::Sender<Vec<u8>>,
    task: AbortHandle,
}

impl Socket {
    /// Begins to read and to write. The peer has to say who it is, if it dialled, and where it stands, in time.
    pub(crate) fn open<T: Transport>(
        opening: Opening<T>,
        id: SocketId,
        place: Option<Place>,
        settings: &NetSettings,
        signals: &mpsc::Sender<Signal<T>>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (batches, queue) = mpsc::channel(BATCHES);
        let task = Task {
            id,
            line: settings.line,
            deadline: Instant::now() + settings.handshake,
            resumes: settings.dialect == Dialect::Amiko,
            silence: settings.silence.max(2 * TICK),
            waiting: Arc::new(Semaphore::new(settings.waiting.clamp(1, Semaphore::MAX_PERMITS))),
            rate: (settings.rate, settings.burst),
            _place: place,
            farewell: settings.farewell,
            signals: signals.clone(),
        };
        Self { id, batches, task: tasks.spawn(task.run(opening, queue)) }
    }

    /// Gives a batch to be written. The next one may follow when this one is [`Signal::Written`], but for a last one.
    pub(crate) fn write(&self, batch: Vec<u8>) {
        // It fails only where the task has ended, and says so itself.
        let _ = self.batches.try_send(batch);
    }

    /// Closes the socket at once, whatever it was sending.
    pub(crate) fn abort(self) {
        self.task.abort();
    }
}

struct Task<T: Transport> {
    id: SocketId,
    line: usize,
    /// Until when the peer has to have said who it is, and where it stands.
    deadline: Instant,
    /// Whether it has to say where it stands.
    resumes: bool,
    silence: Duration,
    /// Lines of this peer that may wait.
    waiting: Arc<Semaphore>,
    /// Lines a second, and at once.
    rate: (u32, u32),
    /// Of a peer that dialled: counted as long as its socket is there.
    _place: Option<Place>,
    farewell: Duration,
    signals: mpsc::Sender<Signal<T>>,
}

impl<T: Transport> Task<T> {
    async fn run(self, opening: Opening<T>, queue: mpsc::Receiver<Vec<u8>>) {
        let mut lines = Lines::new(self.line);
        let end = match self.begin(opening, &mut lines).await {
            Ok(stream) => self.serve(stream, lines, queue).await,
            Err(end) => Some(end),
        };
        if let Some(reason) = end {
            self.tell(Signal::Ended { socket: self.id, reason }).await;
        }
    }

    /// Everything up to the first line of a peer that dialled.
    async fn begin(&self, opening: Opening<T>, lines: &mut Lines) -> Result<T::Stream, End> {
        let (transport, incoming) = match opening {
            Opening::Dialled(stream) => return Ok(stream),
            Opening::Accepted { transport, incoming } => (transport, incoming),
        };
        let greeted = async {
            let (mut stream, key) = transport.handshake(incoming).await?;
            let line = self.read_line(&mut stream, lines).await?;
            Ok((stream, key, line))
        };
        match timeout_at(self.deadline, greeted).await {
            Ok(Ok((stream, key, line))) => {
                self.tell(Signal::Hello { socket: self.id, key, line }).await;
                Ok(stream)
            }
            Ok(Err(reason)) => Err(End::Disconnect(reason)),
            Err(_) => Err(End::NoHello),
        }
    }

    /// Gives why the socket is gone, or nothing if the loop wanted it so. The stream is closed by then.
    async fn serve(&self, stream: T::Stream, lines: Lines, queue: mpsc::Receiver<Vec<u8>>) -> Option<End> {
        let (reader, writer) = tokio::io::split(stream);
        let mut reading = pin!(self.read(reader, lines));
        let mut writing = pin!(self.write(writer, queue));
        tokio::select! {
            end = &mut reading => Some(end),
            written = &mut writing => match written {
                Err(reason) => Some(End::Disconnect(reason)),
                Ok(()) => {
                    // Closed with something unread, TCP would take back what the peer hasn't read yet.
                    let _ = timeout(self.farewell, reading).await;
                    None
                }
            }
        }
    }

    async fn read(&self, mut reader: impl AsyncRead + Unpin, mut lines: Lines) -> End {
        let mut rate = Rate::new(self.rate.0, self.rate.1, Instant::now());
        let mut resumes = self.resumes;
        loop {
            let line = self.read_line(&mut reader, &mut lines);
            let line = if resumes { timeout_at(self.deadline, line).await } else { Ok(line.await) };
            resumes = false;
            match line {
                Ok(Ok(line)) => self.take(line, &mut rate).await,
                Ok(Err(reason)) => return End::Disconnect(reason),
                Err(_) => return End::NoHello,
            }
        }
    }

    /// Gives a line to the loop, when there is a place for it and the peer may say one more.
    async fn take(&self, line: String, rate: &mut Rate) {
        let pause = rate.take(Instant::now());
        if !pause.is_zero() {
            sleep(pause).await;
        }
        // The semaphore is never closed, so this only waits.
        let place = Arc::clone(&self.waiting).acquire_owned().await.ok();
        self.tell(Signal::Line { socket: self.id, line, place }).await;
    }

    async fn read_line(&self, reader: &mut (impl AsyncRead + Unpin), lines: &mut Lines) -> Result<String, Disconnect> {
        let alarm = self.silence / 2;
        // A line that comes byte by byte is no sign of life.
        let mut silent = Instant::now() + alarm;
        loop {
            match lines.next_line() {
                Ok(Some(line)) => return Ok(line.to_owned()),
                Ok(None) => {}
                Err(error) => return Err(Disconnect::Protocol(ProtocolError::Line(error))),
            }
            match timeout_at(silent, reader.read_buf(lines.room(READ))).await {
                Err(_) => {
                    self.tell(Signal::Silent { socket: self.id }).await;
                    silent = Instant::now() + alarm;
                }
                Ok(Ok(0)) => return Err(Disconnect::Ended),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// Writes batches until the loop drops its end.
    async fn write(
        &self,
        mut writer: impl AsyncWrite + Unpin,
        mut queue: mpsc::Receiver<Vec<u8>>,
    ) -> Result<(), Disconnect> {
        while let Some(batch) = queue.recv().await {
            self.in_time(async {
                writer.write_all(&batch).await?;
                writer.flush().await
            })
            .await?;
            self.tell(Signal::Written { socket: self.id }).await;
        }
        self.in_time(writer.shutdown()).await
    }

    async fn in_time(&self, write: impl Future<Output = io::Result<()>>) -> Result<(), Disconnect> {
        match timeout(self.silence, write).await {
            Ok(outcome) => outcome.map_err(Disconnect::from),
            Err(_) => Err(Disconnect::Silent { limit: self.silence }),
        }
    }

    async fn tell(&self, signal: Signal<T>) {
        // Nobody listens any more when the loop has ended, and then all its tasks end.
        let _ = self.signals.send(signal).await;
    }
}
