//! Writing, reading and comparing one object: Amiko's own code against serde_json, sonic-rs and simd-json.

use crate::channels::{Channel, Peer, object, ours};
use crate::contest::Contest;
use crate::effort::Effort;
use crate::report::{Asked, Bound, Report};
use crate::samples::Samples;
use amiko_core::prelude::*;
use amiko_core::{Patch, Reader, Writer};
use std::hint::black_box;

const TEXT: &str = "\
One object of ten fields, three strings and a map of six entries: some 620 bytes of JSON, the same for all. 64 objects take turns. \
Writing goes to a buffer that is used again; reading gives a typed object, which is dropped again. simd-json overwrites what it \
reads, and pays for a copy. A difference is that of two versions of an object, one change apart, as the text of a JSON Patch.";

const AMIKO: &str = "Amiko";
const FIELD_OF_MANY: &str = "a field, 10,000 entries";
const FIELD_OF_FEW: &str = "a field, 100 entries";

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

fn writing(peers: &[Peer], effort: Effort) -> Samples {
    let channels: Vec<Channel> = peers.iter().map(ours).collect();
    let (mut out, mut serde, mut sonic, mut simd) = (Writer::new(), Vec::new(), Vec::new(), Vec::new());
    let mut contest = Contest::new("write an object");
    contest.turns(AMIKO, &channels, |channel| write(&mut out, channel));
    contest.turns("serde_json", peers, |peer| {
        serde.clear();
        serde_json::to_writer(&mut serde, peer).expect("writes");
        serde.len()
    });
    contest.turns("sonic-rs", peers, |peer| {
        sonic.clear();
        sonic_rs::to_writer(&mut sonic, peer).expect("writes");
        sonic.len()
    });
    contest.turns("simd-json", peers, |peer| {
        simd.clear();
        simd_json::serde::to_writer(&mut simd, peer).expect("writes");
        simd.len()
    });
    contest.measure(effort)
}

fn reading(texts: &[String], effort: Effort) -> Samples {
    let (mut copy, mut buffers) = (Vec::new(), simd_json::Buffers::default());
    let mut contest = Contest::new("read an object");
    contest.turns(AMIKO, texts, |text| Channel::read(&mut Reader::new(text)).expect("reads"));
    contest.turns("serde_json from_str", texts, |text| serde_json::from_str::<Peer>(text).expect("reads"));
    contest
        .turns("serde_json from_slice", texts, |text| serde_json::from_slice::<Peer>(text.as_bytes()).expect("reads"));
    contest.turns("sonic-rs from_str", texts, |text| sonic_rs::from_str::<Peer>(text).expect("reads"));
    contest.turns("sonic-rs from_slice", texts, |text| sonic_rs::from_slice::<Peer>(text.as_bytes()).expect("reads"));
    // It overwrites what it reads, so whoever wants to keep the text pays for a copy.
    contest.turns("simd-json", texts, |text| {
        copy.clear();
        copy.extend_from_slice(text.as_bytes());
        simd_json::serde::from_slice_with_buffers::<Peer>(&mut copy, &mut buffers).expect("reads")
    });
    contest.measure(effort)
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

fn comparing(effort: Effort) -> Samples {
    let (small, large) = (versions(100), versions(10_000));
    let mut patches: [Patch; 4] = Default::default();
    let [first, second, third, fourth] = &mut patches;
    let mut contest = Contest::new("the difference of one change in an object with a map");
    contest.single(FIELD_OF_MANY, || difference(first, black_box(&large.0), &large.1));
    contest.single(FIELD_OF_FEW, || difference(second, black_box(&small.0), &small.1));
    contest.single("an entry of 10,000", || difference(third, black_box(&large.0), &large.2));
    contest.single("an entry of 100", || difference(fourth, black_box(&small.0), &small.2));
    contest.measure(effort)
}

pub(super) fn run(effort: Effort) -> Report {
    let peers: Vec<Peer> = (0..OBJECTS).map(|seed| object(seed, 6)).collect();
    let texts: Vec<String> = peers.iter().map(|peer| serde_json::to_string(peer).expect("writes")).collect();
    check(&peers, &texts);
    let (write, read, difference) = (writing(&peers, effort), reading(&texts, effort), comparing(effort));
    let (str, slice) = ("serde_json from_str", "serde_json from_slice");
    let one_field = Bound {
        work: format!("difference, and its text, of {FIELD_OF_MANY} beside it"),
        asked: Asked::AtMost(2_000.0),
        found: difference.spread(FIELD_OF_MANY),
        unit: "ns".into(),
    };
    Report {
        text: TEXT.into(),
        bounds: vec![
            write.bound("write an object, to serde_json", AMIKO, "serde_json", Asked::AtMost(0.45)),
            read.bound("read an object, to serde_json from_str", AMIKO, str, Asked::AtMost(0.85)),
            read.bound("read an object, to serde_json from_slice", AMIKO, slice, Asked::AtMost(0.8)),
            one_field,
            difference.bound("the same, to 100 entries", FIELD_OF_MANY, FIELD_OF_FEW, Asked::AtMost(1.5)),
        ],
        tables: vec![write.table(), read.table(), difference.table()],
        ..Report::default()
    }
}
