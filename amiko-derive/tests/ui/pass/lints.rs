//! What the derives write causes no warning in a crate that allows none.

#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications, unused, non_snake_case, nonstandard_style)]
#![forbid(unsafe_code)]

use amiko_core::prelude::*;

/// A public class.
#[derive(Clone, Serializable)]
#[amiko(key = u64, reply = u64, rename_all = "camelCase")]
pub struct Item {
    /// A field.
    pub some_value: u64,
    #[amiko(skip)]
    cache: Vec<u8>,
}

/// A public message.
#[derive(Clone, Serializable)]
pub enum ItemMessage {
    /// A variant.
    Add {
        /// A field.
        amount: u64,
    },
    /// Another.
    Pair(u64, Option<String>),
    /// A third.
    Unit,
}

impl StateMachine for Item {
    type Node = Root;
    type Message = ItemMessage;

    fn handle(&mut self, message: ItemMessage, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            ItemMessage::Add { amount } | ItemMessage::Pair(amount, _) => self.some_value += amount,
            ItemMessage::Unit => self.cache.clear(),
        }
        Ok(())
    }
}

/// A public node.
#[derive(Clone, Default, Serializable, Node)]
#[amiko(network = String, notice = Item, check = check)]
pub struct Root {
    /// A table.
    #[amiko(machines)]
    pub items: Table<Item>,
    name: String,
}

fn check(root: &Root, _: &RootUndo) -> Result<(), Rejection> {
    if root.name.is_empty() { Ok(()) } else { Err(Rejection::new("expected no name")) }
}

/// A node without machines.
#[derive(Clone, Default, Serializable, Node)]
pub struct Nobody {}

/// A class that takes in another one, which is less visible.
#[derive(Clone, Serializable)]
pub struct Around<T> {
    #[amiko(flatten)]
    inner: Inner<T>,
    /// A field.
    pub last: u64,
}

#[derive(Clone, Serializable)]
struct Inner<T> {
    values: Vec<Hidden>,
    selves: Vec<Self>,
    #[amiko(skip)]
    parameter: std::marker::PhantomData<T>,
}

#[derive(Clone, Serializable)]
struct Hidden {}

/// A class without values.
#[derive(Clone, Serializable)]
pub enum Never {}

fn main() {
    let inner = Inner { values: vec![Hidden {}], selves: Vec::new(), parameter: std::marker::PhantomData::<u8> };
    let text = r#"{"_class":"Around","values":[{"_class":"Hidden"}],"selves":[],"last":1}"#;
    assert_eq!(to_json(&Around { inner, last: 1 }).unwrap(), text);
    assert_eq!(to_json(&from_json::<Around<u8>>(text).unwrap()).unwrap(), text);
    let root = Root { items: [(Id::new(1u64), Item { some_value: 2, cache: vec![3] })].into_iter().collect(), ..Root::default() };
    let text = to_json(&root).unwrap();
    assert_eq!(text, r#"{"_class":"Root","items":{"1":{"_class":"Item","someValue":2}},"name":""}"#);
    assert_eq!(to_json(&from_json::<Root>(&text).unwrap()).unwrap(), text);
}
