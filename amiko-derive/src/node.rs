//! The root of a state tree, checked; and from there to its `Node`.
//!
//! Invariant: each class of machines has one table, so that its class alone says where a message goes.

use crate::attributes::{Attributes, Errors, Place};
use crate::serializable::keys;
use crate::tree::is_named;
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, ExprPath, GenericArgument, Ident, PathArguments, Type, Visibility};

struct TableField {
    field: Ident,
    /// The class of the objects.
    ty: Type,
    name: String,
    /// The variant of the envelope.
    variant: Ident,
    /// They are machines, which messages can be sent to.
    machines: bool,
}

struct Own {
    field: Ident,
    ty: Type,
    name: String,
    /// It is never written.
    skip: bool,
}

pub(crate) struct Root {
    visibility: Visibility,
    ident: Ident,
    tables: Vec<TableField>,
    own: Vec<Own>,
    /// The node is a machine itself.
    machine: bool,
    network: Option<Type>,
    reply: Option<Type>,
    notice: Option<Type>,
    check: Option<ExprPath>,
}

impl Root {
    pub(crate) fn check(input: &DeriveInput) -> Result<Self, Error> {
        let mut errors = Errors::default();
        let Data::Struct(data) = &input.data else {
            return Err(Error::new(input.ident.span(), "a node is a struct with a field for each of its tables"));
        };
        if !input.generics.params.is_empty() {
            errors.at(
                input.generics.span(),
                "a node has no generics, being the root of one state: write the types themselves",
            );
        }
        // What is wrong with attributes that another derive shares is said by both; the compiler shows it once.
        let attributes = Attributes::parse(&input.attrs, Place::Struct, &mut errors);
        if let Some(span) = attributes.transparent {
            errors.at(
                span,
                "a node is an object, and the paths of its journal lead through its fields: remove `transparent`",
            );
        }
        let (mut tables, mut own) = (Vec::<TableField>::new(), Vec::new());
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
                (None, None) => {
                    own.push(Own { field: ident, ty: field.ty.clone(), name, skip: attributes.skip.is_some() });
                }
            }
        }
        errors.finish(Self {
            visibility: input.vis.clone(),
            ident: input.ident.clone(),
            tables,
            own,
            machine: attributes.machine.is_some(),
            network: attributes.network,
            reply: attributes.reply,
            notice: attributes.notice,
            check: attributes.check,
        })
    }
}

impl Root {
    fn machines(&self) -> impl Iterator<Item = &TableField> {
        self.tables.iter().filter(|table| table.machines)
    }
}

/// The `T` of a `Table<T>`, and its name.
fn element(ty: &Type) -> Option<(Type, Ident)> {
    let Type::Path(path) = ty else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    let Some(GenericArgument::Type(element @ Type::Path(inner))) = arguments.args.first() else { return None };
    let name = inner.path.segments.last()?.ident.clone();
    is_named(ty, "Table").then(|| (element.clone(), name))
}

pub(crate) fn generate(root: &Root) -> TokenStream {
    let envelope = envelope(root);
    let node = node(root);
    let ties = ties(root);
    quote!(#envelope #node #ties)
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
            fn kind(&self) -> &'static str {
                match self {
                    #(Self::#variants(..) => <#types as ::amiko_core::Object>::KIND,)*
                    #(Self::#machine(..) => <#machine as ::amiko_core::Object>::KIND,)*
                    #none
                }
            }

            fn message_class(&self) -> ::core::option::Option<&'static str> {
                match self {
                    #(Self::#variants(_, message) => ::amiko_core::Serializable::class(message),)*
                    #(Self::#machine(message) => ::amiko_core::Serializable::class(message),)*
                    #none
                }
            }
        }

        #[automatically_derived]
        impl ::amiko_core::Serializable for #name {
            fn weight(&self, kept: ::amiko_core::serializable::Kept) -> ::core::primitive::usize {
                match self {
                    #(Self::#variants(id, message) => {
                        ::amiko_core::Serializable::weight(id, kept) + ::amiko_core::Serializable::weight(message, kept)
                    })*
                    #(Self::#machine(message) => ::amiko_core::Serializable::weight(message, kept),)*
                    #none
                }
            }

            fn write(&self, out: &mut ::amiko_core::Writer) -> ::core::result::Result<(), ::amiko_core::WriteError> {
                match self {
                    #(Self::#variants(id, message) => {
                        ::amiko_core::derive::write_envelope::<#types>(out, id, message)
                    })*
                    #(Self::#machine(message) => {
                        ::amiko_core::derive::write_envelope::<#machine>(out, &::amiko_core::Id::new(()), message)
                    })*
                    #none
                }
            }

            fn read(input: &mut ::amiko_core::Reader<'_>) -> ::core::result::Result<Self, ::amiko_core::ReadError> {
                let kind = ::amiko_core::derive::peek_kind(input)?;
                #(if kind == <#types as ::amiko_core::Object>::KIND {
                    let (id, message) = ::amiko_core::derive::read_envelope::<#types>(input)?;
                    return ::core::result::Result::Ok(Self::#variants(id, message));
                })*
                #(if kind == <#machine as ::amiko_core::Object>::KIND {
                    let (_, message) = ::amiko_core::derive::read_envelope::<#machine>(input)?;
                    return ::core::result::Result::Ok(Self::#machine(message));
                })*
                let known: &[&str] = &[
                    #(<#types as ::amiko_core::Object>::KIND,)*
                    #(<#machine as ::amiko_core::Object>::KIND,)*
                ];
                ::core::result::Result::Err(input.invalid(::std::format!(
                    "expected an envelope of the kind {}, found {:?}", known.join(" or "), kind,
                )))
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
    let machine = root.machine.then_some(node).into_iter().collect::<Vec<_>>();
    let own: &[Own] = if root.machine { &root.own } else { &[] };
    let own_fields: Vec<&Ident> = own.iter().map(|own| &own.field).collect();
    let own_types: Vec<&Type> = own.iter().map(|own| &own.ty).collect();
    let written = own.iter().map(|own| {
        let (field, name) = (&own.field, &own.name);
        (!own.skip).then(|| quote!(patch.free_copy(#field); patch.field(#name, #field, &self.#field)?;))
    });
    let nothing = quote!(::amiko_core::Nothing);
    let or_nothing = |ty: &Option<Type>| ty.as_ref().map_or_else(|| nothing.clone(), |ty| quote!(#ty));
    let (network, reply, notice) = (or_nothing(&root.network), or_nothing(&root.reply), or_nothing(&root.notice));
    let check = root.check.as_ref().map(|path| {
        quote! {
            fn check(&self, undo: &Self::Undo) -> ::core::result::Result<(), ::amiko_core::Rejection> {
                #path(self, undo)
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
            #(#visibility #fields: ::amiko_core::TableUndo<#types>,)*
            #visibility __own: ::core::option::Option<(#(#own_types,)*)>,
        }

        #[automatically_derived]
        // A node without tables, or without fields of its own, leaves some of this empty.
        #[allow(unused_variables, clippy::unused_unit)]
        impl ::amiko_core::Node for #node {
            type Envelope = #envelope;
            type Network = #network;
            type Reply = #reply;
            type Notice = #notice;
            type Undo = #undo;
            type Own = (#(#own_types,)*);

            fn deliver(&mut self, envelope: Self::Envelope, event: &mut ::amiko_core::Event<Self>)
                -> ::core::result::Result<(), ::amiko_core::Rejection>
            {
                match envelope {
                    #(#envelope::#variants(id, message) => {
                        ::amiko_core::derive::deliver(self, &id, message, event)
                    })*
                    #(#envelope::#machine(message) => ::amiko_core::derive::deliver_to_node(self, message, event),)*
                    #none
                }
            }

            fn is_intact(&self, only: &::amiko_core::derive::EngineOnly) -> ::core::primitive::bool {
                true #(&& self.#fields.is_known(only))*
            }

            const STRONG: ::core::primitive::bool =
                false #(|| <#types as ::amiko_core::Serializable>::STRONG)*;

            fn contains(&self, kind: &::core::primitive::str, key: &::core::primitive::str) -> ::core::primitive::bool {
                #(if kind == <#types as ::amiko_core::Object>::KIND {
                    return self.#fields.contains_text(key);
                })*
                false
            }

            fn slices(&mut self, only: &::amiko_core::derive::EngineOnly)
                -> ::std::vec::Vec<::amiko_core::derive::Sliced<'_>>
            {
                ::std::vec![#(self.#fields.sliced(only)),*]
            }

            fn visit_objects(&self, visit: &mut dyn ::core::ops::FnMut(::amiko_core::derive::Touched<'_>)) {
                #(self.#fields.visit_objects(visit);)*
            }

            fn visit_touched(
                &self,
                undo: &Self::Undo,
                visit: &mut dyn ::core::ops::FnMut(::amiko_core::derive::Touched<'_>),
            ) {
                #(self.#fields.visit_touched(&undo.#fields, visit);)*
            }

            fn own(&self) -> Self::Own {
                (#(::core::clone::Clone::clone(&self.#own_fields),)*)
            }

            fn take_undo(
                &mut self,
                own: ::core::option::Option<Self::Own>,
                only: &::amiko_core::derive::EngineOnly,
            ) -> Self::Undo {
                #undo { #(#fields: self.#fields.take_undo(only),)* __own: own }
            }

            fn roll_back(&mut self, undo: &Self::Undo, only: &::amiko_core::derive::EngineOnly) {
                #(self.#fields.roll_back(&undo.#fields, only);)*
                if let ::core::option::Option::Some((#(#own_fields,)*)) = &undo.__own {
                    #(::core::clone::Clone::clone_from(&mut self.#own_fields, #own_fields);)*
                }
            }

            fn difference_since(&self, undo: &Self::Undo, patch: &mut ::amiko_core::Patch)
                -> ::core::result::Result<(), ::amiko_core::WriteError>
            {
                #(patch.table(#pieces, &self.#fields, &undo.#fields)?;)*
                if let ::core::option::Option::Some((#(#own_fields,)*)) = &undo.__own {
                    #(#written)*
                }
                ::core::result::Result::Ok(())
            }

            #check
        }
    }
}

/// What ties the node to its machines.
fn ties(root: &Root) -> TokenStream {
    let node = &root.ident;
    let envelope = format_ident!("{node}Envelope");
    let hosts = root.machines().map(|TableField { ty, variant, .. }| {
        quote! {
            #[automatically_derived]
            impl ::amiko_core::Hosts<#ty> for #node {
                fn envelope(to: ::amiko_core::Id<#ty>, message: <#ty as ::amiko_core::StateMachine>::Message)
                    -> Self::Envelope
                {
                    #envelope::#variant(to, message)
                }
            }
        }
    });
    let keeps = root.tables.iter().map(|TableField { field, ty, .. }| {
        quote! {
            #[automatically_derived]
            impl ::amiko_core::Keeps<#ty> for #node {
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
        quote! {
            #[automatically_derived]
            impl ::amiko_core::Object for #node {
                type Key = ();
                const KIND: &'static str = "node";
            }

            #[automatically_derived]
            impl ::amiko_core::Hosts<#node> for #node {
                fn envelope(_: ::amiko_core::Id<#node>, message: <#node as ::amiko_core::StateMachine>::Message)
                    -> Self::Envelope
                {
                    #envelope::#node(message)
                }
            }
        }
    });
    let distinct = distinct_kinds(root);
    quote!(#(#hosts)* #(#keeps)* #machine #distinct)
}

/// Fails to compile where two classes have one kind: their envelopes, timers and references would be taken for each other's.
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
                const _: () = ::core::assert!(::amiko_core::derive::differ(
                    <#ty as ::amiko_core::Object>::KIND, <#other as ::amiko_core::Object>::KIND
                ), #message);
            });
        }
        if root.machine {
            let message = format!(
                "`{variant}` is of the kind `node`, which the node itself is: give it another with `#[amiko(kind = \"name\")]`"
            );
            pairs.push(quote_spanned! {ty.span()=>
                const _: () = ::core::assert!(::amiko_core::derive::differ(
                    <#ty as ::amiko_core::Object>::KIND, <#node as ::amiko_core::Object>::KIND
                ), #message);
            });
        }
    }
    quote!(#(#pairs)*)
}
