//! The derives of `amiko-core`, which re-exports them and has their documentation.
//!
//! Every derive works in the same steps: `attributes` parses, `tree` checks and collects every error, and
//! `serializable`, `node`, `phases` and `key` generate. Invariant: code is generated only from a checked tree, so a
//! user sees errors on the attribute at fault and not inside generated code.

mod attributes;
mod index;
mod key;
mod meta;
mod node;
mod phases;
mod polymorphic;
mod serializable;
mod tokens;
mod tree;
mod types;

use proc_macro::TokenStream;
use quote::ToTokens;
use syn::{DeriveInput, parse_macro_input};

/// Implements `Serializable` for a class; with `key` also `Object`.
///
/// | on the type | |
/// |---|---|
/// | `class = "Name"` | the name in JSON, instead of the type's |
/// | `key = Type` | objects of this class live in a `Table` and have an `Id` with this key |
/// | `index(by_value = field)`, `index(by_value: Type = path)` | `Table::find` finds objects by this value: `Class::BY_VALUE` |
/// | `kind = "name"` | the name in IDs, instead of the type's name with a lower-case first letter |
/// | `rename_all = "camelCase"` | the case of field names, or of the variants of an enum |
/// | `rename_all_fields = "camelCase"` | the case of the field names of all variants |
/// | `transparent` | a type of one field is written as that field |
/// | `unknown = "deny"`, `"ignore"`, `"keep"` | how to treat unknown fields, in files and messages alike; `keep` needs a field of type `UnknownFields` |
/// | `version = 2`, `migrate = path` | older objects are migrated by `fn(from: u32, object: &mut Json) -> Result<(), String>`, one version at a time |
/// | `implements(Trait)` | the class is found by name behind a `Box<dyn Trait>` |
/// | `crate = path` | the path of the library, if it isn't `::amiko_core`; also for `Node` and `Phases` |
///
/// | on a field | |
/// |---|---|
/// | `default`, `default = path` | the value of a missing field |
/// | `rename = "name"`, `alias = "name"` | another name in JSON; other names that are read as well |
/// | `skip` | never written; read as its default |
/// | `secret` | the field's type must be `Secret<_>`, which hides it from people |
/// | `flatten` | the fields of the field's class are written in its place, without an object around them |
/// | `with = path` | a value of a type that implements `Codec` for the field's type writes and reads it |
/// | `strong` | the objects that the field refers to must exist when an event commits |
/// | `summary`, `skip_summary` | only these fields are in the summary; this one isn't |
///
/// On a variant: `rename`, `alias`, `transparent`; and `performed`, for a message that says what came of an effect.
///
/// The module `amiko_core::serializable::attributes` has an example of each.
#[proc_macro_derive(Serializable, attributes(amiko))]
pub fn derive_serializable(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    tree::Class::check(&input)
        .map_or_else(syn::Error::into_compile_error, |class| serializable::generate(&class))
        .into()
}

/// Implements `Node` for the root of a state tree, and generates the enum of envelopes and what connects the node with
/// its machines.
///
/// | on the type | |
/// |---|---|
/// | `machine` | the node is a `StateMachine` itself; its ID is the unit |
/// | `reply = Type` | what the machine replies to commands; nothing by default |
/// | `network = Type`, `notice = Type` | the types of messages to peers, and of notices to watchers |
/// | `effects(Charge, SendMail)` | the classes of its effects |
/// | `check = path` | `fn(&Self, &Undo) -> Result<(), Rejection>`: the invariants, checked before each commit |
///
/// | on a field | |
/// |---|---|
/// | `machines` | a `Table<T>` of machines that the node hosts |
/// | `objects` | a `Table<T>` of objects that receive no messages |
///
/// The module `amiko_core::serializable::attributes` has an example of each.
#[proc_macro_derive(Node, attributes(amiko))]
pub fn derive_node(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    node::Root::check(&input).map_or_else(syn::Error::into_compile_error, |root| node::generate(&root)).into()
}

/// Implements `Phases` for an enum: which phase may follow which, how long a machine may be in it, and what it takes there.
///
/// | on the enum | |
/// |---|---|
/// | `machine = Class` | the machine whose phases they are, if they have time-outs, messages or functions |
/// | `field = name` | the machine's field, if it isn't `phase` |
/// | `within = Outer` | they are phases inside a phase of this enum |
///
/// | on a variant | |
/// |---|---|
/// | `next(A, B)` | the phases that may be entered from this one; without it, the phase is final |
/// | `#[default]`, of `Default` | a machine begins here, instead of at the first variant |
/// | `initial` | a machine may also begin here |
/// | `after(minutes = 15, send = Message)` | a time-out: armed when the phase is entered, cancelled when it is left |
/// | `on(A, B)` | the messages that the machine takes in this phase |
/// | `entry = path`, `exit = path` | `fn(&mut Class, &mut Context<'_, Class>) -> Result<(), Rejection>` |
///
/// The trait `amiko_core::Phases` has examples.
#[proc_macro_derive(Phases, attributes(amiko))]
pub fn derive_phases(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    match phases::Diagram::check(&input) {
        Ok(diagram) => phases::generate(&diagram),
        // Something in the place of the phases, so that one error doesn't cause others where they are used.
        Err(error) => error.into_compile_error().into_iter().chain(phases::placeholder(&input)).collect(),
    }
    .into()
}

/// Implements `Key`, for the keys of objects and of map entries.
///
/// | the type | its text |
/// |---|---|
/// | a struct of one key, `struct Sku(String)` | that of the inner key |
/// | a struct of several keys | their texts joined by `/`, with `~` escaped as `~0` and `/` as `~1` |
/// | an enum whose variants are all units | the name of the variant |
///
/// | on an enum, or on its variants | |
/// |---|---|
/// | `rename_all = "kebab-case"` | the names of the variants |
/// | `rename = "name"`, `alias = "name"` | another name in the text; other names that are read as well |
///
/// The type derives `Clone`, `PartialEq`, `Eq`, `PartialOrd`, `Ord`, `Hash` and `Debug` as well.
///
/// The module `amiko_core::serializable::attributes` has an example.
#[proc_macro_derive(Key, attributes(amiko))]
pub fn derive_key(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    key::CheckedKey::check(&input).map_or_else(syn::Error::into_compile_error, |key| key::generate(&key)).into()
}

/// `#[amiko(polymorphic)]` on a trait with the supertrait `Serializable`: `Box<dyn Trait>` can be a field, and any
/// class with `#[amiko(implements(Trait))]`, in any crate, is found by name. `#[amiko(polymorphic, crate = path)]` sets
/// the path of the library, if it isn't `::amiko_core`.
#[proc_macro_attribute]
pub fn amiko(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::Item);
    // The item under the attribute is kept, so that one error doesn't cause others.
    let kept = polymorphic::without_attributes(item.clone()).into_token_stream();
    let generated = polymorphic::generate(arguments.into(), item);
    generated.unwrap_or_else(|error| kept.into_iter().chain(error.into_compile_error()).collect()).into()
}
