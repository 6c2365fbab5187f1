//! The containers: a line for each. What stands behind the name of the class is the name in the table, whether the container
//! keeps an order of its own, the type, and how it is made of some elements.

use crate::elements::{Card, Claim, Deep, Element, Mood, Owner, Plain};
use ::either::Either;
use amiko_core::prelude::*;
use amiko_core::serializable::schema;
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

/// A key that only serde knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sku(String);

/// A key that is ours as well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
pub struct Code(String);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
pub enum Colour {
    Red,
    Green,
    #[amiko(rename = "!/~ blue")]
    Blue,
}

/// A hash that its type doesn't show.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden<T>(HashMap<String, T>);

/// A class that takes the fields of another one in, which takes those of a third one in.
#[derive(Clone, Debug, Serializable)]
pub struct Around<T> {
    before: u8,
    #[amiko(flatten)]
    flattened: Flattened<T>,
    after: Option<T>,
}

#[derive(Clone, Debug, Serializable)]
pub struct Flattened<T> {
    values: Vec<T>,
    #[amiko(flatten)]
    deeper: Deeper<T>,
}

#[derive(Clone, Debug, Serializable)]
pub struct Deeper<T> {
    value: T,
}

/// A container that serde writes, of some elements each.
#[amiko(polymorphic)]
pub trait Place: Serializable {
    /// The same with other elements: of which of the fields says `which`.
    fn with(&self, which: Which, elements: &[(&str, u64)]) -> Box<dyn Place>;
    /// The same with a number in it that no reader takes.
    fn with_a_long_number(&self) -> Box<dyn Place>;
    /// As `Debug` shows it.
    fn show(&self) -> String;
}

/// A field of a place: which elements stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Bytes,
    Plain,
    Card,
    Claim,
    Mood,
    Deep,
}

/// A row of the table.
pub struct Row {
    pub name: &'static str,
    pub ordered: bool,
    pub place: fn() -> Box<dyn Place>,
    pub schema: fn() -> String,
}

macro_rules! containers {
    ($($module:ident $class:ident $name:literal $ordered:literal <$t:ident> $of:ty = |$items:ident| $make:expr;)*) => {
        $(mod $module {
            use super::*;

            type Of<$t> = $of;

            fn make<T: Element>($items: Vec<T>) -> Of<T> {
                $make
            }

            #[derive(Clone, Debug, Serializable)]
            #[amiko(implements(Place))]
            pub struct $class {
                bytes: Of<u8>,
                plain: Of<Plain>,
                card: Of<Card>,
                claim: Of<Claim>,
                mood: Of<Mood>,
                deep: Of<Deep>,
            }

            fn elements<T: Element>(elements: &[(&str, u64)]) -> Of<T> {
                make(elements.iter().map(|(name, number)| T::element(name, *number)).collect())
            }

            impl Place for $class {
                fn with(&self, which: Which, given: &[(&str, u64)]) -> Box<dyn Place> {
                    let mut place = self.clone();
                    match which {
                        Which::Bytes => place.bytes = elements(given),
                        Which::Plain => place.plain = elements(given),
                        Which::Card => place.card = elements(given),
                        Which::Claim => place.claim = elements(given),
                        Which::Mood => place.mood = elements(given),
                        Which::Deep => place.deep = elements(given),
                    }
                    Box::new(place)
                }

                fn with_a_long_number(&self) -> Box<dyn Place> {
                    Box::new(Self { deep: make(vec![Deep::long("a"), Deep::element("b", 0)]), ..self.clone() })
                }

                fn show(&self) -> String {
                    format!("{self:?}")
                }
            }

            pub fn row() -> Row {
                let first = [("a", 0), ("b", 0)];
                fn place() -> Box<dyn Place> {
                    let first = [("a", 0), ("b", 0)];
                    Box::new($class {
                        bytes: elements(&first),
                        plain: elements(&first),
                        card: elements(&first),
                        claim: elements(&first),
                        mood: elements(&first),
                        deep: elements(&first),
                    })
                }
                let _ = first;
                Row { name: $name, ordered: $ordered, place, schema: schema::describe::<$class> }
            }
        })*

        /// All of them.
        pub fn rows() -> Vec<Row> {
            vec![$($module::row()),*]
        }
    };
}

fn first<T>(items: Vec<T>) -> T {
    items.into_iter().next().unwrap()
}

/// Two elements, whatever is given.
fn two<T: Clone>(items: Vec<T>) -> [T; 2] {
    let other = items.last().cloned().unwrap();
    [first(items), other]
}

/// With keys that follow from the elements: `a` is always the first key, whatever its place.
fn keyed<K, T: Element>(items: Vec<T>, key: fn(usize) -> K) -> impl Iterator<Item = (K, T)> {
    items.into_iter().map(move |item| {
        let at = if item < T::element("b", 0) { 0 } else { 1 };
        (key(at), item)
    })
}

fn text(at: usize) -> String {
    ["!/~ \"a\"", "b"][at].into()
}

containers! {
    bare Bare "T" true <T> T = |items| first(items);
    option Optional "Option<T>" true <T> Option<T> = |items| items.into_iter().next();
    boxed Boxed "Box<T>" true <T> Box<T> = |items| Box::new(first(items));
    shared Shared "Arc<T>" true <T> Arc<T> = |items| Arc::new(first(items));
    cow Cows "Cow<'static, T>" true <T> Cow<'static, T> = |items| Cow::Owned(first(items));
    vec Vecs "Vec<T>" true <T> Vec<T> = |items| items;
    deque Deques "VecDeque<T>" true <T> VecDeque<T> = |items| items.into();
    list Lists "LinkedList<T>" true <T> LinkedList<T> = |items| items.into_iter().collect();
    heap Heaps "BinaryHeap<T>" true <T> BinaryHeap<T> = |items| items.into();
    array Arrays "[T; 2]" true <T> [T; 2] = |items| two(items);
    slice Slices "Box<[T]>" true <T> Box<[T]> = |items| items.into();
    tuple Tuples "(u8, T)" true <T> (u8, T) = |items| (7, first(items));
    serde_tuple SerdeTuples "(f32, T), of which serde knows a part" true <T> (f32, T) = |items| (0.5, first(items));
    result Results "Result<T, String>" true <T> Result<T, String> = |items| items.into_iter().next().ok_or("none".into());
    options Options "Vec<Option<T>>" true <T> Vec<Option<T>> = |items| items.into_iter().map(Some).chain([None]).collect();
    nested Nested "Option<Vec<VecDeque<T>>>" true <T> Option<Vec<VecDeque<T>>> = |items| Some(vec![items.into()]);
    set Sets "BTreeSet<T>" false <T> BTreeSet<T> = |items| items.into_iter().collect();
    hash_set HashSets "HashSet<T>" false <T> HashSet<T> = |items| items.into_iter().collect();
    index_set IndexSets "IndexSet<T>" true <T> IndexSet<T> = |items| items.into_iter().collect();
    tree TextTrees "BTreeMap<String, T>" false <T> BTreeMap<String, T> = |items| keyed(items, text).collect();
    number_tree NumberTrees "BTreeMap<u64, T>" false <T> BTreeMap<u64, T> = |items| keyed(items, |at| at as u64 * 7).collect();
    id_tree IdTrees "BTreeMap<Id<Owner>, T>" false <T> BTreeMap<Id<Owner>, T> = |items| keyed(items, |at| Id::new(text(at))).collect();
    newtype_tree NewtypeTrees "BTreeMap<K, T>, K a newtype with derive(Key)" false <T> BTreeMap<Code, T>
        = |items| keyed(items, |at| Code(text(at))).collect();
    enum_tree EnumTrees "BTreeMap<K, T>, K an enum with derive(Key)" false <T> BTreeMap<Colour, T>
        = |items| keyed(items, |at| [Colour::Blue, Colour::Red][at].clone()).collect();
    tuple_tree TupleTrees "BTreeMap<(u8, String), T>" false <T> BTreeMap<(u8, String), T>
        = |items| keyed(items, |at| (7, text(at))).collect();
    serde_tree SerdeTrees "BTreeMap<K, T>, K a newtype of serde" false <T> BTreeMap<Sku, T>
        = |items| keyed(items, |at| Sku(text(at))).collect();
    hash HashMaps "HashMap<String, T>" false <T> HashMap<String, T> = |items| keyed(items, text).collect();
    serde_hash SerdeHashMaps "HashMap<K, T>, K a newtype of serde" false <T> HashMap<Sku, T>
        = |items| keyed(items, |at| Sku(text(at))).collect();
    hidden_hash HiddenHashMaps "HashMap<String, T> behind #[serde(transparent)]" false <T> Hidden<T>
        = |items| Hidden(keyed(items, text).collect());
    map Maps "Map<String, T>" false <T> Map<String, T> = |items| keyed(items, text).collect();
    newtype_map NewtypeMaps "Map<K, T>, K a newtype with derive(Key)" false <T> Map<Code, T>
        = |items| keyed(items, |at| Code(text(at))).collect();
    serde_map SerdeMaps "Map<String, (f32, T)>, whose values are serde's" false <T> Map<String, (f32, T)>
        = |items| keyed(items, text).map(|(key, item)| (key, (0.5, item))).collect();
    index_map IndexMaps "IndexMap<String, T>" true <T> IndexMap<String, T> = |items| keyed(items, text).collect();
    serde_index_map SerdeIndexMaps "IndexMap<K, T>, K a newtype of serde" true <T> IndexMap<Sku, T>
        = |items| keyed(items, |at| Sku(text(at))).collect();
    uuid_index_map UuidIndexMaps "IndexMap<Uuid, T>" true <T> IndexMap<Uuid, T>
        = |items| keyed(items, |at| Uuid::from_u128(at as u128)).collect();
    small SmallVecs "SmallVec<[T; 2]>" true <T> SmallVec<[T; 2]> = |items| items.into();
    either Eithers "Either<T, u8>" true <T> Either<T, u8> = |items| items.into_iter().next().map_or(Either::Right(7), Either::Left);
    flattened Flats "a flattened class" true <T> Around<T> = |items| {
        let deeper = Deeper { value: first(items.clone()) };
        Around { before: 7, after: items.last().cloned(), flattened: Flattened { values: items, deeper } }
    };
}
