//! What one would write by hand for these very events, and for no others.
//!
//! Invariant: all lines of a group are on the disk when its successor is given to the disk.

use super::{Contender, prewritten};
use crate::channels::{Channel, MOST_RECEIVED, Payment, objects, ours, payment};
use amiko_core::prelude::*;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Versions that are kept, as by default in Amiko.
const HISTORY: usize = 1_000;
/// What a line begins with; the checksum, of all that follows the comma, comes last.
const SEAL: &[u8] = b"{\"crc\":\"00000000\",";
/// Where the checksum is in it.
const CHECKSUM: Range<usize> = 8..16;

type Version = Vec<(u64, Arc<Channel>)>;

/// A hash table of shared objects, an undo log that becomes history, JSON by hand, and a thread that writes.
pub(super) struct Pipeline {
    channels: HashMap<u64, Arc<Channel>, foldhash::fast::RandomState>,
    undo: Version,
    history: VecDeque<Version>,
    sequence: u64,
    lines: Vec<u8>,
    writer: Writer,
    count: u64,
}

/// The thread that writes one group while the next one fills.
struct Writer {
    full: Sender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    busy: bool,
}

impl Writer {
    fn new(file: File, size: u64) -> Self {
        let ((full, groups), (written, empty)) = (channel::<Vec<u8>>(), channel());
        std::thread::spawn(move || {
            let mut at = 0;
            groups.into_iter().try_for_each(|mut lines| {
                if at + lines.len() as u64 > size {
                    at = 0;
                }
                file.write_all_at(&lines, at).expect("writes");
                file.sync_data().expect("syncs");
                at += lines.len() as u64;
                lines.clear();
                written.send(lines).ok()
            })
        });
        Self { full, empty, busy: false }
    }

    /// Waits until it has nothing to do; gives the room of what it has written.
    fn wait(&mut self) -> Vec<u8> {
        if std::mem::take(&mut self.busy) { self.empty.recv().expect("writes") } else { Vec::new() }
    }

    fn begin(&mut self, lines: Vec<u8>) {
        self.full.send(lines).expect("writes");
        self.busy = true;
    }
}

impl Pipeline {
    pub(super) fn new(path: &Path, count: u64) -> Self {
        let (file, size) = prewritten(path);
        Self {
            channels: objects(count).map(|peer| (peer.id, Arc::new(ours(&peer)))).collect(),
            undo: Vec::new(),
            history: VecDeque::with_capacity(HISTORY),
            sequence: 0,
            lines: Vec::new(),
            writer: Writer::new(file, size),
            count,
        }
    }

    /// Changes an object of which somebody else may have the version before.
    fn change(&mut self, key: u64, change: impl FnOnce(&mut Channel) -> Option<()>) -> Option<()> {
        let shared = self.channels.get_mut(&key)?;
        self.undo.push((key, Arc::clone(shared)));
        change(Arc::make_mut(shared))
    }

    fn pay(&mut self, payment: &Payment) -> Option<()> {
        let fee = i64::from(self.channels.get(&payment.through)?.fee);
        self.change(payment.from, |from| {
            from.balance -= payment.amount + fee;
            Some(())
        })?;
        self.change(payment.to, |to| {
            to.balance += payment.amount;
            (payment.amount <= MOST_RECEIVED).then_some(())
        })
    }

    fn handle(&mut self, payment: &Payment) {
        if self.pay(payment).is_none() {
            self.channels.extend(self.undo.drain(..).rev());
            return;
        }
        self.sequence += 1;
        self.record(payment);
        // The room of the version that goes is that of the next one.
        let mut oldest =
            if self.history.len() == HISTORY { self.history.pop_front() } else { None }.unwrap_or_default();
        oldest.clear();
        self.history.push_back(std::mem::replace(&mut self.undo, oldest));
    }

    /// Writes the line of an event: what caused it, and the fields that it changed.
    fn record(&mut self, payment: &Payment) {
        let Self { channels, undo, lines, sequence, .. } = self;
        let start = lines.len();
        let mut digits = itoa::Buffer::new();
        lines.extend_from_slice(SEAL);
        for (name, number) in
            [("\"seq\":", *sequence), (",\"time\":", payment.time), (",\"pay\":{\"from\":", payment.from)]
        {
            lines.extend_from_slice(name.as_bytes());
            lines.extend_from_slice(digits.format(number).as_bytes());
        }
        for (name, number) in [(",\"through\":", payment.through), (",\"to\":", payment.to)] {
            lines.extend_from_slice(name.as_bytes());
            lines.extend_from_slice(digits.format(number).as_bytes());
        }
        lines.extend_from_slice(b",\"amount\":");
        lines.extend_from_slice(digits.format(payment.amount).as_bytes());
        lines.extend_from_slice(b"},\"patch\":[");
        for (number, (key, _)) in undo.iter().enumerate() {
            let balance = channels.get(key).map_or(0, |channel| channel.balance);
            if number > 0 {
                lines.push(b',');
            }
            lines.extend_from_slice(b"{\"op\":\"replace\",\"path\":\"/state/channels/");
            lines.extend_from_slice(digits.format(*key).as_bytes());
            lines.extend_from_slice(b"/balance\",\"value\":");
            lines.extend_from_slice(digits.format(balance).as_bytes());
            lines.push(b'}');
        }
        lines.extend_from_slice(b"]}");
        let line = &mut lines[start..];
        let checksum = crc32c::crc32c(&line[SEAL.len()..]);
        for (digit, place) in line[CHECKSUM].iter_mut().rev().enumerate() {
            *place = b"0123456789abcdef"[(checksum >> (4 * digit)) as usize & 15];
        }
        lines.push(b'\n');
    }
}

impl Contender for Pipeline {
    fn commit(&mut self, groups: &mut dyn Iterator<Item = Range<u64>>) {
        for group in groups {
            for event in group {
                self.handle(&payment(event, self.count));
            }
            let empty = self.writer.wait();
            let full = std::mem::replace(&mut self.lines, empty);
            self.writer.begin(full);
        }
        self.writer.wait();
    }

    fn text(&self, key: u64) -> Option<String> {
        self.channels.get(&key).map(|channel| to_json(&**channel).expect("writes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_with_a_checksum_and_what_is_refused_is_undone() {
        let directory = crate::directory();
        let mut pipeline = Pipeline::new(directory.path(), 100);
        let mut payment = payment(1, 100);
        pipeline.handle(&payment);
        let line = pipeline.lines.clone();
        let value: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
        let body = &line[SEAL.len()..line.len() - 1];
        assert_eq!(value["crc"], format!("{:08x}", crc32c::crc32c(body)));
        assert_eq!(value["patch"].as_array().map(Vec::len), Some(2));
        let before = pipeline.text(payment.from);
        payment.amount = MOST_RECEIVED + 1;
        pipeline.handle(&payment);
        assert_eq!((pipeline.text(payment.from), pipeline.lines), (before, line));
    }
}
