//! `#[amiko(polymorphic)]` on a trait: its implementors can be fields behind a `Box<dyn Trait>`.
//!
//! Invariant: the trait stays what its author wrote, but for the supertrait `Serializable`, which can't be behind a `dyn` and
//! is replaced by what can.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Ident, Item, Token, TypeParamBound};

/// Writes the trait, and what makes `Box<dyn Trait>` a field.
pub(crate) fn generate(arguments: TokenStream, item: Item) -> Result<TokenStream, Error> {
    let Item::Trait(mut item) = item else {
        let cure = "the attributes of a class stand below its `#[derive(Serializable)]`";
        return Err(Error::new(arguments.span(), format!("`#[amiko(polymorphic)]` belongs on a trait; {cure}")));
    };
    match syn::parse2::<Ident>(arguments.clone()) {
        Ok(ident) if ident == "polymorphic" => {}
        _ => return Err(Error::new(arguments.span(), "expected nothing but `#[amiko(polymorphic)]` on a trait")),
    }
    if !item.generics.params.is_empty() {
        return Err(Error::new(
            item.generics.span(),
            "a polymorphic trait has no generics, since its classes are found by name: remove them",
        ));
    }
    let is_serializable = |bound: &TypeParamBound| {
        matches!(bound, TypeParamBound::Trait(bound)
            if bound.path.segments.last().is_some_and(|segment| segment.ident == "Serializable"))
    };
    if !item.supertraits.iter().any(is_serializable) {
        let message = format!("add the supertrait: `trait {}: Serializable`", item.ident);
        return Err(Error::new(item.ident.span(), message));
    }
    let others: Punctuated<TypeParamBound, Token![+]> =
        item.supertraits.into_iter().filter(|bound| !is_serializable(bound)).collect();
    let (name, visibility) = (item.ident.clone(), item.vis.clone());
    let object = format_ident!("{name}Object");
    item.supertraits = syn::parse_quote!(#object);
    item.supertraits.extend(others);
    let called = name.to_string();
    let documentation = format!("What `#[amiko(polymorphic)]` needs of every [`{name}`].");
    let missing = format!("`{{Self}}` can't be behind a `Box<dyn {name}>`");
    let cure = "add `#[derive(Clone, Serializable)]` to `{Self}`";
    Ok(quote! {
        #item

        #[doc = #documentation]
        #[doc(hidden)]
        #[diagnostic::on_unimplemented(message = #missing, note = #cure)]
        #visibility trait #object: ::amiko_core::serializable::Polymorphic {
            fn clone_box(&self) -> ::std::boxed::Box<dyn #name>;
        }

        #[automatically_derived]
        impl<T: #name + ::amiko_core::Serializable + ::core::clone::Clone> #object for T {
            fn clone_box(&self) -> ::std::boxed::Box<dyn #name> {
                ::std::boxed::Box::new(::core::clone::Clone::clone(self))
            }
        }

        #[automatically_derived]
        impl ::core::clone::Clone for ::std::boxed::Box<dyn #name> {
            fn clone(&self) -> Self {
                (**self).clone_box()
            }
        }

        /// Two objects are equal if they are written as the same text.
        #[automatically_derived]
        impl ::core::cmp::PartialEq for dyn #name {
            fn eq(&self, other: &Self) -> ::core::primitive::bool {
                ::amiko_core::derive::same_text(|out| self.write_object(out), |out| other.write_object(out))
            }
        }

        /// The summary, so that secrets stay hidden.
        #[automatically_derived]
        impl ::core::fmt::Debug for dyn #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(&::amiko_core::derive::summary_of(|out| self.summarize_object(out)))
            }
        }

        #[automatically_derived]
        impl ::amiko_core::Serializable for ::std::boxed::Box<dyn #name> {
            fn write(&self, out: &mut ::amiko_core::Writer) -> ::core::result::Result<(), ::amiko_core::WriteError> {
                (**self).write_object(out)
            }

            fn read(input: &mut ::amiko_core::Reader<'_>) -> ::core::result::Result<Self, ::amiko_core::ReadError> {
                ::amiko_core::derive::read_polymorphic::<dyn #name>(input)
            }

            fn class(&self) -> ::core::option::Option<&'static ::core::primitive::str> {
                (**self).class_of_object()
            }

            fn difference(&self, old: &Self, patch: &mut ::amiko_core::Patch)
                -> ::core::result::Result<(), ::amiko_core::WriteError>
            {
                if (**self).difference_object((**old).as_any(), patch)? {
                    return ::core::result::Result::Ok(());
                }
                patch.free((**old).weight_of_object(::amiko_core::serializable::Kept::Shared));
                patch.replace(self)
            }

            fn weight(&self, kept: ::amiko_core::serializable::Kept) -> ::core::primitive::usize {
                (**self).weight_of_object(kept)
            }

            fn apply(&mut self, pointer: ::amiko_core::Pointer<'_>, change: ::amiko_core::Change<'_, '_>)
                -> ::core::result::Result<(), ::amiko_core::ReadError>
            {
                if pointer.split().is_none() {
                    // Another class may take its place.
                    return ::amiko_core::derive::replace_whole(self, pointer, change);
                }
                (**self).apply_object(pointer, change)
            }

            fn references(&self, visit: &mut dyn ::core::ops::FnMut(::amiko_core::serializable::Reference<'_>)) {
                (**self).references_object(visit);
            }

            fn summarize(&self, out: &mut ::amiko_core::serializable::Summary) {
                (**self).summarize_object(out);
            }

            fn schema(schema: &mut ::amiko_core::serializable::Schema) -> ::std::string::String {
                ::amiko_core::derive::schema_of_polymorphic::<dyn #name>(#called, schema)
            }
        }
    })
}
