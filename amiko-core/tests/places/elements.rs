//! What stands in the places: a byte, classes, a class with a secret, one with a strong reference, an enum.

use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use std::cmp::Ordering;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};

/// The digits of every secret.
pub const SECRET: u64 = 777_777_000;

/// Something that can stand in any container. Two of one name are equal to their `Ord`, `Eq` and `Hash`, whatever else is in
/// them: nothing of that may decide whether something has changed.
pub trait Element: Clone + Ord + Hash + Debug {
    /// The element of this name, with another content for each number.
    fn element(name: &str, number: u64) -> Self;
}

impl Element for u8 {
    fn element(name: &str, number: u64) -> Self {
        name.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(3).wrapping_add(byte)).wrapping_add(number as Self)
    }
}

macro_rules! named {
    ($($class:ident),*) => {$(
        impl PartialEq for $class {
            fn eq(&self, other: &Self) -> bool {
                self.name() == other.name()
            }
        }

        impl Eq for $class {}

        impl PartialOrd for $class {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $class {
            fn cmp(&self, other: &Self) -> Ordering {
                self.name().cmp(other.name())
            }
        }

        impl Hash for $class {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.name().hash(state);
            }
        }
    )*};
}

named!(Plain, Card, Claim, Mood, Deep);

macro_rules! name_of_a_struct {
    ($($class:ident),*) => {$(
        impl $class {
            fn name(&self) -> &str {
                &self.name
            }
        }
    )*};
}

name_of_a_struct!(Plain, Card, Claim, Deep);

#[derive(Clone, Debug, Serializable)]
pub struct Plain {
    pub name: String,
    pub number: u64,
}

impl Element for Plain {
    fn element(name: &str, number: u64) -> Self {
        Self { name: name.into(), number }
    }
}

#[derive(Clone, Debug, Serializable)]
pub struct Card {
    pub name: String,
    #[amiko(secret)]
    pub pin: Secret<u64>,
}

impl Element for Card {
    fn element(name: &str, number: u64) -> Self {
        Self { name: name.into(), pin: Secret::new(SECRET + number) }
    }
}

/// What strong references name.
#[derive(Clone, Debug, Serializable)]
#[amiko(key = String)]
pub struct Owner {}

/// The class that has the reference is one further in.
#[derive(Clone, Debug, Serializable)]
pub struct Claim {
    pub name: String,
    pub inner: Option<Box<Right>>,
}

#[derive(Clone, Debug, Serializable)]
pub struct Right {
    #[amiko(strong)]
    pub owner: Id<Owner>,
}

impl Element for Claim {
    fn element(name: &str, number: u64) -> Self {
        Self { name: name.into(), inner: Some(Box::new(Right { owner: Id::new(format!("owner {number}")) })) }
    }
}

#[derive(Clone, Debug, Serializable)]
pub enum Mood {
    Calm { name: String },
    Angry { name: String, at: Plain, since: Vec<u64> },
}

impl Mood {
    fn name(&self) -> &str {
        let (Self::Calm { name } | Self::Angry { name, .. }) = self;
        name
    }
}

impl Element for Mood {
    fn element(name: &str, number: u64) -> Self {
        match number {
            0 => Self::Calm { name: name.into() },
            _ => Self::Angry { name: name.into(), at: Plain::element("somebody", number), since: vec![1, number] },
        }
    }
}

/// Nested as deep as its number says.
#[derive(Clone, Debug, Serializable)]
pub struct Deep {
    pub name: String,
    pub json: Json,
}

impl Element for Deep {
    fn element(name: &str, number: u64) -> Self {
        let json = (0..number).fold(Json::Null, |inner, _| Json::Array(vec![inner]));
        Self { name: name.into(), json }
    }
}

impl Deep {
    /// One with a number that is longer than a reader takes.
    pub fn long(name: &str) -> Self {
        Self { name: name.into(), json: Json::Number("9".repeat(401)) }
    }
}
