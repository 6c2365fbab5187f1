//! The document that both targets share: one class with fields of many shapes.

pub mod gate;
pub mod line;
pub mod message;
pub mod net;

use amiko_core::prelude::*;
use amiko_core::serializable::{Json, UnknownFields};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What other objects can name.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(key = String)]
pub struct Owner {
    /// A name.
    pub name: String,
}

/// An enum of units, with names of another case.
#[derive(Debug, Clone, Copy, PartialEq, Serializable)]
#[amiko(rename_all = "kebab-case")]
pub enum Mood {
    /// One.
    VeryHappy,
    /// Another, with an older name.
    #[amiko(alias = "unhappy")]
    Sad,
}

/// An enum of objects, one of them transparent.
#[derive(Debug, Clone, PartialEq, Serializable)]
pub enum Shape {
    /// No fields.
    Point,
    /// Fields without names.
    Line(f64, Option<f64>),
    /// A class of its own, which may contain the whole.
    #[amiko(transparent)]
    Nested(Box<Document>),
}

/// A type that is written as its field.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(transparent)]
pub struct Cents(pub i128);

/// What stood in the first version isn't what stands in the second.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(version = 2, migrate = lift)]
pub struct Lifted {
    /// It was called an amount.
    pub balance: u64,
}

fn lift(_from: u32, object: &mut Json) -> Result<(), String> {
    object.rename("amount", "balance");
    if object.get("balance").is_some() { Ok(()) } else { Err("no balance".into()) }
}

/// Many shapes at once; every field may be missing, so that short texts get far.
#[derive(Debug, Clone, Default, PartialEq, Serializable)]
#[amiko(unknown = "keep", rename_all = "camelCase")]
pub struct Document {
    /// Text, which may begin with a `!`.
    #[amiko(default, alias = "title")]
    pub text: String,
    /// Bytes.
    #[amiko(default)]
    pub bytes: Vec<u8>,
    /// A number of 64 bits.
    #[amiko(default)]
    pub number: i64,
    /// One of 128 bits.
    #[amiko(default)]
    pub wide_number: u128,
    /// A fraction.
    #[amiko(default)]
    pub fraction: f64,
    /// What may be null.
    pub option: Option<bool>,
    /// A secret.
    #[amiko(secret, default)]
    pub pin: Secret<[u8; 4]>,
    /// Objects in a list.
    #[amiko(default)]
    pub shapes: Vec<Shape>,
    /// An enum that may be missing.
    pub mood: Option<Mood>,
    /// A persistent map of maps.
    #[amiko(default)]
    pub map: Map<String, Map<u64, Cents>>,
    /// A table, as at the root of a state.
    #[amiko(default)]
    pub owners: Table<Owner>,
    /// IDs as keys of a map.
    #[amiko(default)]
    pub shares: BTreeMap<Id<Owner>, (u8, String)>,
    /// A set.
    #[amiko(default)]
    pub set: BTreeSet<String>,
    /// A map whose order isn't its own.
    #[amiko(default)]
    pub hashed: HashMap<u32, Vec<Option<i8>>>,
    /// An ID.
    pub owner: Option<Id<Owner>>,
    /// An older version is read.
    pub lifted: Option<Lifted>,
    /// A type that only serde knows.
    pub patience: Option<std::time::Duration>,
    /// Whatever stands there.
    pub any: Option<Box<Document>>,
    /// What the class doesn't know.
    pub rest: UnknownFields,
}

/// A document with something in every field, for patches to change.
pub fn sample() -> Document {
    let nested = Document { text: "!inner".into(), ..Document::default() };
    let owner = |name: &str| (Id::new(name), Owner { name: name.into() });
    Document {
        text: "text".into(),
        bytes: vec![0, 255],
        number: -7,
        wide_number: u128::MAX,
        fraction: 0.25,
        option: Some(true),
        pin: Secret::new([1, 2, 3, 4]),
        shapes: vec![Shape::Point, Shape::Line(1.0, None), Shape::Nested(Box::new(nested.clone()))],
        mood: Some(Mood::VeryHappy),
        map: [("a/b".to_owned(), [(1, Cents(-5)), (2, Cents(7))].into_iter().collect())].into_iter().collect(),
        owners: [owner("ann"), owner("bob")].into_iter().collect(),
        shares: [(Id::new("ann"), (1, "x".into()))].into_iter().collect(),
        set: ["one".to_owned()].into(),
        hashed: [(1, vec![Some(1), None])].into(),
        owner: Some(Id::new("ann")),
        lifted: Some(Lifted { balance: 7 }),
        patience: Some(std::time::Duration::from_millis(1500)),
        any: Some(Box::new(nested)),
        rest: UnknownFields::default(),
    }
}

/// What was read is written, and read again: the text and the value stay.
///
/// # Panics
/// They don't. Only what has no exact text may be refused while it is written.
pub fn comes_back<T: Serializable + PartialEq + std::fmt::Debug>(value: &T) {
    let Ok(text) = to_json(value) else { return };
    match from_json::<T>(&text) {
        Ok(again) => {
            assert_eq!(&again, value, "{text}");
            assert_eq!(to_json(&again).as_deref(), Ok(text.as_str()));
        }
        Err(error) => panic!("{error}: {text}"),
    }
}

/// The target `reader`: bytes as any JSON, and as a document.
pub fn reader(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(json) = Json::parse(text) {
        comes_back(&json);
    }
    if let Ok(document) = from_json::<Document>(text) {
        comes_back(&document);
    }
}

/// The target `patch`: bytes as a patch of the sample. An error leaves a document that can still be written and read.
pub fn patch(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let old = sample();
    let mut new = sample();
    let outcome = amiko_core::apply_patch(&mut new, &mut amiko_core::Reader::new(text));
    comes_back(&new);
    if outcome.is_err() {
        return;
    }
    // The difference leads from the one to the other.
    let mut difference = amiko_core::Patch::new();
    if new.difference(&old, &mut difference).is_ok() {
        let mut patched = old;
        let text = difference.to_json();
        if let Err(error) = amiko_core::apply_patch(&mut patched, &mut amiko_core::Reader::new(&text)) {
            panic!("{error}: {text}");
        }
        // Text for text: a map that keeps no order has the same text all the same.
        assert_eq!(to_json(&patched), to_json(&new), "{text}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// A target and what it is.
    type Target = (&'static str, fn(&[u8]));

    const TARGETS: [Target; 7] = [
        ("reader", super::reader),
        ("patch", super::patch),
        ("gate", super::gate::gate),
        ("handshake", super::net::handshake),
        ("frame", super::net::frame),
        ("line", super::line::line),
        ("message", super::message::message),
    ];

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let mut paths: Vec<_> =
            std::fs::read_dir(corpus).expect(target).map(|seed| seed.expect(target).path()).collect();
        paths.sort();
        assert!(!paths.is_empty());
        paths.into_iter().map(|path| std::fs::read(path).expect(target)).collect()
    }

    /// Without a fuzzer, too, the seeds pass.
    #[test]
    fn every_seed_passes() {
        for (target, run) in TARGETS {
            seeds(target).iter().for_each(|seed| run(seed));
        }
    }

    /// So does what chance makes of them: `AMIKO_MUTATIONS` of each seed, 20 by default.
    #[test]
    fn what_becomes_of_the_seeds_passes() {
        let count = std::env::var("AMIKO_MUTATIONS").map_or(20, |count| count.parse().expect("a number"));
        for (target, run) in TARGETS {
            let seeds = seeds(target);
            for number in 0..count {
                for (index, seed) in seeds.iter().enumerate() {
                    let mut random = Random(1 + number * seeds.len() as u64 + index as u64);
                    let input = random.change(seed, &seeds);
                    let passed = std::panic::catch_unwind(|| run(&input));
                    assert!(passed.is_ok(), "{target}: {:?}", String::from_utf8_lossy(&input));
                }
            }
        }
    }

    /// Marsaglia's xorshift: enough for mutations.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            for _ in 0..3 {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
            }
            (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
        }

        /// A few changes of a seed: other bytes, parts that are left out or come twice, and parts of another seed.
        fn change(&mut self, seed: &[u8], seeds: &[Vec<u8>]) -> Vec<u8> {
            let mut bytes = seed.to_vec();
            for _ in 0..1 + self.below(6) {
                let (from, length) = (self.below(bytes.len() + 1), 1 + self.below(12));
                let to = (from + length).min(bytes.len());
                match self.below(5) {
                    0 => bytes.get_mut(from).into_iter().for_each(|byte| *byte = self.below(256) as u8),
                    1 => bytes.get_mut(from).into_iter().for_each(|byte| *byte = self.below(16) as u8),
                    2 => drop(bytes.drain(from..to)),
                    3 => bytes.extend_from_within(from..to),
                    _ => {
                        let other = &seeds[self.below(seeds.len())];
                        let begin = self.below(other.len());
                        drop(bytes.splice(from..from, other[begin..].iter().copied()));
                    }
                }
            }
            bytes
        }
    }
}
