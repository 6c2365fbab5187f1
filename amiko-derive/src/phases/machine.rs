//! What ties an enum of phases to its machine: time-outs, functions that run, and messages that are taken.

use super::{Diagram, Machine, Phase};
use crate::types::last;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt;

pub(super) fn generate(diagram: &Diagram, machine: &Machine) -> TokenStream {
    let phases_of = phases_of(diagram, machine);
    let phased = phased(diagram, machine);
    quote!(#phases_of #phased)
}

/// A match on the phase, with what is done in each; `inner` is bound to the phase inside.
fn each(diagram: &Diagram, done: impl Fn(&Phase) -> TokenStream) -> TokenStream {
    let arms = diagram.phases.iter().map(|phase| {
        let (ident, done) = (&phase.ident, done(phase));
        match &phase.inner {
            Some((member, _)) => quote!(Self::#ident { #member: __inner, .. } => { #done }),
            None => quote!(Self::#ident { .. } => { #done }),
        }
    });
    quote!(match self { #(#arms)* })
}

/// A call of the same method of the phase inside, if there is one.
fn inside(phase: &Phase, machine: &Machine, call: &TokenStream) -> Option<TokenStream> {
    let ty = &machine.ty;
    phase.inner.as_ref().map(|(_, inner)| quote!(<#inner as ::amiko_core::machine::PhasesOf<#ty>>::#call;))
}

fn phases_of(diagram: &Diagram, machine: &Machine) -> TokenStream {
    let (ident, ty) = (&diagram.ident, &machine.ty);
    let timer = timer(diagram, machine);
    let time_outs = each(diagram, |phase| {
        let own = phase.after.as_ref().map(|after| {
            let (due, send) = (after.due(), &after.send);
            quote! {
                if let ::core::option::Option::Some(__due) = #due {
                    __give(#timer, __due, __Message::#send);
                }
            }
        });
        let inner = inside(phase, machine, &quote!(time_outs(__inner, __now, __give)));
        quote!(#own #inner)
    });
    let timers = each(diagram, |phase| {
        let own = phase.after.as_ref().map(|_| quote!(__give(#timer);));
        let inner = inside(phase, machine, &quote!(timers(__inner, __give)));
        quote!(#own #inner)
    });
    let entries = each(diagram, |phase| {
        let own = phase.entry.as_ref().map(|path| quote!(__hooks.push(#path);));
        let inner = inside(phase, machine, &quote!(entries(__inner, __hooks)));
        quote!(#own #inner)
    });
    let exits = each(diagram, |phase| {
        let own = phase.exit.as_ref().map(|path| quote!(__hooks.push(#path);));
        let inner = inside(phase, machine, &quote!(exits(__inner, __hooks)));
        quote!(#inner #own)
    });
    let own_hooks = diagram.phases.iter().any(|phase| phase.entry.is_some() || phase.exit.is_some());
    let inner = diagram.phases.iter().filter_map(|phase| phase.inner.as_ref()).map(|(_, inner)| inner);
    let hooks = quote!(#own_hooks #(|| <#inner as ::amiko_core::machine::PhasesOf<#ty>>::HOOKS)*);
    let taken = each(diagram, |phase| {
        let own = phase.on.as_ref().map(|on| {
            let messages = on.iter().map(|name| {
                // An error about a message that isn't there should point at its name.
                let message = Ident::new("__Message", Span::call_site().located_at(name.span()));
                quote_spanned!(name.span()=> #message::#name { .. })
            });
            quote! {
                if !::core::matches!(__message, #(#messages)|*) {
                    return ::core::result::Result::Err(<Self as ::amiko_core::Phases>::CHART.refuse_message(
                        ::amiko_core::Phases::place(self),
                        ::amiko_core::Serializable::class(__message),
                    ));
                }
            }
        });
        let inner = phase.inner.as_ref().map(
            |(_, inner)| quote!(<#inner as ::amiko_core::machine::PhasesOf<#ty>>::expect_taken(__inner, __message)?;),
        );
        quote!(#own #inner)
    });
    quote! {
        #[automatically_derived]
        // Not every phase uses all of it.
        #[allow(unused_variables)]
        const _: () = {
            type __Message = <#ty as ::amiko_core::StateMachine>::Message;

            ::core::assert!(
                <#ident as ::amiko_core::Phases>::CHART.takes_its_time_outs(),
                "a phase has a time-out whose message a phase inside it doesn't take: add it to the `on` of that",
            );

            impl ::amiko_core::machine::PhasesOf<#ty> for #ident {
                const HOOKS: ::core::primitive::bool = #hooks;

                #[inline]
                fn time_outs(
                    &self,
                    __now: ::amiko_core::Time,
                    __give: &mut impl ::core::ops::FnMut(&'static ::core::primitive::str, ::amiko_core::Time, __Message),
                ) {
                    #time_outs
                }

                #[inline]
                fn timers(&self, __give: &mut impl ::core::ops::FnMut(&'static ::core::primitive::str)) {
                    #timers
                }

                fn entries(&self, __hooks: &mut ::std::vec::Vec<::amiko_core::machine::Hook<#ty>>) {
                    #entries
                }

                fn exits(&self, __hooks: &mut ::std::vec::Vec<::amiko_core::machine::Hook<#ty>>) {
                    #exits
                }

                fn expect_taken(&self, __message: &__Message)
                    -> ::core::result::Result<(), ::amiko_core::Rejection>
                {
                    #taken
                    ::core::result::Result::Ok(())
                }
            }
        };
    }
}

/// The name of the timer of the time-outs: that of the machine's field, or of the enum and of the one around it.
fn timer(diagram: &Diagram, machine: &Machine) -> String {
    let outer = machine.within.as_ref().and_then(last).map(|segment| segment.ident.unraw());
    match outer {
        Some(outer) => format!("@{outer}.{}", diagram.ident.unraw()),
        None => format!("@{}", machine.field.unraw()),
    }
}

fn phased(diagram: &Diagram, machine: &Machine) -> TokenStream {
    let Diagram { ident, phases, .. } = diagram;
    let Machine { ty, field, within } = machine;
    let (shared, mutable) = match within {
        None => {
            (quote!(::core::option::Option::Some(&self.#field)), quote!(::core::option::Option::Some(&mut self.#field)))
        }
        Some(outer) => (
            quote!(<#ty as ::amiko_core::Phased<#outer>>::phase_of(self).and_then(::amiko_core::Phase::inner)),
            quote!(<#ty as ::amiko_core::Phased<#outer>>::phase_of_mut(self).and_then(::amiko_core::Phase::inner_of_machine)),
        ),
    };
    // The outermost enum asks those inside it.
    let asks = within.is_none() && phases.iter().any(|phase| phase.on.is_some() || phase.inner.is_some());
    let takes = asks.then(|| {
        quote! {
            #[automatically_derived]
            impl ::amiko_core::machine::Takes for #ty {
                fn expect_taken(&self, __message: &<Self as ::amiko_core::StateMachine>::Message)
                    -> ::core::result::Result<(), ::amiko_core::Rejection>
                {
                    ::amiko_core::__private_0_1_0::expect_taken::<Self, #ident>(self, __message)
                }
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl ::amiko_core::Phased<#ident> for #ty {
            fn phase_of(&self) -> ::core::option::Option<&::amiko_core::Phase<#ident>> {
                #shared
            }

            fn phase_of_mut(&mut self) -> ::core::option::Option<&mut ::amiko_core::Phase<#ident>> {
                #mutable
            }
        }

        #takes
    }
}
