//! Discovers the structure of a serde type by deserializing samples.
//!
//! A type says what it expects before it is given anything. So it is given samples, again and again, until nothing
//! new shows up: another variant of an enum each time, and fields of a struct that weren't reached yet first. One of
//! our classes, or a type that accepts no sample, ends the attempt: what follows it in a tuple isn't seen.

mod access;

use super::names::RAW;
use super::passing::{CLASS, ClassDeserializer, Given, Passed, passed};
use crate::panics::catch;
use access::{Entry, Items, Struct, Variants};
use serde_core::de::{self, DeserializeOwned, Deserializer, Visitor};
use std::any::type_name;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

/// What was seen of a type.
pub(super) struct Traced {
    /// What a field of the type is called.
    pub(super) called: String,
    /// The structs and enums that are serde's, with a line for each field or variant.
    pub(super) containers: Vec<(String, Vec<String>)>,
    pub(super) classes: Vec<Passed>,
}

/// Attempts at most: each finds something, or is the last but a few.
const ATTEMPTS: usize = 2_000;
/// Levels of nesting that are looked into.
const DEPTH: usize = 24;

/// Looks at a type.
pub(super) fn trace<T: DeserializeOwned>() -> Traced {
    let trace = Trace::default();
    let mut called = String::new();
    for _ in 0..ATTEMPTS {
        trace.news.set(false);
        trace.failed.borrow_mut().clear();
        let out = RefCell::new(String::new());
        // A type that panics for a sample is one that takes no sample.
        drop(catch(|| drop(T::deserialize(Tracer { trace: &trace, out: &out, depth: 0 }))));
        let seen = out.take();
        if seen.len() > called.len() {
            called = seen;
        }
        if trace.news.get() {
            continue;
        }
        // What can be left out is left out from now on, where it ends the attempt: something may come behind it.
        let failed = trace.failed.take();
        let mut skipped = trace.skipped.borrow_mut();
        if failed.is_subset(&skipped) {
            break;
        }
        skipped.extend(failed);
    }
    let lines =
        |container: Container| (container.name, container.seen.into_values().filter(|line| !line.is_empty()).collect());
    let containers = trace.containers.into_inner().into_values().map(lines);
    Traced { called, containers: containers.collect(), classes: trace.classes.into_inner() }
}

/// Everything that was seen so far.
#[derive(Default)]
struct Trace {
    /// By the names of their types.
    containers: RefCell<BTreeMap<&'static str, Container>>,
    classes: RefCell<Vec<Passed>>,
    /// Which sample a type is given next.
    samples: RefCell<BTreeMap<(&'static str, &'static str), usize>>,
    /// Something was seen for the first time in this attempt.
    news: Cell<bool>,
    /// What could be left out, and has ended this attempt.
    failed: RefCell<BTreeSet<&'static str>>,
    /// What is left out.
    skipped: RefCell<BTreeSet<&'static str>>,
    /// The types that are being read.
    inside: RefCell<Vec<&'static str>>,
}

/// A struct or an enum.
struct Container {
    name: String,
    /// What is known of each field or variant that was seen.
    seen: BTreeMap<&'static str, String>,
    /// Other names of fields.
    aliases: BTreeSet<&'static str>,
    /// A variant that could be read.
    good: Option<usize>,
}

impl Trace {
    /// Takes note of a struct or an enum.
    fn enter(&self, ty: &'static str) {
        let mut containers = self.containers.borrow_mut();
        if containers.contains_key(ty) {
            return;
        }
        let short = without_modules(ty);
        let same = containers
            .values()
            .filter(|other| other.name == short || other.name.starts_with(&format!("{short} (")))
            .count();
        let name = if same == 0 { short } else { format!("{short} ({})", same + 1) };
        containers.insert(ty, Container { name, seen: BTreeMap::new(), aliases: BTreeSet::new(), good: None });
    }

    fn container<R>(&self, ty: &'static str, look: impl FnOnce(&mut Container) -> R) -> Option<R> {
        self.containers.borrow_mut().get_mut(ty).map(look)
    }

    /// Takes note of a field or a variant. What says more counts: an attempt may have ended in the middle of it.
    fn see(&self, ty: &'static str, name: &'static str, line: String) {
        let new = self.container(ty, |container| {
            let new = container.seen.get(name).is_none_or(|old| old.len() < line.len());
            if new {
                container.seen.insert(name, line);
            }
            new
        });
        self.news.set(self.news.get() || new == Some(true));
    }

    /// Takes note of the class that has ended the attempt.
    fn end(&self, error: &Stop) {
        if let Some(class) = passed(&error.0)
            && !self.classes.borrow().contains(&class)
        {
            self.classes.borrow_mut().push(class);
            self.news.set(true);
        }
    }
}

/// `indexmap::map::IndexMap<alloc::string::String, u8>` as `IndexMap<String, u8>`.
pub(super) fn without_modules(type_name: &str) -> String {
    let mut short = String::new();
    let mut segment = String::new();
    let mut characters = type_name.chars().peekable();
    while let Some(character) = characters.next() {
        if character == ':' && characters.peek() == Some(&':') {
            characters.next();
            segment.clear();
        } else if character.is_alphanumeric() || character == '_' {
            segment.push(character);
        } else {
            short.push_str(&std::mem::take(&mut segment));
            short.push(character);
        }
    }
    short + &segment
}

/// Why an attempt ended.
#[derive(Debug)]
struct Stop(String);

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self(reason.to_string())
    }
}

/// Shows a type what it asks for, and takes note of it.
#[derive(Clone, Copy)]
struct Tracer<'t> {
    trace: &'t Trace,
    /// What the type that is read here is called.
    out: &'t RefCell<String>,
    depth: usize,
}

impl<'t> Tracer<'t> {
    fn say(&self, called: impl Into<String>) {
        *self.out.borrow_mut() = called.into();
    }

    /// One level further in.
    fn within(&self, out: &'t RefCell<String>) -> Self {
        Tracer { trace: self.trace, out, depth: self.depth + 1 }
    }

    /// Whether to give nothing where that is possible.
    fn leaves_out(&self, ty: &'static str) -> bool {
        let inside = self.trace.inside.borrow();
        let twice = inside.last().is_some_and(|last| inside.iter().filter(|other| *other == last).count() > 1);
        twice || self.depth > DEPTH / 2 || self.trace.skipped.borrow().contains(ty)
    }

    fn note_failure<T>(&self, ty: &'static str, outcome: &Result<T, Stop>) {
        if outcome.is_err() {
            self.trace.failed.borrow_mut().insert(ty);
        }
    }

    /// Gives the first sample that the type hasn't refused.
    fn sample<'de, V: Visitor<'de>, S: Copy>(
        self,
        visitor: V,
        called: &'static str,
        samples: &[S],
        give: impl FnOnce(V, S) -> Result<V::Value, Stop>,
    ) -> Result<V::Value, Stop> {
        self.say(called);
        let key = (type_name::<V::Value>(), called);
        let at = self.trace.samples.borrow().get(&key).copied().unwrap_or(0);
        let Some(sample) = samples.get(at) else { return Err(Stop(format!("no sample of {called}"))) };
        let outcome = give(visitor, *sample);
        if outcome.is_err() && at + 1 < samples.len() {
            self.trace.samples.borrow_mut().insert(key, at + 1);
            self.trace.news.set(true);
        }
        outcome
    }

    /// Reads a struct, or one of the variants of an enum.
    fn inside<T>(&self, ty: &'static str, read: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
        if self.depth > DEPTH {
            return Err(Stop("too deep".into()));
        }
        self.trace.enter(ty);
        let name = self.trace.container(ty, |container| container.name.clone()).unwrap_or_default();
        self.say(format!("{name} of serde"));
        self.trace.inside.borrow_mut().push(ty);
        let outcome = read();
        self.trace.inside.borrow_mut().pop();
        outcome
    }
}

macro_rules! numbers {
    ($($method:ident: $visit:ident $type:ty, $called:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            const SAMPLES: [$type; 3] = [0 as $type, 1 as $type, 100 as $type];
            self.sample(visitor, $called, &SAMPLES, |visitor, sample| visitor.$visit(sample))
        }
    )*};
}

/// Texts that are something to many types: an ID, an address, a date …
const TEXTS: [&str; 14] = [
    "",
    "a",
    "0",
    "1",
    "00000000-0000-0000-0000-000000000000",
    "127.0.0.1",
    "::1",
    "127.0.0.1:80",
    "2000-01-01",
    "2000-01-01T00:00:00Z",
    "00:00:00",
    "http://a.example/",
    "1.0.0",
    "P1D",
];
const BYTES: [&[u8]; 5] = [&[], &[0; 16], &[0; 32], &[0; 33], &[0; 64]];

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Stop;

    numbers! {
        deserialize_i8: visit_i8 i8, "integer of 8 bits"; deserialize_i16: visit_i16 i16, "integer of 16 bits";
        deserialize_i32: visit_i32 i32, "integer of 32 bits"; deserialize_i64: visit_i64 i64, "integer of 64 bits";
        deserialize_i128: visit_i128 i128, "integer of 128 bits";
        deserialize_u8: visit_u8 u8, "unsigned integer of 8 bits";
        deserialize_u16: visit_u16 u16, "unsigned integer of 16 bits";
        deserialize_u32: visit_u32 u32, "unsigned integer of 32 bits";
        deserialize_u64: visit_u64 u64, "unsigned integer of 64 bits";
        deserialize_u128: visit_u128 u128, "unsigned integer of 128 bits";
        deserialize_f32: visit_f32 f32, "number of 32 bits"; deserialize_f64: visit_f64 f64, "number of 64 bits";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.say("any JSON");
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.sample(visitor, "true or false", &[false, true], V::visit_bool)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.sample(visitor, "character", &['a', '0'], V::visit_char)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.sample(visitor, "text", &TEXTS, V::visit_borrowed_str)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.sample(visitor, "list of bytes", &BYTES, V::visit_borrowed_bytes)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let ty = type_name::<V::Value>();
        if self.leaves_out(ty) {
            self.say(format!("{} or null", without_modules(ty)));
            return visitor.visit_none();
        }
        let inner = RefCell::new(String::new());
        let outcome = visitor.visit_some(self.within(&inner));
        self.note_failure(ty, &outcome);
        self.say(format!("{} or null", inner.take()));
        outcome
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.say("nothing");
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Stop> {
        if name == RAW {
            return self.deserialize_any(visitor);
        }
        if name != CLASS {
            return visitor.visit_newtype_struct(self);
        }
        let outcome = visitor.visit_newtype_struct(ClassDeserializer(Given::Nothing, PhantomData::<Stop>));
        if let Err(error) = &outcome {
            self.trace.end(error);
            self.say(passed(&error.0).map_or_else(|| "a class".into(), |class| class.called));
        }
        outcome
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let ty = type_name::<V::Value>();
        let items = Items::new(self, usize::from(!self.leaves_out(ty)));
        let outcome = visitor.visit_seq(&items);
        self.note_failure(ty, &outcome);
        self.say(format!("list of {}", items.called(", ")));
        outcome
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Stop> {
        let items = Items::new(self, length);
        let outcome = visitor.visit_seq(&items);
        self.say(format!("tuple of {}", items.called(", ")));
        outcome
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let ty = type_name::<V::Value>();
        let entry = Entry(Items::new(self, if self.leaves_out(ty) { 0 } else { 2 }));
        let outcome = visitor.visit_map(&entry);
        self.note_failure(ty, &outcome);
        self.say(format!("map of {}", entry.0.called(" to ")));
        outcome
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let ty = type_name::<V::Value>();
        self.inside(ty, || Struct::show(self, ty, fields, visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let ty = type_name::<V::Value>();
        self.inside(ty, || Variants::show(self, ty, variants, visitor))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_unit()
    }
}
