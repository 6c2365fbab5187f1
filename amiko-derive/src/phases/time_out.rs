//! The time-out of a phase: `after(minutes = 15, send = Expire)`.

use crate::meta::value;
use proc_macro2::{Group, TokenStream};
use quote::{ToTokens, quote};
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprPath, Ident, LitInt, token};

/// The units, with their length in milliseconds, and what one of them is called.
const UNITS: [(&str, u64, &str); 5] = [
    ("milliseconds", 1, "millisecond"),
    ("seconds", 1_000, "second"),
    ("minutes", 60_000, "minute"),
    ("hours", 3_600_000, "hour"),
    ("days", 86_400_000, "day"),
];

const CURE: &str = "expected `after(minutes = 15, send = Message)`; a time-out is in milliseconds, seconds, minutes, hours or \
                    days, a `duration = EXPRESSION`, or `at = function`";

pub(crate) enum When {
    /// So many milliseconds after the phase was entered; and how people say it.
    Milliseconds(u64, String),
    /// The expression of a `Duration`.
    Duration(Expr),
    /// A function of the phase.
    At(ExprPath),
}

pub(crate) struct TimeOut {
    pub(super) when: When,
    /// The variant of the machine's messages.
    pub(crate) send: Ident,
}

impl TimeOut {
    /// When it is due, for people.
    pub(crate) fn text(&self) -> String {
        match &self.when {
            When::Milliseconds(_, text) => text.clone(),
            When::Duration(expression) => short(expression),
            When::At(function) => short(function),
        }
    }

    /// The expression of its `Option<Time>`, where `self` is the phase and `__now` the time of the event.
    pub(super) fn due(&self) -> TokenStream {
        let due = match &self.when {
            When::Milliseconds(count, _) => quote!(__now + ::core::time::Duration::from_millis(#count)),
            When::Duration(expression) => quote!(__now + #expression),
            When::At(function) => quote!(#function(self)),
        };
        quote!(::core::convert::Into::<::core::option::Option<::amiko_core::Time>>::into(#due))
    }
}

/// Code in short, without the path to a name; in a diagram, a colon or a semicolon would end it.
fn short(code: &impl ToTokens) -> String {
    let text = code.to_token_stream().to_string().replace(' ', "");
    let from_path = text.rsplit_once("::").map_or(text.as_str(), |(_, last)| last);
    from_path.replace([':', ';'], " ")
}

/// The `(minutes = 15, send = Expire)` of an `after`.
pub(crate) fn parse(meta: &ParseNestedMeta<'_>) -> Result<TimeOut, Error> {
    if !meta.input.peek(token::Paren) {
        return Err(Error::new(meta.path.span(), CURE));
    }
    let inside = meta.input.parse::<Group>()?.stream();
    let (mut when, mut send) = (None, None);
    let parts = syn::meta::parser(|part| {
        let span = part.path.span();
        let name = part.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let twice = || Error::new(span, "a phase has one time-out: give one moment and one message");
        if name == "send" {
            let message = value(&part, "`send` wants one of the machine's messages: write `send = Message`")?;
            return if send.replace(message).is_some() { Err(twice()) } else { Ok(()) };
        }
        let found = match name.as_str() {
            "duration" => When::Duration(value(&part, "`duration` wants a `Duration`: write `duration = PATIENCE`")?),
            "at" => When::At(value(
                &part,
                "`at` wants a `fn(&Self) -> Time`, or of an `Option<Time>`: write `at = function`",
            )?),
            name => in_units(name, &part)?,
        };
        if when.replace(found).is_some() { Err(twice()) } else { Ok(()) }
    });
    parts.parse2(inside)?;
    match (when, send) {
        (Some(when), Some(send)) => Ok(TimeOut { when, send }),
        _ => Err(Error::new(meta.path.span(), CURE)),
    }
}

fn in_units(name: &str, part: &ParseNestedMeta<'_>) -> Result<When, Error> {
    let Some((_, length, one)) = UNITS.iter().find(|(unit, ..)| *unit == name) else {
        return Err(Error::new(part.path.span(), CURE));
    };
    let cure = format!("`{name}` wants a whole number: write `{name} = 15`");
    let number: LitInt = value(part, &cure)?;
    let count = number.base10_parse::<u64>().map_err(|_| Error::new(number.span(), &cure))?;
    let milliseconds = count.checked_mul(*length).ok_or_else(|| Error::new(number.span(), "this is too long"))?;
    let unit = if count == 1 { one } else { name };
    Ok(When::Milliseconds(milliseconds, format!("{count} {unit}")))
}
