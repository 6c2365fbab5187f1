//! The phases of a machine, checked, and the generation of their `Phases` implementation.
//!
//! Invariant: every name in a `next` is a variant of the enum, and occurs in it once; every phase can be reached.

mod machine;
pub(crate) mod time_out;

use crate::attributes::{Attributes, Errors, Place};
use crate::tokens::through;
use crate::types::{arguments, is_named};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, ExprPath, Fields, Generics, Ident, Index, Member, Path, Type, Variant};
use time_out::TimeOut;

struct Phase {
    ident: Ident,
    next: Vec<Ident>,
    initial: bool,
    after: Option<TimeOut>,
    on: Option<Vec<Ident>>,
    entry: Option<ExprPath>,
    exit: Option<ExprPath>,
    /// The field with the phases inside, and their enum.
    inner: Option<(Member, Type)>,
}

/// The machine whose phases these are.
struct Machine {
    ty: Type,
    field: Ident,
    within: Option<Type>,
}

pub(crate) struct Diagram {
    ident: Ident,
    generics: Generics,
    /// The place of the phase in which a machine begins.
    initial: usize,
    phases: Vec<Phase>,
    machine: Option<Machine>,
    /// The path of the library.
    library: Option<Path>,
}

impl Diagram {
    pub(crate) fn check(input: &DeriveInput) -> Result<Self, Error> {
        let mut errors = Errors::default();
        let Data::Enum(data) = &input.data else {
            return Err(Error::new(input.ident.span(), "phases are the variants of an enum"));
        };
        if data.variants.is_empty() {
            return Err(Error::new(input.ident.span(), "an enum of phases has at least one, where a machine begins"));
        }
        // Each derive reports faults in attributes that it shares with another; the compiler shows identical errors once.
        let attributes = Attributes::parse(&input.attrs, Place::Enum, &mut errors);
        let machine = machine_of(&attributes, &input.generics, &mut errors);
        let library = attributes.library;
        let known: Vec<&Ident> = data.variants.iter().map(|variant| &variant.ident).collect();
        let phases: Vec<Phase> =
            data.variants.iter().map(|variant| phase(variant, &known, machine.is_some(), &mut errors)).collect();
        let is_default = |variant: &Variant| variant.attrs.iter().any(|own| own.path().is_ident("default"));
        let initial = data.variants.iter().position(is_default).unwrap_or(0);
        if let Some(variant) = data.variants.iter().nth(initial)
            && variant.fields.len() > usize::from(phases[initial].inner.is_some())
        {
            errors.at(
                variant.fields.span(),
                "a machine begins in this phase, which has no data then: give it to a later phase, or put `#[default]` on another",
            );
        }
        // A name that is wrong makes others look as if nothing led to them.
        if errors.is_empty() {
            check_reachable(&phases, initial, &mut errors);
        }
        let (ident, generics) = (input.ident.clone(), input.generics.clone());
        errors.finish(Self { ident, generics, initial, phases, machine, library })
    }

    /// The place of a phase; each name is one of them.
    fn place(&self, name: &Ident) -> usize {
        self.phases.iter().position(|phase| phase.ident == *name).unwrap_or_default()
    }
}

fn machine_of(attributes: &Attributes, generics: &Generics, errors: &mut Errors) -> Option<Machine> {
    let (field, within) = (attributes.field.clone(), attributes.within.clone());
    let Some(ty) = attributes.phases_of.clone() else {
        let spans = [field.map(|field| field.span()), within.map(|within| within.span())];
        for span in spans.into_iter().flatten() {
            errors.at(span, "whose phases are these? add `machine = Class`");
        }
        return None;
    };
    if !generics.params.is_empty() {
        errors.at(generics.span(), "the phases of a machine have no generics: write the types themselves");
    }
    if let (Some(field), Some(_)) = (&field, &within) {
        errors.at(field.span(), "the outer phase names the machine's field: remove `field`");
    }
    let field = field.unwrap_or_else(|| Ident::new("phase", ty.span()));
    Some(Machine { ty, field, within })
}

fn phase(variant: &Variant, known: &[&Ident], has_machine: bool, errors: &mut Errors) -> Phase {
    let own = Attributes::parse(&variant.attrs, Place::Variant, errors);
    let next = own.next.unwrap_or_default();
    check_next(&next, known, errors);
    if !has_machine {
        let spans = [
            own.after.as_ref().map(|(_, span)| *span),
            own.on.as_ref().map(|(_, span)| *span),
            own.entry.as_ref().map(Spanned::span),
            own.exit.as_ref().map(Spanned::span),
        ];
        for span in spans.into_iter().flatten() {
            errors
                .at(span, "this needs the machine whose phases they are: add `#[amiko(machine = Class)]` to the enum");
        }
    }
    if let (Some((after, _)), Some((on, _))) = (&own.after, &own.on)
        && !on.contains(&after.send)
    {
        let send = &after.send;
        errors.at(send.span(), format!("this phase doesn't take `{send}`: add it to `on`, or its time-out is lost"));
    }
    let mut inner = inner(&variant.fields);
    if inner.len() > 1 {
        errors
            .at(variant.fields.span(), "a phase holds the phases of one enum at most: put the others into the machine");
    }
    Phase {
        ident: variant.ident.clone(),
        next,
        initial: own.initial.is_some(),
        after: own.after.map(|(after, _)| after),
        on: own.on.map(|(on, _)| on),
        entry: own.entry,
        exit: own.exit,
        inner: inner.pop(),
    }
}

/// The fields with phases inside.
fn inner(fields: &Fields) -> Vec<(Member, Type)> {
    let phases = fields.iter().enumerate().filter(|(_, field)| is_named(&field.ty, "Phase"));
    let named = phases.filter_map(|(index, field)| {
        let member = field.ident.clone().map_or_else(|| Member::Unnamed(Index::from(index)), Member::Named);
        Some((member, arguments(&field.ty).next()?.clone()))
    });
    named.collect()
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

fn check_reachable(phases: &[Phase], initial: usize, errors: &mut Errors) {
    let mut reached: Vec<bool> =
        phases.iter().enumerate().map(|(place, phase)| place == initial || phase.initial).collect();
    // Each round reaches another phase, or is the last one.
    loop {
        let from = phases.iter().zip(&reached).filter(|(_, reached)| **reached);
        let next: Vec<&Ident> = from.flat_map(|(phase, _)| &phase.next).collect();
        let more: Vec<bool> =
            phases.iter().zip(&reached).map(|(phase, reached)| *reached || next.contains(&&phase.ident)).collect();
        if more == reached {
            break;
        }
        reached = more;
    }
    for (phase, _) in phases.iter().zip(&reached).filter(|(_, reached)| !**reached) {
        let name = &phase.ident;
        errors.at(
            name.span(),
            format!("`{name}` can't be reached: name it in a `next`, or put `#[amiko(initial)]` on it if machines begin there"),
        );
    }
}

pub(crate) fn generate(diagram: &Diagram) -> TokenStream {
    let phases = phases(diagram);
    let holds = holds(diagram);
    let machine = diagram.machine.as_ref().map(|machine| machine::generate(diagram, machine));
    through(diagram.library.as_ref(), quote!(#phases #holds #machine))
}

/// Phases without any, in the place of those of an enum that has faults.
pub(crate) fn placeholder(input: &DeriveInput) -> TokenStream {
    let Data::Enum(_) = &input.data else { return TokenStream::new() };
    let attributes = Attributes::parse(&input.attrs, Place::Enum, &mut Errors::default());
    let (ident, (parameters, arguments, bounds)) = (&input.ident, input.generics.split_for_impl());
    let generated = quote! {
        #[automatically_derived]
        impl #parameters ::amiko_core::Phases for #ident #arguments #bounds {
            type Moves = ::amiko_core::machine::ByItself;
            const CHART: &'static ::amiko_core::machine::Chart =
                &::amiko_core::machine::Chart { name: "", phases: &[], initial: 0 };
            const INITIAL: Self = ::core::panic!();

            fn place(&self) -> ::core::primitive::usize {
                0
            }
        }
    };
    through(attributes.library.as_ref(), generated)
}

fn phases(diagram: &Diagram) -> TokenStream {
    let Diagram { ident, generics, initial, phases, machine, .. } = diagram;
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let name = ident.unraw().to_string();
    let moves = if machine.is_some() { quote!(ByMachine) } else { quote!(ByItself) };
    let variants: Vec<&Ident> = phases.iter().map(|phase| &phase.ident).collect();
    let places = 0..phases.len();
    let shapes = phases.iter().map(|phase| shape(diagram, phase));
    let first = &phases[*initial].ident;
    let inside = phases[*initial].inner.iter().map(|(member, _)| member);
    quote! {
        #[automatically_derived]
        impl #parameters ::amiko_core::Phases for #ident #arguments #bounds {
            type Moves = ::amiko_core::machine::#moves;

            const CHART: &'static ::amiko_core::machine::Chart =
                &::amiko_core::machine::Chart { name: #name, phases: &[#(#shapes),*], initial: #initial };

            const INITIAL: Self = Self::#first { #(#inside: ::amiko_core::Phase::INITIAL)* };

            #[inline]
            fn place(&self) -> ::core::primitive::usize {
                match self { #(Self::#variants { .. } => #places,)* }
            }
        }
    }
}

fn shape(diagram: &Diagram, phase: &Phase) -> TokenStream {
    let Phase { ident, next, initial, after, on, inner, .. } = phase;
    let name = ident.unraw().to_string();
    let next = next.iter().map(|next| diagram.place(next));
    let none = quote!(::core::option::Option::None);
    let some = |value: TokenStream| quote!(::core::option::Option::Some(#value));
    let after = after.as_ref().map_or_else(
        || none.clone(),
        |after| {
            let (when, send) = (after.text(), after.send.unraw().to_string());
            some(quote!(::amiko_core::machine::After { when: #when, send: #send }))
        },
    );
    let on = on.as_ref().map_or_else(
        || none.clone(),
        |on| {
            let names = on.iter().map(|name| name.unraw().to_string());
            some(quote!(&[#(#names),*]))
        },
    );
    let inner =
        inner.as_ref().map_or_else(|| none.clone(), |(_, ty)| some(quote!(<#ty as ::amiko_core::Phases>::CHART)));
    quote! {
        ::amiko_core::machine::PhaseShape {
            name: #name, next: &[#(#next),*], initial: #initial, after: #after, on: #on, inner: #inner
        }
    }
}

/// The ways to the phases inside, by their enums.
fn holds(diagram: &Diagram) -> TokenStream {
    let (ident, (parameters, arguments, bounds)) = (&diagram.ident, diagram.generics.split_for_impl());
    let mut enums: Vec<(&Type, Vec<(&Ident, &Member)>)> = Vec::new();
    for (phase, (member, ty)) in diagram.phases.iter().filter_map(|phase| Some((phase, phase.inner.as_ref()?))) {
        let text = ty.to_token_stream().to_string();
        match enums.iter_mut().find(|(known, _)| known.to_token_stream().to_string() == text) {
            Some((_, places)) => places.push((&phase.ident, member)),
            None => enums.push((ty, vec![(&phase.ident, member)])),
        }
    }
    let holds = enums.iter().map(|(ty, places)| {
        let (variants, members): (Vec<_>, Vec<_>) = places.iter().copied().unzip();
        quote! {
            #[automatically_derived]
            #[allow(unreachable_patterns)]
            impl #parameters ::amiko_core::machine::Holds<#ty> for #ident #arguments #bounds {
                fn inner(&self) -> ::core::option::Option<&::amiko_core::Phase<#ty>> {
                    match self {
                        #(Self::#variants { #members: __inner, .. } => ::core::option::Option::Some(__inner),)*
                        _ => ::core::option::Option::None,
                    }
                }

                fn inner_mut(&mut self) -> ::core::option::Option<&mut ::amiko_core::Phase<#ty>> {
                    match self {
                        #(Self::#variants { #members: __inner, .. } => ::core::option::Option::Some(__inner),)*
                        _ => ::core::option::Option::None,
                    }
                }
            }
        }
    });
    quote!(#(#holds)*)
}
