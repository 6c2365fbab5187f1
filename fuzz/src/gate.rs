//! What stands between whoever writes anything and the journal.

use amiko_core::engine::Settings;
use amiko_core::prelude::*;
use amiko_core::serializable::{Codec, Json};
use amiko_core::store::Memory;
use amiko_core::{ReadError, Reader, WriteError, Writer};

/// A codec that writes what it is told.
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

/// The same of a class that is written by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct ByHand(String);

impl Serializable for ByHand {
    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        Raw.write(&self.0, out)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        Raw.read(input).map(Self)
    }
}

/// A node that takes what comes from outside into every kind of field that isn't the derive's own.
#[derive(Debug, Clone, Serializable, Node)]
#[amiko(machine)]
pub struct Gate {
    #[amiko(with = Raw)]
    coded: String,
    by_hand: Vec<ByHand>,
    number: Json,
    value: serde_json::Value,
}

impl Default for Gate {
    fn default() -> Self {
        Self { coded: "0".into(), by_hand: Vec::new(), number: Json::Null, value: serde_json::Value::Null }
    }
}

/// Where something goes.
#[derive(Debug, Clone, Serializable)]
pub enum Take {
    /// Into a field with a codec.
    Code {
        /// As it stands.
        text: String,
    },
    /// Into a list of what is written by hand.
    Hand {
        /// As it stands.
        text: String,
    },
    /// Into JSON, as a number.
    Number {
        /// As it stands.
        text: String,
    },
    /// Into JSON and into a value of serde, if it is one.
    Parse {
        /// As it stands.
        text: String,
    },
}

impl StateMachine for Gate {
    type Node = Self;
    type Message = Take;

    fn handle(&mut self, take: Take, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let refused = |error: serde_json::Error| Rejection::new(error.to_string());
        match take {
            Take::Code { text } => self.coded = text,
            Take::Hand { text } => self.by_hand.push(ByHand(text)),
            Take::Number { text } => self.number = Json::Number(text),
            Take::Parse { text } => {
                self.number = serde_json::from_str(&text).map_err(refused)?;
                self.value = serde_json::from_str(&text).map_err(refused)?;
            }
        }
        Ok(())
    }
}

/// The target `gate`: bytes as what a codec, a class by hand, a number and a value of serde write. Either the event is refused
/// and changes nothing, or what it has led to is there after a restart.
///
/// # Panics
/// It isn't.
pub fn gate(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut settings = Settings::default();
    // Nothing but the gate is to notice.
    settings.check_records = false;
    let text = || text.to_owned();
    let takes = [
        Take::Code { text: text() },
        Take::Hand { text: text() },
        Take::Number { text: text() },
        Take::Parse { text: text() },
    ];
    let mut engine = Engine::<Gate, _>::open(Memory::new(), settings.clone()).expect("an empty store");
    for take in takes {
        let before = engine.document().expect("a document");
        if engine.send(&Id::new(()), take, Time::from_secs(1)).is_err() {
            assert_eq!(engine.document().expect("a document"), before);
        }
    }
    engine.sync().expect("memory");
    let document = engine.document().expect("a document");
    match Engine::<Gate, _>::open(engine.into_store().crash(), settings) {
        Ok(again) => assert_eq!(again.document().expect("a document"), document),
        Err(error) => panic!("synced, and not opened again: {error:?}"),
    }
}
