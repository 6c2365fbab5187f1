//! Large collections inside objects: who has one is told, once for each field.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use amiko_core::observe::LARGE_COLLECTION;
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default, Serializable)]
#[amiko(key = u64)]
struct Book {
    lines: BTreeMap<u64, u64>,
    bytes: Vec<u8>,
    pages: Map<u64, u64>,
    changes: u64,
}

#[derive(Clone, Serializable)]
enum BookMessage {
    Change,
}

impl StateMachine for Book {
    type Node = Shelf;
    type Message = BookMessage;

    fn handle(&mut self, BookMessage::Change: BookMessage, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.changes += 1;
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
struct Shelf {
    #[amiko(machines)]
    books: Table<Book>,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is told while two books with so many lines change, twice each.
fn told(lines: usize) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(move || writer.clone());
    tracing::subscriber::with_default(subscriber.finish(), || {
        let numbers = || (0..lines as u64).map(|number| (number, number));
        let book = Book {
            lines: numbers().collect(),
            bytes: vec![0; 2 * LARGE_COLLECTION],
            pages: (0..2 * LARGE_COLLECTION as u64).map(|page| (page, 0)).collect(),
            changes: 0,
        };
        let books = [1_u64, 2].map(|key| (Id::new(key), book.clone())).into_iter().collect();
        let mut engine = Engine::open_with(Memory::new(), Settings::default(), || Shelf { books }).unwrap();
        for key in [1_u64, 2, 1, 2] {
            engine.send(&Id::<Book>::new(key), BookMessage::Change, Time::from_secs(1)).unwrap();
        }
    });
    let text = log.0.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_collection_that_is_too_large_for_a_field_is_told_of_once_with_its_place() {
    assert_eq!(told(LARGE_COLLECTION), "");
    let text = told(LARGE_COLLECTION + 1);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("WARN") && text.contains("/state/books/lines") && text.contains("10001"), "{text}");
}
