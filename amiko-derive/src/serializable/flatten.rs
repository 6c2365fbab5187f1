//! Flattened fields: the generation for the class that is flattened, and for the one that contains it.

use super::{Generator, local, pattern};
use crate::tree::{Field, Kind, Shape};
use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Generics, Member, Type};

/// Calls a function of a flattened field's class; an error about a class that can't be flattened should point at the type.
pub(super) fn of_fields(field: &Field, function: &str, arguments: &TokenStream) -> TokenStream {
    let (ty, function) = (&field.ty, quote::format_ident!("{function}"));
    quote_spanned!(ty.span()=> <#ty as ::amiko_core::__private_0_1_0::Flatten>::#function(#arguments))
}

/// A type with `Self` replaced, for places where `Self` would mean another type.
pub(super) fn without_self(tokens: TokenStream, this: &TokenStream) -> TokenStream {
    let replace = |token| match token {
        TokenTree::Ident(ident) if ident == "Self" => this.clone(),
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), without_self(group.stream(), this));
            inner.set_span(group.span());
            TokenTree::Group(inner).into()
        }
        token => token.into(),
    };
    tokens.into_iter().map(replace).collect::<Vec<TokenStream>>().into_iter().collect()
}

impl Generator<'_> {
    /// The shape of a class that can be flattened. One with a version couldn't be migrated without its object.
    pub(super) fn can_be_flattened(&self) -> Option<&Shape> {
        let Kind::Struct(shape) = &self.class.kind else { return None };
        let named = shape.fields.iter().all(|field| matches!(field.member, Member::Named(_)));
        let versioned = self.class.version > 1 || self.class.migrate.is_some();
        let whole = shape.transparent().is_some() || shape.keep.is_some();
        (named && !versioned && !whole).then_some(&**shape)
    }

    /// The names of a shape's fields, as a constant.
    pub(super) fn names(shape: &Shape) -> TokenStream {
        let names = shape.written().map(|field| {
            let (name, aliases, ty) = (&field.name, &field.aliases, &field.ty);
            if field.flatten {
                let inner = quote_spanned!(ty.span()=> <#ty as ::amiko_core::__private_0_1_0::Flatten>::NAMES);
                return quote!(::amiko_core::__private_0_1_0::FieldName::Flattened(#inner),);
            }
            quote! {
                ::amiko_core::__private_0_1_0::FieldName::Name(#name),
                #(::amiko_core::__private_0_1_0::FieldName::Alias(#aliases),)*
            }
        });
        quote!(&[#(#names)*])
    }

    /// Fails to compile if two fields have the same name.
    fn apart(shape: &Shape) -> Vec<TokenStream> {
        let mut checks = Vec::new();
        for (index, field) in shape.flattened().enumerate() {
            let Field { ty, member, .. } = field;
            let inner = quote!(<#ty as ::amiko_core::__private_0_1_0::Flatten>::NAMES);
            let called = quote!(#member).to_string();
            for own in shape.named() {
                for name in own.aliases.iter().chain([&own.name]) {
                    let message = format!(
                        "the name \"{name}\" stands here and in the class of the flattened `{called}`: choose another with \
                         `rename`"
                    );
                    checks.push(quote_spanned! {own.member.span()=>
                        ::core::assert!(!::amiko_core::__private_0_1_0::FieldName::is_among(#name, #inner), #message)
                    });
                }
            }
            for earlier in shape.flattened().take(index) {
                let (other, first) = (&earlier.ty, &earlier.member);
                let message = format!(
                    "the classes of the flattened `{}` and `{called}` have a field of one name: choose another with `rename`",
                    quote!(#first)
                );
                checks.push(quote_spanned! {ty.span()=>
                    ::core::assert!(::amiko_core::__private_0_1_0::FieldName::are_apart(
                        <#other as ::amiko_core::__private_0_1_0::Flatten>::NAMES, #inner
                    ), #message)
                });
            }
        }
        checks
    }

    /// The same check for a class without generics, whether it is used or not.
    pub(super) fn apart_always(&self, shapes: &[Shape]) -> TokenStream {
        if !self.class.generics.params.is_empty() {
            return TokenStream::new();
        }
        let ident = &self.class.ident;
        let checks = shapes.iter().flat_map(Self::apart).map(|check| without_self(check, &quote!(#ident)));
        quote!(#(const _: () = #checks;)*)
    }

    /// The same check for a class with generics, when it is used with concrete types.
    pub(super) fn apart_when_used(&self, shape: &Shape) -> TokenStream {
        if self.class.generics.params.is_empty() {
            return TokenStream::new();
        }
        let checks = Self::apart(shape);
        quote!(#(const { #checks };)*)
    }

    /// The impl that lets the class be flattened.
    pub(super) fn flatten(&self, generics: &Generics) -> TokenStream {
        let Some(shape) = self.can_be_flattened() else { return TokenStream::new() };
        let ident = &self.class.ident;
        let (parameters, arguments, bounds) = generics.split_for_impl();
        let turbofish = arguments.as_turbofish();
        let (slots, read, finish) = (self.slots(generics), self.read_some(shape), self.finish(shape));
        let (names, write) = (Self::names(shape), self.write_fields(shape));
        let (pattern, checks) = (pattern(shape, ""), self.apart_when_used(shape));
        let (summarize, describe) = (self.summarize_fields(shape), self.schema_fields(shape));
        let begin = shape.written().map(|field| {
            let begin = if field.flatten {
                of_fields(field, "partial", &TokenStream::new())
            } else {
                quote!(::core::option::Option::None)
            };
            let binding = &field.binding;
            quote!(#binding: #begin,)
        });
        // If nobody flattens the class, this adds no code: functions are instantiated where they are used.
        quote! {
                #slots

                #[automatically_derived]
                #[allow(unused_variables, unreachable_code)]
                impl #parameters ::amiko_core::__private_0_1_0::Flatten for #ident #arguments #bounds {
                    const NAMES: &'static [::amiko_core::__private_0_1_0::FieldName] = #names;

                    type Partial = __Partial #arguments;

                    #[inline]
                    fn write_fields(&self, __out: &mut ::amiko_core::Writer)
                        -> ::core::result::Result<(), ::amiko_core::WriteError>
                    {
                        #checks
                        let #pattern = self;
                        #write
                        ::core::result::Result::Ok(())
                    }

                    #[inline]
                    fn partial() -> Self::Partial {
                        #checks
                        __Partial #turbofish { #(#begin)* __class: ::core::marker::PhantomData }
                    }

                    #read

                    #[inline(always)]
                    fn from_partial(
                        __partial: Self::Partial,
                        __class: &'static ::core::primitive::str,
                        __input: &::amiko_core::Reader<'_>,
                    ) -> ::core::result::Result<Self, ::amiko_core::ReadError> {
                        #finish
                    }

                    #[inline]
                    fn summarize_fields(&self, __out: &mut ::amiko_core::serializable::Summary) {
                        let #pattern = self;
                        #summarize
                    }

                    #[inline]
                    fn describe_fields(__fields: &mut ::amiko_core::serializable::schema::Fields<'_>) {
                        #describe
                    }
                }
        }
    }

    /// The type of the slots. It is public, so that the types of the fields needn't be more visible.
    fn slots(&self, generics: &Generics) -> TokenStream {
        let ident = &self.class.ident;
        let (parameters, arguments, bounds) = generics.split_for_impl();
        let this = quote!(#ident #arguments);
        let slots = self.class.shapes().iter().flat_map(Shape::written).map(|field| {
            let (binding, ty) = (&field.binding, &field.ty);
            let ty = without_self(quote!(#ty), &this);
            if field.flatten {
                let span = field.ty.span();
                return quote_spanned!(span=> #binding: <#ty as ::amiko_core::__private_0_1_0::Flatten>::Partial,);
            }
            quote!(#binding: ::core::option::Option<#ty>,)
        });
        quote! {
            #[doc(hidden)]
            #[allow(private_bounds, private_interfaces, unreachable_pub, clippy::type_complexity)]
            pub struct __Partial #parameters #bounds {
                #(#slots)*
                __class: ::core::marker::PhantomData<fn() -> #this>,
            }
        }
    }

    /// Reads into the slots: in order, and by name.
    fn read_some(&self, shape: &Shape) -> TokenStream {
        let class = quote!(__class);
        let bindings: Vec<_> = shape.written().map(|field| &field.binding).collect();
        let slots = quote!(let __Partial { #(#bindings,)* .. } = __partial;);
        let slot = |field: &Field| {
            let binding = &field.binding;
            quote!(#binding)
        };
        let in_order = shape.written().map(|field| self.read_in_order(field, &slot(field), &class));
        let arms = shape.named().map(|field| self.read_arm(field, &slot(field), &class));
        let input = local("input");
        let deeper = shape.flattened().map(|field| {
            let slot = slot(field);
            of_fields(field, "read_named_field", &quote!(#slot, __other, __class, #input))
        });
        quote! {
            #[inline(always)]
            fn read_in_order(
                __partial: &mut Self::Partial,
                __class: &'static ::core::primitive::str,
                __input: &mut ::amiko_core::Reader<'_>,
            ) -> ::core::result::Result<(), ::amiko_core::ReadError> {
                #slots
                #(#in_order)*
                ::core::result::Result::Ok(())
            }

            #[inline]
            fn read_named_field(
                __partial: &mut Self::Partial,
                __name: &::core::primitive::str,
                __class: &'static ::core::primitive::str,
                __input: &mut ::amiko_core::Reader<'_>,
            ) -> ::core::result::Result<::core::primitive::bool, ::amiko_core::ReadError> {
                #slots
                match __name {
                    #(#arms)*
                    __other => return ::core::result::Result::Ok(false #(|| #deeper?)*),
                }
                ::core::result::Result::Ok(true)
            }
        }
    }

    fn finish(&self, shape: &Shape) -> TokenStream {
        let bindings = shape.written().map(|field| &field.binding);
        let values = shape.fields.iter().map(|field| self.field_value(field, shape, &quote!(__class)));
        quote! {
            let __Partial { #(#bindings,)* .. } = __partial;
            ::core::result::Result::Ok(Self { #(#values)* })
        }
    }
}

/// The type of a field's slot while an object is read, and its initial value.
pub(super) fn slot(field: &Field) -> TokenStream {
    let (binding, ty): (_, &Type) = (&field.binding, &field.ty);
    if field.flatten {
        let partial = of_fields(field, "partial", &TokenStream::new());
        return quote!(let mut #binding = #partial;);
    }
    quote!(let mut #binding: ::core::option::Option<#ty> = ::core::option::Option::None;)
}
