//! What people see of an object, and what a reader accepts at most.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_core::Reader;
use amiko_core::prelude::*;
use amiko_core::serializable::{Json, ReadLimits, SummaryLimits, summary, summary_with};

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(key = u64)]
struct Account {
    owner: String,
    balance: u64,
    #[amiko(secret)]
    pin: Secret<String>,
    #[amiko(skip_summary)]
    notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serializable)]
struct Link {
    #[amiko(summary)]
    peer: Id<Account>,
    retries: u64,
    log: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serializable, Node)]
struct Bank {
    #[amiko(objects)]
    accounts: Table<Account>,
}

fn account(owner: &str) -> Account {
    Account { owner: owner.into(), balance: 7, pin: Secret::new("4711".into()), notes: vec!["long".into(); 100] }
}

#[test]
fn a_big_table_is_counted_and_its_first_entries_are_shown() {
    let bank = Bank { accounts: (0..10_000_u64).map(|id| (Id::new(id), account("ann"))).collect() };
    let text = summary(&bank);
    assert_eq!(
        text,
        "Bank
  accounts: 10,000
    0: Account
      owner: ann
      balance: 7
      pin: (secret)
    1: Account
      owner: ann
      balance: 7
      pin: (secret)
    2: Account
      owner: ann
      balance: 7
      pin: (secret)
    … 9,997 more"
    );
    let mut limits = SummaryLimits::default();
    limits.entries = 0;
    assert_eq!(summary_with(&bank, limits), "Bank\n  accounts: 10,000\n    … 10,000 more");
}

#[test]
fn a_class_may_choose_what_is_in_its_summary() {
    let link = Link { peer: Id::new(3_u64), retries: 9, log: vec![] };
    assert_eq!(summary(&link), "Link\n  peer: 3");
}

#[test]
fn what_came_from_outside_cannot_play_with_a_terminal() {
    // A colour, a bell, a line of its own, text that runs the other way, and one that is far too long.
    let hostile = account(&format!("\u{1b}[31m\u{7}\nbalance: 1000000\u{202e}gnp\u{200b}{}", "x".repeat(1000)));
    let text = summary(&hostile);
    assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{200b}']), "{text:?}");
    assert_eq!(text.lines().count(), 4);
    assert!(text.lines().all(|line| line.chars().count() < 200), "{text}");
    assert!(text.contains(r"\u{1b}[31m\u{7}\nbalance: 1000000\u{202e}gnp\u{200b}xx"), "{text}");
}

#[test]
fn no_secret_is_in_a_summary_or_in_debug() {
    let bank = Bank { accounts: [(Id::new(1_u64), account("ann"))].into_iter().collect() };
    assert!(!summary(&bank).contains("4711"));
    assert!(!format!("{bank:?}").contains("4711"));
    assert!(to_json(&bank).unwrap().contains("4711"), "on disk it is what it is");
}

#[test]
fn a_reader_takes_no_more_than_its_limits() {
    let limits = ReadLimits { depth: 3, number: 5, string: 10 };
    let read = |text: &str| Json::read(&mut Reader::new(text).with_limits(limits)).map_err(|error| error.to_string());
    for good in ["[[[1]]]", "12345", r#""0123456789""#, r#"{"0123456789":{"a":{}}}"#] {
        assert_eq!(read(good).map(|json| json.to_string()).as_deref(), Ok(good));
    }
    for (bad, told) in [
        ("[[[[1]]]]", "expected at most 3 levels of nesting, found more (line 1, column 4)"),
        ("123456", "expected at most 5 bytes in a number, found more (line 1, column 1)"),
        (r#""01234567890""#, "expected at most 10 bytes in a string, found more"),
        (r#"{"01234567890":1}"#, "expected at most 10 bytes in a string, found more"),
        (r#""\n\n\n\n\n\n""#, "expected at most 10 bytes in a string, found more"),
    ] {
        let error = read(bad).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
    // What is passed over is bounded in the same way.
    assert!(Reader::new("[[[[1]]]]").with_limits(limits).skip().is_err());
    assert!(Reader::new(&"[".repeat(1_000_000)).skip().is_err());
}
