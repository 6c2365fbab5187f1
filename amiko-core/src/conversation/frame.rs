//! Lines ↔ frames, and the message numbers on the wire.
//!
//! Invariant: any line from outside is one of six, or an error with its place; every line written here can be read
//! here.

use super::error::Unsendable;
use crate::dispatcher::ResumePoint;
use crate::serializable::{Problem, ReadError, ReadLimits, Reader, Serializable, Text, Unknown, WriteError, Writer};
use crate::time::Time;

/// The contents of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// The first line of the dialler.
    Hello { message: &'a str },
    /// A message of the peer.
    Message { index: u16, message: &'a str },
    /// A confirmation.
    Received { index: u16 },
    /// The resume point of the peer, and what its clock says, if it tells.
    ResumePoint { about: About, standing: ResumePoint, time: Option<Time> },
}

/// Why a peer sends its resume point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// The conversation begins, or resumes.
    Resume,
    /// It checks whether we are there.
    Ping,
    /// It answers our ping.
    Pong,
}

impl About {
    const ALL: [Self; 3] = [Self::Resume, Self::Ping, Self::Pong];

    const fn key(self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::Ping => "ping",
            Self::Pong => "pong",
        }
    }
}

/// Reads the outer part of a line; checks that the message is JSON, but not what it says.
pub(crate) fn parse(line: &str, depth: u32) -> Result<Frame<'_>, ReadError> {
    let mut input = reader(line, depth);
    let start = input.clone();
    let (mut index, mut message, mut received, mut stands) = (None, None, None, None);
    input.begin_object()?;
    while let Some(key) = input.key()? {
        match &*key {
            "index" if input.null() => once(&mut index, None, "index", &input)?,
            "index" => {
                let number = Some(number(&mut input)?);
                once(&mut index, number, "index", &input)?;
            }
            "message" => {
                let text = input.skip()?;
                once(&mut message, text, "message", &input)?;
            }
            "received" => {
                let number = number(&mut input)?;
                once(&mut received, number, "received", &input)?;
            }
            key => match About::ALL.into_iter().find(|about| about.key() == key) {
                Some(about) => {
                    let (standing, time) = read_resume_point(&mut input)?;
                    once(&mut stands, (about, standing, time), about.key(), &input)?;
                }
                None => drop(input.skip()?),
            },
        }
    }
    input.end()?;
    match (index, message, received, stands) {
        (Some(None), Some(message), None, None) => Ok(Frame::Hello { message }),
        (Some(Some(index)), Some(message), None, None) => Ok(Frame::Message { index, message }),
        (None, None, Some(index), None) => Ok(Frame::Received { index }),
        (None, None, None, Some((about, standing, time))) => Ok(Frame::ResumePoint { about, standing, time }),
        _ => Err(start.invalid(
            "expected \"index\" with \"message\", or \"received\", \"resume\", \"ping\" or \"pong\" alone, found something else",
        )),
    }
}

fn read_resume_point(input: &mut Reader<'_>) -> Result<(ResumePoint, Option<Time>), ReadError> {
    let start = input.clone();
    let (mut received, mut first, mut sent, mut time) = (None, None, None, None);
    input.begin_object()?;
    while let Some(key) = input.key()? {
        let (slot, field) = match &*key {
            "received" => (&mut received, "received"),
            "first" => (&mut first, "first"),
            "sent" => (&mut sent, "sent"),
            "time" => (&mut time, "time"),
            _ => {
                input.skip()?;
                continue;
            }
        };
        let number: u64 = input.integer("an unsigned integer of 64 bits")?;
        once(slot, number, field, input)?;
    }
    match (received, first, sent) {
        (Some(received), Some(first), Some(sent)) if first <= sent => {
            Ok((ResumePoint { received, first, sent }, time.map(Time::from_millis)))
        }
        _ => {
            Err(start.invalid("expected \"received\", \"first\" and \"sent\", of which \"first\" is at most \"sent\""))
        }
    }
}

fn reader(text: &str, depth: u32) -> Reader<'_> {
    let limits = ReadLimits { depth, ..ReadLimits::default() };
    Reader::new(text).with_limits(limits).with_unknown(Unknown::Ignore)
}

fn number(input: &mut Reader<'_>) -> Result<u16, ReadError> {
    input.integer("an integer from 0 to 65535")
}

fn once<T>(slot: &mut Option<T>, value: T, field: &str, input: &Reader<'_>) -> Result<(), ReadError> {
    if slot.replace(value).is_some() {
        return Err(input.error(Problem::Duplicate { field: field.to_owned() }));
    }
    Ok(())
}

/// Reads the message of a line whose outer part was read; it stands one level inside the line.
pub(crate) fn read_message<M: Serializable>(message: &str, depth: u32) -> Result<M, ReadError> {
    let mut input = reader(message, depth.saturating_sub(1));
    let value = M::read(&mut input)?;
    input.end()?;
    Ok(value)
}

/// Appends the line of a message; nothing if it has none.
pub(crate) fn push_message<M: Serializable>(
    out: &mut Vec<u8>,
    index: Option<u64>,
    message: &M,
    limit: usize,
    depth: u32,
) -> Result<(), Unsendable> {
    let line = write_message(index, message).map_err(Unsendable::Write)?;
    if line.len() > limit {
        return Err(Unsendable::TooLong { limit, found: line.len() });
    }
    // The peer's reader decides on nesting; it is asked only if there are enough brackets to be too deep.
    let brackets = line.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    if brackets > depth as usize && parse(&line, depth).is_err() {
        return Err(Unsendable::TooDeep { limit: depth });
    }
    out.extend_from_slice(line.as_bytes());
    out.push(b'\n');
    Ok(())
}

fn write_message<M: Serializable>(index: Option<u64>, message: &M) -> Result<String, WriteError> {
    /// Bytes of most messages.
    const USUAL: usize = 512;
    let mut out = Writer::with_capacity(USUAL).with_text(Text::Ascii);
    out.begin_object()?;
    out.key("index");
    match index {
        Some(index) => out.integer(wrap(index)),
        None => out.null(),
    }
    out.key("message");
    message.write(&mut out)?;
    out.end_object();
    Ok(out.into_string())
}

/// Appends a line that replaces a message without one: the peer uses it up.
pub(crate) fn push_nothing(out: &mut Vec<u8>, index: u64) {
    out.extend_from_slice(format!("{{\"index\":{},\"message\":null}}\n", wrap(index)).as_bytes());
}

/// Appends a confirmation.
pub(crate) fn push_received(out: &mut Vec<u8>, index: u64) {
    out.extend_from_slice(format!("{{\"received\":{}}}\n", wrap(index)).as_bytes());
}

/// Appends the resume point of this end, and what the clock here says.
pub(crate) fn push_resume_point(out: &mut Vec<u8>, about: About, standing: &ResumePoint, time: Time) {
    let (key, time, ResumePoint { received, first, sent }) = (about.key(), time.as_millis(), standing);
    let numbers = format!("\"received\":{received},\"first\":{first},\"sent\":{sent},\"time\":{time}");
    out.extend_from_slice(format!("{{\"{key}\":{{{numbers}}}}}\n").as_bytes());
}

/// The number of a message, as it appears on the wire.
pub(crate) const fn wrap(index: u64) -> u16 {
    (index & 0xFFFF) as u16
}

/// The message that a number on the wire means: of all with this number, the one nearest to the expected one. At most
/// 32,768 messages are unconfirmed at a time, so it is unambiguous.
pub(crate) fn unwrap(number: u16, expected: u64) -> u64 {
    let forward = number.wrapping_sub(wrap(expected));
    // Nearer backwards than forwards; but nothing lies before message 0.
    let backward = if forward >= 0x8000 { expected.checked_sub(0x1_0000 - u64::from(forward)) } else { None };
    backward.unwrap_or_else(|| expected.saturating_add(u64::from(forward)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_lines_of_the_protocol() {
        let message = r#"{"_class":"Cancel"}"#;
        assert_eq!(
            parse(r#"{"index": 7, "message": {"_class":"Cancel"}}"#, 32),
            Ok(Frame::Message { index: 7, message })
        );
        assert_eq!(
            parse(r#" {"new":[1,{}],"message":{"_class":"Cancel"}, "index":null} "#, 32),
            Ok(Frame::Hello { message })
        );
        assert_eq!(parse(r#"{"received": 65535}"#, 32), Ok(Frame::Received { index: 65535 }));
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "",
            "GET / HTTP/1.1",
            "{}",
            "[]",
            "7",
            "{",
            r#"{"index":7}"#,
            r#"{"message":{}}"#,
            r#"{"index":7,"message":{}"#,
            r#"{"index":7,"message":{}} x"#,
            r#"{"index":-1,"message":{}}"#,
            r#"{"index":65536,"message":{}}"#,
            r#"{"index":"7","message":{}}"#,
            r#"{"index":7,"index":7,"message":{}}"#,
            r#"{"received":null}"#,
            r#"{"received":1.5}"#,
            r#"{"received":7,"index":7,"message":{}}"#,
            r#"{"index":7,"message":tru}"#,
        ] {
            assert!(parse(line, 32).is_err(), "{line:?}");
        }
    }

    #[test]
    fn where_a_peer_stands() {
        let standing = ResumePoint { received: 7, first: 0, sent: u64::MAX };
        let time = Time::from_millis(1_795_369_393_007);
        for about in About::ALL {
            let mut out = Vec::new();
            push_resume_point(&mut out, about, &standing, time);
            let line = String::from_utf8(out).unwrap();
            assert_eq!(parse(&line, 32), Ok(Frame::ResumePoint { about, standing, time: Some(time) }), "{line}");
        }
        let line = r#"{"new":1,"resume":{"sent":2,"new":{},"first":1,"received":3}}"#;
        let standing = ResumePoint { received: 3, first: 1, sent: 2 };
        assert_eq!(parse(line, 32), Ok(Frame::ResumePoint { about: About::Resume, standing, time: None }));
        for line in [
            r#"{"resume":null}"#,
            r#"{"resume":{}}"#,
            r#"{"resume":{"received":3,"first":1}}"#,
            r#"{"resume":{"received":3,"first":2,"sent":1}}"#,
            r#"{"resume":{"received":3,"first":1,"first":1,"sent":1}}"#,
            r#"{"resume":{"received":-3,"first":1,"sent":1}}"#,
            r#"{"resume":{"received":18446744073709551616,"first":1,"sent":1}}"#,
            r#"{"resume":{"received":3,"first":1,"sent":1,"time":-1}}"#,
            r#"{"resume":{"received":3,"first":1,"sent":1,"time":1,"time":1}}"#,
            r#"{"resume":{"received":3,"first":1,"sent":1},"received":1}"#,
            r#"{"resume":{"received":3,"first":1,"sent":1},"ping":{"received":3,"first":1,"sent":1}}"#,
        ] {
            assert!(parse(line, 32).is_err(), "{line}");
        }
    }

    #[test]
    fn nesting_is_counted_from_the_line() {
        let nested =
            |levels: usize| format!("{{\"index\":0,\"message\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(parse(&nested(32), 32).is_ok());
        assert!(parse(&nested(33), 32).is_err());
        assert!(parse(&nested(20_000), 32).is_err());
    }

    #[test]
    fn what_has_no_line_leaves_no_trace() {
        let mut out = Vec::new();
        let long = "x".repeat(100);
        let error = push_message(&mut out, Some(3), &long, 100, 32).unwrap_err();
        assert_eq!(error, Unsendable::TooLong { limit: 100, found: 124 });
        let deep = vec![vec![vec![7_u64]]];
        assert_eq!(push_message(&mut out, Some(3), &deep, 100, 3), Err(Unsendable::TooDeep { limit: 3 }));
        assert_eq!(push_message(&mut out, Some(3), &deep, 100, 4), Ok(()));
        assert!(push_message(&mut out, Some(3), &f64::NAN, 100, 4).is_err());
        assert_eq!(out, b"{\"index\":3,\"message\":[[[7]]]}\n");
    }

    #[test]
    fn numbers_go_around() {
        assert_eq!(unwrap(0, 65_536), 65_536);
        assert_eq!(unwrap(65_535, 65_536), 65_535);
        assert_eq!(unwrap(1, 65_535), 65_537);
        assert_eq!(unwrap(0, 32_768), 0);
        // Nothing lies before message 0, so this one is far ahead.
        assert_eq!(unwrap(65_535, 0), 65_535);
        assert_eq!(unwrap(5, u64::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC*", json in "[\\[\\]{}\":,0-9a-z!\\\\ ]{0,80}") {
            let _ = parse(&line, 32);
            let _ = parse(&json, 32);
        }

        #[test]
        fn what_is_written_is_read(index in any::<Option<u64>>(), text in any::<String>()) {
            let mut out = Vec::new();
            push_message(&mut out, index, &text, 1 << 20, 32).unwrap();
            prop_assert!(out.iter().all(|byte| (32..=127).contains(byte) || *byte == b'\n'));
            let line = std::str::from_utf8(&out).unwrap().strip_suffix('\n').unwrap();
            prop_assert!(!line.contains('\n'));
            let message = match parse(line, 32).unwrap() {
                Frame::Hello { message } if index.is_none() => message,
                Frame::Message { index: found, message } if Some(found) == index.map(wrap) => message,
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(read_message::<String>(message, 32).unwrap(), text);
        }

        #[test]
        fn a_number_means_the_nearest(expected in any::<u64>(), distance in any::<i16>()) {
            if let Some(index) = expected.checked_add_signed(i64::from(distance)) {
                prop_assert_eq!(unwrap(wrap(index), expected), index);
            }
        }
    }
}
