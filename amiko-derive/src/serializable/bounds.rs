//! The bounds that a generic class puts on its parameters.

use crate::tree::{Class, Shape};
use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::{Generics, Ident, parse_quote};

/// The class's generics, with the bounds for its fields: parameters and their associated types must be serializable.
///
/// Never a whole field type: the check of a type that contains the class itself would never end.
pub(super) fn bounded(class: &Class) -> Generics {
    let mut generics = class.generics.clone();
    let parameters: Vec<Ident> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    if parameters.is_empty() {
        return generics;
    }
    let mut needed: Vec<TokenStream> = Vec::new();
    let flattened: Vec<_> = class.shapes().iter().flat_map(Shape::flattened).map(|field| &field.ty).collect();
    for field in class.shapes().iter().flat_map(Shape::written).filter(|field| field.with.is_none()) {
        let ty = &field.ty;
        mentioned(quote!(#ty), &parameters, &mut needed);
    }
    let defaults = class.shapes().iter().flat_map(|shape| &shape.fields).filter(|field| field.needs_default());
    let defaults: Vec<_> = defaults.map(|field| &field.ty).collect();
    let bounds = generics.make_where_clause();
    for parameter in &parameters {
        bounds.predicates.push(parse_quote!(#parameter: ::core::marker::Send + ::core::marker::Sync + 'static));
    }
    for ty in needed {
        bounds.predicates.push(parse_quote!(#ty: ::amiko_core::Serializable));
    }
    for ty in flattened {
        // Only for parameters: the compiler checks other classes by itself.
        let mut found = Vec::new();
        mentioned(quote!(#ty), &parameters, &mut found);
        if found.iter().any(|found| found.to_string() == quote!(#ty).to_string()) {
            bounds.predicates.push(parse_quote!(#ty: ::amiko_core::__private_0_1_0::Flatten));
        }
    }
    for ty in defaults {
        let mut found = Vec::new();
        mentioned(quote!(#ty), &parameters, &mut found);
        if !found.is_empty() {
            bounds.predicates.push(parse_quote!(#ty: ::core::default::Default));
        }
    }
    generics
}

/// Finds `T` and `T::Associated` among the tokens of a type.
fn mentioned(tokens: TokenStream, parameters: &[Ident], found: &mut Vec<TokenStream>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) if parameters.contains(ident) && !(at > 0 && is_colon(at - 1)) => {
                let associated = match tokens.get(at + 3) {
                    Some(TokenTree::Ident(name)) if is_colon(at + 1) && is_colon(at + 2) => Some(name),
                    _ => None,
                };
                let ty = associated.map_or_else(|| quote!(#ident), |name| quote!(#ident::#name));
                if !found.iter().any(|known| known.to_string() == ty.to_string()) {
                    found.push(ty);
                }
            }
            TokenTree::Group(group) => mentioned(group.stream(), parameters, found),
            _ => {}
        }
    }
}
