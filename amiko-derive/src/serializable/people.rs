//! What people see of an object, which objects it refers to, and the schema of its class.

use super::flatten::of_fields;
use super::{Generator, arm, local};
use crate::tree::{Missing, Shape};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use std::borrow::Cow;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

/// The names of the phases that may follow a phase, or none if the variants aren't phases. One that lists none is final.
pub(super) fn following<'s>(shape: &Shape, shapes: &'s [Shape]) -> Option<Vec<Cow<'s, str>>> {
    let named = |phase| shapes.iter().find(|shape| shape.variant.as_ref() == Some(phase));
    let next = || shape.next.iter().flatten().filter_map(named).map(called).collect();
    shapes.iter().any(|shape| shape.next.is_some()).then(next)
}

/// The name by which a class describes a variant.
fn called(shape: &Shape) -> Cow<'_, str> {
    match (&shape.variant, shape.transparent()) {
        (Some(variant), Some(_)) => Cow::Owned(variant.unraw().to_string()),
        _ => Cow::Borrowed(&shape.class),
    }
}

impl Generator<'_> {
    /// The methods for the summary, the references and the schema.
    pub(super) fn people_methods(&self, shapes: &[Shape]) -> TokenStream {
        let references = shapes.iter().map(|shape| {
            let fields = shape.written().map(|field| {
                let (binding, codec, strong) = (&field.binding, self.codec(field), field.strong);
                let visit = local("visit");
                quote_spanned! {field.ty.span()=>
                    ::amiko_core::__private_0_1_0::references_with(&#codec, #binding, #strong, #visit);
                }
            });
            arm(shape, quote!(#(#fields)*))
        });
        let summaries = shapes.iter().map(|shape| self.arm(shape, self.summarize_shape(shape)));
        let schema = self.schema(shapes);
        quote! {
            fn references(&self, __visit: &mut dyn ::core::ops::FnMut(::amiko_core::serializable::Reference<'_>)) {
                match self { #(#references)* }
            }

            fn summarize(&self, __out: &mut ::amiko_core::serializable::Summary) {
                match self { #(#summaries)* }
            }

            #schema
        }
    }

    fn summarize_shape(&self, shape: &Shape) -> TokenStream {
        if let Some(field) = shape.transparent() {
            let binding = &field.binding;
            return self.call(field, "summarize", &quote!(#binding, __out));
        }
        let class = &shape.class;
        let fields = match self.can_be_flattened() {
            Some(_) => quote!(::amiko_core::__private_0_1_0::Flatten::summarize_fields(self, __out);),
            None => self.summarize_fields(shape),
        };
        quote! {
            if __out.begin_object(#class) {
                #fields
                __out.end_object();
            }
        }
    }

    /// Shows the fields of a shape, without its class.
    pub(super) fn summarize_fields(&self, shape: &Shape) -> TokenStream {
        let out = local("out");
        let chosen = shape.written().any(|field| field.summary);
        let shown = shape.written().filter(|field| if chosen { field.summary } else { !field.skip_summary });
        let fields = shown.map(|field| {
            let (name, binding) = (&field.name, &field.binding);
            if field.flatten {
                let summarize = of_fields(field, "summarize_fields", &quote!(#binding, #out));
                return quote!(#summarize;);
            }
            let codec = self.codec(field);
            quote_spanned! {field.ty.span()=>
                ::amiko_core::__private_0_1_0::summarize_with(&#codec, #name, #binding, #out);
            }
        });
        quote!(#(#fields)*)
    }

    fn schema(&self, shapes: &[Shape]) -> TokenStream {
        let (name, version) = (self.class.ident.unraw().to_string(), self.class.version);
        if let [shape] = shapes
            && shape.variant.is_none()
        {
            let Some(field) = shape.transparent() else {
                let class = &shape.class;
                let fields = match self.can_be_flattened() {
                    Some(_) => quote!(<Self as ::amiko_core::__private_0_1_0::Flatten>::describe_fields(__fields)),
                    None => self.schema_fields(shape),
                };
                return quote! {
                    fn schema(__schema: &mut ::amiko_core::serializable::Schema) -> ::std::string::String {
                        __schema.class_of(::core::any::TypeId::of::<Self>(), #class, #version, &mut |__fields| { #fields })
                    }
                };
            };
            let schema = self.call(field, "schema", &quote!(__schema));
            let strong = field.strong.then(|| quote!(__schema.strong();));
            let secret = field.is_secret_of_a_codec().then(|| quote!(let __ty = __schema.secret(__ty);));
            return quote! {
                fn schema(__schema: &mut ::amiko_core::serializable::Schema) -> ::std::string::String {
                    #strong
                    let __ty = #schema;
                    #secret
                    __ty
                }
            };
        }
        let variants = shapes.iter().map(|shape| {
            let (variant, remarks) = (called(shape), &shape.remarks);
            let described = following(shape, shapes).map_or_else(
                || quote!(__fields.field(#variant, &__ty, false);),
                |next| quote!(__fields.phase_with(#variant, &__ty, &[#(#next),*], &[#(#remarks),*]);),
            );
            if let Some(field) = shape.transparent() {
                let schema = self.call(field, "schema", &quote!(__fields.schema));
                let strong = field.strong.then(|| quote!(__fields.schema.strong();));
                return quote!(#strong let __ty = #schema; #described);
            }
            let inner = self.schema_fields(shape);
            let path = format!("{name}::{variant}");
            quote! {
                let __ty = __fields.schema.class_of(
                    ::core::any::TypeId::of::<Self>(), #path, #version, &mut |__fields| { #inner }
                );
                #described
            }
        });
        quote! {
            fn schema(__schema: &mut ::amiko_core::serializable::Schema) -> ::std::string::String {
                __schema.class_of(::core::any::TypeId::of::<Self>(), #name, #version, &mut |__fields| { #(#variants)* })
            }
        }
    }

    /// Describes the fields of a shape.
    pub(super) fn schema_fields(&self, shape: &Shape) -> TokenStream {
        let described = local("fields");
        let fields = shape.written().map(|field| {
            let (name, ty) = (&field.name, &field.ty);
            if field.flatten {
                let describe = of_fields(field, "describe_fields", &quote!(#described));
                return quote!(#describe;);
            }
            let (codec, has_default) = (self.codec(field), !matches!(field.missing, Missing::Error));
            let strong = field.strong.then(|| quote!(__fields.schema.strong();));
            let aliases = &field.aliases;
            let aliases = (!aliases.is_empty()).then(|| quote!(__fields.aliases(&[#(#aliases),*]);));
            // What writes it says nothing of it.
            let describe = if field.is_secret_of_a_codec() { "describe_secret_with" } else { "describe_with" };
            let describe = format_ident!("{describe}");
            let describe = quote_spanned! {field.ty.span()=>
                ::amiko_core::__private_0_1_0::#describe::<#ty, _>(&#codec, #name, #has_default, #described);
            };
            quote!(#strong #describe #aliases)
        });
        quote!(#(#fields)*)
    }
}
