//! `index(by_owner = owner)`: the secondary indexes of a class.
//!
//! Invariant: an index is of a field, whose type is known, or of what a function returns, whose type is written.

use crate::attributes::Errors;
use crate::tree::{Class, Kind};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use std::collections::HashSet;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, ExprPath, Ident, Index, Member, Token, Type, parenthesized};

const CURE: &str = "expected `index(by_value = field)` or `index(by_value: Type = function)`";

/// One index of a class.
pub(crate) struct Indexed {
    pub(crate) name: Ident,
    value: Value,
}

/// What objects are found by.
enum Value {
    Field(Ident),
    Function(Box<(Type, ExprPath)>),
}

impl Parse for Indexed {
    fn parse(input: ParseStream<'_>) -> Result<Self, Error> {
        let name = input.call(Ident::parse_any)?;
        let ty = if input.peek(Token![:]) {
            input.parse::<Token![:]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        input.parse::<Token![=]>()?;
        let value = match ty {
            Some(ty) => Value::Function(Box::new((ty, input.parse()?))),
            None => Value::Field(input.call(Ident::parse_any)?),
        };
        Ok(Self { name, value })
    }
}

impl Indexed {
    /// The name of its constant.
    fn constant(&self) -> Ident {
        format_ident!("{}", self.name.unraw().to_string().to_uppercase(), span = self.name.span())
    }
}

/// The `(by_a = a, by_b = b)` of an `index`.
pub(crate) fn parse(meta: &ParseNestedMeta<'_>) -> Result<Vec<Indexed>, Error> {
    let wrong = |error: Error| Error::new(error.span(), CURE);
    if !meta.input.peek(syn::token::Paren) {
        return Err(Error::new(meta.path.span(), CURE));
    }
    let content;
    parenthesized!(content in meta.input);
    let indexes = Punctuated::<Indexed, Token![,]>::parse_terminated(&content).map_err(wrong)?;
    if indexes.is_empty() { Err(Error::new(meta.path.span(), CURE)) } else { Ok(indexes.into_iter().collect()) }
}

/// Refuses an index of a field that isn't there, and names that stand twice.
pub(crate) fn check(indexes: &[Indexed], kind: &Kind, errors: &mut Errors) {
    let mut names = HashSet::new();
    for index in indexes {
        if !names.insert(index.constant()) {
            errors.at(index.name.span(), format!("the index `{}` stands twice; choose another name", index.name));
        }
        if let Value::Field(field) = &index.value
            && field_type(kind, field).is_none()
        {
            let name = &index.name;
            errors.at(
                field.span(),
                format!("expected a field of the class; for another value, name its type and a function: `{name}: Type = function`"),
            );
        }
    }
}

fn field_type<'k>(kind: &'k Kind, field: &Ident) -> Option<&'k Type> {
    let Kind::Struct(shape) = kind else { return None };
    shape
        .fields
        .iter()
        .find(|other| matches!(&other.member, Member::Named(member) if member == field))
        .map(|field| &field.ty)
}

/// Each index with the type of its values. Those that [`check`] has refused are left out.
fn typed(class: &Class) -> impl Iterator<Item = (&Indexed, &Type)> {
    class.indexes.iter().filter_map(|index| {
        let ty = match &index.value {
            Value::Field(field) => field_type(&class.kind, field)?,
            Value::Function(function) => &function.0,
        };
        Some((index, ty))
    })
}

/// The type of the indexes: a listing for each.
pub(crate) fn types(class: &Class, key: &Type) -> TokenStream {
    let listings = typed(class).map(|(_, ty)| quote!(::amiko_core::__private_0_1_0::Listing<#ty, #key>,));
    quote!((#(#listings)*))
}

/// The function that keeps them.
pub(crate) fn relist(class: &Class) -> TokenStream {
    let steps: Vec<_> = typed(class)
        .enumerate()
        .map(|(number, (index, _))| {
            let number = Index::from(number);
            match &index.value {
                Value::Field(field) => quote! {
                    ::amiko_core::__private_0_1_0::Listing::relist(
                        &mut __indexes.#number, __key, __old.map(|__old| &__old.#field), __new.map(|__new| &__new.#field),
                    );
                },
                // A function of another type should be told so at its name.
                Value::Function(function) => {
                    let (ty, function) = &**function;
                    quote! {
                    let __value: fn(&Self) -> #ty = #function;
                    ::amiko_core::__private_0_1_0::Listing::relist(
                        &mut __indexes.#number, __key, __old.map(__value).as_ref(), __new.map(__value).as_ref(),
                    );
                }},
            }
        })
        .collect();
    if steps.is_empty() {
        return TokenStream::new();
    }
    quote! {
        fn relist(
            __indexes: &mut Self::Indexes,
            __key: &Self::Key,
            __old: ::core::option::Option<&Self>,
            __new: ::core::option::Option<&Self>,
        ) {
            #(#steps)*
        }
    }
}

/// A constant for each, to find objects by.
pub(crate) fn constants(class: &Class, indexes: &TokenStream) -> TokenStream {
    let (ident, visibility) = (&class.ident, &class.visibility);
    let (parameters, arguments, bounds) = class.generics.split_for_impl();
    let constants: Vec<_> = typed(class)
        .enumerate()
        .map(|(number, (index, ty))| {
            let (number, constant) = (Index::from(number), index.constant());
            let (value, documentation) = match &index.value {
                Value::Field(field) => (
                    quote!(|__object: &Self| ::core::clone::Clone::clone(&__object.#field)),
                    format!("Finds objects by `{field}`, in a table's `find`."),
                ),
                Value::Function(function) => {
                    let (_, function) = &**function;
                    (quote!(#function), format!("Finds objects `{}`, in a table's `find`.", index.name))
                }
            };
            quote! {
                #[doc = #documentation]
                #visibility const #constant: ::amiko_core::tree::Index<Self, #ty> =
                    ::amiko_core::tree::Index::new(|__indexes: &#indexes| &__indexes.#number, #value);
            }
        })
        .collect();
    if constants.is_empty() {
        return TokenStream::new();
    }
    quote! {
        #[automatically_derived]
        impl #parameters #ident #arguments #bounds {
            #(#constants)*
        }
    }
}
