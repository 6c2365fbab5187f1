//! The effects of a node: the enum of all of them, and how their owners hear what came of them.
//!
//! A node has any number of machines and of effects, and whoever asks for an effect is known by its kind alone when it is over. So
//! for each pair it is found out, by which of two methods the compiler finds, whether the machine's messages say what came
//! of the effect.

use super::Root;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Ident, Type};

pub(super) fn generate(root: &Root) -> TokenStream {
    if root.effects.is_empty() {
        return TokenStream::new();
    }
    let (visibility, node) = (&root.visibility, &root.ident);
    let (name, envelope) = (format_ident!("{node}Effects"), format_ident!("{node}Envelope"));
    let types: Vec<&Type> = root.effects.iter().map(|(ty, _)| ty).collect();
    let variants: Vec<&Ident> = root.effects.iter().map(|(_, variant)| variant).collect();
    let texts: Vec<String> = variants.iter().map(ToString::to_string).collect();
    let library = root.library.as_ref().map(|path| quote!(#[amiko(crate = #path)]));
    let documentation = format!("An effect of [`{node}`].");
    let hear = root.machines().map(|table| {
        let (ty, variant) = (&table.ty, &table.variant);
        quote! {
            if __owner.kind == <#ty as ::amiko_core::Object>::KIND {
                let __key = <<#ty as ::amiko_core::Object>::Key as ::amiko_core::Key>::decode(__owner.key).ok()?;
                let __message = (&&Tie::<_, <#ty as ::amiko_core::StateMachine>::Message>::new()).hear(__performed)?;
                return ::core::option::Option::Some(#envelope::#variant(::amiko_core::Id::new(__key), __message));
            }
        }
    });
    let hear_itself = root.machine.then(|| {
        quote! {
            if __owner.kind == <#node as ::amiko_core::Object>::KIND {
                let __message = (&&Tie::<_, <#node as ::amiko_core::StateMachine>::Message>::new()).hear(__performed)?;
                return ::core::option::Option::Some(#envelope::#node(__message));
            }
        }
    });
    let hear: Vec<TokenStream> = hear.chain(hear_itself).collect();
    let performs = root.effects.iter().map(|(ty, variant)| {
        let text = variant.to_string();
        quote! {
            #[automatically_derived]
            impl ::amiko_core::Performs<#ty> for #node {
                const CLASS: &'static ::core::primitive::str = #text;

                fn effect(__effect: #ty) -> #name {
                    #name::#variant(__effect)
                }

                #[allow(unreachable_patterns)]
                fn as_effect(__effects: &#name) -> ::core::option::Option<&#ty> {
                    match __effects {
                        #name::#variant(__effect) => ::core::option::Option::Some(__effect),
                        _ => ::core::option::Option::None,
                    }
                }

                fn performed(
                    __owner: ::amiko_core::effect::Owner<'_>,
                    __performed: ::amiko_core::Performed<#ty>,
                ) -> ::core::option::Option<#envelope> {
                    #[allow(unused_imports)]
                    use ::amiko_core::__private_0_1_0::{Heard, Tie, Unheard};
                    #(#hear)*
                    ::core::option::Option::None
                }
            }
        }
    });
    quote! {
        #[doc = #documentation]
        #[derive(::core::clone::Clone, ::amiko_core::Serializable)]
        #library
        #[allow(missing_docs)]
        #visibility enum #name {
            #(#[amiko(transparent)] #variants(#types),)*
        }

        #[automatically_derived]
        impl ::amiko_core::effect::EffectSet<#envelope> for #name {
            fn class_name(&self) -> &'static ::core::primitive::str {
                match self {
                    #(Self::#variants(_) => #texts,)*
                }
            }

            fn is_ordered(&self) -> ::core::primitive::bool {
                match self {
                    #(Self::#variants(_) => <#types as ::amiko_core::Effect>::ORDERED,)*
                }
            }

            fn policy(&self) -> ::amiko_core::effect::Policy {
                match self {
                    #(Self::#variants(__effect) => ::amiko_core::Effect::policy(__effect),)*
                }
            }

            fn given_up(&self, __owner: ::amiko_core::effect::Owner<'_>, __over: ::amiko_core::effect::GivenUp)
                -> ::core::option::Option<#envelope>
            {
                match self {
                    #(Self::#variants(_) => <#node as ::amiko_core::Performs<#types>>::performed(
                        __owner,
                        ::core::convert::Into::into(__over),
                    ),)*
                }
            }
        }

        #(#performs)*
    }
}
