//! The ties between a node and the classes in its tables.
//!
//! Invariant: no two classes of a node have the same kind.

use super::{Root, TableField};
use crate::serializable::reply;
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

/// The implementations that connect the node with its machines.
pub(super) fn generate(root: &Root) -> TokenStream {
    let node = &root.ident;
    let envelope = format_ident!("{node}Envelope");
    let hosts = root.machines().map(|TableField { ty, variant, .. }| {
        quote! {
            #[automatically_derived]
            impl ::amiko_core::Hosts<#ty> for #node {
                fn envelope(__to: ::amiko_core::Id<#ty>, __message: <#ty as ::amiko_core::StateMachine>::Message)
                    -> Self::Envelope
                {
                    #envelope::#variant(__to, __message)
                }
            }
        }
    });
    let keeps = root.tables.iter().map(|TableField { field, ty, .. }| {
        // An error about a class without a key should point at the class.
        let keeps = quote_spanned!(ty.span()=> ::amiko_core::Keeps<#ty>);
        quote! {
            #[automatically_derived]
            impl #keeps for #node {
                fn table(&self) -> &::amiko_core::Table<#ty> {
                    &self.#field
                }

                fn table_mut(&mut self) -> &mut ::amiko_core::Table<#ty> {
                    &mut self.#field
                }
            }
        }
    });
    let machine = root.machine.then(|| {
        let reply = reply(root.reply.as_ref());
        quote! {
            #[automatically_derived]
            impl ::amiko_core::Object for #node {
                type Key = ();
                type Reply = #reply;
                type Indexes = ();
                const KIND: &'static ::core::primitive::str = "node";
            }

            #[automatically_derived]
            impl ::amiko_core::Hosts<#node> for #node {
                fn envelope(_: ::amiko_core::Id<#node>, __message: <#node as ::amiko_core::StateMachine>::Message)
                    -> Self::Envelope
                {
                    #envelope::#node(__message)
                }
            }
        }
    });
    let distinct = distinct_kinds(root);
    quote!(#(#hosts)* #(#keeps)* #machine #distinct)
}

/// Fails to compile if two classes have the same kind: their envelopes, timers and references would be confused.
fn distinct_kinds(root: &Root) -> TokenStream {
    let node = &root.ident;
    let mut pairs = Vec::new();
    for (index, one) in root.tables.iter().enumerate() {
        let (ty, variant) = (&one.ty, &one.variant);
        for other in root.tables.iter().skip(index + 1) {
            let (other, second) = (&other.ty, &other.variant);
            let message = format!(
                "`{variant}` and `{second}` are of one kind: give one another with `#[amiko(kind = \"name\")]`"
            );
            pairs.push(quote_spanned! {other.span()=>
                const _: () = ::core::assert!(::amiko_core::__private_0_1_0::differ(
                    <#ty as ::amiko_core::Object>::KIND, <#other as ::amiko_core::Object>::KIND
                ), #message);
            });
        }
        if root.machine {
            let message = format!(
                "`{variant}` is of the kind `node`, which the node itself is: give it another with `#[amiko(kind = \"name\")]`"
            );
            pairs.push(quote_spanned! {ty.span()=>
                const _: () = ::core::assert!(::amiko_core::__private_0_1_0::differ(
                    <#ty as ::amiko_core::Object>::KIND, <#node as ::amiko_core::Object>::KIND
                ), #message);
            });
        }
    }
    quote!(#(#pairs)*)
}
