//! Writing, reading and comparing one object: Amiko's own code against serde_json, sonic-rs and simd-json.
//!
//! Invariant: whoever is compared does the same work on the same data in the same process; rounds alternate, so that
//! whatever else the machine does slows all alike. What counts is the ratio within a round, not the time.
//!
//! An argument that isn't an option chooses the groups whose name contains it.

use amiko_core::prelude::*;
use amiko_core::{Patch, Reader, Writer};
use amiko_peers::channels::{Channel, Peer, object, ours};
use amiko_peers::harness::{Bound, Group, report};
use std::hint::black_box;

/// How many objects take turns, so that no branch predictor learns one of them by heart.
const OBJECTS: u64 = 64;

fn write(out: &mut Writer, value: &impl Serializable) -> usize {
    out.clear();
    value.write(out).expect("writes");
    out.as_str().len()
}

/// What each peer says about the same object must be the same, or the times mean nothing.
fn check(peers: &[Peer], texts: &[String]) {
    for (peer, text) in peers.iter().zip(texts) {
        assert_eq!(to_json(&ours(peer)).as_ref(), Ok(text), "ours writes");
        assert_eq!(from_json::<Channel>(text), Ok(ours(peer)), "ours reads");
        assert_eq!(&sonic_rs::to_string(peer).expect("sonic-rs writes"), text);
        assert_eq!(&simd_json::serde::to_string(peer).expect("simd-json writes"), text);
        assert_eq!(&serde_json::from_str::<Peer>(text).expect("serde_json reads"), peer);
        assert_eq!(&sonic_rs::from_str::<Peer>(text).expect("sonic-rs reads"), peer);
        let mut copy = text.clone().into_bytes();
        assert_eq!(&simd_json::serde::from_slice::<Peer>(&mut copy).expect("simd-json reads"), peer);
    }
}

fn writing(peers: &[Peer]) -> Group {
    let channels: Vec<Channel> = peers.iter().map(ours).collect();
    let (mut out, mut serde, mut sonic, mut simd) = (Writer::new(), Vec::new(), Vec::new(), Vec::new());
    let mut group = Group::new("write", "to a reused buffer");
    group.turns("ours", &channels, |channel| write(&mut out, channel));
    group.turns("serde_json", peers, |peer| {
        serde.clear();
        serde_json::to_writer(&mut serde, peer).expect("writes");
        serde.len()
    });
    group.turns("sonic-rs", peers, |peer| {
        sonic.clear();
        sonic_rs::to_writer(&mut sonic, peer).expect("writes");
        sonic.len()
    });
    group.turns("simd-json", peers, |peer| {
        simd.clear();
        simd_json::serde::to_writer(&mut simd, peer).expect("writes");
        simd.len()
    });
    group.measure()
}

fn reading(texts: &[String]) -> Group {
    let (mut copy, mut buffers) = (Vec::new(), simd_json::Buffers::default());
    let mut group = Group::new("read", "to a typed object, which is dropped again");
    group.turns("ours", texts, |text| Channel::read(&mut Reader::new(text)).expect("reads"));
    group.turns("serde_json from_str", texts, |text| serde_json::from_str::<Peer>(text).expect("reads"));
    group.turns("serde_json from_slice", texts, |text| serde_json::from_slice::<Peer>(text.as_bytes()).expect("reads"));
    group.turns("sonic-rs from_str", texts, |text| sonic_rs::from_str::<Peer>(text).expect("reads"));
    group.turns("sonic-rs from_slice", texts, |text| sonic_rs::from_slice::<Peer>(text.as_bytes()).expect("reads"));
    // It overwrites what it reads, so whoever wants to keep the text pays for a copy.
    group.turns("simd-json", texts, |text| {
        copy.clear();
        copy.extend_from_slice(text.as_bytes());
        simd_json::serde::from_slice_with_buffers::<Peer>(&mut copy, &mut buffers).expect("reads")
    });
    group.measure()
}

/// Two versions of an object with a map of so many entries: one field is another, or one entry of the map.
fn versions(entries: u64) -> (Channel, Channel, Channel) {
    let old = ours(&object(1, entries));
    let (mut field, mut entry) = (old.clone(), old.clone());
    field.balance += 1;
    // Not the one in the middle, which may be the root of the tree.
    let deep = old.holds.keys().nth(entries as usize / 3).expect("an entry").clone();
    *entry.holds.get_mut(&deep).expect("the entry") += 1;
    (old, field, entry)
}

fn difference(patch: &mut Patch, old: &Channel, new: &Channel) -> usize {
    patch.clear();
    new.difference(old, patch).expect("compares");
    assert_eq!(patch.operations(), 1);
    patch.as_str().len()
}

fn comparing() -> Group {
    let (small, large) = (versions(100), versions(10_000));
    let mut patches: [Patch; 4] = Default::default();
    let [first, second, third, fourth] = &mut patches;
    let mut group = Group::new("difference", "of one change, and its text, in an object with a map");
    group.single("a field, 10,000 entries", || difference(first, black_box(&large.0), &large.1));
    group.single("a field, 100 entries", || difference(second, black_box(&small.0), &small.1));
    group.single("an entry of 10,000", || difference(third, black_box(&large.0), &large.2));
    group.single("an entry of 100", || difference(fourth, black_box(&small.0), &small.2));
    group.measure()
}

fn main() {
    let peers: Vec<Peer> = (0..OBJECTS).map(|seed| object(seed, 6)).collect();
    let texts: Vec<String> = peers.iter().map(|peer| serde_json::to_string(peer).expect("writes")).collect();
    check(&peers, &texts);
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("{OBJECTS} objects of {} bytes of JSON on average, such as\n{}", bytes / texts.len(), texts[1]);

    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| name.contains(chosen.as_str()));
    let mut groups = Vec::new();
    if wanted("write") {
        groups.push(writing(&peers));
    }
    if wanted("read") {
        groups.push(reading(&texts));
    }
    if wanted("difference") {
        groups.push(comparing());
    }
    report(
        &groups,
        &[
            Bound::ratio("write", "ours", "serde_json", 0.4),
            Bound::ratio("read", "ours", "serde_json from_str", 0.8),
            Bound::ratio("read", "ours", "serde_json from_slice", 0.8),
            Bound::time("difference", "a field, 10,000 entries", 2_000.0),
            Bound::ratio("difference", "a field, 10,000 entries", "a field, 100 entries", 1.5),
            Bound::ratio("difference", "a field, 100 entries", "a field, 10,000 entries", 1.5),
        ],
    );
}
