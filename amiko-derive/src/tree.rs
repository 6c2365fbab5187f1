//! A class, checked: the input of `serializable`.
//!
//! Invariant: no two fields of a class, and no two variants of an enum, share a name.

use crate::attributes::{Attributes, Case, Errors, Place, Unknown};
use crate::index::{self, Indexed};
use crate::types::{bare, is_named, names, null_in_some};
use proc_macro2::Span;
use quote::format_ident;
use std::collections::HashSet;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, ExprPath, Generics, Ident, Member, Path, Type, Visibility};

/// The value of a missing field.
#[derive(Clone)]
pub(crate) enum Missing {
    Error,
    Default,
    Call(ExprPath),
}

#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) member: Member,
    /// The variable that the field is bound to in patterns.
    pub(crate) binding: Ident,
    pub(crate) ty: Type,
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) missing: Missing,
    pub(crate) skip: bool,
    /// The codec that the user has chosen.
    pub(crate) with: Option<ExprPath>,
    /// Whether the objects that it refers to must exist.
    pub(crate) strong: bool,
    /// Whether the fields of its class are written in its place.
    pub(crate) flatten: bool,
    pub(crate) summary: bool,
    pub(crate) skip_summary: bool,
}

impl Field {
    /// Whether the field becomes `Default::default()` when it isn't read.
    pub(crate) fn needs_default(&self) -> bool {
        matches!((&self.missing, self.skip), (Missing::Default, _) | (Missing::Error, true))
    }

    /// Whether there is a `Secret` in it that something else writes.
    pub(crate) fn is_secret_of_a_codec(&self) -> bool {
        self.with.is_some() && names(&self.ty, "Secret")
    }
}

/// A struct, or one variant of an enum.
pub(crate) struct Shape {
    /// `None` for a struct.
    pub(crate) variant: Option<Ident>,
    pub(crate) class: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) fields: Vec<Field>,
    /// Whether it is written as its only field.
    transparent: bool,
    /// The field that keeps fields which the class doesn't have.
    pub(crate) keep: Option<Field>,
    /// Whether it is a message that says what came of an effect.
    pub(crate) performed: bool,
    /// The phases that may follow it, if it is a phase.
    pub(crate) next: Option<Vec<Ident>>,
    /// What else people are told of the phase.
    pub(crate) remarks: Vec<String>,
}

impl Shape {
    pub(crate) fn written(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| !field.skip)
    }

    /// Those that have a name in JSON.
    pub(crate) fn named(&self) -> impl Iterator<Item = &Field> {
        self.written().filter(|field| !field.flatten)
    }

    /// The flattened fields.
    pub(crate) fn flattened(&self) -> impl Iterator<Item = &Field> {
        self.written().filter(|field| field.flatten)
    }

    /// The field that the whole is written as.
    pub(crate) fn transparent(&self) -> Option<&Field> {
        self.written().next().filter(|_| self.transparent)
    }
}

pub(crate) enum Kind {
    Struct(Box<Shape>),
    /// An enum whose variants are all units: a string.
    Units(Vec<Shape>),
    Enum(Vec<Shape>),
}

pub(crate) struct Class {
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    pub(crate) kind: Kind,
    /// The key and the kind of an object.
    pub(crate) object: Option<(Type, String)>,
    /// Its secondary indexes.
    pub(crate) indexes: Vec<Indexed>,
    pub(crate) visibility: Visibility,
    /// What it replies to commands.
    pub(crate) reply: Option<Type>,
    /// Whether it is a node, and a machine itself.
    pub(crate) machine: bool,
    pub(crate) version: u32,
    pub(crate) migrate: Option<ExprPath>,
    pub(crate) unknown: Option<Unknown>,
    /// The polymorphic traits that the class can be found by.
    pub(crate) implements: Vec<Path>,
    /// The path of the library.
    pub(crate) library: Option<Path>,
    /// Faults that don't keep the class from being generated: otherwise errors about missing items would hide them.
    pub(crate) misplaced: Option<Error>,
}

impl Class {
    pub(crate) fn check(input: &DeriveInput) -> Result<Self, Error> {
        let mut errors = Errors::default();
        for lifetime in input.generics.lifetimes() {
            errors.at(lifetime.span(), "a class owns its data: use `String` or `Vec` instead of a borrow");
        }
        let place = if matches!(input.data, Data::Enum(_)) { Place::Enum } else { Place::Struct };
        let attributes = Attributes::parse(&input.attrs, place, &mut errors);
        of_serde(&input.attrs, &mut errors);
        if attributes.migrate.is_none()
            && let Some((version, span)) = attributes.version.filter(|(version, _)| *version > 1)
        {
            errors.at(span, format!("version {version} reads older ones: say how with `migrate = function`"));
        }
        if let (Some((_, span)), false) = (attributes.version, matches!(attributes.version, Some((1.., _)) | None)) {
            errors.at(span, "versions are counted from 1, the one of a class without `version`: write `version = 2`");
        }
        if let (Some(migrate), None) = (&attributes.migrate, attributes.version) {
            errors.at(migrate.span(), "`migrate` leads to a version: add `version = 2`");
        }
        for path in attributes.implements.iter().filter(|_| !input.generics.params.is_empty()) {
            errors.at(
                path.span(),
                "a class with generics can't be found by its name: write the types instead, or remove `implements`",
            );
        }
        if attributes.transparent.is_some() {
            let version = attributes.version.iter().map(|(_, span)| ("version", *span));
            let implements = attributes.implements.iter().map(|path| ("implements", path.span()));
            for (name, span) in version.chain(implements) {
                let cure = format!("remove `{name}` or `transparent`");
                errors.at(span, format!("a transparent type is written as its field and nothing else: {cure}"));
            }
        }
        if let (Some(kind), None) = (&attributes.kind, &attributes.key) {
            errors.at(kind.span(), "`kind` belongs to a class with IDs: add `key = String`");
        }
        if let (Some(reply), None, None) = (&attributes.reply, &attributes.key, attributes.machine) {
            let cure = "a machine replies, which has a key or is the node: add `key = String` or `machine`";
            errors.at(reply.span(), cure);
        }
        let kind = match &input.data {
            Data::Struct(data) => {
                let class =
                    attributes.class.as_ref().map_or_else(|| input.ident.unraw().to_string(), syn::LitStr::value);
                let case = attributes.rename_all.map(|(_, case)| case);
                let fields = fields(&data.fields, case, &mut errors);
                let transparent = transparent(attributes.transparent, &fields, &mut errors);
                let (fields, keep) = kept(fields, attributes.unknown, &mut errors);
                Kind::Struct(Box::new(Shape {
                    variant: None,
                    class,
                    aliases: Vec::new(),
                    fields,
                    transparent,
                    keep,
                    performed: false,
                    next: None,
                    remarks: Vec::new(),
                }))
            }
            Data::Enum(data) => variants(data, &attributes, &mut errors),
            Data::Union(data) => {
                errors.at(data.union_token.span, "a union can't be serialized: use an enum");
                Kind::Units(Vec::new())
            }
        };
        if attributes.key.is_none()
            && let Some(index) = attributes.indexes.first()
        {
            errors.at(index.name.span(), "an index is of the objects in a table, which have a key: add `key = String`");
        }
        index::check(&attributes.indexes, &kind, &mut errors);
        let (version, migrate) = (attributes.version.map_or(1, |(version, _)| version), attributes.migrate);
        let (unknown, implements) = (attributes.unknown.map(|(unknown, _)| unknown), attributes.implements);
        let object = attributes.key.map(|key| {
            let name = input.ident.unraw().to_string();
            (key, attributes.kind.map_or_else(|| small(&name), |kind| kind.value()))
        });
        let machine = attributes.machine.is_some();
        let (library, misplaced) = (attributes.library, above_the_derive(input));
        let (ident, generics) = (input.ident.clone(), input.generics.clone());
        errors.finish(Self {
            ident,
            generics,
            kind,
            object,
            indexes: attributes.indexes,
            visibility: input.vis.clone(),
            reply: attributes.reply,
            machine,
            version,
            migrate,
            unknown,
            implements,
            library,
            misplaced,
        })
    }

    pub(crate) fn shapes(&self) -> &[Shape] {
        match &self.kind {
            Kind::Struct(shape) => std::slice::from_ref(&**shape),
            Kind::Units(shapes) | Kind::Enum(shapes) => shapes,
        }
    }
}

/// An attribute above the derive. The compiler only says that its name is ambiguous, but we see it.
fn above_the_derive(input: &DeriveInput) -> Option<Error> {
    if !proc_macro::is_available() {
        return None;
    }
    let place = |span: Span| (span.unwrap().file(), span.unwrap().line(), span.unwrap().column());
    let (derive, ident) = (place(Span::call_site()), place(input.ident.span()));
    let mut all = Errors::default();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("amiko")) {
        // The tokens of a macro may come from anywhere: the order is meaningful only if the class stands below the derive.
        let hash = place(attribute.pound_token.span);
        if hash.0 == derive.0 && derive.0 == ident.0 && hash < derive && derive < ident {
            let message = "`#[amiko(…)]` belongs below `#[derive(Serializable)]`: move it there";
            all.push(Error::new_spanned(attribute, message));
        }
    }
    all.finish(()).err()
}

/// Refuses attributes of serde. Its derives would conflict with ours, and the compiler reports only that.
fn of_serde(attributes: &[Attribute], errors: &mut Errors) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let message = "`Serializable` makes this a type of serde already: remove `#[derive(Serialize, Deserialize)]`, and write \
             `#[amiko(rename = …)]` for `#[serde(rename = …)]`";
        errors.push(Error::new_spanned(attribute, message));
    }
}

/// Separates the field that keeps unknown fields.
fn kept(mut fields: Vec<Field>, unknown: Option<(Unknown, Span)>, errors: &mut Errors) -> (Vec<Field>, Option<Field>) {
    let at = fields.iter().position(|field| is_named(&field.ty, "UnknownFields"));
    match (at, unknown) {
        (Some(at), Some((Unknown::Keep, _))) => {
            fields[at].skip = true;
            let keep = fields[at].clone();
            (fields, Some(keep))
        }
        (None, Some((Unknown::Keep, span))) => {
            errors
                .at(span, "what is kept needs a place: add a field of type `amiko_core::serializable::UnknownFields`");
            (fields, None)
        }
        (Some(at), _) => {
            errors.at(fields[at].ty.span(), "a field of this type needs `#[amiko(unknown = \"keep\")]` on its class");
            (fields, None)
        }
        (None, _) => (fields, None),
    }
}

/// `MeetingPoint` becomes `meetingPoint`.
pub(crate) fn small(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().into_iter().flat_map(char::to_lowercase).chain(characters).collect()
}

fn variants(data: &syn::DataEnum, attributes: &Attributes, errors: &mut Errors) -> Kind {
    let mut shapes = Vec::new();
    let (mut names, mut whole) = (Names::default(), Whole::default());
    for variant in &data.variants {
        let own = Attributes::parse(&variant.attrs, Place::Variant, errors);
        of_serde(&variant.attrs, errors);
        let class = own.rename.as_ref().map_or_else(
            || {
                let name = variant.ident.unraw().to_string();
                attributes.rename_all.map_or_else(|| name.clone(), |(_, case)| case.apply(&name))
            },
            syn::LitStr::value,
        );
        let aliases: Vec<String> = own.alias.iter().map(syn::LitStr::value).collect();
        let fields = fields(&variant.fields, attributes.rename_all_fields.map(|(_, case)| case), errors);
        let transparent = transparent(own.transparent, &fields, errors);
        match fields.iter().find(|field| !field.skip).filter(|_| transparent) {
            Some(field) => whole.take(&variant.ident, &field.ty, errors),
            None => names.take(&class, variant.ident.span(), errors),
        }
        for (alias, place) in aliases.iter().zip(&own.alias) {
            names.take(alias, place.span(), errors);
        }
        let (fields, keep) = match attributes.unknown {
            Some((Unknown::Keep, span)) => {
                errors
                    .at(span, "an enum can't keep what it doesn't know: put a struct with `unknown` into its variants");
                (fields, None)
            }
            unknown => kept(fields, unknown, errors),
        };
        if let Some(span) = own.performed
            && !matches!(&fields[..], [field] if is_named(&field.ty, "Performed"))
        {
            errors.at(
                span,
                "a message that says what came of an effect has one field, which does: write `{ performed: Performed<Effect> }`",
            );
        }
        let performed = own.performed.is_some();
        shapes.push(Shape {
            variant: Some(variant.ident.clone()),
            class,
            aliases,
            fields,
            transparent,
            keep,
            performed,
            remarks: remarks(&own),
            next: own.next,
        });
    }
    let units = data.variants.iter().all(|variant| matches!(variant.fields, syn::Fields::Unit));
    if units { Kind::Units(shapes) } else { Kind::Enum(shapes) }
}

/// The time-out of a phase, and the messages that it takes.
fn remarks(own: &Attributes) -> Vec<String> {
    let after = own.after.iter().map(|(after, _)| format!("after {}, {}", after.text(), after.send.unraw()));
    let on = own.on.iter().map(|(on, _)| {
        let names: Vec<_> = on.iter().map(|name| name.unraw().to_string()).collect();
        format!("on {}", names.join(", "))
    });
    on.chain(after).collect()
}

fn transparent(attribute: Option<Span>, fields: &[Field], errors: &mut Errors) -> bool {
    let Some(span) = attribute else { return false };
    let written = fields.iter().filter(|field| !field.skip).count();
    if written != 1 {
        errors.at(span, format!("`transparent` wants exactly one field that isn't skipped, found {written}"));
    }
    if fields.iter().any(|field| field.flatten) {
        errors
            .at(span, "a transparent type is written as its field and nothing else: remove `flatten` or `transparent`");
    }
    written == 1
}

/// The names of one object.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    fn take(&mut self, name: &str, span: Span, errors: &mut Errors) {
        if matches!(name, "_class" | "_version") {
            errors.at(span, format!("`{name}` is what the class writes about itself; choose another with `rename`"));
        }
        if !self.0.insert(name.to_owned()) {
            errors.at(span, format!("the name \"{name}\" stands twice; choose another with `rename`"));
        }
    }
}

/// The classes that the transparent variants of an enum are written as, and the variants.
#[derive(Default)]
struct Whole<'d>(Vec<(&'d Ident, Type)>);

impl<'d> Whole<'d> {
    fn take(&mut self, variant: &'d Ident, ty: &Type, errors: &mut Errors) {
        match self.0.iter().find(|(_, other)| other == ty) {
            Some((other, _)) => errors.at(
                variant.span(),
                format!(
                    "`{variant}` can't be told from `{other}`, which is written as the same type: remove `transparent` from \
                     one of them, or give one a class of its own"
                ),
            ),
            None => self.0.push((variant, ty.clone())),
        }
    }
}

/// The name that the field is bound to in patterns. An error about a class that can't be flattened should point at its type.
fn binding(index: usize, ty: &Type, flatten: Option<Span>) -> Ident {
    let mut binding = format_ident!("__field_{index}");
    if flatten.is_some() {
        binding.set_span(binding.span().located_at(ty.span()));
    }
    binding
}

/// Refuses attributes that mean nothing on a flattened field: in JSON there are only the fields of its class.
fn without_a_name(attributes: &Attributes, ty: &Type, errors: &mut Errors) {
    let said = [
        ("rename", attributes.rename.as_ref().map(syn::LitStr::span)),
        ("alias", attributes.alias.first().map(syn::LitStr::span)),
        ("default", attributes.default.as_ref().map(|(span, _)| *span)),
        ("skip", attributes.skip),
        ("secret", attributes.secret),
        ("with", attributes.with.as_ref().map(Spanned::span)),
        ("strong", attributes.strong),
        ("machines", attributes.machines),
        ("objects", attributes.objects),
    ];
    for (name, span) in said {
        if let Some(span) = span {
            let cure = format!("say it of the fields of its class, or remove `flatten` or `{name}`");
            errors.at(span, format!("a flattened field isn't in JSON itself, so that `{name}` says nothing: {cure}"));
        }
    }
    if is_named(ty, "UnknownFields") {
        errors.at(ty.span(), "what is kept here stands beside the other fields already: remove `flatten`");
    }
}

fn fields(fields: &syn::Fields, case: Option<Case>, errors: &mut Errors) -> Vec<Field> {
    let mut checked = Vec::new();
    let mut names = Names::default();
    for (index, field) in fields.iter().enumerate() {
        let attributes = Attributes::parse(&field.attrs, Place::Field, errors);
        of_serde(&field.attrs, errors);
        let member = field.ident.clone().map_or_else(|| Member::from(index), Member::Named);
        let plain = match &field.ident {
            Some(ident) => {
                let name = ident.unraw().to_string();
                case.map_or(name.clone(), |case| case.apply(&name))
            }
            None => index.to_string(),
        };
        let name = attributes.rename.as_ref().map_or(plain, syn::LitStr::value);
        // For a field without a name, the error points at its type: the whole field would include its attributes.
        let place = field.ident.as_ref().map_or_else(|| field.ty.span(), Ident::span);
        if attributes.flatten.is_some() {
            without_a_name(&attributes, &field.ty, errors);
        } else {
            names.take(&name, place, errors);
            for alias in &attributes.alias {
                names.take(&alias.value(), alias.span(), errors);
            }
        }
        if let (Some(_), Some(rename)) = (attributes.skip, &attributes.rename) {
            errors.push(Error::new(rename.span(), "a skipped field has no name in JSON: remove `rename` or `skip`"));
        }
        if let (Some(with), Some(_)) = (&attributes.with, attributes.strong) {
            errors.at(with.span(), "a strong reference is an `Id`, which writes itself: remove `with` or `strong`");
        }
        if let Some(span) = attributes.secret.filter(|_| !is_named(&field.ty, "Secret")) {
            errors.at(span, "a secret field has the type `Secret<_>`, which hides it from `Debug`");
        }
        if let Type::Reference(reference) = bare(&field.ty) {
            errors.at(reference.span(), "a class owns its data: use `String` or `Vec` instead of a borrow");
        }
        let written = attributes.with.is_none() && attributes.skip.is_none();
        if let Some(ty) = null_in_some(&field.ty).filter(|_| written) {
            let cure = "write an enum of your own, with a variant for each case";
            let message = format!("what is in this `Some` could be null, which is read as `None`: {cure}");
            errors.push(Error::new_spanned(ty, message));
        }
        let missing = match attributes.default {
            None => Missing::Error,
            Some((_, None)) => Missing::Default,
            Some((_, Some(path))) => Missing::Call(path),
        };
        checked.push(Field {
            member,
            binding: binding(index, &field.ty, attributes.flatten),
            ty: field.ty.clone(),
            name,
            aliases: attributes.alias.iter().map(syn::LitStr::value).collect(),
            missing,
            skip: attributes.skip.is_some(),
            with: attributes.with,
            strong: attributes.strong.is_some(),
            flatten: attributes.flatten.is_some(),
            summary: attributes.summary.is_some(),
            skip_summary: attributes.skip_summary.is_some(),
        });
    }
    checked
}
