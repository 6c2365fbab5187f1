//! A library that is reached over another crate, or a module: also from code that a macro has made.

mod mine {
    pub use amiko_core as core;

    macro_rules! class {
        ($name:ident) => {
            #[derive(Clone, $crate::mine::core::Serializable)]
            #[amiko(crate = $crate::mine::core)]
            pub struct $name<T> {
                value: T,
            }
        };
    }
    pub(crate) use class;
}

use mine::core::prelude::*;

#[derive(Clone, Serializable)]
#[amiko(key = u64, crate = mine::core, implements(Shape))]
struct Item {
    value: u64,
}

#[derive(Clone, Copy, PartialEq, Serializable, Phases)]
#[amiko(crate = crate::mine::core)]
enum Phase {
    Open,
}

#[amiko(polymorphic, crate = mine::core)]
trait Shape: Serializable {}

impl Shape for Item {}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(crate = mine::core)]
struct Root {
    #[amiko(objects)]
    items: Table<Item>,
}

mod other {
    crate::mine::class!(Made);

    // A path may be one that is only in scope here.
    use crate::mine::core as here;

    #[derive(here::Serializable)]
    #[amiko(crate = here)]
    pub enum Order {
        Give { value: u64 },
        Take,
    }
}

fn main() {
    assert_eq!(
        to_json(&from_json::<Box<dyn Shape>>(r#"{"_class":"Item","value":1}"#).unwrap()).unwrap(),
        r#"{"_class":"Item","value":1}"#
    );
    assert_eq!(to_json(&other::Order::Take).unwrap(), r#"{"_class":"Take"}"#);
    assert!(from_json::<other::Made<u64>>(r#"{"_class":"Made","value":1}"#).is_ok());
    assert_eq!(Phase::Open.name(), "Open");
    assert!(Root::default().items.is_empty());
}
