//! What one would write by hand for a payment between two channels, with nothing in it that isn't needed.
//!
//! Invariant: it keeps the same objects as Amiko, and if it writes records, the lines are the same, byte for byte.

use crate::channels::{Channel, MOST_RECEIVED, Payment, channels};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Versions that are kept, as by default in Amiko.
const HISTORY: usize = 1_000;

/// The old objects of an event, by their keys.
type Undo = Vec<(u64, Arc<Channel>)>;

/// A version that is kept: how to get back to the one before it, and its record.
struct Past {
    undo: Undo,
    record: String,
}

/// The state: a hash table of shared objects, with the old ones as undo log and as history.
pub struct ByHand {
    channels: HashMap<u64, Arc<Channel>, foldhash::fast::RandomState>,
    history: VecDeque<Past>,
    sequence: u64,
    /// The first record of those that wait for a sync.
    group: u64,
    lines: Vec<u8>,
}

impl ByHand {
    /// A state of so many objects.
    pub fn of(count: u64) -> Self {
        let channels = channels(count).map(|channel| (channel.id, Arc::new(channel))).collect();
        Self { channels, history: VecDeque::new(), sequence: 0, group: 1, lines: Vec::new() }
    }

    /// The object with this key.
    pub fn get(&self, key: u64) -> Option<&Channel> {
        self.channels.get(&key).map(|channel| &**channel)
    }

    /// The object with this key, as it was before the last version.
    pub fn get_before(&self, key: u64) -> Option<&Channel> {
        let last = self.history.back()?;
        last.undo.iter().find(|(touched, _)| *touched == key).map(|(_, old)| &**old).or_else(|| self.get(key))
    }

    /// The lines of the journal since the last sync.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Handles a payment, and tells whether it was committed. No record is written.
    pub fn handle(&mut self, payment: &Payment) -> bool {
        let Some(undo) = self.change(payment) else { return false };
        let record = self.forget();
        self.history.push_back(Past { undo, record });
        true
    }

    /// The same, with a record, its checksum, and the record in the history.
    pub fn handle_and_record(&mut self, payment: &Payment) -> bool {
        let Some(undo) = self.change(payment) else { return false };
        let mut record = self.forget();
        self.sequence += 1;
        record.clear();
        self.write_record(&mut record, payment, &undo);
        self.seal(&record);
        self.history.push_back(Past { undo, record });
        true
    }

    /// Forgets the lines that a sync has made durable.
    pub fn sync(&mut self) {
        self.lines.clear();
        self.group = self.sequence + 1;
    }

    /// Changes the objects, or none of them.
    fn change(&mut self, payment: &Payment) -> Option<Undo> {
        let mut undo = Vec::with_capacity(2);
        if self.try_change(payment, &mut undo).is_some() {
            return Some(undo);
        }
        for (key, old) in undo.into_iter().rev() {
            self.channels.insert(key, old);
        }
        None
    }

    fn try_change(&mut self, payment: &Payment, undo: &mut Undo) -> Option<()> {
        let mut from = Channel::clone(self.channels.get(&payment.from)?);
        from.balance -= payment.amount + i64::from(self.channels.get(&payment.through)?.fee);
        self.put(payment.from, from, undo);
        let mut to = Channel::clone(self.channels.get(&payment.to)?);
        if payment.amount > MOST_RECEIVED {
            return None;
        }
        to.balance += payment.amount;
        self.put(payment.to, to, undo);
        Some(())
    }

    /// Puts another version of an object into its place, and the old one into the undo log.
    fn put(&mut self, key: u64, channel: Channel, undo: &mut Undo) {
        let old = self.channels.insert(key, Arc::new(channel)).expect("is there");
        undo.push((key, old));
    }

    /// Makes room for a version, and hands over the memory of the oldest one's record.
    fn forget(&mut self) -> String {
        if self.history.len() < HISTORY {
            return String::new();
        }
        self.history.pop_front().map_or_else(String::new, |past| past.record)
    }

    fn write_record(&self, out: &mut String, payment: &Payment, undo: &Undo) {
        let Payment { from, through, to, amount, time } = *payment;
        out.push_str("{\"seq\":");
        integer(out, self.sequence);
        out.push_str(",\"time\":");
        integer(out, time);
        out.push_str(r#","cause":{"_class":"Command","envelope":{"kind":"channel","id":""#);
        integer(out, from);
        out.push_str(r#"","message":{"_class":"Pay","amount":"#);
        integer(out, amount);
        out.push_str(",\"through\":\"");
        integer(out, through);
        out.push_str("\",\"to\":\"");
        integer(out, to);
        out.push_str("\"}}},\"patch\":[");
        let start = out.len();
        for (key, old) in undo {
            if let Some(new) = self.channels.get(key) {
                difference(out, start, *key, old, new);
            }
        }
        out.push_str("]}");
    }

    /// Adds a record to the lines of the journal, with its checksum and the first record of its group.
    fn seal(&mut self, record: &str) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let body = &record.as_bytes()[1..];
        self.lines.extend_from_slice(b"{\"crc\":\"00000000\",");
        let start = self.lines.len();
        if self.group != self.sequence {
            self.lines.extend_from_slice(b"\"group\":");
            self.lines.extend_from_slice(itoa::Buffer::new().format(self.group).as_bytes());
            self.lines.push(b',');
        }
        self.lines.extend_from_slice(body);
        // Of all of it at once.
        let crc = crc32c::crc32c(&self.lines[start..]);
        let digits: [u8; 8] = std::array::from_fn(|at| DIGITS[(crc >> (28 - 4 * at)) as usize & 15]);
        self.lines[start - 10..start - 2].copy_from_slice(&digits);
        self.lines.push(b'\n');
    }
}

fn integer(out: &mut String, value: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// Text without escapes, which the names of channels are; others are escaped.
fn text(out: &mut String, value: &str) {
    out.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            character => out.push(character),
        }
    }
    out.push('"');
}

/// What has changed in one object, field by field.
fn difference(out: &mut String, start: usize, key: u64, old: &Channel, new: &Channel) {
    let mut replaced = |field: &str, write: &dyn Fn(&mut String)| {
        if out.len() > start {
            out.push(',');
        }
        out.push_str(r#"{"op":"replace","path":"/state/channels/"#);
        integer(out, key);
        out.push('/');
        out.push_str(field);
        out.push_str("\",\"value\":");
        write(out);
        out.push('}');
    };
    if old.id != new.id {
        replaced("id", &|out| integer(out, new.id));
    }
    if old.owner != new.owner {
        replaced("owner", &|out| text(out, &new.owner));
    }
    if old.peer != new.peer {
        replaced("peer", &|out| text(out, &new.peer));
    }
    if old.note != new.note {
        replaced("note", &|out| text(out, &new.note));
    }
    if old.capacity != new.capacity {
        replaced("capacity", &|out| integer(out, new.capacity));
    }
    if old.balance != new.balance {
        replaced("balance", &|out| integer(out, new.balance));
    }
    if old.fee != new.fee {
        replaced("fee", &|out| integer(out, new.fee));
    }
    if old.open != new.open {
        replaced("open", &|out| out.push_str(if new.open { "true" } else { "false" }));
    }
    if old.updated != new.updated {
        replaced("updated", &|out| integer(out, new.updated));
    }
    // Whoever writes this knows that no payment changes the map.
}
