//! The derives of `amiko-core`, which re-exports them and has their documentation.
//!
//! Each goes the same way: `attributes` parses, `tree` checks and collects every error, `serializable`, `node`,
//! `phases` and `key` generate. Invariant: code is generated from a checked tree only, so that what a user sees is an error on the attribute
//! at fault and not one inside generated code.

mod attributes;
mod key;
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

/// Writes `Serializable` for a class; with `key` also `Object`.
///
/// | on the type | |
/// |---|---|
/// | `class = "Name"` | the name in JSON, instead of the type's |
/// | `key = Type` | objects of this class live in a `Table` and have an `Id` with this key |
/// | `kind = "name"` | what the IDs are called, instead of the type's name with a small first letter |
/// | `rename_all = "camelCase"` | the names of fields, or of the variants of an enum |
/// | `rename_all_fields = "camelCase"` | the names of the fields of all variants |
/// | `transparent` | a type of one field is written as that field |
/// | `unknown = "deny"`, `"ignore"`, `"keep"` | what becomes of fields that the class doesn't have, whoever reads; `keep` needs a field of type `UnknownFields` |
/// | `version = 2`, `migrate = path` | older objects are lifted by `fn(from: u32, object: &mut Json) -> Result<(), String>`, a version at a time |
/// | `implements(Trait)` | the class is found by its name behind a `Box<dyn Trait>` |
/// | `crate = path` | where the library is, if not at `::amiko_core`; also for `Node` and `Phases` |
///
/// | on a field | |
/// |---|---|
/// | `default`, `default = path` | what it is when it is missing |
/// | `rename = "name"`, `alias = "name"` | another name in JSON; other names that are read as well |
/// | `skip` | never written; read as its default |
/// | `secret` | the field's type must be `Secret<_>`, which hides it from people |
/// | `flatten` | the fields of the field's class are written in its place, without an object around them |
/// | `with = path` | a value of a type that implements `Codec` for the field's type writes and reads it |
/// | `strong` | what the field names must be there when an event commits |
/// | `summary`, `skip_summary` | only these fields are in the summary; this one isn't |
///
/// On a variant: `rename`, `alias`, `transparent`.
///
/// The module `amiko_core::serializable::attributes` has an example of each.
#[proc_macro_derive(Serializable, attributes(amiko))]
pub fn derive_serializable(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    tree::Class::check(&input)
        .map_or_else(syn::Error::into_compile_error, |class| serializable::generate(&class))
        .into()
}

/// Writes `Node` for the root of a state tree, the enum of envelopes, and what ties the node to its machines.
///
/// | on the type | |
/// |---|---|
/// | `machine` | the node is a `StateMachine` itself; its ID is the unit |
/// | `network = Type`, `reply = Type`, `notice = Type` | what is said to peers, answered to commands, told to watchers |
/// | `check = path` | `fn(&Self, &Undo) -> Result<(), Rejection>`: the invariants, checked before each commit |
///
/// | on a field | |
/// |---|---|
/// | `machines` | a `Table<T>` of machines that the node hosts |
/// | `objects` | a `Table<T>` of objects that nobody sends messages to |
///
/// The module `amiko_core::serializable::attributes` has an example of each.
#[proc_macro_derive(Node, attributes(amiko))]
pub fn derive_node(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    node::Root::check(&input).map_or_else(syn::Error::into_compile_error, |root| node::generate(&root)).into()
}

/// Writes `Phases` for an enum of unit variants: which phase may follow which.
///
/// | on a variant | |
/// |---|---|
/// | `next(A, B)` | the phases that may be entered from this one; without it, the phase is final |
/// | `#[default]`, of `Default` | a machine begins here, instead of at the first variant |
///
/// The module `amiko_core::serializable::attributes` has an example.
#[proc_macro_derive(Phases, attributes(amiko))]
pub fn derive_phases(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    phases::Diagram::check(&input)
        .map_or_else(syn::Error::into_compile_error, |diagram| phases::generate(&diagram))
        .into()
}

/// Writes `Key`, for what objects and the entries of maps are named by.
///
/// | the type | its text |
/// |---|---|
/// | a struct of one key, `struct Sku(String)` | that of the key in it |
/// | a struct of several keys | theirs joined by `/`: in each, `~` is `~0` and `/` is `~1` |
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

/// `#[amiko(polymorphic)]` on a trait with the supertrait `Serializable`: `Box<dyn Trait>` can be a field, and any class with
/// `#[amiko(implements(Trait))]`, of whatever crate, is found by its name. With `#[amiko(polymorphic, crate = path)]` the library
/// is there and not at `::amiko_core`.
#[proc_macro_attribute]
pub fn amiko(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::Item);
    // What the attribute stands on is kept, so that one error doesn't bring others after it.
    let kept = polymorphic::without_attributes(item.clone()).into_token_stream();
    let generated = polymorphic::generate(arguments.into(), item);
    generated.unwrap_or_else(|error| kept.into_iter().chain(error.into_compile_error()).collect()).into()
}
