//! The values of attributes, as they are parsed.

use syn::meta::ParseNestedMeta;
use syn::parse::Parse;
use syn::spanned::Spanned;
use syn::{Error, Token};

/// The value of `name = value`. For anything else, the error shows the right form.
pub(crate) fn value<T: Parse>(meta: &ParseNestedMeta<'_>, cure: &str) -> Result<T, Error> {
    if !meta.input.peek(Token![=]) {
        return Err(Error::new(meta.path.span(), cure));
    }
    meta.input.parse::<Token![=]>()?;
    // After the last token, the error can only point at the attribute itself.
    let place = if meta.input.is_empty() { meta.path.span() } else { meta.input.span() };
    meta.input.parse().map_err(|_| Error::new(place, cure))
}

/// Skips the `= value` of an attribute that is already known to be wrong.
pub(crate) fn skip_value(meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
    if meta.input.peek(Token![=]) {
        meta.input.parse::<Token![=]>()?;
    }
    while !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        meta.input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}
