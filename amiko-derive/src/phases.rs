//! The phases of a machine, checked, and the generation of their `Phases` implementation.
//!
//! Invariant: every name in a `next` is a variant of the enum, and occurs in it once.

use crate::attributes::{Attributes, Errors, Place};
use crate::tokens::through;
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Generics, Ident, Path, Variant};

struct Phase {
    ident: Ident,
    next: Vec<Ident>,
}

pub(crate) struct Diagram {
    ident: Ident,
    generics: Generics,
    initial: Ident,
    phases: Vec<Phase>,
    /// The path of the library.
    library: Option<Path>,
}

impl Diagram {
    pub(crate) fn check(input: &DeriveInput) -> Result<Self, Error> {
        let mut errors = Errors::default();
        let Data::Enum(data) = &input.data else {
            return Err(Error::new(input.ident.span(), "phases are the variants of an enum"));
        };
        let Some(first) = data.variants.first() else {
            return Err(Error::new(input.ident.span(), "an enum of phases has at least one, where a machine begins"));
        };
        // Each derive reports faults in attributes that it shares with another; the compiler shows identical errors once.
        let library = Attributes::parse(&input.attrs, Place::Enum, &mut errors).library;
        let known: Vec<&Ident> = data.variants.iter().map(|variant| &variant.ident).collect();
        let mut phases = Vec::new();
        for variant in &data.variants {
            if !matches!(variant.fields, Fields::Unit) {
                errors.at(variant.fields.span(), "a phase has no fields: they belong to the machine that is in it");
            }
            let next = Attributes::parse(&variant.attrs, Place::Variant, &mut errors).next.unwrap_or_default();
            check_next(&next, &known, &mut errors);
            phases.push(Phase { ident: variant.ident.clone(), next });
        }
        let is_default = |variant: &&Variant| variant.attrs.iter().any(|own| own.path().is_ident("default"));
        let initial = data.variants.iter().find(is_default).unwrap_or(first).ident.clone();
        let (ident, generics) = (input.ident.clone(), input.generics.clone());
        errors.finish(Self { ident, generics, initial, phases, library })
    }
}

fn check_next(next: &[Ident], known: &[&Ident], errors: &mut Errors) {
    for (index, name) in next.iter().enumerate() {
        if !known.contains(&name) {
            let known: Vec<_> = known.iter().map(ToString::to_string).collect();
            errors.at(name.span(), format!("`{name}` isn't a phase; expected one of {}", known.join(", ")));
        }
        if next[..index].contains(name) {
            errors.at(name.span(), format!("`{name}` stands twice in this `next`; remove one of them"));
        }
    }
}

pub(crate) fn generate(diagram: &Diagram) -> TokenStream {
    let Diagram { ident, generics, initial, phases, library } = diagram;
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let name = ident.unraw().to_string();
    let variants: Vec<&Ident> = phases.iter().map(|phase| &phase.ident).collect();
    let names = variants.iter().map(|variant| variant.unraw().to_string());
    let next = phases.iter().map(|Phase { next, .. }| quote!(&[#(Self::#next),*]));
    let generated = quote! {
        #[automatically_derived]
        impl #parameters ::amiko_core::Phases for #ident #arguments #bounds {
            const NAME: &'static ::core::primitive::str = #name;
            const ALL: &'static [Self] = &[#(Self::#variants),*];
            const INITIAL: Self = Self::#initial;

            fn name(self) -> &'static ::core::primitive::str {
                match self { #(Self::#variants => #names,)* }
            }

            fn next(self) -> &'static [Self] {
                match self { #(Self::#variants => #next,)* }
            }
        }
    };
    through(library.as_ref(), generated)
}
