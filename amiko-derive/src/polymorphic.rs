//! `#[amiko(polymorphic)]` on a trait: its implementors can be fields behind a `Box<dyn Trait>`.
//!
//! Invariant: the trait stays as its author wrote it, except for the supertrait `Serializable`, which isn't dyn
//! compatible and is replaced by one that is.

use crate::attributes::LIBRARY;
use crate::tokens::through;
use crate::types::is_named;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Fields, Ident, Item, ItemTrait, Path, Token, TypeParamBound, WherePredicate};

/// Generates the trait, and the implementations that make `Box<dyn Trait>` a field.
pub(crate) fn generate(arguments: TokenStream, item: Item) -> Result<TokenStream, Error> {
    let Item::Trait(mut item) = item else {
        let cure = "the attributes of a class stand below its `#[derive(Serializable)]`";
        return Err(Error::new(arguments.span(), format!("`#[amiko(polymorphic)]` belongs on a trait; {cure}")));
    };
    let library = library.parse2(arguments)?;
    if !item.generics.params.is_empty() {
        return Err(Error::new(
            item.generics.span(),
            "a polymorphic trait has no generics, since its classes are found by name: remove them",
        ));
    }
    let is_serializable = |bound: &TypeParamBound| is_bound(bound, "Serializable");
    if !item.supertraits.iter().any(is_serializable) {
        let message = format!("add the supertrait: `trait {}: Serializable`", item.ident);
        return Err(Error::new(item.ident.span(), message));
    }
    let others: Punctuated<TypeParamBound, Token![+]> =
        item.supertraits.iter().filter(|bound| !is_serializable(bound)).cloned().collect();
    let debug = (!has_debug(&item)).then(|| debug(&item.ident));
    let (name, visibility) = (item.ident.clone(), item.vis.clone());
    let object = format_ident!("{name}Object");
    item.supertraits = syn::parse_quote!(#object);
    item.supertraits.extend(others);
    // The trait may have methods with these names itself.
    let polymorphic = quote!(::amiko_core::serializable::Polymorphic);
    let called = name.unraw().to_string();
    let documentation = format!("What `#[amiko(polymorphic)]` needs of every [`{name}`].");
    let missing = format!("`{{Self}}` can't be behind a `Box<dyn {name}>`");
    let cure = "add `#[derive(Clone, Serializable)]` to `{Self}`";
    let generated = quote! {
        #[doc = #documentation]
        #[doc(hidden)]
        #[diagnostic::on_unimplemented(message = #missing, note = #cure)]
        #visibility trait #object: #polymorphic {
            fn clone_box(&self) -> ::std::boxed::Box<dyn #name>;
        }

        #[automatically_derived]
        impl<__T: #name + ::amiko_core::Serializable + ::core::clone::Clone> #object for __T {
            fn clone_box(&self) -> ::std::boxed::Box<dyn #name> {
                ::std::boxed::Box::new(::core::clone::Clone::clone(self))
            }
        }

        #[automatically_derived]
        impl ::core::clone::Clone for ::std::boxed::Box<dyn #name> {
            fn clone(&self) -> Self {
                #object::clone_box(&**self)
            }
        }

        /// Two objects are equal if their texts are equal.
        #[automatically_derived]
        impl ::core::cmp::PartialEq for dyn #name {
            fn eq(&self, __other: &Self) -> ::core::primitive::bool {
                ::amiko_core::__private_0_1_0::same_text(
                    |__out| #polymorphic::write_object(self, __out),
                    |__out| #polymorphic::write_object(__other, __out),
                )
            }
        }

        #debug

        #[automatically_derived]
        impl ::amiko_core::Serializable for ::std::boxed::Box<dyn #name> {
            fn write(&self, __out: &mut ::amiko_core::Writer) -> ::core::result::Result<(), ::amiko_core::WriteError> {
                #polymorphic::write_object(&**self, __out)
            }

            fn read(__input: &mut ::amiko_core::Reader<'_>) -> ::core::result::Result<Self, ::amiko_core::ReadError> {
                ::amiko_core::__private_0_1_0::read_polymorphic::<dyn #name>(__input)
            }

            fn class(&self) -> ::core::option::Option<&'static ::core::primitive::str> {
                #polymorphic::class_of_object(&**self)
            }

            fn is_class(__name: &::core::primitive::str) -> ::core::primitive::bool {
                ::amiko_core::__private_0_1_0::is_polymorphic_class::<dyn #name>(__name)
            }

            fn classes(__known: &mut ::std::vec::Vec<&'static ::core::primitive::str>) {
                ::amiko_core::__private_0_1_0::polymorphic_classes::<dyn #name>(__known);
            }

            fn difference(&self, __old: &Self, __patch: &mut ::amiko_core::Patch)
                -> ::core::result::Result<(), ::amiko_core::WriteError>
            {
                if #polymorphic::difference_object(&**self, #polymorphic::as_any(&**__old), __patch)? {
                    return ::core::result::Result::Ok(());
                }
                __patch.free(::amiko_core::serializable::Polymorphic::weight_of_object(
                    &**__old, ::amiko_core::serializable::Kept::Shared,
                ));
                __patch.replace(self)
            }

            fn weight(&self, __kept: ::amiko_core::serializable::Kept) -> ::core::primitive::usize {
                ::amiko_core::serializable::Polymorphic::weight_of_object(&**self, __kept)
            }

            fn apply(&mut self, __pointer: ::amiko_core::Pointer<'_>, __change: ::amiko_core::Change<'_, '_>)
                -> ::core::result::Result<(), ::amiko_core::ReadError>
            {
                if __pointer.split().is_none() {
                    // Another class may take its place.
                    return ::amiko_core::__private_0_1_0::replace_whole(self, __pointer, __change);
                }
                #polymorphic::apply_object(&mut **self, __pointer, __change)
            }

            fn references(&self, __visit: &mut dyn ::core::ops::FnMut(::amiko_core::serializable::Reference<'_>)) {
                #polymorphic::references_object(&**self, __visit);
            }

            fn summarize(&self, __out: &mut ::amiko_core::serializable::Summary) {
                #polymorphic::summarize_object(&**self, __out);
            }

            fn schema(__schema: &mut ::amiko_core::serializable::Schema) -> ::std::string::String {
                ::amiko_core::__private_0_1_0::schema_of_polymorphic::<dyn #name>(#called, __schema)
            }
        }
    };
    let generated = through(library.as_ref(), generated);
    Ok(quote!(#item #generated))
}

/// A class whose derive was forgotten, without the attributes of its fields and variants, which are unknown without it.
pub(crate) fn without_attributes(mut item: Item) -> Item {
    let is_other = |attribute: &Attribute| !attribute.path().is_ident("amiko");
    let clean = |fields: &mut Fields| fields.iter_mut().for_each(|field| field.attrs.retain(is_other));
    match &mut item {
        Item::Struct(item) => clean(&mut item.fields),
        Item::Enum(item) => {
            for variant in &mut item.variants {
                variant.attrs.retain(is_other);
                clean(&mut variant.fields);
            }
        }
        _ => {}
    }
    item
}

fn is_bound(bound: &TypeParamBound, name: &str) -> bool {
    matches!(bound, TypeParamBound::Trait(bound)
        if bound.path.segments.last().is_some_and(|segment| segment.ident == name))
}

/// Whether the trait itself requires `Debug`: then `dyn Trait` already has it.
fn has_debug(item: &ItemTrait) -> bool {
    let predicates = item.generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let of_self = predicates.filter_map(|predicate| match predicate {
        WherePredicate::Type(predicate) => is_named(&predicate.bounded_ty, "Self").then_some(&predicate.bounds),
        _ => None,
    });
    item.supertraits.iter().chain(of_self.flatten()).any(|bound| is_bound(bound, "Debug"))
}

fn debug(name: &Ident) -> TokenStream {
    quote! {
        /// The summary, so that secrets stay hidden.
        #[automatically_derived]
        impl ::core::fmt::Debug for dyn #name {
            fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                __f.write_str(&::amiko_core::__private_0_1_0::summary_of(|__out| {
                    ::amiko_core::serializable::Polymorphic::summarize_object(self, __out)
                }))
            }
        }
    }
}

/// The path of the library: what may follow `polymorphic`.
fn library(arguments: ParseStream<'_>) -> Result<Option<Path>, Error> {
    let place = arguments.span();
    let wrong = |place| Error::new(place, "expected nothing but `#[amiko(polymorphic)]` on a trait");
    if !arguments.parse::<Ident>().is_ok_and(|ident| ident == "polymorphic") {
        return Err(wrong(place));
    }
    if arguments.is_empty() {
        return Ok(None);
    }
    let name = arguments.parse::<Token![,]>().and_then(|_| arguments.parse::<Token![crate]>());
    let name = name.map_err(|_| wrong(place))?;
    let path = arguments.parse::<Token![=]>().and_then(|_| Path::parse_mod_style(arguments));
    // After the last token, the error can only point at the attribute itself.
    let path =
        path.map_err(|error| Error::new(if arguments.is_empty() { name.span } else { error.span() }, LIBRARY))?;
    if arguments.is_empty() { Ok(Some(path)) } else { Err(wrong(arguments.span())) }
}
