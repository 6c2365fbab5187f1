//! From a checked class to its `Serializable` implementation, and those that come with it.

mod bounds;
mod codecs;
mod flatten;
pub(crate) mod keys;
mod people;
mod read;

use crate::index;
use crate::tokens::through;
use crate::tree::{Class, Field, Kind, Shape};
use bounds::bounded;
use flatten::of_fields;
use people::following;
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Generics, Ident, Type, parse_quote};

pub(crate) fn generate(class: &Class) -> TokenStream {
    let ident = &class.ident;
    let generics = bounded(class);
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let generator = Generator::within(class);
    let body = match &class.kind {
        Kind::Units(shapes) => generator.units(shapes),
        Kind::Struct(shape) => generator.object(std::slice::from_ref(&**shape)),
        Kind::Enum(shapes) => generator.object(shapes),
    };
    let object = match &class.object {
        Some((key, kind)) => {
            let reply = reply(class.reply.as_ref());
            let (indexes, relist) = (index::types(class, key), index::relist(class));
            let constants = index::constants(class, &indexes);
            quote! {
                #[automatically_derived]
                impl #parameters ::amiko_core::Object for #ident #arguments #bounds {
                    type Key = #key;
                    type Reply = #reply;
                    type Indexes = #indexes;
                    const KIND: &'static ::core::primitive::str = #kind;
                    #relist
                }
                #constants
            }
        }
        // The derive of the node makes it an object.
        None if class.machine => TokenStream::new(),
        None => quote! {
            #[automatically_derived]
            #[doc(hidden)]
            impl #parameters ::amiko_core::__private_0_1_0::Keyed for #ident #arguments #bounds {
                type Key = ::amiko_core::__private_0_1_0::NoKey;
                type Indexes = ();
                const KIND: &'static ::core::primitive::str = "";
            }
        },
    };
    let (flatten, apart) = (generator.flatten(&generics), generator.apart_always(class.shapes()));
    let (serde, performed) = (serde(class, &generics), performed(class));
    let registrations = registrations(class);
    let misplaced = class.misplaced.as_ref().map(syn::Error::to_compile_error);
    let codecs = generator.codecs();
    let generated = quote! {
        const _: () = {
            #codecs

            #[automatically_derived]
            impl #parameters ::amiko_core::Serializable for #ident #arguments #bounds {
                const EXACT: ::core::primitive::bool = true;

                #body
            }

            #flatten
        };
        #object
        #performed
        #apart
        #serde
        #registrations
        #misplaced
    };
    through(class.library.as_ref(), generated)
}

/// How messages are made of what came of effects.
fn performed(class: &Class) -> TokenStream {
    let ident = &class.ident;
    let (parameters, arguments, bounds) = class.generics.split_for_impl();
    let variants = class.shapes().iter().filter(|shape| shape.performed);
    variants
        .filter_map(|shape| {
            let (variant, field) = (shape.variant.as_ref()?, shape.fields.first()?);
            let (member, ty) = (&field.member, &field.ty);
            Some(quote! {
                #[automatically_derived]
                impl #parameters ::core::convert::From<#ty> for #ident #arguments #bounds {
                    fn from(__performed: #ty) -> Self {
                        Self::#variant { #member: __performed }
                    }
                }
            })
        })
        .collect()
}

/// What a machine replies: nothing, unless it says so.
pub(crate) fn reply(ty: Option<&Type>) -> TokenStream {
    ty.map_or_else(|| quote!(()), |ty| quote!(#ty))
}

/// The class as a serde type: any serde format can carry its text.
fn serde(class: &Class, generics: &Generics) -> TokenStream {
    let ident = &class.ident;
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let mut with_lifetime = generics.clone();
    with_lifetime.params.insert(0, parse_quote!('amiko_de));
    let (de_parameters, _, _) = with_lifetime.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #parameters ::amiko_core::__private_0_1_0::serde::Serialize for #ident #arguments #bounds {
            fn serialize<AmikoS: ::amiko_core::__private_0_1_0::serde::Serializer>(&self, __serializer: AmikoS)
                -> ::core::result::Result<AmikoS::Ok, AmikoS::Error>
            {
                ::amiko_core::__private_0_1_0::serialize(self, __serializer)
            }
        }

        #[automatically_derived]
        impl #de_parameters ::amiko_core::__private_0_1_0::serde::Deserialize<'amiko_de> for #ident #arguments #bounds {
            fn deserialize<AmikoD: ::amiko_core::__private_0_1_0::serde::Deserializer<'amiko_de>>(__deserializer: AmikoD)
                -> ::core::result::Result<Self, AmikoD::Error>
            {
                ::amiko_core::__private_0_1_0::deserialize(__deserializer)
            }
        }
    }
}

/// Registers the class by name with the polymorphic traits that it implements.
fn registrations(class: &Class) -> TokenStream {
    let ident = &class.ident;
    let Kind::Struct(shape) = &class.kind else { return TokenStream::new() };
    let name = &shape.class;
    class
        .implements
        .iter()
        .map(|path| {
            // An error about a trait that isn't implemented should point at its name.
            let object = local("object");
            let boxed = quote_spanned! {path.span()=>
                let #object: ::std::boxed::Box<dyn #path> = ::std::boxed::Box::new(#object);
            };
            quote! {
                ::amiko_core::__private_0_1_0::inventory::submit! {
                    ::amiko_core::__private_0_1_0::Registration::new(
                        || ::core::any::TypeId::of::<dyn #path>(),
                        #name,
                        ::core::concat!(::core::file!(), ":", ::core::line!()),
                        |__input| {
                            let __object = <#ident as ::amiko_core::Serializable>::read(__input)?;
                            #boxed
                            ::core::result::Result::Ok(::std::boxed::Box::new(__object))
                        },
                        |__schema| <#ident as ::amiko_core::Serializable>::schema(__schema),
                    )
                }
            }
        })
        .collect()
}

/// A variable of generated code, for use among the user's tokens. If those come from a macro, the variable must not get
/// that macro's hygiene, or the same name would be another variable.
///
/// All variables of generated code begin with `__`: a pattern with the name of a constant wouldn't bind a new variable.
fn local(name: &str) -> Ident {
    format_ident!("__{name}")
}

/// `Self` or `Self::Variant`.
fn path(shape: &Shape) -> TokenStream {
    shape.variant.as_ref().map_or_else(|| quote!(Self), |variant| quote!(Self::#variant))
}

/// `Self::Variant { a: __field_0, b: __field_1, .. }`, with a different prefix for the second of two versions.
fn pattern(shape: &Shape, prefix: &str) -> TokenStream {
    let path = path(shape);
    let kept = shape.keep.iter();
    let fields = shape.written().chain(kept).map(|field| {
        let (member, binding) = (&field.member, format_ident!("{prefix}{}", field.binding));
        quote!(#member: #binding,)
    });
    quote!(#path { #(#fields)* .. })
}

fn arm(shape: &Shape, body: TokenStream) -> TokenStream {
    let pattern = pattern(shape, "");
    quote!(#pattern => { #body })
}

pub(crate) struct Generator<'c> {
    class: &'c Class,
    generic: bool,
    /// The types of fields whose codecs are chosen once for the whole class.
    chosen: Vec<(&'c Type, usize)>,
}

impl<'c> Generator<'c> {
    pub(crate) fn new(class: &'c Class) -> Self {
        Self { class, generic: class.generics.type_params().next().is_some(), chosen: Vec::new() }
    }

    /// The same for code in the scope of [`Generator::codecs`].
    pub(crate) fn within(class: &'c Class) -> Self {
        Self { chosen: codecs::to_choose(class), ..Self::new(class) }
    }
}

impl Generator<'_> {
    /// One arm of a method that leaves the fields to `Flatten`, if the class has that.
    fn arm(&self, shape: &Shape, body: TokenStream) -> TokenStream {
        if self.can_be_flattened().is_some() { quote!(_ => { #body }) } else { arm(shape, body) }
    }

    /// The codec of a field.
    pub(crate) fn codec(&self, field: &Field) -> TokenStream {
        let ty = &field.ty;
        match &field.with {
            Some(path) => quote!(#path),
            None if self.generic || field.flatten => quote!(::amiko_core::__private_0_1_0::Native),
            None => self.chosen_codec(ty).unwrap_or_else(|| codecs::probe(ty)),
        }
    }

    /// Calls a method of a field's codec.
    pub(crate) fn call(&self, field: &Field, method: &str, arguments: &TokenStream) -> TokenStream {
        let (codec, method, ty) = (self.codec(field), format_ident!("{method}"), &field.ty);
        quote_spanned!(ty.span()=> ::amiko_core::serializable::Codec::<#ty>::#method(&#codec, #arguments))
    }

    /// Writes a field. The output of a user's codec is checked, since it may be anything.
    fn write_field(&self, field: &Field) -> TokenStream {
        let binding = &field.binding;
        if field.with.is_none() {
            return self.call(field, "write", &quote!(#binding, __out));
        }
        let (codec, ty, out) = (self.codec(field), &field.ty, local("out"));
        quote_spanned!(ty.span()=> ::amiko_core::__private_0_1_0::write_with(&#codec, #binding, #out))
    }

    /// The methods of an enum whose variants are all units.
    fn units(&self, shapes: &[Shape]) -> TokenStream {
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
        let (name, version) = (self.class.ident.unraw().to_string(), self.class.version);
        let aliases = shapes.iter().flat_map(|shape| &shape.aliases);
        let described = shapes.iter().map(|shape| {
            let (name, remarks) = (&shape.class, &shape.remarks);
            following(shape, shapes).map_or_else(
                || quote!(__fields.unit(#name);),
                |next| quote!(__fields.phase(#name, &[#(#next),*], &[#(#remarks),*]);),
            )
        });
        let current = quote! {
            let __before = ::core::clone::Clone::clone(&*__input);
            match &*::amiko_core::__private_0_1_0::read_name(__input)? {
                #(#read)*
                _ => ::core::result::Result::Err(__before.expected(#expected)),
            }
        };
        let read = match &self.class.migrate {
            None => current,
            Some(migrate) => quote! {
                ::amiko_core::__private_0_1_0::lift_name(__input, #name, #version, #migrate, |__input| { #current })
            },
        };
        quote! {
            fn is_class(__name: &::core::primitive::str) -> ::core::primitive::bool {
                [#(#names,)* #(#aliases),*].contains(&__name)
            }

            fn classes(__known: &mut ::std::vec::Vec<&'static ::core::primitive::str>) {
                #(__known.push(#names);)*
            }

            fn class(&self) -> ::core::option::Option<&'static ::core::primitive::str> {
                #class
            }

            fn write(&self, __out: &mut ::amiko_core::Writer) -> ::core::result::Result<(), ::amiko_core::WriteError> {
                __out.string(::amiko_core::Serializable::class(self).unwrap_or_default());
                ::core::result::Result::Ok(())
            }

            fn read(__input: &mut ::amiko_core::Reader<'_>) -> ::core::result::Result<Self, ::amiko_core::ReadError> {
                #read
            }

            fn difference(&self, __old: &Self, __patch: &mut ::amiko_core::Patch)
                -> ::core::result::Result<(), ::amiko_core::WriteError>
            {
                if ::amiko_core::Serializable::class(self) == ::amiko_core::Serializable::class(__old) {
                    ::core::result::Result::Ok(())
                } else {
                    __patch.replace(self)
                }
            }

            #[inline]
            fn weight(&self, _: ::amiko_core::serializable::Kept) -> ::core::primitive::usize {
                0
            }

            fn summarize(&self, __out: &mut ::amiko_core::serializable::Summary) {
                __out.text(::amiko_core::Serializable::class(self).unwrap_or_default());
            }

            fn schema(__schema: &mut ::amiko_core::serializable::Schema) -> ::std::string::String {
                __schema.class_of(::core::any::TypeId::of::<Self>(), #name, #version, &mut |__fields| { #(#described)* })
            }
        }
    }

    /// The methods of a struct, or of an enum whose variants are objects with a class each.
    fn object(&self, shapes: &[Shape]) -> TokenStream {
        let classes = self.class_methods(shapes);
        let write = shapes.iter().map(|shape| self.arm(shape, self.write_shape(shape, shapes)));
        let read = self.read(shapes);
        let difference = shapes.iter().map(|shape| self.difference_shape(shape));
        let other = (shapes.len() > 1).then(|| {
            quote! {
                _ => {
                    __patch.free(::amiko_core::Serializable::weight(__old, ::amiko_core::serializable::Kept::Shared));
                    __patch.replace(self)
                }
            }
        });
        let weight = shapes.iter().map(|shape| arm(shape, self.weigh_shape(shape)));
        let apply = shapes.iter().map(|shape| arm(shape, self.apply_shape(shape)));
        let people = self.people_methods(shapes);
        let none = shapes.is_empty().then(|| quote!(_ => match *self {},));
        quote! {
            #classes

            fn write(&self, __out: &mut ::amiko_core::Writer) -> ::core::result::Result<(), ::amiko_core::WriteError> {
                match self { #(#write)* #none }
            }

            fn read(__input: &mut ::amiko_core::Reader<'_>) -> ::core::result::Result<Self, ::amiko_core::ReadError> {
                #read
            }

            fn difference(&self, __old: &Self, __patch: &mut ::amiko_core::Patch)
                -> ::core::result::Result<(), ::amiko_core::WriteError>
            {
                match (self, __old) { #(#difference)* #other }
            }

            #[allow(unused_variables)]
            #[inline]
            fn weight(&self, __kept: ::amiko_core::serializable::Kept) -> ::core::primitive::usize {
                match self { #(#weight)* #none }
            }

            fn apply(&mut self, __pointer: ::amiko_core::Pointer<'_>, __change: ::amiko_core::Change<'_, '_>)
                -> ::core::result::Result<(), ::amiko_core::ReadError>
            {
                let ::core::option::Option::Some((__segment, __rest)) = __pointer.split() else {
                    return ::amiko_core::__private_0_1_0::replace_whole(self, __pointer, __change);
                };
                match self { #(#apply)* #none }
            }

            #people
        }
    }

    /// Which class an object has, and which classes it can have.
    fn class_methods(&self, shapes: &[Shape]) -> TokenStream {
        let class = shapes.iter().map(|shape| {
            let name = match shape.transparent() {
                Some(Field { binding, .. }) => quote!(::amiko_core::Serializable::class(#binding)),
                None => {
                    let name = &shape.class;
                    quote!(::core::option::Option::Some(#name))
                }
            };
            arm(shape, name)
        });
        let is_class = shapes.iter().map(|shape| match shape.transparent() {
            Some(Field { ty, .. }) => quote!(<#ty as ::amiko_core::Serializable>::is_class(__name)),
            None => {
                let (name, aliases) = (&shape.class, &shape.aliases);
                quote!(::core::matches!(__name, #name #(| #aliases)*))
            }
        });
        let classes = shapes.iter().map(|shape| match shape.transparent() {
            Some(Field { ty, .. }) => quote!(<#ty as ::amiko_core::Serializable>::classes(__known);),
            None => {
                let name = &shape.class;
                quote!(__known.push(#name);)
            }
        });
        let null = match shapes {
            [shape] if shape.variant.is_none() => shape.transparent().map(|Field { ty, binding, .. }| {
                let body = arm(shape, quote!(::amiko_core::Serializable::is_null(#binding)));
                let path = path(shape);
                let member = shape.transparent().map(|field| &field.member);
                let others = shape.fields.iter().filter(|field| field.skip).map(|field| {
                    let member = &field.member;
                    quote!(#member: ::core::default::Default::default(),)
                });
                quote! {
                    fn is_null(&self) -> ::core::primitive::bool {
                        match self { #body }
                    }

                    fn missing() -> ::core::option::Option<Self> {
                        <#ty as ::amiko_core::Serializable>::missing().map(|__value| #path { #member: __value, #(#others)* })
                    }
                }
            }),
            _ => None,
        };
        quote! {
            fn is_class(__name: &::core::primitive::str) -> ::core::primitive::bool {
                false #(|| #is_class)*
            }

            fn classes(__known: &mut ::std::vec::Vec<&'static ::core::primitive::str>) {
                #(#classes)*
            }

            fn class(&self) -> ::core::option::Option<&'static ::core::primitive::str> {
                match self { #(#class)* }
            }

            #null
        }
    }

    fn write_shape(&self, shape: &Shape, all: &[Shape]) -> TokenStream {
        if let Some(field) = shape.transparent() {
            let binding = &field.binding;
            // On reading, its class distinguishes it from the other variants.
            let check = shape.variant.is_some().then(|| {
                let others = all.iter().filter(|other| other.variant != shape.variant);
                let named = others.clone().filter(|other| other.transparent().is_none());
                let names: Vec<_> = named.flat_map(|other| other.aliases.iter().chain([&other.class])).collect();
                let types: Vec<_> = others.filter_map(Shape::transparent).map(|other| &other.ty).collect();
                quote! {
                    ::amiko_core::__private_0_1_0::check_variant(
                        ::amiko_core::Serializable::class(#binding),
                        &[#(#names),*],
                        &[#(<#types as ::amiko_core::Serializable>::is_class),*],
                    )?;
                }
            });
            let write = self.write_field(field);
            return quote!(#check #write);
        }
        let (begin, version) = (keys::begin_class(&shape.class), self.class.version);
        let version = (version > 1).then(|| quote!(__out.key("_version"); __out.integer(#version);));
        let fields = match self.can_be_flattened() {
            Some(_) => quote!(::amiko_core::__private_0_1_0::Flatten::write_fields(self, __out)?;),
            None => {
                let (checks, fields) = (self.apart_when_used(shape), self.write_fields(shape));
                quote!(#checks #fields)
            }
        };
        let kept = shape.keep.iter().map(
            |Field { binding, .. }| quote!(::amiko_core::__private_0_1_0::KeepUnknown::write_fields(#binding, __out)?;),
        );
        quote! {
            __out.begin_known_class(#begin)?;
            #version
            #fields
            #(#kept)*
            __out.end_object();
            ::core::result::Result::Ok(())
        }
    }

    /// Writes the fields of a shape, without the object around them.
    fn write_fields(&self, shape: &Shape) -> TokenStream {
        let fields = shape.written().map(|field| {
            if field.flatten {
                let (binding, out) = (&field.binding, local("out"));
                let write = of_fields(field, "write_fields", &quote!(#binding, #out));
                return quote!(#write?;);
            }
            let (key, write) = (keys::write(&field.name), self.write_field(field));
            quote! {
                #key
                #write?;
            }
        });
        quote!(#(#fields)*)
    }

    fn difference_shape(&self, shape: &Shape) -> TokenStream {
        let (new, old) = (pattern(shape, ""), pattern(shape, "__old"));
        if let Some(field) = shape.transparent() {
            let (binding, before) = (&field.binding, format_ident!("__old{}", field.binding));
            let call = self.call(field, "difference", &quote!(#binding, #before, __patch));
            return quote!((#new, #old) => #call,);
        }
        let patch = local("patch");
        let fields = shape.written().map(|field| {
            let (piece, binding) = (keys::piece(&field.name), &field.binding);
            let (before, codec) = (format_ident!("__old{}", field.binding), self.codec(field));
            if field.flatten {
                let compare = self.call(field, "difference", &quote!(#binding, #before, __patch));
                return quote!(#compare?;);
            }
            quote_spanned!(field.ty.span()=> ::amiko_core::__private_0_1_0::difference_with(&#codec, #piece, #before, #binding, #patch)?;)
        });
        let kept = shape.keep.iter().map(|Field { binding, .. }| {
            let before = format_ident!("__old{}", binding);
            quote!(::amiko_core::__private_0_1_0::KeepUnknown::difference(#binding, #before, __patch)?;)
        });
        quote! {
            (#new, #old) => {
                #(#fields)*
                #(#kept)*
                ::core::result::Result::Ok(())
            }
        }
    }

    fn weigh_shape(&self, shape: &Shape) -> TokenStream {
        let fields = shape.written().map(|field| {
            let binding = &field.binding;
            self.call(field, "weight", &quote!(#binding, __kept))
        });
        let kept = shape
            .keep
            .iter()
            .map(|Field { binding, .. }| quote!(::amiko_core::__private_0_1_0::KeepUnknown::weight(#binding, __kept)));
        quote!(0 #(+ #fields)* #(+ #kept)*)
    }

    fn apply_shape(&self, shape: &Shape) -> TokenStream {
        if let Some(field) = shape.transparent() {
            let binding = &field.binding;
            return self.call(field, "apply", &quote!(#binding, __pointer, __change));
        }
        let deeper = shape.flattened().map(|field| {
            let Field { ty, binding, .. } = field;
            let apply = self.call(field, "apply", &quote!(#binding, __pointer, __change));
            let names = quote_spanned!(ty.span()=> <#ty as ::amiko_core::__private_0_1_0::Flatten>::NAMES);
            quote!(__other if ::amiko_core::__private_0_1_0::FieldName::is_among(__other, #names) => #apply,)
        });
        let arms = shape.named().map(|field| {
            let (name, binding) = (&field.name, &field.binding);
            let apply = self.call(field, "apply", &quote!(#binding, __rest, __change));
            quote!(#name => #apply,)
        });
        let other = match &shape.keep {
            // A name that the class reads as something else is never one of its unknown fields.
            Some(Field { binding, .. }) => {
                let aliases = shape.named().flat_map(|field| &field.aliases);
                quote! {
                    match __other {
                        "_class" | "_version" #(| #aliases)* => {
                            ::core::result::Result::Err(::amiko_core::Pointer::no_such_path(__other))
                        }
                        __other => ::amiko_core::__private_0_1_0::KeepUnknown::apply_field(#binding, __other, __rest, __change),
                    }
                }
            }
            None => quote!(::core::result::Result::Err(::amiko_core::Pointer::no_such_path(__other))),
        };
        quote! {
            match &*__segment {
                #(#arms)*
                #(#deeper)*
                __other => #other,
            }
        }
    }
}
