//! From a checked class to its `Serializable`.

use crate::tree::{Class, Field, Kind, Missing, Shape};
use proc_macro2::{TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::{Generics, Ident, Type, parse_quote};

pub(crate) fn generate(class: &Class) -> TokenStream {
    let ident = &class.ident;
    let generics = bounded(class);
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let body = match &class.kind {
        Kind::Units(shapes) => units(shapes),
        Kind::Struct(shape) => object(std::slice::from_ref(shape)),
        Kind::Enum(shapes) => object(shapes),
    };
    let object = class.object.as_ref().map(|(key, kind)| {
        quote! {
            #[automatically_derived]
            impl #parameters ::amiko_core::Object for #ident #arguments #bounds {
                type Key = #key;
                const KIND: &'static str = #kind;
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #parameters ::amiko_core::Serializable for #ident #arguments #bounds {
            #body
        }
        #object
    }
}

/// The class's generics, with what its fields need: each that depends on a parameter must be serializable.
fn bounded(class: &Class) -> Generics {
    let mut generics = class.generics.clone();
    let parameters: Vec<Ident> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    if parameters.is_empty() {
        return generics;
    }
    let shapes = match &class.kind {
        Kind::Struct(shape) => std::slice::from_ref(shape),
        Kind::Units(shapes) | Kind::Enum(shapes) => shapes.as_slice(),
    };
    let types: Vec<&Type> = shapes
        .iter()
        .flat_map(Shape::written)
        .map(|field| &field.ty)
        .filter(|ty| mentions(quote!(#ty), &parameters))
        .collect();
    let bounds = generics.make_where_clause();
    for parameter in &parameters {
        bounds.predicates.push(parse_quote!(#parameter: 'static));
    }
    for ty in types {
        bounds.predicates.push(parse_quote!(#ty: ::amiko_core::Serializable));
    }
    generics
}

fn mentions(tokens: TokenStream, names: &[Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names.contains(&ident),
        TokenTree::Group(group) => mentions(group.stream(), names),
        _ => false,
    })
}

/// The methods of an enum whose variants are all units.
fn units(shapes: &[Shape]) -> TokenStream {
    let variants: Vec<_> = shapes.iter().map(path).collect();
    let names: Vec<_> = shapes.iter().map(|shape| &shape.class).collect();
    let read = shapes.iter().map(|shape| {
        let (path, name, aliases) = (path(shape), &shape.class, &shape.aliases);
        quote!(#name #(| #aliases)* => ::core::result::Result::Ok(#path),)
    });
    let class = if shapes.is_empty() {
        quote!(match *self {})
    } else {
        quote!(::core::option::Option::Some(match self { #(#variants => #names,)* }))
    };
    let expected = format!("one of {}", names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "));
    quote! {
        fn class(&self) -> ::core::option::Option<&'static str> {
            #class
        }

        fn write(&self, out: &mut ::amiko_core::Writer) -> ::core::result::Result<(), ::amiko_core::WriteError> {
            out.string(::amiko_core::Serializable::class(self).unwrap_or_default());
            ::core::result::Result::Ok(())
        }

        fn read(input: &mut ::amiko_core::Reader<'_>) -> ::core::result::Result<Self, ::amiko_core::ReadError> {
            let before = ::core::clone::Clone::clone(&*input);
            match &*input.string()? {
                #(#read)*
                _ => ::core::result::Result::Err(before.expected(#expected)),
            }
        }

        fn difference(&self, old: &Self, patch: &mut ::amiko_core::Patch)
            -> ::core::result::Result<(), ::amiko_core::WriteError>
        {
            if ::amiko_core::Serializable::class(self) == ::amiko_core::Serializable::class(old) {
                ::core::result::Result::Ok(())
            } else {
                patch.replace(self)
            }
        }
    }
}

/// `Self` or `Self::Variant`.
fn path(shape: &Shape) -> TokenStream {
    shape.variant.as_ref().map_or_else(|| quote!(Self), |variant| quote!(Self::#variant))
}

/// `Self::Variant { a: field_0, b: field_1 }`, with another prefix for the second of two versions.
fn pattern(shape: &Shape, prefix: &str) -> TokenStream {
    let path = path(shape);
    let fields = shape.written().map(|field| {
        let (member, binding) = (&field.member, format_ident!("{prefix}{}", field.binding));
        quote!(#member: #binding,)
    });
    quote!(#path { #(#fields)* .. })
}

/// The methods of a struct, or of an enum that is an object of a class for each variant.
fn object(shapes: &[Shape]) -> TokenStream {
    let write = shapes.iter().map(|shape| arm(shape, write_shape(shape)));
    let class = shapes.iter().map(|shape| {
        let name = match shape.fields.first() {
            Some(Field { binding, .. }) if shape.transparent => quote!(::amiko_core::Serializable::class(#binding)),
            _ => {
                let name = &shape.class;
                quote!(::core::option::Option::Some(#name))
            }
        };
        arm(shape, name)
    });
    let is_class = shapes.iter().map(|shape| match shape.fields.first() {
        Some(Field { ty, .. }) if shape.transparent => quote!(<#ty as ::amiko_core::Serializable>::is_class(name)),
        _ => {
            let (name, aliases) = (&shape.class, &shape.aliases);
            quote!(::core::matches!(name, #name #(| #aliases)*))
        }
    });
    let classes = shapes.iter().map(|shape| match shape.fields.first() {
        Some(Field { ty, .. }) if shape.transparent => quote!(<#ty as ::amiko_core::Serializable>::classes(known);),
        _ => {
            let name = &shape.class;
            quote!(known.push(#name);)
        }
    });
    let read = read(shapes);
    let difference = shapes.iter().map(difference_shape);
    let other = (shapes.len() > 1).then(|| quote!(_ => patch.replace(self),));
    let apply = shapes.iter().map(|shape| arm(shape, apply_shape(shape)));
    quote! {
        fn is_class(name: &str) -> bool {
            #(#is_class)||*
        }

        fn classes(known: &mut ::std::vec::Vec<&'static str>) {
            #(#classes)*
        }

        fn class(&self) -> ::core::option::Option<&'static str> {
            #[allow(unused_variables)]
            match self { #(#class)* }
        }

        fn write(&self, out: &mut ::amiko_core::Writer) -> ::core::result::Result<(), ::amiko_core::WriteError> {
            match self { #(#write)* }
        }

        fn read(input: &mut ::amiko_core::Reader<'_>) -> ::core::result::Result<Self, ::amiko_core::ReadError> {
            #read
        }

        #[allow(unused_variables)]
        fn difference(&self, old: &Self, patch: &mut ::amiko_core::Patch)
            -> ::core::result::Result<(), ::amiko_core::WriteError>
        {
            match (self, old) { #(#difference)* #other }
        }

        fn apply(&mut self, pointer: ::amiko_core::Pointer<'_>, change: ::amiko_core::Change<'_, '_>)
            -> ::core::result::Result<(), ::amiko_core::ReadError>
        {
            let ::core::option::Option::Some((segment, rest)) = pointer.split() else {
                return ::amiko_core::derive::replace_whole(self, pointer, change);
            };
            #[allow(unused_variables)]
            match self { #(#apply)* }
        }
    }
}

fn arm(shape: &Shape, body: TokenStream) -> TokenStream {
    let pattern = pattern(shape, "");
    quote!(#pattern => { #body })
}

fn write_shape(shape: &Shape) -> TokenStream {
    if let (true, Some(Field { binding, .. })) = (shape.transparent, shape.fields.first()) {
        return quote!(::amiko_core::Serializable::write(#binding, out));
    }
    let class = &shape.class;
    let fields = shape.written().map(|Field { name, binding, .. }| {
        quote! {
            out.key(#name);
            ::amiko_core::Serializable::write(#binding, out)?;
        }
    });
    quote! {
        out.begin_class(#class)?;
        #(#fields)*
        out.end_object();
        ::core::result::Result::Ok(())
    }
}

fn read(shapes: &[Shape]) -> TokenStream {
    match shapes {
        [shape] if shape.variant.is_none() => read_shape(shape),
        _ => {
            let arms = shapes.iter().map(|shape| {
                let read = read_shape(shape);
                match shape.fields.first() {
                    Some(Field { ty, .. }) if shape.transparent => {
                        quote!(class if <#ty as ::amiko_core::Serializable>::is_class(class) => #read,)
                    }
                    _ => {
                        let (name, aliases) = (&shape.class, &shape.aliases);
                        quote!(#name #(| #aliases)* => #read,)
                    }
                }
            });
            quote! {
                match &*input.peek_class()? {
                    #(#arms)*
                    other => ::core::result::Result::Err(::amiko_core::derive::unknown_class::<Self>(input, other)),
                }
            }
        }
    }
}

fn read_shape(shape: &Shape) -> TokenStream {
    let path = path(shape);
    if let (true, Some(Field { member, ty, .. })) = (shape.transparent, shape.fields.first()) {
        return quote! {
            <#ty as ::amiko_core::Serializable>::read(input).map(|value| #path { #member: value })
        };
    }
    let (class, aliases) = (&shape.class, &shape.aliases);
    let bindings: Vec<_> = shape.written().map(|field| &field.binding).collect();
    let types: Vec<_> = shape.written().map(|field| &field.ty).collect();
    let names: Vec<_> = shape.written().map(|field| &field.name).collect();
    let arms = shape.written().map(|Field { name, aliases, binding, .. }| {
        quote!(#name #(| #aliases)* => ::amiko_core::derive::read_field(&mut #binding, #name, input)?,)
    });
    let values = shape.fields.iter().map(|field| {
        let (member, binding, name) = (&field.member, &field.binding, &field.name);
        let value = match (&field.missing, field.skip) {
            (Missing::Call(path), true) => quote!(#path()),
            (_, true) => quote!(::core::default::Default::default()),
            (Missing::Error, _) => quote!(::amiko_core::derive::take_field(#binding, #name, #class, input)?),
            (Missing::Default, _) => quote!(#binding.unwrap_or_default()),
            (Missing::Call(path), _) => quote!(#binding.unwrap_or_else(#path)),
        };
        quote!(#member: #value,)
    });
    quote! {{
        let mut class = false;
        #(let mut #bindings: ::core::option::Option<#types> = ::core::option::Option::None;)*
        input.begin_object()?;
        while let ::core::option::Option::Some(key) = input.key()? {
            match &*key {
                "_class" => ::amiko_core::derive::check_class(&mut class, input, &[#class #(, #aliases)*])?,
                #(#arms)*
                other => input.unknown_field(other, #class, &[#(#names),*])?,
            }
        }
        ::amiko_core::derive::has_class(class, #class, input)?;
        ::core::result::Result::Ok(#path { #(#values)* })
    }}
}

fn difference_shape(shape: &Shape) -> TokenStream {
    let (new, old) = (pattern(shape, ""), pattern(shape, "old_"));
    if let (true, Some(Field { binding, .. })) = (shape.transparent, shape.fields.first()) {
        let before = format_ident!("old_{}", binding);
        return quote!((#new, #old) => ::amiko_core::Serializable::difference(#binding, #before, patch),);
    }
    let fields = shape.written().map(|Field { name, binding, .. }| {
        let before = format_ident!("old_{}", binding);
        quote!(patch.field(#name, #before, #binding)?;)
    });
    quote! {
        (#new, #old) => {
            #(#fields)*
            ::core::result::Result::Ok(())
        }
    }
}

fn apply_shape(shape: &Shape) -> TokenStream {
    if let (true, Some(Field { binding, .. })) = (shape.transparent, shape.fields.first()) {
        return quote!(::amiko_core::Serializable::apply(#binding, pointer, change));
    }
    let arms = shape
        .written()
        .map(|Field { name, binding, .. }| quote!(#name => ::amiko_core::Serializable::apply(#binding, rest, change),));
    quote! {
        match &*segment {
            #(#arms)*
            other => ::core::result::Result::Err(::amiko_core::Pointer::no_such_path(other)),
        }
    }
}
