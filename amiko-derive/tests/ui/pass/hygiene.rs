//! What the derives write means the same whatever items its surroundings have, and wherever its tokens come from.

#![allow(dead_code, non_camel_case_types, non_upper_case_globals, unused_imports, unused_macros)]

use amiko_core::serializable::{Json, UnknownFields};
use amiko_core::{Node, Phases, Serializable, StateMachine, amiko};

// A pattern of such a name isn't a variable: it is compared with the constant, or doesn't compile.
mod items {
    macro_rules! constants {
        ($($name:ident)*) => { $(pub const $name: u8 = 0;)* };
    }
    macro_rules! statics {
        ($($name:ident)*) => { $(pub static $name: u8 = 0;)* };
    }
    macro_rules! units {
        ($($name:ident)*) => { $(pub struct $name;)* };
    }
    macro_rules! tuples {
        ($($name:ident)*) => { $(pub struct $name(pub u8);)* };
    }
    constants!(input out patch old other class name known value pointer own_0 amount);
    statics!(change segment rest visit reference fields schema ty current lifted);
    units!(before serializer deserializer object kind message id envelope event undo own to f own_1);
    tuples!(field_0 field_1 old_field_0 index error result state count balance);
    pub fn key() {}
}
use items::*;

// The names of the prelude and of the language.
struct Option;
struct Result;
struct Some;
struct None;
struct Ok;
struct Err;
struct String;
struct Vec;
struct Box;
struct str;
struct bool;
struct u8;
struct u32;
struct Self_;
trait Default {}
trait Clone {}
trait Fn {}
trait FnMut {}
trait Sized_ {}
trait ToString {}
trait PartialEq {}
trait Iterator {}
mod core {}
mod std {}
mod alloc {}
mod amiko_derive {}
mod serde {}
macro_rules! matches {
    () => {};
}
macro_rules! format {
    () => {};
}
macro_rules! vec {
    () => {};
}

// The macros of the standard library aren't hygienic in this sense, thus a module without those names.
mod checks {
    pub fn equal<T: PartialEq + ::std::fmt::Debug>(one: T, other: T) {
        assert_eq!(one, other);
    }
}
use checks::equal;

type Number = ::core::primitive::u64;
type Text = ::std::string::String;

#[derive(Clone, Debug, PartialEq, Serializable)]
#[amiko(key = Number, version = 2, migrate = lift, unknown = "keep", implements(T))]
struct Item {
    out: Number,
    #[amiko(default)]
    input: ::std::vec::Vec<Text>,
    patch: ::std::option::Option<Text>,
    #[amiko(skip)]
    amount: Number,
    more: UnknownFields,
}

fn lift(_: ::core::primitive::u32, _: &mut Json) -> ::std::result::Result<(), Text> {
    ::std::result::Result::Ok(())
}

#[derive(Clone, Serializable)]
struct Tuple(Number, ::core::primitive::bool);

#[derive(Clone, Serializable)]
#[amiko(transparent)]
struct Whole(Text);

#[derive(Clone, Serializable)]
enum Message {
    Named {
        value: Number,
        other: Text,
    },
    Ok(Number, Number),
    None,
    #[amiko(transparent)]
    Some(Item),
}

#[derive(Clone, Copy, Default, PartialEq, Serializable, Phases)]
enum Phase {
    #[amiko(next(Ok))]
    #[default]
    None,
    Ok,
}

#[derive(Clone, Serializable)]
struct Outer {
    #[amiko(flatten)]
    out: Inner,
    other: Number,
}

#[derive(Clone, Serializable)]
struct Inner {
    input: Number,
    #[amiko(flatten)]
    class: Generic<Text, 2>,
}

#[derive(Clone, Serializable)]
struct Generic<Some, const N: usize> {
    value: Some,
    list: [Number; N],
}

// Its methods are called like those that stand behind it.
#[amiko(polymorphic)]
trait T: Serializable {
    fn clone_box(&self) -> Number {
        1
    }
    fn write_object(&self) -> Number {
        2
    }
    fn as_any(&self) -> Number {
        3
    }
}

impl T for Item {}

#[derive(Clone, Debug, Serializable)]
struct Holder {
    object: ::std::boxed::Box<dyn T>,
}

impl StateMachine for Item {
    type Node = Root;
    type Message = Message;

    fn handle(
        &mut self,
        _: Message,
        _: &mut amiko_core::Context<'_, Self>,
    ) -> ::std::result::Result<(), amiko_core::Rejection> {
        ::std::result::Result::Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, check = check)]
struct Root {
    #[amiko(machines)]
    undo: amiko_core::Table<Item>,
    own: Number,
    patch: Text,
}

fn check(_: &Root, _: &RootUndo) -> ::std::result::Result<(), amiko_core::Rejection> {
    ::std::result::Result::Ok(())
}

impl StateMachine for Root {
    type Node = Self;
    type Message = Phase;

    fn handle(
        &mut self,
        _: Phase,
        _: &mut amiko_core::Context<'_, Self>,
    ) -> ::std::result::Result<(), amiko_core::Rejection> {
        ::std::result::Result::Ok(())
    }
}

// What a macro makes: of its own names, and of names and types that it was given.
macro_rules! classes {
    ($class:ident, $parameter:ident, $field:ident, $ty:ty, $variant:ident, $object:ident, $node:ident, $interface:ident, $table:ty) => {
        #[derive(Clone, Serializable)]
        struct $class<$parameter, Q> {
            $field: $parameter,
            other: ::std::vec::Vec<$parameter>,
            #[amiko(default)]
            third: $ty,
            fourth: Q,
        }

        #[derive(Clone, Serializable)]
        enum Choice<$parameter> {
            $variant($parameter),
            Other {
                $field: $ty,
                input: $parameter,
            },
            #[amiko(transparent)]
            Whole($object),
        }

        #[derive(Clone, Serializable)]
        struct Flat<$parameter> {
            #[amiko(flatten)]
            other: $parameter,
            #[amiko(flatten)]
            $field: $object,
        }

        #[amiko(polymorphic)]
        trait $interface: Serializable {}

        #[derive(Clone, Serializable)]
        #[amiko(key = $ty, implements($interface))]
        struct $object {
            $field: $ty,
            input: $ty,
        }

        impl $interface for $object {}

        #[derive(Clone, Default, Serializable, Node)]
        struct $node {
            #[amiko(objects)]
            $field: $table,
            own: $ty,
        }
    };
}
classes!(Pair, P, one, Number, Move, Thing, Made, Interface, amiko_core::Table<Thing>);

fn main() {
    let text = r#"{"_class":"Pair","one":1,"other":[2],"third":3,"fourth":4}"#;
    let pair = Pair { one: 1 as Number, other: [2].into(), third: 3, fourth: 4 as Number };
    equal(amiko_core::to_json(&pair).unwrap(), text.into());
    equal(amiko_core::to_json(&amiko_core::from_json::<Pair<Number, Number>>(text).unwrap()).unwrap(), text.into());

    let text = r#"{"_class":"Outer","input":1,"value":"","list":[2,3],"other":4}"#;
    equal(amiko_core::to_json(&amiko_core::from_json::<Outer>(text).unwrap()).unwrap(), text.into());

    let item = Item {
        out: 1,
        input: [].into(),
        patch: ::std::option::Option::None,
        amount: 0,
        more: ::core::default::Default::default(),
    };
    let holder = Holder { object: ::std::boxed::Box::new(item) };
    let text = r#"{"_class":"Holder","object":{"_class":"Item","_version":2,"out":1,"input":[],"patch":null}}"#;
    equal(amiko_core::to_json(&holder).unwrap(), text.into());
    equal(amiko_core::from_json::<Holder>(text).unwrap().object, holder.object.clone());
    equal((T::clone_box(&*holder.object), T::write_object(&*holder.object), T::as_any(&*holder.object)), (1, 2, 3));
}
