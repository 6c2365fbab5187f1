//! What names tell: those that `serde_json` gives to what it can't say otherwise, and those of types.
//!
//! serde doesn't distinguish a map that keeps an order from one that has none. Usually the type's name does; for the
//! others, reading the value back shows it (`exact`).

/// What `serde_json` calls a number, if a program has its feature `arbitrary_precision` on.
pub(super) const NUMBER: &str = "$serde_json::private::Number";
/// What it calls JSON that stays as it is.
pub(super) const RAW: &str = "$serde_json::private::RawValue";

/// What the order of a container means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// None: the order of a hash, or one that follows from the entries, as in a B-tree. Entries are written in the
    /// order of their texts.
    Sorted,
    /// It is part of the value.
    Kept,
    /// The name of the type doesn't say.
    Unknown,
}

/// Maps of which any entry may come and go, whatever the others are: no check of their own stands behind their reading.
const MAPS: [&str; 4] = [
    "std::collections::hash::map::HashMap",
    "alloc::collections::btree::map::BTreeMap",
    "hashbrown::map::HashMap",
    "indexmap::map::IndexMap",
];
const SETS: [&str; 3] =
    ["std::collections::hash::set::HashSet", "alloc::collections::btree::set::BTreeSet", "hashbrown::set::HashSet"];
const KEPT: [&str; 9] = [
    "indexmap::map::IndexMap",
    "indexmap::set::IndexSet",
    "alloc::vec::Vec",
    "alloc::collections::vec_deque::VecDeque",
    "alloc::collections::linked_list::LinkedList",
    "alloc::collections::binary_heap::BinaryHeap",
    "smallvec::SmallVec",
    "arrayvec::arrayvec::ArrayVec",
    "serde_json::",
];

/// Whether a type of this name is a map that is known to be nothing else.
pub(super) fn is_map(type_name: &str) -> bool {
    let path = itself(type_name).split('<').next().unwrap_or_default();
    MAPS.contains(&path)
}

/// The name of what a type is in the end, behind whatever points at it.
fn itself(type_name: &str) -> &str {
    let mut name = type_name;
    loop {
        name = name.trim_start_matches(['&', '*', ' ']);
        let path = name.split_once('<').map_or(name, |(path, _)| path);
        let segment = path.rsplit("::").next().unwrap_or(path);
        // What only points at a value has the order of the value.
        match name.strip_prefix(path).and_then(|rest| rest.strip_prefix('<')) {
            Some(inside) if matches!(segment, "Box" | "Arc" | "Rc" | "Cow") => name = inside,
            _ => return name,
        }
    }
}

/// What the type of this name, as `std::any::type_name` gives it, says of its order.
pub(super) fn order(type_name: &str) -> Order {
    let name = itself(type_name);
    let path = name.split('<').next().unwrap_or_default();
    if name.starts_with('[') || KEPT.iter().any(|kept| path == *kept || kept.ends_with("::") && path.starts_with(kept))
    {
        Order::Kept
    } else if MAPS.contains(&path) || SETS.contains(&path) {
        Order::Sorted
    } else {
        Order::Unknown
    }
}

/// The name of a type that holds a value behind a lock or an atomic, if it is one of the standard library's: a change of it
/// would escape the undo log.
pub(super) fn interior(type_name: &str) -> bool {
    const CELLS: [&str; 7] = ["Mutex", "RwLock", "OnceLock", "LazyLock", "Cell", "RefCell", "OnceCell"];
    let path = type_name.split_once('<').map_or(type_name, |(path, _)| path);
    let segment = path.rsplit("::").next().unwrap_or(path);
    let of_std = path.starts_with("std::") || path.starts_with("core::") || path.starts_with("alloc::");
    of_std && (segment.starts_with("Atomic") || CELLS.contains(&segment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::type_name;
    use std::collections::{BTreeMap, HashMap, HashSet, LinkedList};

    #[test]
    fn the_name_of_a_type_tells_its_order() {
        assert_eq!(order(type_name::<HashMap<String, Vec<u8>>>()), Order::Sorted);
        assert_eq!(order(type_name::<&Box<HashSet<Vec<u8>>>>()), Order::Sorted);
        assert_eq!(order(type_name::<BTreeMap<u8, u8>>()), Order::Sorted);
        assert_eq!(order(type_name::<Vec<HashMap<u8, u8>>>()), Order::Kept);
        assert_eq!(order(type_name::<[u8]>()), Order::Kept);
        assert_eq!(order(type_name::<LinkedList<u8>>()), Order::Kept);
        assert_eq!(order(type_name::<indexmap::IndexMap<String, u8>>()), Order::Kept);
        assert_eq!(order(type_name::<smallvec::SmallVec<[u8; 2]>>()), Order::Kept);
        assert_eq!(order(type_name::<serde_json::Value>()), Order::Kept);
        // Whatever a type of somebody else is called.
        assert_eq!(order("chain::BlockHashes"), Order::Unknown);
        assert_eq!(order("shop::TagList"), Order::Unknown);
        assert!(is_map(type_name::<indexmap::IndexMap<u8, u8>>()) && !is_map("shop::FullMap"));
    }

    #[test]
    fn what_std_has_of_interior_mutability_is_known_by_its_name() {
        assert!(interior(type_name::<std::sync::atomic::AtomicU64>()));
        assert!(interior(type_name::<std::sync::Mutex<u8>>()));
        assert!(interior(type_name::<std::cell::RefCell<u8>>()));
        assert!(!interior(type_name::<Vec<u8>>()));
        assert!(!interior("sheet::Cell"));
    }
}
