//! The keys of fields as they stand in JSON: known when the code is generated, so that nothing looks at their letters later.

use proc_macro2::TokenStream;
use quote::quote;

/// A key with its quotes and its colon, unless something in it needs escapes.
pub(super) fn literal(name: &str) -> Option<String> {
    let special = |character: char| character.is_control() || matches!(character, '"' | '\\');
    (!name.contains(special)).then(|| format!("\"{name}\":"))
}

/// Writes the key of a field. `_class` comes before it, thus always a comma.
pub(super) fn write(name: &str) -> TokenStream {
    match literal(name) {
        Some(key) => {
            let key = format!(",{key}");
            quote!(out.raw(#key);)
        }
        None => quote!(out.key(#name);),
    }
}
