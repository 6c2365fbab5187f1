//! Traits whose implementors are found by class name: any crate can add one.
//!
//! Invariant: behind a trait, a class name stands for one type; duplicates are refused at the first use.

use super::{
    Change, Kept, Patch, Pointer, Problem, ReadError, Reader, Reference, Schema, Serializable, Summary, WriteError,
    Writer,
};
use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::OnceLock;

/// What `#[amiko(polymorphic)]` uses in place of `Serializable`, which isn't dyn-compatible. Every class implements
/// it.
pub trait Polymorphic: Any + Send + Sync {
    /// As [`Serializable::write`].
    ///
    /// # Errors
    /// The object has no exact text.
    fn write_object(&self, out: &mut Writer) -> Result<(), WriteError>;
    /// As [`Serializable::difference`]; false if the old object has another class.
    ///
    /// # Errors
    /// The object has no exact text.
    fn difference_object(&self, old: &dyn Any, patch: &mut Patch) -> Result<bool, WriteError>;
    /// As [`Serializable::apply`].
    ///
    /// # Errors
    /// The path doesn't exist, or the new value doesn't fit its type.
    fn apply_object(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError>;
    /// As [`Serializable::references`].
    fn references_object(&self, visit: &mut dyn FnMut(Reference<'_>));
    /// As [`Serializable::weight`], including the object itself.
    fn weight_of_object(&self, kept: Kept) -> usize;
    /// As [`Serializable::summarize`].
    fn summarize_object(&self, out: &mut Summary);
    /// As [`Serializable::class`].
    fn class_of_object(&self) -> Option<&'static str>;
    /// The object itself, for downcasting. For a `Box<dyn Trait>` write `(*boxed).as_any()`: the box is a value too.
    fn as_any(&self) -> &dyn Any;
}

impl<T: Serializable> Polymorphic for T {
    fn write_object(&self, out: &mut Writer) -> Result<(), WriteError> {
        super::write_value(self, out)
    }

    fn difference_object(&self, old: &dyn Any, patch: &mut Patch) -> Result<bool, WriteError> {
        match old.downcast_ref::<T>() {
            Some(old) => self.difference(old, patch).map(|()| true),
            None => Ok(false),
        }
    }

    fn apply_object(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        self.apply(pointer, change)
    }

    fn references_object(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        self.references(visit);
    }

    fn weight_of_object(&self, kept: Kept) -> usize {
        self.weight(kept) + if kept == Kept::Alone { size_of::<T>() } else { 0 }
    }

    fn summarize_object(&self, out: &mut Summary) {
        self.summarize(out);
    }

    fn class_of_object(&self) -> Option<&'static str> {
        self.class()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

type ReadAny = fn(&mut Reader<'_>) -> Result<Box<dyn Any>, ReadError>;

/// A class behind a trait: registered by `#[amiko(implements(…))]`, looked up when reading.
pub struct Registration {
    interface: fn() -> TypeId,
    class: &'static str,
    place: &'static str,
    read: ReadAny,
    schema: fn(&mut Schema) -> String,
}

impl Registration {
    /// One class behind one trait.
    pub const fn new(
        interface: fn() -> TypeId,
        class: &'static str,
        place: &'static str,
        read: ReadAny,
        schema: fn(&mut Schema) -> String,
    ) -> Self {
        Self { interface, class, place, read, schema }
    }
}

inventory::collect!(Registration);

/// Two classes with the same name behind one trait.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolymorphicError {
    /// The name.
    pub class: &'static str,
    /// Where they are defined, `file:line`.
    pub places: [&'static str; 2],
}

impl fmt::Display for PolymorphicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, other] = self.places;
        write!(f, "expected one class named {:?}, found two, at {one} and at {other}: ", self.class)?;
        f.write_str("give one of them another name with #[amiko(class)]")
    }
}

impl std::error::Error for PolymorphicError {}

type Found = Result<&'static Registration, PolymorphicError>;

fn registry() -> &'static HashMap<TypeId, BTreeMap<&'static str, Found>> {
    static REGISTRY: OnceLock<HashMap<TypeId, BTreeMap<&'static str, Found>>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut registry: HashMap<TypeId, BTreeMap<&'static str, Found>> = HashMap::new();
        for registration in inventory::iter::<Registration> {
            let classes = registry.entry((registration.interface)()).or_default();
            let found = match classes.get(registration.class) {
                None => Ok(registration),
                Some(Err(error)) => Err(error.clone()),
                Some(Ok(other)) => {
                    // Sorted, since the linker determines which one comes first.
                    let mut places = [other.place, registration.place];
                    places.sort_unstable();
                    Err(PolymorphicError { class: registration.class, places })
                }
            };
            classes.insert(registration.class, found);
        }
        registry
    })
}

/// Checks that no two classes share a name: for a test of a program that links them all.
///
/// # Errors
/// Two classes do; the error has both places.
pub fn check_classes() -> Result<(), PolymorphicError> {
    let mut all = registry().values().flat_map(BTreeMap::values);
    all.try_for_each(|found| found.as_ref().map(drop).map_err(Clone::clone))
}

/// Reads an object behind a trait: for the code that `#[amiko(polymorphic)]` writes.
pub fn read_polymorphic<D: ?Sized + 'static>(input: &mut Reader<'_>) -> Result<Box<D>, ReadError> {
    let class = input.peek_class()?;
    let classes = registry().get(&TypeId::of::<D>());
    match classes.and_then(|classes| classes.get(&*class)) {
        Some(Ok(registration)) => {
            let object = (registration.read)(input)?;
            // The registration was looked up by trait, so the object is a `Box<D>`.
            object.downcast::<Box<D>>().map(|object| *object).map_err(|_| input.invalid("a class of another trait"))
        }
        Some(Err(error)) => Err(input.invalid(error.to_string())),
        None => {
            let known = classes.map(|classes| classes.keys().copied().collect()).unwrap_or_default();
            Err(input.error(Problem::UnknownClass { found: super::shorten(&class), known }))
        }
    }
}

/// Whether a class of this name is behind a trait: for the code that `#[amiko(polymorphic)]` writes.
pub fn is_polymorphic_class<D: ?Sized + 'static>(name: &str) -> bool {
    registry().get(&TypeId::of::<D>()).is_some_and(|classes| classes.contains_key(name))
}

/// Adds the names of the classes behind a trait: for the code that `#[amiko(polymorphic)]` writes.
pub fn polymorphic_classes<D: ?Sized + 'static>(known: &mut Vec<&'static str>) {
    known.extend(registry().get(&TypeId::of::<D>()).into_iter().flat_map(BTreeMap::keys));
}

/// Describes the classes behind a trait: for the code that `#[amiko(polymorphic)]` writes.
pub fn schema_of_polymorphic<D: ?Sized + 'static>(name: &str, schema: &mut Schema) -> String {
    let classes = registry().get(&TypeId::of::<D>());
    for registration in classes.into_iter().flat_map(BTreeMap::values).flatten() {
        (registration.schema)(schema);
    }
    format!("any {name}")
}
