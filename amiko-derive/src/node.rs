//! The root of a state tree, checked, and the generation of its `Node` implementation.
//!
//! Invariant: each class of machines has one table, so the class alone determines where a message goes.

mod effects;
mod ties;

use crate::attributes::{Attributes, Errors, Place};
use crate::serializable::{Generator, keys};
use crate::tokens::{named, through};
use crate::tree::{Class, Field};
use crate::types::{bare, is_named, last};
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, ExprPath, GenericArgument, Ident, Member, Path, PathArguments, Type, Visibility};

struct TableField {
    field: Ident,
    /// The class of the objects.
    ty: Type,
    name: String,
    /// The variant of the envelope.
    variant: Ident,
    /// Whether they are machines, which receive messages.
    machines: bool,
}

pub(crate) struct Root {
    visibility: Visibility,
    ident: Ident,
    tables: Vec<TableField>,
    /// The node as a class: fields that aren't tables are compared and written as in any other class.
    class: Class,
    /// Whether the node is a machine itself.
    machine: bool,
    network: Option<Type>,
    /// The classes of its effects, and the variants of the enum of all of them.
    effects: Vec<(Type, Ident)>,
    reply: Option<Type>,
    notice: Option<Type>,
    check: Option<ExprPath>,
    /// The path of the library.
    library: Option<Path>,
}

impl Root {
    pub(crate) fn check(input: &DeriveInput) -> Result<Self, Error> {
        let mut errors = Errors::default();
        let input = &named(input)?;
        let Data::Struct(data) = &input.data else {
            return Err(Error::new(input.ident.span(), "a node is a struct with a field for each of its tables"));
        };
        if !input.generics.params.is_empty() {
            errors.at(
                input.generics.span(),
                "a node has no generics, being the root of one state: write the types themselves",
            );
        }
        // Each derive reports faults in attributes that it shares with another; the compiler shows identical errors once.
        let attributes = Attributes::parse(&input.attrs, Place::Struct, &mut errors);
        if let Some(span) = attributes.transparent {
            errors.at(
                span,
                "a node is an object, and the paths of its journal lead through its fields: remove `transparent`",
            );
        }
        let mut tables = Vec::<TableField>::new();
        for field in &data.fields {
            let Some(ident) = field.ident.clone() else {
                errors.at(
                    field.span(),
                    "the fields of a node have names, which are the paths in its journal: write `name: Type`",
                );
                continue;
            };
            let case = attributes.rename_all.map(|(_, case)| case);
            let attributes = Attributes::parse(&field.attrs, Place::Field, &mut errors);
            let plain = ident.unraw().to_string();
            let name = attributes
                .rename
                .map_or_else(|| case.map_or_else(|| plain.clone(), |case| case.apply(&plain)), |rename| rename.value());
            if let (Some(_), Some(span)) = (attributes.machines, attributes.objects) {
                errors.at(span, "a table is of machines or of other objects: remove `machines` or `objects`");
            }
            let role = attributes.machines.map(|span| (span, true)).or(attributes.objects.map(|span| (span, false)));
            match (role, element(&field.ty)) {
                (Some((_, machines)), Some((ty, variant))) => {
                    if tables.iter().any(|other| other.variant == variant) {
                        errors.at(
                            field.ty.span(),
                            format!(
                                "there is another table of `{variant}`: keep one, or give this one a class of its own"
                            ),
                        );
                    }
                    tables.push(TableField { field: ident, ty, name, variant, machines });
                }
                (Some((span, machines)), None) => {
                    let name = if machines { "machines" } else { "objects" };
                    errors.at(span, format!("`{name}` belongs to a table: write `Table<T>`, or remove `{name}`"));
                }
                (None, Some((_, variant))) => errors.at(
                    field.ty.span(),
                    format!("add `#[amiko(machines)]`, or `#[amiko(objects)]` if nobody sends messages to `{variant}`"),
                ),
                (None, None) => {}
            }
        }
        let mut effects = Vec::<(Type, Ident)>::new();
        for ty in attributes.effects {
            let Some(variant) = last(&ty).map(|segment| segment.ident.clone()) else {
                errors.at(ty.span(), "an effect is a class: write its name");
                continue;
            };
            if effects.iter().any(|(_, other)| *other == variant) {
                errors.at(ty.span(), format!("`{variant}` stands twice in this `effects`; remove one of them"));
            }
            effects.push((ty, variant));
        }
        // The compiler shows two identical errors as one, so faults of the class are reported once.
        let class = Class::check(input);
        if let Err(error) = &class {
            errors.push(error.clone());
        }
        errors.finish(())?;
        Ok(Self {
            visibility: input.vis.clone(),
            ident: input.ident.clone(),
            tables,
            class: class?,
            machine: attributes.machine.is_some(),
            network: attributes.network,
            effects,
            reply: attributes.reply,
            notice: attributes.notice,
            check: attributes.check,
            library: attributes.library,
        })
    }
}

impl Root {
    fn machines(&self) -> impl Iterator<Item = &TableField> {
        self.tables.iter().filter(|table| table.machines)
    }

    /// The fields that aren't tables.
    fn own(&self) -> impl Iterator<Item = &Field> {
        let is_table = |field: &Field| matches!(&field.member, Member::Named(name) if self.tables.iter().any(|table| table.field == *name));
        self.class.shapes().iter().flat_map(|shape| &shape.fields).filter(move |field| !is_table(field))
    }

    /// The field for the node's unknown fields.
    fn keep(&self) -> Option<&Field> {
        self.class.shapes().iter().find_map(|shape| shape.keep.as_ref())
    }
}

/// The `T` of a `Table<T>`, and its name.
fn element(ty: &Type) -> Option<(Type, Ident)> {
    let Type::Path(path) = bare(ty) else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    let Some(GenericArgument::Type(element)) = arguments.args.first() else { return None };
    let Type::Path(inner) = bare(element) else { return None };
    let name = inner.path.segments.last()?.ident.clone();
    is_named(ty, "Table").then(|| (element.clone(), name))
}

pub(crate) fn generate(root: &Root) -> TokenStream {
    let envelope = envelope(root);
    let node = node(root);
    let effects = effects::generate(root);
    let ties = ties::generate(root);
    through(root.library.as_ref(), quote!(#envelope #effects #node #ties))
}

/// The enum of envelopes: one variant for each class of machines, and one for the node if it is a machine.
fn envelope(root: &Root) -> TokenStream {
    let (visibility, node) = (&root.visibility, &root.ident);
    let name = format_ident!("{node}Envelope");
    let variants: Vec<&Ident> = root.machines().map(|table| &table.variant).collect();
    let types: Vec<&Type> = root.machines().map(|table| &table.ty).collect();
    let machine = root.machine.then_some(node).into_iter().collect::<Vec<_>>();
    let documentation = format!("A message to an object of [`{node}`].");
    let none = (variants.is_empty() && machine.is_empty()).then(|| quote!(_ => ::core::unreachable!(),));
    quote! {
        #[doc = #documentation]
        #[derive(::core::clone::Clone)]
        #[allow(missing_docs)]
        #visibility enum #name {
            #(#variants(::amiko_core::Id<#types>, <#types as ::amiko_core::StateMachine>::Message),)*
            #(#machine(<#machine as ::amiko_core::StateMachine>::Message),)*
        }

        #[automatically_derived]
        impl ::amiko_core::Envelope for #name {
            fn kind(&self) -> &'static ::core::primitive::str {
                match self {
                    #(Self::#variants(..) => <#types as ::amiko_core::Object>::KIND,)*
                    #(Self::#machine(..) => <#machine as ::amiko_core::Object>::KIND,)*
                    #none
                }
            }

            fn reply(&self) -> ::core::any::TypeId {
                match self {
                    #(Self::#variants(..) => ::core::any::TypeId::of::<<#types as ::amiko_core::Object>::Reply>(),)*
                    #(Self::#machine(..) => ::core::any::TypeId::of::<<#machine as ::amiko_core::Object>::Reply>(),)*
                    #none
                }
            }

            fn message_class(&self) -> ::core::option::Option<&'static ::core::primitive::str> {
                match self {
                    #(Self::#variants(_, __message) => ::amiko_core::Serializable::class(__message),)*
                    #(Self::#machine(__message) => ::amiko_core::Serializable::class(__message),)*
                    #none
                }
            }
        }

        #[automatically_derived]
        impl ::amiko_core::Serializable for #name {
            const EXACT: ::core::primitive::bool = true;

            fn weight(&self, __kept: ::amiko_core::serializable::Kept) -> ::core::primitive::usize {
                match self {
                    #(Self::#variants(__id, __message) => {
                        ::amiko_core::Serializable::weight(__id, __kept)
                            + ::amiko_core::Serializable::weight(__message, __kept)
                    })*
                    #(Self::#machine(__message) => ::amiko_core::Serializable::weight(__message, __kept),)*
                    #none
                }
            }

            fn write(&self, __out: &mut ::amiko_core::Writer) -> ::core::result::Result<(), ::amiko_core::WriteError> {
                match self {
                    #(Self::#variants(__id, __message) => {
                        ::amiko_core::__private_0_1_0::write_envelope::<#types>(__out, __id, __message)
                    })*
                    #(Self::#machine(__message) => {
                        ::amiko_core::__private_0_1_0::write_envelope::<#machine>(__out, &::amiko_core::Id::new(()), __message)
                    })*
                    #none
                }
            }

            fn read(__input: &mut ::amiko_core::Reader<'_>) -> ::core::result::Result<Self, ::amiko_core::ReadError> {
                let __kind = ::amiko_core::__private_0_1_0::peek_kind(__input)?;
                #(if __kind == <#types as ::amiko_core::Object>::KIND {
                    let (__id, __message) = ::amiko_core::__private_0_1_0::read_envelope::<#types>(__input)?;
                    return ::core::result::Result::Ok(Self::#variants(__id, __message));
                })*
                #(if __kind == <#machine as ::amiko_core::Object>::KIND {
                    let (_, __message) = ::amiko_core::__private_0_1_0::read_envelope::<#machine>(__input)?;
                    return ::core::result::Result::Ok(Self::#machine(__message));
                })*
                let __known: &[&::core::primitive::str] = &[
                    #(<#types as ::amiko_core::Object>::KIND,)*
                    #(<#machine as ::amiko_core::Object>::KIND,)*
                ];
                ::core::result::Result::Err(__input.invalid(::std::format!(
                    "expected an envelope of the kind {}, found {:?}", __known.join(" or "), __kind,
                )))
            }

            fn references(&self, __visit: &mut dyn ::core::ops::FnMut(::amiko_core::serializable::Reference<'_>)) {
                match self {
                    #(Self::#variants(__id, __message) => {
                        ::amiko_core::Serializable::references(__id, __visit);
                        ::amiko_core::Serializable::references(__message, __visit);
                    })*
                    #(Self::#machine(__message) => {
                        ::amiko_core::Serializable::references(__message, __visit);
                    })*
                    #none
                }
            }

            // The classes of messages are described along with those of the state.
            fn schema(__schema: &mut ::amiko_core::serializable::Schema) -> ::std::string::String {
                let __strong: &[::core::primitive::bool] = &[
                    #(::amiko_core::__private_0_1_0::has_strong(
                        <<#types as ::amiko_core::StateMachine>::Message as ::amiko_core::Serializable>::schema
                    ),)*
                    #(::amiko_core::__private_0_1_0::has_strong(
                        <<#machine as ::amiko_core::StateMachine>::Message as ::amiko_core::Serializable>::schema
                    ),)*
                ];
                if __strong.contains(&true) {
                    __schema.strong();
                }
                "custom".into()
            }
        }
    }
}

fn node(root: &Root) -> TokenStream {
    let (visibility, node) = (&root.visibility, &root.ident);
    let (envelope, undo) = (format_ident!("{node}Envelope"), format_ident!("{node}Undo"));
    let fields: Vec<&Ident> = root.tables.iter().map(|table| &table.field).collect();
    let types: Vec<&Type> = root.tables.iter().map(|table| &table.ty).collect();
    let pieces: Vec<String> = root.tables.iter().map(|table| keys::piece(&table.name)).collect();
    let variants: Vec<&Ident> = root.machines().map(|table| &table.variant).collect();
    let hosted: Vec<&Type> = root.machines().map(|table| &table.ty).collect();
    let machine = root.machine.then_some(node).into_iter().collect::<Vec<_>>();
    let generator = Generator::new(&root.class);
    let every: Vec<&Field> = root.own().collect();
    let own: &[&Field] = if root.machine { &every } else { &[] };
    let own_fields: Vec<&Member> = own.iter().map(|field| &field.member).collect();
    let own_bindings: Vec<Ident> = (0..own.len()).map(|index| format_ident!("__own_{index}")).collect();
    let own_types: Vec<&Type> = own.iter().map(|field| &field.ty).collect();
    let is_kept = |field: &Field| root.keep().is_some_and(|keep| keep.member == field.member);
    let written = own.iter().zip(&own_bindings).map(|(field, before)| {
        let (member, piece, codec) = (&field.member, keys::piece(&field.name), generator.codec(field));
        match (is_kept(field), field.skip) {
            (true, _) => {
                quote!(::amiko_core::__private_0_1_0::KeepUnknown::difference(&self.#member, #before, __patch)?;)
            }
            (false, true) => TokenStream::new(),
            (false, false) if field.flatten => quote! {
                ::amiko_core::__private_0_1_0::free_copy_with(&#codec, #before, __patch);
                ::amiko_core::Serializable::difference(&self.#member, #before, __patch)?;
            },
            (false, false) => quote! {
                ::amiko_core::__private_0_1_0::free_copy_with(&#codec, #before, __patch);
                ::amiko_core::__private_0_1_0::difference_with(&#codec, #piece, #before, &self.#member, __patch)?;
            },
        }
    });
    let referring: Vec<&&Field> = every.iter().filter(|field| !field.skip).collect();
    let now = referring.iter().map(|field| {
        let member = &field.member;
        references(&generator, field, &quote!(&self.#member))
    });
    let referred = own.iter().zip(&own_bindings).filter(|(field, _)| !field.skip);
    let before = referred.map(|(field, before)| references(&generator, field, &quote!(#before)));
    let strong = referring.iter().map(|field| {
        let strong = field.strong.then(|| quote!(__schema.strong();));
        let schema = generator.call(field, "schema", &quote!(__schema));
        quote!(#strong __called = #schema;)
    });
    let nothing = quote!(::amiko_core::tree::Nothing);
    let or_nothing = |ty: &Option<Type>| ty.as_ref().map_or_else(|| nothing.clone(), |ty| quote!(#ty));
    let (network, notice) = (or_nothing(&root.network), or_nothing(&root.notice));
    let effects =
        if root.effects.is_empty() { nothing.clone() } else { format_ident!("{node}Effects").into_token_stream() };
    let check = root.check.as_ref().map(|path| {
        quote! {
            fn check(&self, __undo: &Self::Undo) -> ::core::result::Result<(), ::amiko_core::Rejection> {
                #path(self, __undo)
            }
        }
    });
    let none = (variants.is_empty() && machine.is_empty()).then(|| quote!(_ => ::core::unreachable!(),));
    let documentation = format!("What [`{node}`] was before one event: the old versions of what it touched.");
    quote! {
        #[doc = #documentation]
        #[derive(::core::default::Default)]
        #[allow(missing_docs)]
        #visibility struct #undo {
            #(#visibility #fields: ::amiko_core::tree::TableUndo<#types>,)*
            #visibility __own: ::core::option::Option<(#(#own_types,)*)>,
        }

        #[automatically_derived]
        impl ::amiko_core::Node for #node {
            fn deliver(&mut self, __envelope: Self::Envelope, __event: &mut ::amiko_core::event::Event<Self>)
                -> ::core::result::Result<(), ::amiko_core::Rejection>
            {
                match __envelope {
                    #(#envelope::#variants(__id, __message) => {
                        #[allow(unused_imports)]
                        use ::amiko_core::__private_0_1_0::{TakesAll as _, TakesSome as _};
                        let __taking = (&&::amiko_core::__private_0_1_0::Taker::<#hosted>::new()).taking();
                        ::amiko_core::__private_0_1_0::deliver(self, &__id, __message, __event, __taking)
                    })*
                    #(#envelope::#machine(__message) => {
                        #[allow(unused_imports)]
                        use ::amiko_core::__private_0_1_0::{TakesAll as _, TakesSome as _};
                        let __taking = (&&::amiko_core::__private_0_1_0::Taker::<#machine>::new()).taking();
                        ::amiko_core::__private_0_1_0::deliver_to_node(self, __message, __event, __taking)
                    })*
                    #none
                }
            }

            #check
        }

        #[automatically_derived]
        // A node without tables, or without fields of its own, leaves some of this empty.
        #[allow(clippy::unused_unit)]
        impl ::amiko_core::tree::Tree for #node {
            type Envelope = #envelope;
            type Network = #network;
            type Notice = #notice;
            type Effects = #effects;
            type Undo = #undo;
            type Own = (#(#own_types,)*);

            fn contains(&self, __kind: &::core::primitive::str, __key: &::core::primitive::str) -> ::core::primitive::bool {
                #(if __kind == <#types as ::amiko_core::__private_0_1_0::Keyed>::KIND {
                    return ::amiko_core::__private_0_1_0::EngineTable::contains_text(&self.#fields, __key);
                })*
                false
            }

            fn is_intact(&self, only: &::amiko_core::__private_0_1_0::EngineOnly) -> ::core::primitive::bool {
                true #(&& ::amiko_core::__private_0_1_0::EngineTable::is_known(&self.#fields, only))*
            }

            fn strong_kinds() -> ::std::vec::Vec<&'static ::core::primitive::str> {
                let mut __kinds = ::std::vec::Vec::new();
                #(if ::amiko_core::__private_0_1_0::has_strong(<#types as ::amiko_core::Serializable>::schema) {
                    __kinds.push(<#types as ::amiko_core::__private_0_1_0::Keyed>::KIND);
                })*
                if ::amiko_core::__private_0_1_0::has_strong(|__schema| {
                    #[allow(unused_mut, unused_assignments)]
                    let mut __called = ::std::string::String::new();
                    #(#strong)*
                    __called
                }) {
                    __kinds.push("node");
                }
                __kinds
            }

            fn describe_messages(__schema: &mut ::amiko_core::serializable::Schema) {
                #(
                    let __message = <<#hosted as ::amiko_core::StateMachine>::Message as ::amiko_core::Serializable>::schema(__schema);
                    let __reply = <<#hosted as ::amiko_core::Object>::Reply as ::amiko_core::Serializable>::schema(__schema);
                    __schema.machine(<#hosted as ::amiko_core::Object>::KIND, &__message, &__reply);
                )*
                #(
                    let __message = <<#machine as ::amiko_core::StateMachine>::Message as ::amiko_core::Serializable>::schema(__schema);
                    let __reply = <<#machine as ::amiko_core::Object>::Reply as ::amiko_core::Serializable>::schema(__schema);
                    __schema.machine(<#machine as ::amiko_core::Object>::KIND, &__message, &__reply);
                )*
                let __network = <#network as ::amiko_core::Serializable>::schema(__schema);
                __schema.beside("outbox", &__network);
                let __effects = <#effects as ::amiko_core::Serializable>::schema(__schema);
                __schema.beside("effect", &__effects);
                <#notice as ::amiko_core::Serializable>::schema(__schema);
            }

            fn own_references(&self, __visit: &mut dyn ::core::ops::FnMut(::amiko_core::serializable::Reference<'_>)) {
                #(#now)*
            }

            fn old_references(
                __undo: &Self::Undo,
                __visit: &mut dyn ::core::ops::FnMut(::amiko_core::serializable::Reference<'_>),
            ) -> ::core::primitive::bool {
                let ::core::option::Option::Some((#(#own_bindings,)*)) = &__undo.__own else { return false };
                #(#before)*
                true
            }

            fn slices(&mut self, only: &::amiko_core::__private_0_1_0::EngineOnly)
                -> ::std::vec::Vec<::amiko_core::__private_0_1_0::Sliced<'_>>
            {
                ::std::vec![#(::amiko_core::__private_0_1_0::EngineTable::sliced(&mut self.#fields, only)),*]
            }

            fn visit_objects(&self, __visit: &mut dyn ::core::ops::FnMut(::amiko_core::__private_0_1_0::Touched<'_>)) {
                #(::amiko_core::__private_0_1_0::EngineTable::visit_objects(&self.#fields, __visit);)*
            }

            fn visit_touched(
                &self,
                __undo: &Self::Undo,
                __visit: &mut dyn ::core::ops::FnMut(::amiko_core::__private_0_1_0::Touched<'_>),
            ) {
                #(::amiko_core::__private_0_1_0::EngineTable::visit_touched(&self.#fields, &__undo.#fields, __visit);)*
            }

            fn own(&self) -> Self::Own {
                (#(::core::clone::Clone::clone(&self.#own_fields),)*)
            }

            fn take_undo(
                &mut self,
                __own: ::core::option::Option<Self::Own>,
                __only: &::amiko_core::__private_0_1_0::EngineOnly,
            ) -> Self::Undo {
                #undo { #(#fields: ::amiko_core::__private_0_1_0::EngineTable::take_undo(&mut self.#fields, __only),)* __own: __own }
            }

            fn roll_back(&mut self, __undo: &Self::Undo, __only: &::amiko_core::__private_0_1_0::EngineOnly) {
                #(::amiko_core::__private_0_1_0::EngineTable::roll_back(&mut self.#fields, &__undo.#fields, __only);)*
                if let ::core::option::Option::Some((#(#own_bindings,)*)) = &__undo.__own {
                    #(::core::clone::Clone::clone_from(&mut self.#own_fields, #own_bindings);)*
                }
            }

            fn difference_since(&self, __undo: &Self::Undo, __patch: &mut ::amiko_core::Patch)
                -> ::core::result::Result<(), ::amiko_core::WriteError>
            {
                #(::amiko_core::__private_0_1_0::EngineTable::difference_since(&self.#fields, #pieces, &__undo.#fields, __patch)?;)*
                if let ::core::option::Option::Some((#(#own_bindings,)*)) = &__undo.__own {
                    #(#written)*
                }
                ::core::result::Result::Ok(())
            }
        }
    }
}

/// Visits the IDs in one of the node's own fields.
fn references(generator: &Generator<'_>, field: &Field, value: &TokenStream) -> TokenStream {
    let strong = field.strong;
    let call = generator.call(
        field,
        "references",
        &quote!(#value, &mut |mut __reference| {
            __reference.strong |= #strong;
            __visit(__reference);
        }),
    );
    quote!(#call;)
}
