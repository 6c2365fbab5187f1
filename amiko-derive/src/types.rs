//! What the tokens of a type reveal about it.

use syn::{GenericArgument, PathArguments, PathSegment, Type};

/// A type without the parentheses or groups that a macro, or its author, has put around it.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        ty => ty,
    }
}

/// Whether the last segment of a type's path has this name.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    last(ty).is_some_and(|segment| segment.ident == name)
}

/// Whether this name stands anywhere in a type.
pub(crate) fn names(ty: &Type, name: &str) -> bool {
    fn inside(tokens: proc_macro2::TokenStream, name: &str) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Ident(ident) => ident == name,
            proc_macro2::TokenTree::Group(group) => inside(group.stream(), name),
            _ => false,
        })
    }
    inside(quote::ToTokens::to_token_stream(ty), name)
}

pub(crate) fn last(ty: &Type) -> Option<&PathSegment> {
    match bare(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// The types between the angle brackets at the end of a type.
pub(crate) fn arguments(ty: &Type) -> impl Iterator<Item = &Type> {
    let arguments = last(ty).and_then(|segment| match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    });
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The `Option` in a type, at any depth, whose content can itself be null: its `Some` would look like `None`.
pub(crate) fn null_in_some(ty: &Type) -> Option<&Type> {
    let ty = bare(ty);
    if is_named(ty, "Option") && arguments(ty).next().is_some_and(can_be_null) {
        return Some(ty);
    }
    match ty {
        Type::Tuple(tuple) => tuple.elems.iter().find_map(null_in_some),
        Type::Array(array) => null_in_some(&array.elem),
        Type::Slice(slice) => null_in_some(&slice.elem),
        Type::Reference(reference) => null_in_some(&reference.elem),
        ty => arguments(ty).find_map(null_in_some),
    }
}

fn can_be_null(ty: &Type) -> bool {
    let is_unit = matches!(bare(ty), Type::Tuple(tuple) if tuple.elems.is_empty());
    // These are written as their content.
    let is_around = ["Box", "Rc", "Arc", "Secret"].iter().any(|name| is_named(ty, name));
    is_unit || is_named(ty, "Option") || is_around && arguments(ty).any(can_be_null)
}
