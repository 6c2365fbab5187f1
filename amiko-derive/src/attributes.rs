//! `#[amiko(…)]`, parsed.
//!
//! Invariant: an attribute that is unknown, repeated or malformed is an error at its place.

use crate::index::{self, Indexed};
use crate::meta::{skip_value, value};
use crate::phases::time_out::{self, TimeOut};
use proc_macro2::{Group, Span};
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Error, ExprPath, Ident, LitInt, LitStr, Path, Token, Type, token};

/// All errors of one derive, so that a user sees them at once.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(Error::new(span, message));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn finish<T>(self, value: T) -> Result<T, Error> {
        self.0.map_or(Ok(value), Err)
    }
}

/// How a Rust name becomes a JSON name.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    const ALL: [(&'static str, Self); 8] = [
        ("lowercase", Self::Lower),
        ("UPPERCASE", Self::Upper),
        ("PascalCase", Self::Pascal),
        ("camelCase", Self::Camel),
        ("snake_case", Self::Snake),
        ("SCREAMING_SNAKE_CASE", Self::ScreamingSnake),
        ("kebab-case", Self::Kebab),
        ("SCREAMING-KEBAB-CASE", Self::ScreamingKebab),
    ];

    fn parse(name: &LitStr) -> Result<Self, Error> {
        let value = name.value();
        Self::ALL.iter().find(|(known, _)| *known == value).map(|(_, case)| *case).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|(known, _)| *known).collect();
            Error::new(name.span(), format!("expected one of {}", known.join(", ")))
        })
    }

    pub(crate) fn apply(self, name: &str) -> String {
        let words = words(name);
        let joined = |separator: &str| words.join(separator);
        match self {
            // As in serde: these two change only the case of letters, and keep what is between words.
            Self::Lower => name.to_lowercase(),
            Self::Upper => name.to_uppercase(),
            Self::Pascal => words.iter().map(|word| capital(word)).collect(),
            Self::Camel => {
                let rest = words.iter().skip(1).map(|word| capital(word));
                words.first().cloned().into_iter().chain(rest).collect()
            }
            Self::Snake => joined("_"),
            Self::ScreamingSnake => joined("_").to_uppercase(),
            Self::Kebab => joined("-"),
            Self::ScreamingKebab => joined("-").to_uppercase(),
        }
    }
}

/// The words of a name in lower case: `meeting_point` and `MeetingPoint` both have two.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    for character in name.chars() {
        let begins = character == '_' || character.is_uppercase();
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| character != '_') {
            word.extend(character.to_lowercase());
        }
    }
    words
}

fn capital(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().into_iter().flat_map(char::to_uppercase).chain(characters).collect()
}

/// Each attribute with its place.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) class: Option<LitStr>,
    pub(crate) key: Option<Type>,
    pub(crate) kind: Option<LitStr>,
    pub(crate) rename: Option<LitStr>,
    pub(crate) rename_all: Option<(Span, Case)>,
    pub(crate) rename_all_fields: Option<(Span, Case)>,
    pub(crate) alias: Vec<LitStr>,
    pub(crate) default: Option<(Span, Option<ExprPath>)>,
    pub(crate) skip: Option<Span>,
    pub(crate) secret: Option<Span>,
    pub(crate) transparent: Option<Span>,
    pub(crate) next: Option<Vec<Ident>>,
    pub(crate) initial: Option<Span>,
    pub(crate) after: Option<(TimeOut, Span)>,
    pub(crate) on: Option<(Vec<Ident>, Span)>,
    pub(crate) entry: Option<ExprPath>,
    pub(crate) exit: Option<ExprPath>,
    /// The machine whose phases the variants are, its field, and the enum of phases around them.
    pub(crate) phases_of: Option<Type>,
    pub(crate) field: Option<Ident>,
    pub(crate) within: Option<Type>,
    pub(crate) machine: Option<Span>,
    pub(crate) machines: Option<Span>,
    pub(crate) objects: Option<Span>,
    pub(crate) network: Option<Type>,
    pub(crate) effects: Vec<Type>,
    pub(crate) performed: Option<Span>,
    pub(crate) reply: Option<Type>,
    pub(crate) notice: Option<Type>,
    pub(crate) check: Option<ExprPath>,
    pub(crate) with: Option<ExprPath>,
    pub(crate) flatten: Option<Span>,
    pub(crate) strong: Option<Span>,
    pub(crate) summary: Option<Span>,
    pub(crate) skip_summary: Option<Span>,
    pub(crate) unknown: Option<(Unknown, Span)>,
    pub(crate) version: Option<(u32, Span)>,
    pub(crate) migrate: Option<ExprPath>,
    pub(crate) implements: Vec<Path>,
    pub(crate) indexes: Vec<Indexed>,
    /// The path of the library.
    pub(crate) library: Option<Path>,
}

/// The tokens for the path of the library.
pub(crate) const LIBRARY: &str = "`crate` wants the path of the library: write `crate = path::to::amiko_core`";

/// The kinds of places for attributes, and which ones are allowed there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Struct,
    Enum,
    Variant,
    Field,
}

impl Place {
    const ALL: [Self; 4] = [Self::Struct, Self::Enum, Self::Variant, Self::Field];

    /// The allowed attributes, for an error message.
    fn known(self) -> String {
        self.allowed().join(", ")
    }

    fn name(self) -> &'static str {
        match self {
            Self::Struct => "a struct",
            Self::Enum => "an enum",
            Self::Variant => "a variant",
            Self::Field => "a field",
        }
    }

    fn allowed(self) -> &'static [&'static str] {
        match self {
            Self::Struct => &[
                "class",
                "key",
                "kind",
                "index",
                "rename_all",
                "transparent",
                "unknown",
                "version",
                "migrate",
                "implements",
                "machine",
                "network",
                "effects",
                "reply",
                "notice",
                "check",
                "crate",
            ],
            Self::Enum => &[
                "key",
                "kind",
                "index",
                "reply",
                "rename_all",
                "rename_all_fields",
                "unknown",
                "version",
                "migrate",
                "machine",
                "field",
                "within",
                "crate",
            ],
            Self::Variant => {
                &["rename", "alias", "transparent", "next", "initial", "after", "on", "entry", "exit", "performed"]
            }
            Self::Field => &[
                "default",
                "rename",
                "alias",
                "skip",
                "secret",
                "with",
                "flatten",
                "strong",
                "summary",
                "skip_summary",
                "machines",
                "objects",
            ],
        }
    }
}

impl Attributes {
    /// Parses the attributes of one item. Faults go into `errors`, and the rest is still used.
    pub(crate) fn parse(attributes: &[Attribute], place: Place, errors: &mut Errors) -> Self {
        let mut parsed = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("amiko")) {
            if attribute.meta.require_list().is_err() {
                errors.at(attribute.meta.span(), format!("write `#[amiko(…)]` with some of {}", place.known()));
                continue;
            }
            let outcome = attribute.parse_nested_meta(|meta| {
                if let Err(error) = parsed.take(&meta, place).and_then(|()| ends(&meta)) {
                    errors.push(error);
                    // The attributes after it still have to be parsed, so the rest of this one is skipped.
                    skip_value(&meta)?;
                }
                Ok(())
            });
            if let Err(error) = outcome {
                errors.at(error.span(), format!("expected one of {}", place.known()));
            }
        }
        parsed
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>, place: Place) -> Result<(), Error> {
        let span = meta.path.span();
        let name = name(meta);
        if !place.allowed().contains(&name.as_str()) {
            let elsewhere = Place::ALL.into_iter().filter(|other| other.allowed().contains(&name.as_str()));
            let elsewhere: Vec<_> = elsewhere.map(Place::name).collect();
            let (here, known) = (place.name(), place.known());
            let message = if elsewhere.is_empty() {
                format!("`{name}` isn't known on {here}; expected one of {known}")
            } else {
                format!("`{name}` belongs on {}; on {here}, expected one of {known}", elsewhere.join(" or "))
            };
            return Err(Error::new(span, message));
        }
        match name.as_str() {
            "class" => set(&mut self.class, span, text(meta, "Name")?),
            "key" => set(&mut self.key, span, ty(meta, "String")?),
            "kind" => set(&mut self.kind, span, text(meta, "name")?),
            "rename" => set(&mut self.rename, span, text(meta, "name")?),
            "rename_all" => set(&mut self.rename_all, span, (span, Case::parse(&text(meta, "camelCase")?)?)),
            "rename_all_fields" => {
                set(&mut self.rename_all_fields, span, (span, Case::parse(&text(meta, "camelCase")?)?))
            }
            "alias" => {
                self.alias.push(text(meta, "name")?);
                Ok(())
            }
            "default" => {
                let path = if meta.input.is_empty() || meta.input.peek(Token![,]) {
                    None
                } else {
                    let cure = "`default` stands alone, or names a function: write `default = function`";
                    Some(value(meta, cure)?)
                };
                set(&mut self.default, span, (span, path))
            }
            "skip" => set(&mut self.skip, span, alone(meta)?),
            "secret" => set(&mut self.secret, span, alone(meta)?),
            "transparent" => set(&mut self.transparent, span, alone(meta)?),
            "machine" if place == Place::Enum => set(&mut self.phases_of, span, ty(meta, "Class")?),
            "machine" => set(&mut self.machine, span, alone(meta)?),
            "machines" => set(&mut self.machines, span, alone(meta)?),
            "objects" => set(&mut self.objects, span, alone(meta)?),
            "effects" => {
                self.effects.extend(types(meta, span)?);
                Ok(())
            }
            "performed" => set(&mut self.performed, span, alone(meta)?),
            "network" => set(&mut self.network, span, ty(meta, "Type")?),
            "reply" => set(&mut self.reply, span, ty(meta, "Type")?),
            "notice" => set(&mut self.notice, span, ty(meta, "Type")?),
            "check" => set(&mut self.check, span, function(meta)?),
            "next" | "initial" | "after" | "on" | "entry" | "exit" | "field" | "within" => {
                self.take_phase(&name, meta, span)
            }
            _ => self.take_more(&name, meta, span),
        }
    }

    /// What belongs to phases.
    fn take_phase(&mut self, name: &str, meta: &ParseNestedMeta<'_>, span: Span) -> Result<(), Error> {
        match name {
            "next" => {
                let missing = "expected `next(A, B)` with the phases that may follow; leave it out where none does";
                set(&mut self.next, span, names(meta, span, "phases", "next", missing)?)
            }
            "on" => {
                let missing = "expected `on(A, B)` with the messages that are taken; leave it out where all are";
                set(&mut self.on, span, (names(meta, span, "messages", "on", missing)?, span))
            }
            "initial" => set(&mut self.initial, span, alone(meta)?),
            "after" => set(&mut self.after, span, (time_out::parse(meta)?, span)),
            "entry" => set(&mut self.entry, span, function(meta)?),
            "exit" => set(&mut self.exit, span, function(meta)?),
            "field" => {
                let cure = "`field` wants the name of the machine's field: write `field = phase`";
                set(&mut self.field, span, value(meta, cure)?)
            }
            _ => set(&mut self.within, span, ty(meta, "Outer")?),
        }
    }

    fn take_more(&mut self, name: &str, meta: &ParseNestedMeta<'_>, span: Span) -> Result<(), Error> {
        match name {
            "with" => {
                let cure =
                    "`with` names a value that implements `Codec`: write `with = Percent` for a `struct Percent;`";
                set(&mut self.with, span, value(meta, cure)?)
            }
            "flatten" => set(&mut self.flatten, span, alone(meta)?),
            "strong" => set(&mut self.strong, span, alone(meta)?),
            "summary" => set(&mut self.summary, span, alone(meta)?),
            "skip_summary" => set(&mut self.skip_summary, span, alone(meta)?),
            "unknown" => set(&mut self.unknown, span, (unknown(&text(meta, "keep")?)?, span)),
            "version" => {
                let cure = "`version` wants a number: write `version = 2`";
                let version: LitInt = value(meta, cure)?;
                let number = version.base10_parse().map_err(|_| Error::new(version.span(), cure))?;
                set(&mut self.version, span, (number, version.span()))
            }
            "migrate" => set(&mut self.migrate, span, function(meta)?),
            "index" => {
                self.indexes.extend(index::parse(meta)?);
                Ok(())
            }
            "crate" => set(&mut self.library, span, value(meta, LIBRARY)?),
            _ => {
                self.implements.extend(traits(meta, span)?);
                Ok(())
            }
        }
    }
}

/// The name of an attribute, even if it is a path, as none of ours is.
fn name(meta: &ParseNestedMeta<'_>) -> String {
    let segments: Vec<_> = meta.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    segments.join("::")
}

fn text(meta: &ParseNestedMeta<'_>, example: &str) -> Result<LitStr, Error> {
    let name = name(meta);
    value(meta, &format!("`{name}` wants a text: write `{name} = \"{example}\"`"))
}

fn ty(meta: &ParseNestedMeta<'_>, example: &str) -> Result<Type, Error> {
    let name = name(meta);
    value(meta, &format!("`{name}` wants a type: write `{name} = {example}`"))
}

fn function(meta: &ParseNestedMeta<'_>) -> Result<ExprPath, Error> {
    let name = name(meta);
    value(meta, &format!("`{name}` wants the name of a function: write `{name} = function`"))
}

/// The place of an attribute without a value.
fn alone(meta: &ParseNestedMeta<'_>) -> Result<Span, Error> {
    if meta.input.is_empty() || meta.input.peek(Token![,]) {
        return Ok(meta.path.span());
    }
    let name = name(meta);
    Err(Error::new(meta.path.span(), format!("`{name}` stands alone: write `#[amiko({name})]`")))
}

/// Expects a comma between two attributes.
fn ends(meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
    if meta.input.is_empty() || meta.input.peek(Token![,]) {
        return Ok(());
    }
    Err(Error::new(meta.input.span(), format!("expected a comma or the end after `{}`", name(meta))))
}

/// The `(A, B)` of an `implements`.
fn traits(meta: &ParseNestedMeta<'_>, span: Span) -> Result<Punctuated<Path, Token![,]>, Error> {
    let cure = "`implements` wants polymorphic traits: write `implements(Trait)`";
    if meta.input.peek(token::Paren) {
        let traits = meta.input.parse::<Group>()?.stream();
        let traits = Punctuated::<Path, Token![,]>::parse_terminated
            .parse2(traits)
            .map_err(|error| Error::new(error.span(), cure))?;
        if !traits.is_empty() {
            return Ok(traits);
        }
    }
    Err(Error::new(span, cure))
}

/// The effects of a node.
fn types(meta: &ParseNestedMeta<'_>, span: Span) -> Result<Punctuated<Type, Token![,]>, Error> {
    let cure = "`effects` wants classes that are effects: write `effects(Charge, SendMail)`";
    if meta.input.peek(token::Paren) {
        let types = meta.input.parse::<Group>()?.stream();
        let types = Punctuated::<Type, Token![,]>::parse_terminated
            .parse2(types)
            .map_err(|error| Error::new(error.span(), cure))?;
        if !types.is_empty() {
            return Ok(types);
        }
    }
    Err(Error::new(span, cure))
}

/// How to treat fields that the class doesn't have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    Deny,
    Ignore,
    Keep,
}

fn unknown(name: &LitStr) -> Result<Unknown, Error> {
    match name.value().as_str() {
        "deny" => Ok(Unknown::Deny),
        "ignore" => Ok(Unknown::Ignore),
        "keep" => Ok(Unknown::Keep),
        _ => Err(Error::new(name.span(), "expected \"deny\", \"ignore\" or \"keep\"")),
    }
}

fn set<T>(slot: &mut Option<T>, span: Span, value: T) -> Result<(), Error> {
    if slot.is_some() {
        return Err(Error::new(span, "this attribute stands twice; remove one of them"));
    }
    *slot = Some(value);
    Ok(())
}

/// The `(A, B)` of a `next` or an `on`.
fn names(
    meta: &ParseNestedMeta<'_>,
    span: Span,
    what: &str,
    attribute: &str,
    missing: &str,
) -> Result<Vec<Ident>, Error> {
    if meta.input.peek(token::Paren) {
        let names = meta.input.parse::<Group>()?.stream();
        let names = Punctuated::<Ident, Token![,]>::parse_terminated.parse2(names).map_err(|error| {
            let expected = format!("expected the names of {what} with commas between them: write `{attribute}(A, B)`");
            Error::new(error.span(), expected)
        })?;
        if !names.is_empty() {
            return Ok(names.into_iter().collect());
        }
    }
    Err(Error::new(span, missing))
}
