//! A key, checked, and the generation of its `Key` implementation.
//!
//! Invariant: no two variants share a name, and every field is part of the text, so different keys have different texts.

use crate::attributes::{Attributes, Errors, Place};
use crate::tokens::through;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use std::collections::HashSet;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DataEnum, DeriveInput, Error, Fields, Generics, Ident, LitStr, Member, Path, Type, parse_quote};

struct Part {
    member: Member,
    ty: Type,
}

/// A variant. The first name is the one that is written; the others are read as well.
struct Named {
    ident: Ident,
    names: Vec<String>,
}

enum Form {
    /// A single part is written as it is; several are joined.
    Parts(Vec<Part>),
    Names(Vec<Named>),
}

pub(crate) struct CheckedKey {
    ident: Ident,
    generics: Generics,
    /// Its name in a schema.
    name: String,
    form: Form,
    /// The path of the library.
    library: Option<Path>,
}

impl CheckedKey {
    pub(crate) fn check(input: &DeriveInput) -> Result<Self, Error> {
        let mut errors = Errors::default();
        for lifetime in input.generics.lifetimes() {
            errors.at(lifetime.span(), "a key owns its data: use `String` or `Vec` instead of a borrow");
        }
        let place = if matches!(input.data, Data::Enum(_)) { Place::Enum } else { Place::Struct };
        // Each derive reports faults in attributes that it shares with another; the compiler shows identical errors once.
        let attributes = Attributes::parse(&input.attrs, place, &mut errors);
        let span = input.ident.span();
        let form = match &input.data {
            Data::Struct(data) if data.fields.is_empty() => {
                errors.at(span, "a key without fields can't tell anything apart: give it one, like `String` or `u64`");
                Form::Parts(Vec::new())
            }
            Data::Struct(data) => Form::Parts(parts(&data.fields, &mut errors)),
            Data::Enum(data) if data.variants.is_empty() => {
                errors.at(span, "an enum of names has at least one: add a variant");
                Form::Names(Vec::new())
            }
            Data::Enum(data) => Form::Names(names(data, &attributes, &mut errors)),
            Data::Union(data) => {
                errors.at(data.union_token.span, "a union can't be a key: use a struct of keys, or an enum of names");
                Form::Names(Vec::new())
            }
        };
        let name = attributes.class.as_ref().map_or_else(|| input.ident.unraw().to_string(), LitStr::value);
        errors.finish(Self {
            ident: input.ident.clone(),
            generics: input.generics.clone(),
            name,
            form,
            library: attributes.library,
        })
    }
}

fn parts(fields: &Fields, errors: &mut Errors) -> Vec<Part> {
    let mut parts = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let attributes = Attributes::parse(&field.attrs, Place::Field, errors);
        if let Some(span) = attributes.skip {
            errors.at(span, "a key is written whole, or two keys would have one text: remove `skip`, or the field");
        }
        if let Type::Reference(reference) = &field.ty {
            errors.at(reference.span(), "a key owns its data: use `String` or `Vec` instead of a borrow");
        }
        let member = field.ident.clone().map_or_else(|| Member::from(index), Member::Named);
        parts.push(Part { member, ty: field.ty.clone() });
    }
    parts
}

fn names(data: &DataEnum, attributes: &Attributes, errors: &mut Errors) -> Vec<Named> {
    let mut variants = Vec::new();
    let mut taken = HashSet::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            let cure = "use a struct for a key of several parts";
            errors.at(variant.fields.span(), format!("a variant of a key is a name and has no fields: {cure}"));
        }
        let own = Attributes::parse(&variant.attrs, Place::Variant, errors);
        let plain = variant.ident.unraw().to_string();
        let plain = attributes.rename_all.map_or(plain.clone(), |(_, case)| case.apply(&plain));
        let name = own.rename.as_ref().map_or(plain, LitStr::value);
        let names = std::iter::once((name, variant.ident.span()));
        let names = names.chain(own.alias.iter().map(|alias| (alias.value(), alias.span())));
        let names: Vec<_> = names.collect();
        for (name, span) in &names {
            if !taken.insert(name.clone()) {
                errors.at(*span, format!("the name \"{name}\" stands twice; choose another with `rename`"));
            }
        }
        let names = names.into_iter().map(|(name, _)| name).collect();
        variants.push(Named { ident: variant.ident.clone(), names });
    }
    variants
}

pub(crate) fn generate(key: &CheckedKey) -> TokenStream {
    let ident = &key.ident;
    let (body, bounds) = match &key.form {
        Form::Names(variants) => (of_names(&key.name, variants), Vec::new()),
        Form::Parts(parts) => {
            let body = match parts.as_slice() {
                [part] => of_one(&key.name, part),
                parts => of_several(&key.name, parts),
            };
            (body, parts.iter().map(|part| &part.ty).collect())
        }
    };
    let mut generics = key.generics.clone();
    if generics.type_params().next().is_some() {
        let clause = generics.make_where_clause();
        clause
            .predicates
            .extend(bounds.iter().map(|ty| -> syn::WherePredicate { parse_quote!(#ty: ::amiko_core::Key) }));
    }
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let generated = quote! {
        #[automatically_derived]
        impl #parameters ::amiko_core::Key for #ident #arguments #bounds {
            #body
        }
    };
    through(key.library.as_ref(), generated)
}

/// The methods of a key that is one of several names.
fn of_names(name: &str, variants: &[Named]) -> TokenStream {
    let idents: Vec<&Ident> = variants.iter().map(|variant| &variant.ident).collect();
    let written: Vec<&str> = variants.iter().filter_map(|variant| variant.names.first()).map(String::as_str).collect();
    // The name, escaped as any text.
    let encoded =
        written.iter().map(|name| if name.starts_with('!') { format!("!{name}") } else { (*name).to_owned() });
    let read =
        variants.iter().map(|Named { ident, names }| quote!(#(#names)|* => ::core::result::Result::Ok(Self::#ident),));
    let list = written.join(", ");
    let (called, expected) = (format!("key {name} of {list}"), format!("one of {list}"));
    quote! {
        fn schema_name() -> ::std::string::String {
            ::std::borrow::ToOwned::to_owned(#called)
        }

        fn encode(&self) -> ::std::borrow::Cow<'_, ::core::primitive::str> {
            ::std::borrow::Cow::Borrowed(match self { #(Self::#idents => #encoded,)* })
        }

        fn decode(__text: &::core::primitive::str) -> ::core::result::Result<Self, &'static ::core::primitive::str> {
            match &*::amiko_core::__private_0_1_0::readable_key(__text)? {
                #(#read)*
                _ => ::core::result::Result::Err(#expected),
            }
        }
    }
}

/// A method of the key in a part. If its type isn't a key, the error should point at the type, once.
fn method(Part { ty, .. }: &Part, name: &str) -> TokenStream {
    let name = Ident::new(name, ty.span());
    quote_spanned!(ty.span()=> <#ty as ::amiko_core::Key>::#name)
}

/// The methods of a key that is written as the single key in it.
fn of_one(name: &str, part: &Part) -> TokenStream {
    let member = &part.member;
    let [schema_name, encode, with_text, reference, decode] =
        ["schema_name", "encode", "with_text", "reference", "decode"].map(|name| method(part, name));
    quote! {
        fn schema_name() -> ::std::string::String {
            ::amiko_core::__private_0_1_0::called_key(#name, &[#schema_name()])
        }

        fn encode(&self) -> ::std::borrow::Cow<'_, ::core::primitive::str> {
            #encode(&self.#member)
        }

        fn with_text<AmikoR>(&self, __lend: impl ::core::ops::FnOnce(&::core::primitive::str) -> AmikoR) -> AmikoR {
            #with_text(&self.#member, __lend)
        }

        fn reference(&self, __visit: &mut dyn ::core::ops::FnMut(::amiko_core::serializable::Reference<'_>)) {
            #reference(&self.#member, __visit);
        }

        fn decode(__text: &::core::primitive::str) -> ::core::result::Result<Self, &'static ::core::primitive::str> {
            ::core::result::Result::Ok(Self { #member: #decode(__text)? })
        }
    }
}

/// The methods of a key that consists of several keys.
fn of_several(name: &str, parts: &[Part]) -> TokenStream {
    let members: Vec<&Member> = parts.iter().map(|part| &part.member).collect();
    let [schema_name, encode, with_text, reference, decode] =
        ["schema_name", "encode", "with_text", "reference", "decode"]
            .map(|name| parts.iter().map(|part| method(part, name)).collect::<Vec<_>>());
    let expected = expected(&members);
    quote! {
        fn schema_name() -> ::std::string::String {
            ::amiko_core::__private_0_1_0::called_key(#name, &[#(#schema_name()),*])
        }

        fn encode(&self) -> ::std::borrow::Cow<'_, ::core::primitive::str> {
            let mut __joined = <::amiko_core::__private_0_1_0::Joined as ::core::default::Default>::default();
            #(#with_text(&self.#members, |__text| __joined.push(__text));)*
            __joined.encode()
        }

        fn reference(&self, __visit: &mut dyn ::core::ops::FnMut(::amiko_core::serializable::Reference<'_>)) {
            #(#reference(&self.#members, __visit);)*
        }

        fn decode(__text: &::core::primitive::str) -> ::core::result::Result<Self, &'static ::core::primitive::str> {
            ::amiko_core::__private_0_1_0::split_key(__text, #expected, |__parts| {
                ::core::result::Result::Ok(Self {
                    #(#members: __parts.part(|__text| #decode(__text), |__key| #encode(__key))?),*
                })
            })
        }
    }
}

/// The error for too few or too many parts.
fn expected(members: &[&Member]) -> String {
    let names: Vec<_> = members
        .iter()
        .filter_map(|member| match member {
            Member::Named(ident) => Some(ident.unraw().to_string()),
            Member::Unnamed(_) => None,
        })
        .collect();
    let count = members.len();
    if names.is_empty() {
        format!("{count} keys joined by /")
    } else {
        format!("{count} keys joined by /, {}", names.join("/"))
    }
}
