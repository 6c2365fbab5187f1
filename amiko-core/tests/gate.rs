//! Nothing is appended that can't be read back, whoever has written it.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use amiko_core::engine::EventError;
use amiko_core::prelude::*;
use amiko_core::serializable::{Codec, Json};
use amiko_core::store::Memory;
use amiko_core::{ReadError, Reader, WriteError, Writer};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A codec that writes whatever it is told.
struct Raw;

impl Codec<String> for Raw {
    fn write(&self, text: &String, out: &mut Writer) -> Result<(), WriteError> {
        out.raw(text);
        Ok(())
    }

    fn read(&self, input: &mut Reader<'_>) -> Result<String, ReadError> {
        input.skip().map(str::to_owned)
    }
}

/// The same of a type that is written by hand.
#[derive(Clone, Default)]
struct ByHand(String);

impl Serializable for ByHand {
    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        Raw.write(&self.0, out)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        Raw.read(input).map(Self)
    }
}

#[derive(Clone, Serializable)]
struct Note {
    #[amiko(with = Raw)]
    coded: String,
    by_hand: Vec<ByHand>,
    json: Option<Json>,
    value: serde_json::Value,
    queue: VecDeque<u8>,
}

impl Default for Note {
    fn default() -> Self {
        let (by_hand, value, queue) = (Vec::new(), serde_json::Value::Null, VecDeque::new());
        Self { coded: "0".into(), by_hand, json: None, value, queue }
    }
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Book {
    note: Note,
    #[amiko(with = Raw, default = zero)]
    own: String,
    count: u64,
}

fn zero() -> String {
    "0".into()
}

#[derive(Clone, Serializable)]
enum Act {
    Code { text: String },
    Own { text: String },
    Hand { text: String },
    Parse { body: String },
    Number { text: String },
    Twice,
    Push { byte: u8 },
    Keep { value: serde_json::Value },
    Count { value: serde_json::Value },
    Later { value: serde_json::Value },
}

impl StateMachine for Book {
    type Node = Self;
    type Message = Act;

    fn handle(&mut self, act: Act, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match act {
            Act::Code { text } => self.note.coded = text,
            Act::Own { text } => self.own = text,
            Act::Hand { text } => self.note.by_hand.push(ByHand(text)),
            Act::Parse { body } => {
                let json = serde_json::from_str(&body).map_err(|error| Rejection::new(error.to_string()))?;
                self.note.json = Some(json);
            }
            Act::Number { text } => self.note.json = Some(Json::Number(text)),
            Act::Twice => {
                let field = ("a".to_owned(), Json::Null);
                self.note.json = Some(Json::Object(vec![field.clone(), field]));
            }
            Act::Push { byte } => self.note.queue.push_back(byte),
            Act::Keep { value } => self.note.value = value,
            Act::Count { .. } => self.count += 1,
            Act::Later { value } => cx.timer("later", cx.now() + secs(9), Act::Count { value }),
        }
        Ok(())
    }
}

/// Without a second state that would notice it all the same.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.check_records = false;
    settings
}

fn first() -> Book {
    Book { own: "0".into(), ..Book::default() }
}

fn book() -> Engine<Book, Memory> {
    Engine::open_with(Memory::new(), settings(), first).unwrap()
}

/// Either the event is refused and nothing is changed, or what it led to is there after a restart.
fn refused_or_comes_back(act: Act) -> Result<(), String> {
    let mut book = book();
    let before = book.document().unwrap();
    let sent = book.send(&Id::new(()), act, Time::from_secs(1));
    if sent.is_err() {
        assert_eq!(book.document().unwrap(), before);
    }
    let document = book.document().unwrap();
    book.sync().unwrap();
    let again = Engine::<Book, _>::open(book.into_store().crash(), settings());
    let again = again.unwrap_or_else(|error| panic!("synced, and not opened again: {error:?}"));
    assert_eq!(again.document().unwrap(), document);
    sent.map(drop).map_err(|error| match error {
        EventError::Write(error) => error.to_string(),
        other => other.to_string(),
    })
}

fn refused(act: Act, expected: &str) {
    let error = refused_or_comes_back(act).unwrap_err();
    assert!(error.contains(expected), "expected {expected:?} in {error:?}");
}

const NOT_JSON: [&str; 9] = ["", "nothing", "{", "[1", "1 2", "1,\"count\":7", "\"open", "{\"a\":1,\"a\":2}", "01"];

#[test]
fn a_codec_that_writes_no_value_or_half_of_one_is_an_error_of_the_event() {
    for text in NOT_JSON {
        refused(Act::Code { text: text.into() }, "note.coded");
        refused(Act::Own { text: text.into() }, "own");
    }
    assert_eq!(refused_or_comes_back(Act::Code { text: "{\"a\":[1,2]}".into() }), Ok(()));
    assert_eq!(refused_or_comes_back(Act::Own { text: "\"text\"".into() }), Ok(()));
}

#[test]
fn what_is_written_by_hand_is_looked_at_wherever_it_stands() {
    for text in NOT_JSON {
        refused(Act::Hand { text: text.into() }, "note.by_hand");
    }
    assert_eq!(refused_or_comes_back(Act::Hand { text: "[null]".into() }), Ok(()));
}

#[test]
fn a_number_from_outside_is_never_more_than_a_number() {
    let number = r#"1},{"op":"replace","path":"/state/count","value":1000000"#;
    let body = serde_json::json!({ "$serde_json::private::Number": number }).to_string();
    refused(Act::Parse { body }, "expected the end of the number");
    refused(Act::Number { text: number.into() }, "note.json");
    for text in ["", "NaN", "-", "1.", "+1", "1e", " 1", &"9".repeat(401)] {
        refused(Act::Number { text: text.into() }, "note.json");
    }
    assert_eq!(refused_or_comes_back(Act::Number { text: "9".repeat(400) }), Ok(()));
    assert_eq!(refused_or_comes_back(Act::Parse { body: "[1.50,{\"a\":-0}]".into() }), Ok(()));
}

#[test]
fn a_name_stands_once_in_an_object() {
    refused(Act::Twice, "note.json.a: expected a value that can be read back");
}

#[test]
fn bytes_in_a_queue_come_back() {
    assert_eq!(refused_or_comes_back(Act::Push { byte: 7 }), Ok(()));
}

#[test]
fn however_deep_a_value_of_serde_is_nested_it_comes_back_or_is_refused() {
    let nested = |depth: usize| -> serde_json::Value {
        (0..depth).fold(serde_json::Value::Null, |inner, _| serde_json::Value::Array(vec![inner]))
    };
    let mut refusals = [0; 3];
    for depth in 110..135 {
        let value = nested(depth);
        let acts = [Act::Keep { value: value.clone() }, Act::Count { value: value.clone() }, Act::Later { value }];
        for (act, refusals) in acts.into_iter().zip(&mut refusals) {
            if let Err(error) = refused_or_comes_back(act) {
                assert!(error.contains("expected at most 128 levels of nesting"), "{error}");
                *refusals += 1;
            }
        }
    }
    assert!(refusals.iter().all(|refusals| (5..24).contains(refusals)), "{refusals:?}");
    // Nor does anything walk into what was put together by hand until there is no stack left.
    refused(Act::Keep { value: nested(2_000) }, "expected at most 128 levels of nesting");
}

#[test]
fn a_string_that_is_longer_than_a_reader_takes_is_refused_with_its_place() {
    const LIMIT: usize = 64 << 20;
    let longest = "x".repeat(LIMIT);
    assert_eq!(from_json::<String>(&to_json(&longest).unwrap()), Ok(longest));
    let long = vec!["short".to_owned(), "x".repeat(LIMIT + 1)];
    let error = to_json(&long).unwrap_err();
    assert_eq!((error.path(), error.problem()), ("[1]", &WriteError::LongString { limit: LIMIT }));
    // What counts is how it stands in the text.
    let escaped = to_json(&"\n".repeat(LIMIT / 2 + 1)).unwrap_err();
    assert_eq!(escaped.problem(), &WriteError::LongString { limit: LIMIT });
    assert!(to_json(&vec![0_u8; LIMIT / 2]).is_err());
    let first =
        || Book { note: Note { coded: format!("\"{}\"", "x".repeat(LIMIT + 1)), ..Note::default() }, ..first() };
    assert!(Engine::<Book, _>::open_with(Memory::new(), settings(), first).is_err());
}

/// How many values were written.
static WRITTEN: AtomicUsize = AtomicUsize::new(0);

struct Counted;

impl Codec<u64> for Counted {
    fn write(&self, value: &u64, out: &mut Writer) -> Result<(), WriteError> {
        WRITTEN.fetch_add(1, Ordering::Relaxed);
        out.integer(*value);
        Ok(())
    }

    fn read(&self, input: &mut Reader<'_>) -> Result<u64, ReadError> {
        input.integer("an integer")
    }
}

#[derive(Clone, Serializable)]
struct Item {
    #[amiko(with = Counted)]
    number: u64,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Items {
    items: Vec<Item>,
}

#[derive(Clone, Serializable)]
struct Fill {
    count: u64,
}

impl StateMachine for Items {
    type Node = Self;
    type Message = Fill;

    fn handle(&mut self, fill: Fill, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.items = (0..fill.count).map(|number| Item { number }).collect();
        Ok(())
    }
}

#[test]
fn a_record_is_put_together_no_further_than_its_limit() {
    let mut limited = settings();
    limited.limits.record = 10_000;
    let mut items = Engine::<Items, _>::open(Memory::new(), limited).unwrap();
    let error = items.send(&Id::new(()), Fill { count: 1_000_000 }, Time::from_secs(1)).unwrap_err();
    assert!(matches!(error, EventError::TooLong { limit: 10_000 }), "{error:?}");
    assert!(WRITTEN.load(Ordering::Relaxed) < 1_000, "{WRITTEN:?}");
    items.send(&Id::new(()), Fill { count: 10 }, Time::from_secs(1)).unwrap();
}
