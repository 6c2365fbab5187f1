//! The log of a running node, on standard error.
//!
//! Invariant: nothing here waits for whoever reads standard error, and nobody else makes the log grow: lines wait in a
//! bounded queue for a thread of their own, and what others cause is summed up.

use crate::failure::Failure;
use amiko_core::serializable::Json;
use amiko_examples::printable;
use amiko_runtime::{Event, LogLimit, LogSum};
use clap::ValueEnum;
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Lines that wait for standard error; at this number, further ones are left out and counted.
const QUEUE: usize = 1_024;
/// Characters of a line that others cause.
const LENGTH: usize = 2_000;
/// Lines a second of each cause.
const LINES: u32 = 5;
/// How long a cause that would have more is silent; then one line says how many there were.
const SILENCE: Duration = Duration::from_secs(10);
/// How much later than that the line may come.
const LATE: Duration = Duration::from_secs(1);
/// How long a process that ends waits for whoever reads its last lines.
const LAST_WORDS: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    fn of(event: &Event) -> Self {
        match event {
            Event::Connected { .. } => Self::Info,
            Event::Conflict { .. } | Event::Unsendable { .. } => Self::Error,
            _ => Self::Warn,
        }
    }
}

struct Line {
    time: SystemTime,
    level: Level,
    event: &'static str,
    text: String,
    connection: Option<String>,
    peer: Option<String>,
    /// How many lines this one stands for.
    count: Option<u64>,
    /// How many lines before this one found no room.
    missed: u64,
}

impl Line {
    fn new(level: Level, event: &'static str, text: String) -> Self {
        Self { time: SystemTime::now(), level, event, text, connection: None, peer: None, count: None, missed: 0 }
    }

    fn of(event: &Event) -> Self {
        let (connection, peer) = match event {
            Event::Connected { connection, peer, .. } | Event::Disconnected { connection, peer, .. } => {
                (Some(connection), Some(peer))
            }
            Event::DialFailed { connection, address, .. } => (Some(connection), Some(address)),
            Event::Refused { peer, .. } => (None, Some(peer)),
            Event::Rejected { connection, .. }
            | Event::Conflict { connection, .. }
            | Event::Unsendable { connection, .. } => (Some(connection), None),
            _ => (None, None),
        };
        let (connection, peer) = (connection.cloned(), peer.cloned());
        Self { connection, peer, ..Self::new(Level::of(event), event.name(), short(event.to_string())) }
    }

    fn sum(sum: &LogSum) -> Self {
        Self { count: Some(sum.count), ..Self::new(Level::Warn, sum.cause, sum.to_string()) }
    }

    fn missed(count: u64) -> Self {
        let text = format!("{count} more found no room here: whoever reads this log is too slow");
        Self { count: Some(count), ..Self::new(Level::Warn, "missed", text) }
    }

    fn write(&self, format: Format) -> String {
        let time = moment(self.time);
        if format == Format::Text {
            return format!("{time} {:5} {}", self.level.name(), printable::plain(&self.text));
        }
        let text = |text: &str| Json::String(text.to_owned());
        let mut fields = vec![
            ("time", text(&time)),
            ("level", text(self.level.name())),
            ("event", text(self.event)),
            ("text", text(&self.text)),
        ];
        fields.extend(self.connection.as_deref().map(|connection| ("connection", text(connection))));
        fields.extend(self.peer.as_deref().map(|peer| ("peer", text(peer))));
        fields.extend(self.count.map(|count| ("count", Json::integer(count))));
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        printable::json(&Json::Object(fields).to_string())
    }
}

/// `2026-11-22T18:56:25.123Z`; what a wrong clock says beyond that is its last or first moment.
fn moment(time: SystemTime) -> String {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST);
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

fn short(text: String) -> String {
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

struct Queue {
    /// None when the log has ended.
    lines: Option<SyncSender<Line>>,
    missed: u64,
}

struct Log {
    queue: Mutex<Queue>,
    limit: LogLimit,
    /// Disconnected when the last line has been written.
    end: Mutex<Receiver<()>>,
}

impl Log {
    fn start(format: Format, mut out: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        let (lines, queue) = sync_channel(QUEUE);
        let (ending, end) = sync_channel(1);
        let log = Arc::new(Self {
            queue: Mutex::new(Queue { lines: Some(lines), missed: 0 }),
            limit: LogLimit::new(LINES, SILENCE),
            end: Mutex::new(end),
        });
        let of_thread = Arc::clone(&log);
        std::thread::Builder::new().name("log".into()).spawn(move || {
            of_thread.write(&queue, format, &mut out);
            drop(ending);
        })?;
        Ok(log)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is locked.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is still a log; a line that finds no room is counted.
    fn push(&self, line: Line) -> bool {
        let mut queue = self.queue();
        let line = Line { missed: queue.missed, ..line };
        let Some(lines) = &queue.lines else { return false };
        queue.missed = if lines.try_send(line).is_ok() { 0 } else { queue.missed.saturating_add(1) };
        true
    }

    /// From now on, each panic is a line. The usual hook waits for whoever reads standard error; and a handler that panics is
    /// undone, so that it may do so again.
    fn hook(self: &Arc<Self>) {
        let log = Arc::clone(self);
        std::panic::set_hook(Box::new(move |panic| {
            if log.limit.admits("panicked", Instant::now()) {
                log.push(Line::new(Level::Error, "panicked", short(panic.to_string().replace('\n', " "))));
            }
        }));
    }

    fn event(&self, event: &Event) {
        // A link that isn't used any more is said once for each, however many there are.
        if matches!(event, Event::Conflict { .. }) || self.limit.admits(event.name(), Instant::now()) {
            self.push(Line::of(event));
        }
    }

    /// What the thread does: it alone waits for whoever reads.
    fn write(&self, lines: &Receiver<Line>, format: Format, out: &mut dyn Write) {
        let mut put = |line: &Line| {
            // If the reader has gone, nobody is left to tell.
            drop(out.write_all((line.write(format) + "\n").as_bytes()));
            drop(out.flush());
        };
        loop {
            let line = lines.recv_timeout(LATE);
            self.limit.due(Instant::now()).iter().for_each(|sum| put(&Line::sum(sum)));
            match line {
                Ok(line) => {
                    if line.missed > 0 {
                        put(&Line::missed(line.missed));
                    }
                    put(&line);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.limit.rest(Instant::now()).iter().for_each(|sum| put(&Line::sum(sum)));
        let missed = self.queue().missed;
        if missed > 0 {
            put(&Line::missed(missed));
        }
    }

    fn end(&self) {
        self.queue().lines = None;
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = end.recv_timeout(LAST_WORDS);
    }
}

/// The log of this process, if it has one.
static LOG: OnceLock<Arc<Log>> = OnceLock::new();

/// From now on, what is said on standard error is a line of the log.
pub(crate) fn begin(format: Format) -> Result<(), Failure> {
    let log = Log::start(format, io::stderr()).map_err(Failure::system)?;
    log.hook();
    drop(LOG.set(log));
    Ok(())
}

/// An event of the network.
pub(crate) fn event(event: &Event) {
    if let Some(log) = LOG.get() {
        log.event(event);
    }
}

/// What the node says itself. Returns false if this process has no log.
pub(crate) fn tell(level: Level, text: impl Display) -> bool {
    LOG.get().is_some_and(|log| log.push(Line::new(level, "node", text.to_string())))
}

/// Writes what is left, unless nobody reads it.
pub(crate) fn end() {
    if let Some(log) = LOG.get() {
        log.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A reader that takes what is written, once it is let.
    struct Slow {
        entered: SyncSender<()>,
        go: Receiver<()>,
        taken: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.entered.try_send(());
            // As soon as the other end is gone, nothing waits any more.
            let _ = self.go.recv();
            self.taken.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn text(taken: &Receiver<Vec<u8>>) -> String {
        String::from_utf8(taken.iter().flatten().collect()).unwrap()
    }

    #[test]
    fn lines_that_find_no_room_are_counted_and_the_next_that_fits_says_so() {
        let ((entered, enters), (go, goes), (taken, takes)) = (sync_channel(1), sync_channel(0), mpsc::channel());
        let log = Log::start(Format::Text, Slow { entered, go: goes, taken }).unwrap();
        let push = |number: usize| assert!(log.push(Line::new(Level::Info, "node", format!("line {number}"))));
        push(0);
        enters.recv().unwrap();
        // The thread waits with the first one; as many fit as the queue holds, and whoever says more doesn't wait.
        std::thread::scope(|scope| {
            let (said, all) = sync_channel(1);
            scope.spawn(move || {
                (1..=QUEUE + 7).for_each(push);
                said.send(()).unwrap();
            });
            let all = all.recv_timeout(Duration::from_secs(60));
            go.send(()).unwrap();
            all.expect("the log waits for its reader");
        });
        enters.recv().unwrap();
        // It has taken one more, so one more fits.
        push(QUEUE + 8);
        drop(go);
        log.end();
        drop(log);
        let said = text(&takes);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), QUEUE + 3, "{said}");
        assert!(lines[QUEUE].ends_with(&format!("info  line {QUEUE}")), "{}", lines[QUEUE]);
        assert!(lines[QUEUE + 1].contains("warn  7 more found no room here"), "{}", lines[QUEUE + 1]);
        assert!(lines[QUEUE + 2].ends_with(&format!("line {}", QUEUE + 8)), "{}", lines[QUEUE + 2]);
    }

    #[test]
    fn a_reader_that_has_gone_ends_nothing() {
        let ((entered, _enters), (go, goes), (taken, takes)) = (sync_channel(1), sync_channel(0), mpsc::channel());
        drop((go, takes));
        let log = Log::start(Format::Json, Slow { entered, go: goes, taken }).unwrap();
        (0..10_000).for_each(|_| assert!(log.push(Line::new(Level::Info, "node", "line".into()))));
        log.end();
        assert!(!log.push(Line::new(Level::Info, "node", "late".into())));
    }

    #[test]
    fn what_others_cause_is_summed_up_and_a_conflict_is_not() {
        let ((entered, _enters), (go, goes), (taken, takes)) = (sync_channel(1), sync_channel(0), mpsc::channel());
        drop(go);
        let log = Log::start(Format::Json, Slow { entered, go: goes, taken }).unwrap();
        for _ in 0..1_500 {
            log.event(&Event::AcceptFailed { error: io::Error::other("\u{1b}[2J\u{202e}\n") });
        }
        log.end();
        drop(log);
        let said = text(&takes);
        let lines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), LINES as usize + 1, "{said}");
        assert_eq!((&lines[0]["event"], &lines[0]["level"]), (&"accept_failed".into(), &"warn".into()));
        assert!(lines[0]["text"].as_str().unwrap().ends_with("\u{1b}[2J\u{202e}\n"), "the same value: {said}");
        assert!(said.lines().all(|line| printable::plain(line) == line), "{said}");
        let sum = &lines[LINES as usize];
        assert_eq!((&sum["count"], &sum["text"]), (&1_495.into(), &"1,495 more accept failed in the last 1 s".into()));
    }

    #[test]
    fn a_panic_is_a_line_and_many_are_summed_up() {
        let ((entered, _enters), (go, goes), (taken, takes)) = (sync_channel(1), sync_channel(0), mpsc::channel());
        drop(go);
        let log = Log::start(Format::Text, Slow { entered, go: goes, taken }).unwrap();
        log.hook();
        (0..9).for_each(|_| drop(std::thread::spawn(|| std::panic::panic_any("a handler\nfailed")).join()));
        drop(std::panic::take_hook());
        log.end();
        drop(log);
        let said = text(&takes);
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[0].contains(" error ") && lines[0].ends_with(": a handler failed"), "{said}");
        assert_eq!(lines.len(), LINES as usize + 1, "{said}");
        assert!(lines[LINES as usize].contains("4 more panicked in the last"), "{said}");
    }

    #[test]
    fn a_line_is_short_and_its_time_is_one_whatever_the_clock_says() {
        assert_eq!(short("é".repeat(LENGTH)).chars().count(), LENGTH);
        assert_eq!(short("é".repeat(LENGTH + 1)).chars().count(), LENGTH + 1);
        assert_eq!(moment(UNIX_EPOCH + Duration::from_millis(1_795_942_585_123)), "2026-11-29T08:56:25.123Z");
        assert_eq!(moment(UNIX_EPOCH - Duration::from_secs(9)), "1970-01-01T00:00:00.000Z");
        assert_eq!(moment(UNIX_EPOCH + Duration::from_secs(1 << 40)), "9999-12-31T23:59:59.000Z");
    }
}
