//! One socket: a task that reads lines and writes batches.
//!
//! Invariant: a socket keeps at most one unfinished line, [`RuntimeSettings::waiting`] lines that wait for the event loop,
//! and two batches. It reads nothing while the loop has no room, or while the peer is over its rate.

use crate::places::Place;
use crate::rate::Rate;
use crate::settings::RuntimeSettings;
use crate::transport::Transport;
use amiko_core::PublicKey;
use amiko_core::conversation::{Disconnect, Lines, ProtocolError, SocketId};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

/// Bytes per read.
const READ: usize = 16 << 10;

/// The batch that is being written, and the last one of a socket that is being closed.
const BATCHES: usize = 2;

/// What the tasks report to the event loop.
pub(crate) enum Signal<T: Transport> {
    Accepted {
        incoming: T::Incoming,
        peer: SocketAddr,
    },
    AcceptFailed {
        error: io::Error,
    },
    Dialled {
        socket: SocketId,
        outcome: io::Result<T::Stream>,
    },
    /// The key that a peer which dialled has proven to own.
    Proven {
        socket: SocketId,
        key: PublicKey,
    },
    Line {
        socket: SocketId,
        line: String,
        /// Its place among the waiting lines of its peer.
        place: Option<OwnedSemaphorePermit>,
    },
    /// A batch was written: there is room for the next.
    Written {
        socket: SocketId,
    },
    /// The socket is gone.
    Ended {
        socket: SocketId,
        reason: Disconnect,
    },
}

/// The stream that a socket is opened on.
pub(crate) enum Opening<T: Transport> {
    /// This side dialled, and the handshake is over.
    Dialled(T::Stream),
    /// A peer dialled.
    Accepted { transport: Arc<T>, incoming: T::Incoming },
}

/// The loop's end of a socket. When it is dropped, the socket sends its last batches, closes, and waits a moment for
/// the peer to close it too.
pub(crate) struct Socket {
    batches: mpsc::Sender<Vec<u8>>,
    task: AbortHandle,
}

impl Socket {
    /// Starts reading and writing.
    pub(crate) fn open<T: Transport>(
        opening: Opening<T>,
        id: SocketId,
        place: Option<Place>,
        settings: &RuntimeSettings,
        signals: &mpsc::Sender<Signal<T>>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (batches, queue) = mpsc::channel(BATCHES);
        let task = Task {
            id,
            line: settings.conversation.line,
            silence: settings.conversation.silence,
            waiting: Arc::new(Semaphore::new(settings.waiting.clamp(1, Semaphore::MAX_PERMITS))),
            rate: (settings.rate, settings.burst),
            _place: place,
            farewell: settings.farewell,
            signals: signals.clone(),
        };
        Self { batches, task: tasks.spawn(task.run(opening, queue)) }
    }

    /// Queues a batch. The next one may follow after [`Signal::Written`] for this one; only a last batch may follow sooner.
    pub(crate) fn write(&self, batch: Vec<u8>) {
        // This fails only if the task has ended, which it reports itself.
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
    /// How long one write may take.
    silence: Duration,
    /// Lines of this peer that may wait.
    waiting: Arc<Semaphore>,
    /// Lines per second, and lines at once.
    rate: (u32, u32),
    /// For a peer that dialled: held as long as the socket exists.
    _place: Option<Place>,
    farewell: Duration,
    signals: mpsc::Sender<Signal<T>>,
}

impl<T: Transport> Task<T> {
    async fn run(self, opening: Opening<T>, queue: mpsc::Receiver<Vec<u8>>) {
        let end = match self.begin(opening).await {
            Ok(stream) => self.serve(stream, queue).await,
            Err(error) => Some(error.into()),
        };
        if let Some(reason) = end {
            self.tell(Signal::Ended { socket: self.id, reason }).await;
        }
    }

    /// The handshake of a peer that dialled. It may take as long as the conversation waits for a hello.
    async fn begin(&self, opening: Opening<T>) -> io::Result<T::Stream> {
        let (transport, incoming) = match opening {
            Opening::Dialled(stream) => return Ok(stream),
            Opening::Accepted { transport, incoming } => (transport, incoming),
        };
        let (stream, key) = transport.handshake(incoming).await?;
        if let Some(key) = key {
            self.tell(Signal::Proven { socket: self.id, key }).await;
        }
        Ok(stream)
    }

    /// Returns why the socket is gone, or nothing if the loop asked for it. The stream is closed by then.
    async fn serve(&self, stream: T::Stream, queue: mpsc::Receiver<Vec<u8>>) -> Option<Disconnect> {
        let (reader, writer) = tokio::io::split(stream);
        let mut reading = pin!(self.read(reader));
        let mut writing = pin!(self.write(writer, queue));
        tokio::select! {
            reason = &mut reading => Some(reason),
            written = &mut writing => match written {
                Err(reason) => Some(reason),
                Ok(()) => {
                    // Closing with unread data would make TCP discard what the peer hasn't read yet.
                    let _ = timeout(self.farewell, reading).await;
                    None
                }
            }
        }
    }

    async fn read(&self, mut reader: impl AsyncRead + Unpin) -> Disconnect {
        let mut lines = Lines::new(self.line);
        let mut rate = Rate::new(self.rate.0, self.rate.1, Instant::now());
        loop {
            match self.read_line(&mut reader, &mut lines).await {
                Ok(line) => self.take(line, &mut rate).await,
                Err(reason) => return reason,
            }
        }
    }

    /// Passes a line to the loop, once there is a place for it and the rate allows one more.
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
        loop {
            match lines.next_line() {
                Ok(Some(line)) => return Ok(line.to_owned()),
                Ok(None) => {}
                Err(error) => return Err(Disconnect::Protocol(ProtocolError::Line(error))),
            }
            match reader.read_buf(lines.room(READ)).await {
                Ok(0) => return Err(Disconnect::Ended),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
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
        // If the loop has ended nobody listens, and all its tasks end.
        let _ = self.signals.send(signal).await;
    }
}
