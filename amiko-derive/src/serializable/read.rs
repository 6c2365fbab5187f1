//! How an object is read.

use super::flatten::{self, of_fields};
use super::{Generator, keys, local, path};
use crate::attributes::Unknown;
use crate::tree::{Class, Field, Missing, Shape};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

impl Generator<'_> {
    pub(super) fn read(&self, shapes: &[Shape]) -> TokenStream {
        let current = match shapes {
            [shape] if shape.variant.is_none() => self.read_shape(shape),
            _ => self.read_variants(shapes),
        };
        let Class { ident, version, migrate: Some(migrate), .. } = self.class else { return current };
        let name = ident.unraw().to_string();
        quote! {
            let __current = |__input: &mut ::amiko_core::Reader<'_>|
                -> ::core::result::Result<Self, ::amiko_core::ReadError> { #current };
            match ::amiko_core::__private_0_1_0::lift(__input, #name, #version, #migrate)? {
                ::core::option::Option::Some(__lifted) => __lifted.read(__current),
                ::core::option::Option::None => __current(__input),
            }
        }
    }

    fn read_variants(&self, shapes: &[Shape]) -> TokenStream {
        let arms = shapes.iter().map(|shape| {
            let read = self.read_shape(shape);
            match shape.transparent() {
                Some(Field { ty, .. }) => {
                    quote!(__class if <#ty as ::amiko_core::Serializable>::is_class(__class) => #read,)
                }
                None => {
                    let (name, aliases) = (&shape.class, &shape.aliases);
                    quote!(#name #(| #aliases)* => ::amiko_core::__private_0_1_0::read_named(__input, |__input| #read),)
                }
            }
        });
        quote! {
            match &*::amiko_core::__private_0_1_0::peek_name(__input)? {
                #(#arms)*
                __other => ::core::result::Result::Err(::amiko_core::__private_0_1_0::unknown_class::<Self>(__input, __other)),
            }
        }
    }

    fn read_shape(&self, shape: &Shape) -> TokenStream {
        let path = path(shape);
        if let Some(field) = shape.transparent() {
            let member = &field.member;
            let read = self.call(field, "read", &quote!(__input));
            let others = shape.fields.iter().filter(|field| field.skip).map(|field| {
                let member = &field.member;
                quote!(#member: ::core::default::Default::default(),)
            });
            return quote!(#read.map(|__value| #path { #member: __value, #(#others)* }));
        }
        let (class, aliases, version) = (&shape.class, &shape.aliases, self.class.version);
        let unknown = match self.class.unknown {
            Some(Unknown::Ignore) => quote!(::core::option::Option::Some(::amiko_core::serializable::Unknown::Ignore)),
            Some(Unknown::Deny) => quote!(::core::option::Option::Some(::amiko_core::serializable::Unknown::Deny)),
            _ => quote!(::core::option::Option::None),
        };
        if self.can_be_flattened().is_some() {
            return quote!(::amiko_core::__private_0_1_0::read_class::<Self>(#class, #unknown, __input));
        }
        if shape.written().next().is_none() && shape.keep.is_none() {
            let values = shape.fields.iter().map(|field| self.field_value(field, shape, &quote!(#class)));
            return quote! {{
                ::amiko_core::__private_0_1_0::read_no_fields(&[#class #(, #aliases)*], #version, #unknown, __input)?;
                ::core::result::Result::Ok(#path { #(#values)* })
            }};
        }
        let named = quote!(#class);
        let slot = |field: &Field| {
            let binding = &field.binding;
            quote!(&mut #binding)
        };
        let slots = shape.written().map(flatten::slot);
        let arms = shape.named().map(|field| self.read_arm(field, &slot(field), &named));
        // Keys in the order of writing needn't be searched for; the loop handles everything else.
        let in_order = shape.written().map(|field| self.read_in_order(field, &slot(field), &named));
        let values = shape.fields.iter().map(|field| self.field_value(field, shape, &named));
        let (unknown, checks) = (self.read_unknown(shape), self.apart_when_used(shape));
        let keep = shape.keep.iter().map(
            |Field { binding, .. }| quote!(let mut #binding = ::amiko_core::serializable::UnknownFields::default();),
        );
        quote! {{
            let mut __class = false;
            #checks
            #(#slots)*
            #(#keep)*
            __input.begin_object()?;
            if __input.known_key("\"_class\":") {
                ::amiko_core::__private_0_1_0::check_class(&mut __class, __input, &[#class #(, #aliases)*])?;
            }
            #(#in_order)*
            while let ::core::option::Option::Some(__key) = __input.key()? {
                match &*__key {
                    "_class" => ::amiko_core::__private_0_1_0::check_class(&mut __class, __input, &[#class #(, #aliases)*])?,
                    "_version" => ::amiko_core::__private_0_1_0::check_version(__input, #class, #version)?,
                    #(#arms)*
                    __other => #unknown,
                }
            }
            ::amiko_core::__private_0_1_0::has_class(__class, #class, __input)?;
            ::core::result::Result::Ok(#path { #(#values)* })
        }}
    }

    /// Reads a field whose key was read, in the class that this expression gives.
    pub(super) fn read_arm(&self, field: &Field, slot: &TokenStream, class: &TokenStream) -> TokenStream {
        let Field { name, aliases, ty, .. } = field;
        let (codec, input) = (self.codec(field), local("input"));
        quote_spanned! {ty.span()=>
            #name #(| #aliases)* => ::amiko_core::__private_0_1_0::read_field_with(&#codec, #slot, #name, #class, #input)?,
        }
    }

    /// Reads a field, if its key comes next.
    pub(super) fn read_in_order(&self, field: &Field, slot: &TokenStream, class: &TokenStream) -> TokenStream {
        let Field { name, ty, .. } = field;
        let input = local("input");
        if field.flatten {
            let read = of_fields(field, "read_in_order", &quote!(#slot, #class, #input));
            return quote!(#read?;);
        }
        let (key, codec) = (keys::literal(name), self.codec(field));
        quote_spanned! {ty.span()=>
            if #input.known_key(#key) {
                ::amiko_core::__private_0_1_0::read_field_with(&#codec, #slot, #name, #class, #input)?;
            }
        }
    }

    /// Takes a field that is none of the shape's own.
    fn read_unknown(&self, shape: &Shape) -> TokenStream {
        let class = &shape.class;
        let names: Vec<_> = shape.named().map(|field| &field.name).collect();
        let all = Self::names(shape);
        let flattens = shape.flattened().next().is_some();
        let unknown = match (&shape.keep, self.class.unknown) {
            (Some(Field { binding, .. }), _) => {
                quote!(::amiko_core::__private_0_1_0::KeepUnknown::read_field(&mut #binding, __other, __input)?)
            }
            (None, Some(Unknown::Ignore)) => quote!(::core::mem::drop(__input.skip()?)),
            (None, Some(Unknown::Deny)) if flattens => {
                quote!(::amiko_core::__private_0_1_0::FieldName::deny(#all, __other, #class, __input)?)
            }
            (None, Some(Unknown::Deny)) => quote!(__input.deny_field(__other, #class, &[#(#names),*])?),
            (None, _) if flattens => {
                quote!(::amiko_core::__private_0_1_0::FieldName::unknown(#all, __other, #class, __input)?)
            }
            (None, _) => quote!(__input.unknown_field(__other, #class, &[#(#names),*])?),
        };
        if !flattens {
            return unknown;
        }
        let input = local("input");
        let deeper = shape.flattened().map(|field| {
            let binding = &field.binding;
            of_fields(field, "read_named_field", &quote!(&mut #binding, __other, #class, #input))
        });
        quote!(if !(#(#deeper?)||*) { #unknown })
    }

    /// The values of the fields, when nothing more comes.
    pub(super) fn field_value(&self, field: &Field, shape: &Shape, class: &TokenStream) -> TokenStream {
        let (member, binding, name) = (&field.member, &field.binding, &field.name);
        if field.flatten {
            let input = local("input");
            let value = of_fields(field, "from_partial", &quote!(#binding, #class, #input));
            return quote!(#member: #value?,);
        }
        if shape.keep.as_ref().is_some_and(|keep| keep.binding == field.binding) {
            return quote!(#member: #binding,);
        }
        let value = match (&field.missing, field.skip) {
            (Missing::Call(path), true) => quote!(#path()),
            (_, true) => quote!(::core::default::Default::default()),
            (Missing::Error, _) => {
                let (codec, input) = (self.codec(field), local("input"));
                quote_spanned! {field.ty.span()=>
                    ::amiko_core::__private_0_1_0::take_field_with(&#codec, #binding, #name, #class, #input)?
                }
            }
            (Missing::Default, _) => quote!(#binding.unwrap_or_default()),
            (Missing::Call(path), _) => quote!(#binding.unwrap_or_else(#path)),
        };
        quote!(#member: #value,)
    }
}
