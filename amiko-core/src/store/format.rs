//! The text of journal lines and snapshots: sealing with a checksum, and opening again.
//!
//! A journal line is `{"crc":"xxxxxxxx",` and a body; the CRC-32C is that of the body. A record
//! that isn't the first of those written by one sync says so: its body begins with
//! `"group":<sequence number of the first>,`. A snapshot is its document with `,\n"crc":"xxxxxxxx"`
//! put in before the last `}` and a newline after it; the CRC-32C is that of all before the comma.
//!
//! The first line of a segment has the body `"format":1,"first":F,"follows":F-1,"previous":P,"time":T}`: the number of
//! its first record, of the snapshot that it follows, and of the first record of the segment before it (not there in the
//! first one of all), and the time of the last event before it.
//!
//! Invariant: every byte that is written is either under a checksum or compared as it is, so no
//! changed byte goes unnoticed. The place of the checksum is the same in every later format, so
//! that damage can be told from a newer version.

/// The newest format that this version reads, and the one that it writes.
pub(super) const FORMAT: u64 = 1;

use crate::time::Time;

const CRC_OPEN: &str = "{\"crc\":\"";
const CRC_CLOSE: &str = "\",";
/// Bytes of `{"crc":"xxxxxxxx",`.
pub(super) const SEAL: usize = CRC_OPEN.len() + 8 + CRC_CLOSE.len();

const GROUP: &str = "\"group\":";

const FOOTER_OPEN: &[u8] = b",\n\"crc\":\"";
const FOOTER_CLOSE: &[u8] = b"\"}\n";
const FOOTER: usize = FOOTER_OPEN.len() + 8 + FOOTER_CLOSE.len();

/// What a text should be and what it is.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) expected: String,
    pub(super) found: String,
    /// The text was written deliberately: it can't come from a write that was cut short.
    pub(super) sealed: bool,
}

/// What the first line of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The sequence number of the first record that the segment may hold.
    pub(super) first: u64,
    /// The first one of the segment before it, if there was one.
    pub(super) previous: Option<u64>,
    /// When the event before it was.
    pub(super) time: Time,
}

/// A record as it is in the journal.
pub(super) struct Record<'l> {
    /// The first sequence number of those synced together; its own if it is the first.
    pub(super) group: u64,
    pub(super) sequence: u64,
    /// The record as appended, without its `{`.
    pub(super) rest: &'l str,
    /// Bytes of the line before `rest`.
    pub(super) skipped: usize,
}

/// Bytes of the line that [`Member::seal`] makes of a record in the group that begins with `group`.
pub(super) fn sealed_len(group: u64, sequence: u64, record: &str) -> usize {
    let digits = |number: u64| number.checked_ilog10().unwrap_or(0) as usize + 1;
    SEAL + if group == sequence { 0 } else { GROUP.len() + digits(group) + 1 } + record.len()
}

/// Where lines are collected.
pub(super) trait Lines {
    fn make_room(&mut self, bytes: usize);
    fn add(&mut self, text: &str);
}

impl Lines for Vec<u8> {
    fn make_room(&mut self, bytes: usize) {
        self.reserve(bytes);
    }

    #[inline]
    fn add(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

impl Lines for String {
    fn make_room(&mut self, bytes: usize) {
        self.reserve(bytes);
    }

    #[inline]
    fn add(&mut self, text: &str) {
        self.push_str(text);
    }
}

/// What the records of a group begin with.
#[derive(Debug, Default)]
pub(super) struct Members {
    first: Member,
    /// The others; made once for all of them.
    group: u64,
    others: Member,
}

impl Members {
    /// That of this record, in the group that begins with `group`.
    #[inline]
    pub(super) fn of(&mut self, group: u64, sequence: u64) -> &Member {
        if group == sequence {
            return &self.first;
        }
        if self.group != group || self.others.text.is_empty() {
            let text = format!("\"group\":{group},");
            (self.group, self.others) = (group, Member { crc: crc32c::crc32c(text.as_bytes()), text });
        }
        &self.others
    }
}

/// What a record begins with, and its checksum: nothing, if it is the first of its group.
#[derive(Debug, Default)]
pub(super) struct Member {
    text: String,
    crc: u32,
}

impl Member {
    /// Bytes of the line that [`Member::seal`] makes.
    #[inline]
    pub(super) fn sealed_len(&self, record: &str) -> usize {
        SEAL + self.text.len() + record.len()
    }

    /// Adds the line of a record; it begins with `{`, which goes before the checksum.
    #[inline]
    pub(super) fn seal(&self, lines: &mut impl Lines, record: &str) {
        seal(lines, self, record.get(1..).unwrap_or_default());
    }
}

/// The first line of a journal segment.
pub(super) fn header(header: Header) -> Vec<u8> {
    let mut line = Vec::new();
    seal(&mut line, &Member::default(), &header_body(header));
    line
}

/// Opens a journal line, without its newline.
pub(super) fn open_record(line: &[u8]) -> Result<Record<'_>, Fault> {
    let body = open(line)?;
    let fault =
        || Fault { expected: "\"seq\" and a number after the checksum".to_owned(), found: excerpt(body), sealed: true };
    let mut rest = str::from_utf8(body).map_err(|_| fault())?;
    let group = match rest.strip_prefix("\"group\":").map(number) {
        None => None,
        Some(Some((group, after))) => {
            rest = after.strip_prefix(',').ok_or_else(fault)?;
            Some(group)
        }
        Some(None) => return Err(fault()),
    };
    let (sequence, _) = rest.strip_prefix("\"seq\":").and_then(number).ok_or_else(fault)?;
    let skipped = line.len() - rest.len();
    Ok(Record { group: group.unwrap_or(sequence), sequence, rest, skipped })
}

/// Opens the first line of a segment. The inner error is a format that is too new.
pub(super) fn open_header(line: &[u8], first: u64) -> Result<Result<Header, u64>, Fault> {
    let body = open(line)?;
    let text = str::from_utf8(body).unwrap_or_default();
    let member = |name: &str| text.split_once(name).and_then(|(_, rest)| number(rest)).map(|(value, _)| value);
    match text.strip_prefix("\"format\":").and_then(number) {
        Some((format, _)) if format > FORMAT => return Ok(Err(format)),
        _ => {}
    }
    let time = Time::from_millis(member(",\"time\":").unwrap_or_default());
    let header = Header { first, previous: member(",\"previous\":"), time };
    // There is one way to write it: whatever was read, this is what it has to be.
    if body == header_body(header).as_bytes() {
        return Ok(Ok(header));
    }
    Err(Fault { expected: format!("the header {}", header_body(header)), found: excerpt(body), sealed: true })
}

/// What ends a snapshot instead of the `}` of its document.
pub(super) fn footer(crc: u32) -> Vec<u8> {
    [FOOTER_OPEN, &hex(crc), FOOTER_CLOSE].concat()
}

/// Turns a snapshot into the document that it was made of. The error comes with line and byte.
pub(super) fn open_snapshot(mut file: Vec<u8>) -> Result<String, (u64, u64, Fault)> {
    let at = file.len().saturating_sub(FOOTER);
    let (body, end) = file.split_at(at);
    let fault = |before: &[u8], expected: String, found: String| {
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        (line as u64, before.len() as u64, Fault { expected, found, sealed: false })
    };
    let crc = hex(crc32c::crc32c(body));
    if !(end.starts_with(FOOTER_OPEN) && end.ends_with(FOOTER_CLOSE)) {
        let expected = "a last line with the checksum of the snapshot".to_owned();
        return Err(fault(body, expected, excerpt(end)));
    }
    let written = &end[FOOTER_OPEN.len()..FOOTER_OPEN.len() + 8];
    if written != crc {
        return Err(fault(body, checksum(written), checksum(&crc)));
    }
    file.truncate(at);
    file.push(b'}');
    String::from_utf8(file).map_err(|error| {
        let (before, after) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        fault(before, "text in UTF-8".to_owned(), excerpt(after))
    })
}

/// Format and sequence number of a document, as far as it begins with them.
pub(super) fn document_start(document: &str) -> (Option<u64>, Option<u64>) {
    let Some((format, rest)) = document.strip_prefix("{\"format\":").and_then(number) else { return (None, None) };
    (Some(format), rest.strip_prefix(",\"seq\":").and_then(number).map(|(sequence, _)| sequence))
}

/// Whether any part of a damaged line, to its end, is a line that somebody sealed, and that was
/// written by a later sync than the record `expected`.
///
/// Lines that have run together because the newline between them was damaged are why this looks
/// inside.
pub(super) fn proves_sync(line: &[u8], expected: u64) -> bool {
    line.windows(CRC_OPEN.len()).enumerate().filter(|(_, window)| *window == CRC_OPEN.as_bytes()).any(|(at, _)| {
        match open_record(&line[at..]) {
            Ok(record) => record.group > expected || record.sequence < expected,
            Err(fault) => fault.sealed,
        }
    })
}

/// Whether a line has all of a record in it, damaged or not: every bracket that it opens is closed again. The first byte
/// counts as one, whatever it is.
///
/// No beginning of a record is that far.
pub(super) fn is_whole(line: &[u8]) -> bool {
    let (mut depth, mut quoted, mut escaped) = (1_usize, false, false);
    for byte in line.iter().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return true;
        }
    }
    false
}

/// What is at the start of a text, on one line and not too long.
pub(super) fn excerpt(text: &[u8]) -> String {
    const LONGEST: usize = 60;
    if text.is_empty() {
        return "nothing".to_owned();
    }
    let shown = String::from_utf8_lossy(&text[..text.len().min(LONGEST)]);
    let more = if text.len() > LONGEST { " …" } else { "" };
    format!("{}{more}", shown.escape_debug())
}

/// What is at the end of a text, on one line and not too long.
pub(super) fn excerpt_end(text: &[u8]) -> String {
    const LONGEST: usize = 30;
    match text.len().checked_sub(LONGEST) {
        None | Some(0) => excerpt(text),
        Some(cut) => format!("… {}", excerpt(&text[cut..])),
    }
}

fn header_body(Header { first, previous, time }: Header) -> String {
    let follows = first.saturating_sub(1);
    let previous = previous.map(|previous| format!(",\"previous\":{previous}")).unwrap_or_default();
    let time = time.as_millis();
    format!("\"format\":{FORMAT},\"first\":{first},\"follows\":{follows}{previous},\"time\":{time}}}")
}

/// Adds a line with a body that begins with `member`.
fn seal(lines: &mut impl Lines, member: &Member, rest: &str) {
    let crc = crc32c::crc32c_append(member.crc, rest.as_bytes());
    lines.make_room(SEAL + member.text.len() + rest.len() + "\n".len());
    lines.add(CRC_OPEN);
    lines.add(hex::Buffer::<4>::new().format(&crc.to_be_bytes()));
    lines.add(CRC_CLOSE);
    lines.add(&member.text);
    lines.add(rest);
    lines.add("\n");
}

/// The body of a line whose checksum is right.
///
/// Checksums are compared as text: reading `1A` as `1a` would let a changed byte through.
fn open(line: &[u8]) -> Result<&[u8], Fault> {
    let fault = |expected: String, found: String| Fault { expected, found, sealed: false };
    if line.len() < SEAL || !line.starts_with(CRC_OPEN.as_bytes()) || !line[..SEAL].ends_with(CRC_CLOSE.as_bytes()) {
        return Err(fault("a line that begins with {\"crc\":\"xxxxxxxx\",".to_owned(), excerpt(line)));
    }
    let (seal, body) = line.split_at(SEAL);
    let written = &seal[CRC_OPEN.len()..CRC_OPEN.len() + 8];
    let crc = hex(crc32c::crc32c(body));
    if written == crc { Ok(body) } else { Err(fault(checksum(written), checksum(&crc))) }
}

fn checksum(digits: &[u8]) -> String {
    format!("checksum {}", excerpt(digits))
}

fn hex(crc: u32) -> [u8; 8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|place| DIGITS[(crc >> (28 - 4 * place)) as usize & 15])
}

/// A decimal number at the start of a text, in the one way that it is written, and what follows.
pub(super) fn number(text: &str) -> Option<(u64, &str)> {
    let (mut value, mut length) = (0_u64, 0);
    while let Some(digit @ b'0'..=b'9') = text.as_bytes().get(length) {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        length += 1;
    }
    if length == 0 || length > 1 && text.starts_with('0') {
        return None;
    }
    Some((value, &text[length..]))
}
