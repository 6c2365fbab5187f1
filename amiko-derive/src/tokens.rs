//! Names in generated code: the path of the library, if it isn't `::amiko_core` (`#[amiko(crate = path)]`), and that of a type in
//! place of `Self`.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Data, DeriveInput, Error, Ident, Path};

/// Generated code in which each path that begins with `::amiko_core` begins with another path instead.
///
/// The replacement happens in the generated code, so the generators read like their output, and none of them can forget
/// it. A user's own path that begins like this is replaced too: it means the same library.
pub(crate) fn through(library: Option<&Path>, tokens: TokenStream) -> TokenStream {
    match library {
        Some(library) => replaced(library, tokens),
        None => tokens,
    }
}

fn replaced(library: &Path, tokens: TokenStream) -> TokenStream {
    let mut written: Vec<TokenTree> = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), replaced(library, group.stream()));
                inner.set_span(group.span());
                written.push(inner.into());
            }
            TokenTree::Ident(ident) if ident == "amiko_core" && is_absolute(&written) => {
                written.truncate(written.len() - 2);
                // Errors are shown at the original place; names are resolved where the path was written.
                written.extend(library.to_token_stream().into_iter().map(|mut token| {
                    token.set_span(token.span().located_at(ident.span()));
                    token
                }));
            }
            token => written.push(token),
        }
    }
    written.into_iter().collect()
}

/// Whether these end with the `::` that begins a path: after a name it would continue another path.
fn is_absolute(before: &[TokenTree]) -> bool {
    let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    match before {
        [.., TokenTree::Ident(ident), first, second] if is_colon(first) && is_colon(second) => {
            // After a keyword like `as` or `impl`, a path begins.
            let leads = ["crate", "self", "Self", "super"].iter().any(|word| ident == word);
            !leads && syn::parse2::<Ident>(ident.to_token_stream()).is_err()
        }
        [.., first, second] => is_colon(first) && is_colon(second),
        _ => false,
    }
}

/// The type with its own name in place of each `Self` in its fields, whose types are written in other structs as well.
pub(crate) fn named(input: &DeriveInput) -> Result<DeriveInput, Error> {
    let mut input = input.clone();
    if let Data::Struct(data) = &mut input.data {
        for field in &mut data.fields {
            field.ty = syn::parse2(without_self(&input.ident, field.ty.to_token_stream()))?;
        }
    }
    Ok(input)
}

fn without_self(name: &Ident, tokens: TokenStream) -> TokenStream {
    let renamed = tokens.into_iter().map(|token| match token {
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), without_self(name, group.stream()));
            inner.set_span(group.span());
            inner.into()
        }
        TokenTree::Ident(ident) if ident == "Self" => {
            let mut name = name.clone();
            name.set_span(ident.span());
            name.into()
        }
        token => token,
    });
    renamed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{key, node, phases, polymorphic, serializable, tree};
    use quote::quote;

    #[track_caller]
    fn check(input: TokenStream, generate: impl Fn(TokenStream) -> TokenStream) {
        let (plain, through) = (generate(input.clone()).to_string(), input);
        assert!(plain.contains(":: amiko_core ::"), "{plain}");
        let through = generate(quote!(#[amiko(crate = mine::core)] #through)).to_string();
        assert!(!through.contains("amiko_core"), "{through}");
        assert_eq!(through, plain.replace(":: amiko_core ::", "mine :: core ::"));
    }

    fn serializable(input: TokenStream) -> TokenStream {
        serializable::generate(&tree::Class::check(&syn::parse2(input).unwrap()).unwrap())
    }

    #[test]
    fn no_path_to_the_library_is_left() {
        let class = quote! {
            #[amiko(key = String, version = 2, migrate = lift, unknown = "keep", implements(Shape))]
            struct Class { #[amiko(strong)] id: Id<Class>, list: Vec<u64>, rest: UnknownFields, #[amiko(default)] last: u8 }
        };
        check(class, serializable);
        check(
            quote!(
                struct Outer<T: Bound> {
                    #[amiko(flatten)]
                    one: T,
                    own: u64,
                    #[amiko(flatten)]
                    two: Other,
                }
            ),
            serializable,
        );
        check(
            quote!(
                struct Outer {
                    #[amiko(flatten)]
                    one: One,
                    own: u64,
                }
            ),
            serializable,
        );
        check(
            quote!(
                struct Generic<T, U: Into<T>>(T, U);
            ),
            serializable,
        );
        check(
            quote!(
                enum Words {
                    One,
                    Two,
                }
            ),
            serializable,
        );
        check(
            quote!(
                enum Order {
                    One {
                        a: u64,
                    },
                    Two(u64),
                    #[amiko(transparent)]
                    Three(Class),
                }
            ),
            serializable,
        );
        let root = quote! {
            #[amiko(machine, check = check)]
            struct Root { #[amiko(machines)] a: Table<A>, #[amiko(machines)] b: Table<B>, own: u64 }
        };
        check(root, |input| node::generate(&node::Root::check(&syn::parse2(input).unwrap()).unwrap()));
        let diagram = quote!(
            enum Phase {
                #[amiko(next(B))]
                A,
                B,
            }
        );
        check(diagram, |input| phases::generate(&phases::Diagram::check(&syn::parse2(input).unwrap()).unwrap()));
        let keys = [
            quote!(
                struct Sku(String);
            ),
            quote!(
                struct Slot {
                    shelf: u64,
                    place: String,
                }
            ),
            quote!(
                enum Colour {
                    Red,
                    Green,
                }
            ),
        ];
        for input in keys {
            check(input, |input| key::generate(&key::CheckedKey::check(&syn::parse2(input).unwrap()).unwrap()));
        }
    }

    #[test]
    fn no_path_to_the_library_is_left_behind_a_trait() {
        let item: syn::Item = syn::parse2(quote!(
            trait Shape: Serializable {}
        ))
        .unwrap();
        let generated = polymorphic::generate(quote!(polymorphic, crate = mine::core), item).unwrap().to_string();
        assert!(generated.contains("mine :: core ::") && !generated.contains("amiko_core"), "{generated}");
    }

    #[test]
    fn a_part_of_another_path_stays() {
        let library: Path = syn::parse2(quote!(mine)).unwrap();
        let text = |tokens| through(Some(&library), tokens).to_string();
        assert_eq!(text(quote!(other::amiko_core::X)), quote!(other::amiko_core::X).to_string());
        assert_eq!(text(quote!(fn f() -> ::amiko_core::X)), quote!(fn f() -> mine::X).to_string());
        assert_eq!(text(quote!(&mut ::amiko_core::X)), quote!(&mut mine::X).to_string());
        assert_eq!(text(quote!(impl<T> ::amiko_core::X for T)), quote!(impl<T> mine::X for T).to_string());
    }
}
