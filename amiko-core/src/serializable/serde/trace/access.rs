//! The parts of what a type is shown.

use super::{Stop, Tracer};
use serde_core::de::value::BorrowedStrDeserializer;
use serde_core::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use std::cell::{Cell, RefCell};

/// So many elements, of whatever types are asked for.
pub(super) struct Items<'t> {
    tracer: Tracer<'t>,
    left: Cell<usize>,
    called: RefCell<Vec<String>>,
}

impl<'t> Items<'t> {
    pub(super) fn new(tracer: Tracer<'t>, length: usize) -> Self {
        Self { tracer, left: Cell::new(length), called: RefCell::default() }
    }

    /// What was asked for.
    pub(super) fn called(&self, separator: &str) -> String {
        let called = self.called.borrow();
        match called.as_slice() {
            [first, rest @ ..] if rest.len() > 3 && rest.iter().all(|other| other == first) => {
                format!("{} times {first}", called.len())
            }
            all => all.join(separator),
        }
    }

    fn next<'de, T: DeserializeSeed<'de>>(&self, seed: T) -> Result<Option<T::Value>, Stop> {
        let Some(left) = self.left.get().checked_sub(1) else { return Ok(None) };
        self.left.set(left);
        let out = RefCell::new(String::new());
        let outcome = seed.deserialize(Tracer { trace: self.tracer.trace, out: &out, depth: self.tracer.depth + 1 });
        self.called.borrow_mut().push(out.take());
        outcome.map(Some)
    }
}

impl<'de> SeqAccess<'de> for &Items<'_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        self.next(seed)
    }
}

/// An entry of a map: a key and a value.
pub(super) struct Entry<'t>(pub(super) Items<'t>);

impl<'de> MapAccess<'de> for &Entry<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        self.0.next(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        self.0.next(seed)?.ok_or_else(|| Stop("a value without a key".into()))
    }
}

/// The fields of a struct, first those that weren't seen.
pub(super) struct Struct<'t> {
    tracer: Tracer<'t>,
    /// None for a variant, which has them all in one line.
    ty: Option<&'static str>,
    /// The next one last.
    left: RefCell<Vec<&'static str>>,
    now: Cell<&'static str>,
    /// The fields of a variant that were seen.
    lines: RefCell<Vec<String>>,
}

impl<'t> Struct<'t> {
    pub(super) fn show<'de, V: Visitor<'de>>(
        tracer: Tracer<'t>,
        ty: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let seen = tracer.trace.container(ty, |container| container.seen.clone()).unwrap_or_default();
        let (old, new): (Vec<&'static str>, Vec<&'static str>) =
            fields.iter().partition(|field| seen.contains_key(*field));
        let aliases = tracer.trace.container(ty, |container| container.aliases.clone()).unwrap_or_default();
        let mut left: Vec<_> = new.into_iter().chain(old).filter(|field| !aliases.contains(field)).collect();
        left.reverse();
        let shown = Self::new(tracer, Some(ty), left);
        let outcome = visitor.visit_map(&shown);
        if let Err(Stop(reason)) = &outcome
            && reason.starts_with("duplicate field")
        {
            // The other name of a field that was shown before.
            let alias = shown.now.get();
            tracer.trace.container(ty, |container| container.aliases.insert(alias));
            tracer.trace.see(ty, alias, String::new());
            tracer.trace.news.set(true);
        }
        outcome
    }

    fn new(tracer: Tracer<'t>, ty: Option<&'static str>, left: Vec<&'static str>) -> Self {
        Self { tracer, ty, left: RefCell::new(left), now: Cell::new(""), lines: RefCell::default() }
    }
}

impl<'de> MapAccess<'de> for &Struct<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        let Some(field) = self.left.borrow_mut().pop() else { return Ok(None) };
        self.now.set(field);
        seed.deserialize(BorrowedStrDeserializer::new(field)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        let (tracer, field, out) = (self.tracer, self.now.get(), RefCell::new(String::new()));
        let outcome = seed.deserialize(Tracer { trace: tracer.trace, out: &out, depth: tracer.depth + 1 });
        let line = format!("{field}: {}", out.take());
        match self.ty {
            Some(ty) => tracer.trace.see(ty, field, line),
            None => self.lines.borrow_mut().push(line),
        }
        outcome
    }
}

/// One variant of an enum: the first that wasn't seen.
pub(super) struct Variants<'t> {
    tracer: Tracer<'t>,
    ty: &'static str,
    variant: &'static str,
}

impl<'t> Variants<'t> {
    pub(super) fn show<'de, V: Visitor<'de>>(
        tracer: Tracer<'t>,
        ty: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let choose = |container: &mut super::Container| {
            let new = variants.iter().position(|variant| !container.seen.contains_key(variant));
            new.or(container.good).unwrap_or(0)
        };
        let at = tracer.trace.container(ty, choose).unwrap_or(0);
        let Some(variant) = variants.get(at).copied() else { return Err(Stop("an enum without variants".into())) };
        let outcome = visitor.visit_enum(Self { tracer, ty, variant });
        // A variant that is refused by its name alone has been looked at as well.
        tracer.trace.see(ty, variant, variant.to_owned());
        if outcome.is_ok() {
            tracer.trace.container(ty, |container| container.good = Some(at));
        }
        outcome
    }

    fn see(&self, called: &str) {
        let separator = if called.is_empty() { "" } else { ": " };
        self.tracer.trace.see(self.ty, self.variant, format!("{}{separator}{called}", self.variant));
    }
}

impl<'de> EnumAccess<'de> for Variants<'_> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Stop> {
        Ok((seed.deserialize(BorrowedStrDeserializer::new(self.variant))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variants<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        self.see("");
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        let out = RefCell::new(String::new());
        let depth = self.tracer.depth + 1;
        let outcome = seed.deserialize(Tracer { trace: self.tracer.trace, out: &out, depth });
        self.see(&out.take());
        outcome
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Stop> {
        let out = RefCell::new(String::new());
        let depth = self.tracer.depth + 1;
        let outcome = Tracer { trace: self.tracer.trace, out: &out, depth }.deserialize_tuple(length, visitor);
        self.see(&out.take());
        outcome
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Stop> {
        let left = fields.iter().rev().copied().collect();
        let shown = Struct::new(self.tracer, None, left);
        let outcome = visitor.visit_map(&shown);
        let mut lines = shown.lines.take();
        lines.sort();
        self.see(&format!("{{{}}}", lines.join(", ")));
        outcome
    }
}
