//! What the derive of keys writes means the same whatever names its surroundings have, with parameters and without.

#![deny(warnings)]
#![allow(dead_code)]

use amiko_core::{Id, Object};

type Option = ();
type Result = ();
type String = ();
type Cow = ();
struct Ok;
struct Err;
mod core {}
mod std {}
trait Key {}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, amiko_core::Key)]
struct Sku(::std::string::String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, amiko_core::Key)]
#[amiko(rename_all = "kebab-case")]
enum Colour {
    Red,
    r#Yellow,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, amiko_core::Key)]
struct Slot {
    r#type: Colour,
    text: Sku,
    parts: u8,
    visit: ((), u16),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, amiko_core::Key)]
struct Pair<A, B = A>(A, B);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, amiko_core::Key)]
struct Hash<const N: usize> {
    bytes: [u8; N],
}

#[derive(amiko_core::Key)]
struct Owned<T: Object>(u64, Id<T>);

impl<T: Object> ::std::clone::Clone for Owned<T> {
    fn clone(&self) -> Self {
        Self(self.0, self.1.clone())
    }
}

impl<T: Object> ::std::cmp::PartialEq for Owned<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.0, &self.1) == (other.0, &other.1)
    }
}

impl<T: Object> ::std::cmp::Eq for Owned<T> {}

impl<T: Object> ::std::cmp::PartialOrd for Owned<T> {
    fn partial_cmp(&self, other: &Self) -> ::std::option::Option<::std::cmp::Ordering> {
        ::std::option::Option::Some(::std::cmp::Ord::cmp(self, other))
    }
}

impl<T: Object> ::std::cmp::Ord for Owned<T> {
    fn cmp(&self, other: &Self) -> ::std::cmp::Ordering {
        ::std::cmp::Ord::cmp(&(self.0, &self.1), &(other.0, &other.1))
    }
}

impl<T: Object> ::std::hash::Hash for Owned<T> {
    fn hash<H: ::std::hash::Hasher>(&self, state: &mut H) {
        ::std::hash::Hash::hash(&self.1, state);
    }
}

impl<T: Object> ::std::fmt::Debug for Owned<T> {
    fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
        ::std::fmt::Debug::fmt(&self.1, f)
    }
}

fn is_a_key<K: amiko_core::Key>() {}

fn main() {
    is_a_key::<Slot>();
    is_a_key::<Pair<Sku, Hash<4>>>();
}
