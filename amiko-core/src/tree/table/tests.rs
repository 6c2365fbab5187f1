use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq, crate::Serializable)]
#[amiko(key = u8, index(by_value = value, by_parity: bool = Self::is_odd))]
struct Item {
    value: u32,
}

impl Item {
    fn is_odd(&self) -> bool {
        self.value % 2 == 1
    }
}

/// What an index says, and what a walk through the whole table says, must be the same.
fn check_indexes(table: &Table<Item>) {
    let keys =
        |found: &mut dyn Iterator<Item = (Id<Item>, &Item)>| -> Vec<u8> { found.map(|(id, _)| *id.key()).collect() };
    let mut ordered: Vec<_> = table.iter().map(|(id, item)| (item.value, *id.key())).collect();
    ordered.sort_unstable();
    for range in [(0, 4), (1, 1), (2, 3), (3, 1)] {
        let within = |found: &u32| range.0 <= *found && *found < range.1;
        let expected: Vec<_> = ordered.iter().filter(|(value, _)| within(value)).map(|(_, key)| *key).collect();
        assert_eq!(keys(&mut table.find_range(Item::BY_VALUE, range.0..range.1)), expected);
    }
    assert_eq!(
        keys(&mut table.find_range(Item::BY_VALUE, ..)),
        ordered.iter().map(|(_, key)| *key).collect::<Vec<_>>()
    );
    let after = (std::ops::Bound::Excluded(1), std::ops::Bound::Unbounded);
    let backwards: Vec<_> = ordered.iter().rev().filter(|(value, _)| *value > 1).map(|(_, key)| *key).collect();
    assert_eq!(keys(&mut table.find_range(Item::BY_VALUE, after).rev()), backwards);
    for odd in [false, true] {
        let expected = keys(&mut table.iter().filter(|(_, item)| item.is_odd() == odd));
        assert_eq!(keys(&mut table.find(Item::BY_PARITY, &odd)), expected);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u8, u32),
    Change(u8, u32),
    Remove(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..8u8, 0..6u32).prop_map(|(key, value)| Step::Insert(key, value)),
        (0..8u8, 0..6u32).prop_map(|(key, value)| Step::Change(key, value)),
        (0..8u8).prop_map(Step::Remove),
    ]
}

fn take(table: &mut Table<Item>, step: &Step) {
    match *step {
        Step::Insert(key, value) => drop(table.insert(&Id::new(key), Item { value })),
        Step::Change(key, value) => {
            if let Some(item) = table.get_mut(&Id::new(key)) {
                item.value = value;
            }
        }
        Step::Remove(key) => drop(table.remove(&Id::new(key))),
    }
}

proptest! {
    #[test]
    fn rolling_back_restores_bit_for_bit(before in prop::collection::vec(step(), 0..20), event in prop::collection::vec(step(), 0..20)) {
        let (mut table, only) = (Table::new(), EngineOnly::new());
        before.iter().for_each(|step| take(&mut table, step));
        table.take_undo(&only);
        let old = crate::to_json(&table).unwrap();
        event.iter().for_each(|step| take(&mut table, step));
        let undo = table.take_undo(&only);
        table.roll_back(&undo, &only);
        check_indexes(&table);
        prop_assert_eq!(crate::to_json(&table).unwrap(), old);
    }

    #[test]
    fn the_difference_leads_from_the_old_version_to_the_new(before in prop::collection::vec(step(), 0..20), event in prop::collection::vec(step(), 0..20)) {
        let (mut table, only) = (Table::new(), EngineOnly::new());
        before.iter().for_each(|step| take(&mut table, step));
        table.take_undo(&only);
        let mut old = table.clone();
        event.iter().for_each(|step| take(&mut table, step));
        let undo = table.take_undo(&only);
        let mut patch = Patch::new();
        table.entries_since(&undo, &mut patch).unwrap();
        let mut whole = Patch::new();
        table.difference(&old, &mut whole).unwrap();
        prop_assert_eq!(patch.operations(), whole.operations());
        crate::apply_patch(&mut old, &mut Reader::new(&patch.to_json())).unwrap();
        prop_assert_eq!(old, table);
    }

    #[test]
    fn an_index_says_what_a_walk_through_the_table_says(before in prop::collection::vec(step(), 0..12), event in prop::collection::vec(step(), 0..12)) {
        let (mut table, only) = (Table::new(), EngineOnly::new());
        for step in &before {
            take(&mut table, step);
            check_indexes(&table);
        }
        table.take_undo(&only);
        let mut old = table.clone();
        for step in &event {
            take(&mut table, step);
            check_indexes(&table);
        }
        let (undo, mut patch) = (table.take_undo(&only), Patch::new());
        table.entries_since(&undo, &mut patch).unwrap();
        crate::apply_patch(&mut old, &mut Reader::new(&patch.to_json())).unwrap();
        check_indexes(&old);
        // What a patch has left in an index by mistake shows once its key is taken again.
        for step in &before {
            take(&mut old, step);
            check_indexes(&old);
        }
        check_indexes(&crate::from_json(&crate::to_json(&table).unwrap()).unwrap());
        check_indexes(&old.iter().map(|(id, item)| (id, item.clone())).collect());
        // Another handler's version replaces an object.
        let replaced = table.replace(&Id::new(3), Item { value: 2 });
        prop_assert_eq!(replaced, table.contains(&Id::new(3)));
        check_indexes(&table);
        let again = table.take_undo(&only);
        table.roll_back(&again, &only);
        table.roll_back(&undo, &only);
        check_indexes(&table);
    }
}
