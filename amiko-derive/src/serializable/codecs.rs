//! The codecs of fields: chosen by the compiler for each type, once for the whole class, because that takes it long.

use super::Generator;
use super::flatten::without_self;
use crate::tree::{Class, Field, Shape};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Type};

/// The codec of a type, as the compiler finds it.
pub(super) fn probe(ty: &Type) -> TokenStream {
    probe_at(ty.span(), &quote!(#ty))
}

fn probe_at(span: Span, ty: &TokenStream) -> TokenStream {
    // An error about a type that can't be written should point at the type.
    quote_spanned! {span=> {
        #[allow(unused_imports)]
        use ::amiko_core::__private_0_1_0::{ProbeMap as _, ProbeNative as _, ProbeNeither as _, ProbeSerde as _};
        (&&&&::amiko_core::__private_0_1_0::Probe::<#ty>::new()).codec()
    }}
}

impl Generator<'_> {
    /// The codec that was chosen for the type of a field.
    pub(super) fn chosen_codec(&self, ty: &Type) -> Option<TokenStream> {
        let (_, index) = self.chosen.iter().find(|(known, _)| std::ptr::eq(*known, ty))?;
        let codec = named(*index);
        Some(quote!(#codec()))
    }

    /// The functions that return the codecs, of types that only the compiler knows.
    pub(super) fn codecs(&self) -> TokenStream {
        let ident = &self.class.ident;
        let firsts = (0..).map_while(|index| self.chosen.iter().find(|(_, known)| *known == index));
        let functions = firsts.map(|(ty, index)| {
            let (codec, span) = (named(*index), ty.span());
            // `Self` means nothing in a function beside the class.
            let ty = without_self(quote!(#ty), &quote!(#ident));
            let probe = probe_at(span, &ty);
            quote_spanned! {span=>
                #[inline]
                fn #codec() -> impl ::amiko_core::serializable::Codec<#ty> + ::core::marker::Copy #probe
            }
        });
        functions.collect()
    }
}

/// The function that returns the codec of the type with this number.
fn named(index: usize) -> Ident {
    format_ident!("__codec_of_{index}")
}

/// The type of each field whose codec the compiler chooses, and which of the different types it is. None in a class with
/// generics, which a function beside it can't name.
pub(super) fn to_choose(class: &Class) -> Vec<(&Type, usize)> {
    if !class.generics.params.is_empty() {
        return Vec::new();
    }
    let mut different: Vec<String> = Vec::new();
    let fields = class.shapes().iter().flat_map(Shape::written);
    let chosen = fields.filter(|field| field.with.is_none() && !field.flatten).map(|Field { ty, .. }| {
        let text = quote!(#ty).to_string();
        let index = different.iter().position(|known| *known == text).unwrap_or_else(|| {
            different.push(text);
            different.len() - 1
        });
        (ty, index)
    });
    chosen.collect()
}
