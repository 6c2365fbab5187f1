//! A document without its classes, to which the patches of a journal are applied.
//!
//! Invariant: it is the JSON of the document at its version; a table of any size is changed in the time that its entry takes.

use amiko_core::serializable::Json;
use std::collections::HashMap;

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// Neither an array nor an object.
    Leaf(Json),
    /// An array.
    List(Vec<Tree>),
    /// An object.
    Map(Map),
}

/// An object, whose fields are found by name and keep their order: for some classes it is a part of the value.
#[derive(Debug, Clone, Default)]
pub struct Map {
    /// Holes stand where fields were.
    fields: Vec<Option<(String, Tree)>>,
    holes: usize,
    /// Where they are, if there are many.
    places: HashMap<String, usize>,
}

/// From so many fields on they are found by a hash.
const MANY: usize = 16;

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

impl Map {
    /// The fields, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tree)> {
        self.fields.iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len() - self.holes
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn place(&self, name: &str) -> Option<usize> {
        if self.places.is_empty() {
            self.fields.iter().position(|field| field.as_ref().is_some_and(|(field, _)| field == name))
        } else {
            self.places.get(name).copied()
        }
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Tree> {
        self.place(name).and_then(|place| self.fields.get(place)?.as_ref()).map(|(_, value)| value)
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Tree> {
        self.place(name).and_then(|place| self.fields.get_mut(place)?.as_mut()).map(|(_, value)| value)
    }

    fn set(&mut self, name: &str, value: Tree) {
        if let Some(old) = self.get_mut(name) {
            *old = value;
            return;
        }
        if !self.places.is_empty() {
            self.places.insert(name.to_owned(), self.fields.len());
        }
        self.fields.push(Some((name.to_owned(), value)));
        if self.places.is_empty() {
            self.find_places();
        }
    }

    fn remove(&mut self, name: &str) -> bool {
        let Some(place) = self.place(name) else { return false };
        self.places.remove(name);
        if let Some(field) = self.fields.get_mut(place) {
            *field = None;
            self.holes += 1;
        }
        // Closing the holes takes as long as all fields, so it waits until it is worth it.
        if self.holes * 2 > self.fields.len() || self.fields.len() <= MANY {
            self.fields.retain(Option::is_some);
            self.holes = 0;
            self.find_places();
        }
        true
    }

    fn find_places(&mut self) {
        self.places.clear();
        if self.fields.len() > MANY {
            let named = self.fields.iter().enumerate();
            self.places = named.filter_map(|(place, field)| Some((field.as_ref()?.0.clone(), place))).collect();
        }
    }
}

impl From<Json> for Tree {
    fn from(json: Json) -> Self {
        match json {
            Json::Array(values) => Self::List(values.into_iter().map(Self::from).collect()),
            Json::Object(fields) => {
                let mut map = Map::default();
                fields.into_iter().for_each(|(name, value)| map.set(&name, value.into()));
                Self::Map(map)
            }
            leaf => Self::Leaf(leaf),
        }
    }
}

impl Tree {
    /// The JSON of it.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Leaf(json) => json.clone(),
            Self::List(values) => Json::Array(values.iter().map(Self::to_json).collect()),
            Self::Map(map) => {
                Json::Object(map.iter().map(|(name, value)| (name.to_owned(), value.to_json())).collect())
            }
        }
    }

    /// What stands at a path.
    pub fn at(&self, path: &Path) -> Option<&Self> {
        path.0.iter().try_fold(self, |tree, segment| tree.child(segment))
    }

    fn child(&self, segment: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(segment),
            Self::List(values) => values.get(segment.parse::<usize>().ok()?),
            Self::Leaf(_) => None,
        }
    }

    fn child_mut(&mut self, segment: &str) -> Option<&mut Self> {
        match self {
            Self::Map(map) => map.get_mut(segment),
            Self::List(values) => values.get_mut(segment.parse::<usize>().ok()?),
            Self::Leaf(_) => None,
        }
    }

    /// The operation that leads back to this value after another one; none if that one doesn't fit.
    pub fn undo(&self, Operation { path, change }: &Operation) -> Option<Operation> {
        let Some((last, parents)) = path.0.split_last() else {
            return Some(Operation { path: path.clone(), change: Change::Replace(self.clone()) });
        };
        let parent = self.at(&Path(parents.to_vec()))?;
        let old = parent.child(last).cloned();
        let mut path = path.clone();
        let undo = match (parent, change, old) {
            (Self::Leaf(_), ..) => return None,
            (Self::List(values), Change::Add(_), _) => {
                if last == "-"
                    && let Some(last) = path.0.last_mut()
                {
                    *last = values.len().to_string();
                }
                Change::Remove
            }
            (Self::Map(_), Change::Add(_), None) => Change::Remove,
            (_, Change::Remove, old) => Change::Add(old?),
            (_, Change::Add(_) | Change::Replace(_), old) => Change::Replace(old?),
        };
        Some(Operation { path, change: undo })
    }

    /// Applies an operation of a patch. False if it doesn't fit.
    pub fn apply(&mut self, operation: Operation) -> bool {
        let Operation { path, change } = operation;
        let Some((last, parents)) = path.0.split_last() else {
            return match change {
                Change::Add(value) | Change::Replace(value) => {
                    *self = value;
                    true
                }
                Change::Remove => false,
            };
        };
        let parent = parents.iter().try_fold(self, |tree, segment| tree.child_mut(segment));
        match (parent, change) {
            (Some(Self::Map(map)), Change::Add(value)) => {
                map.set(last, value);
                true
            }
            (Some(Self::Map(map)), Change::Remove) => map.remove(last),
            (Some(Self::List(values)), Change::Add(value)) => {
                let at = if last == "-" { Some(values.len()) } else { last.parse().ok() };
                at.filter(|at| *at <= values.len()).map(|at| values.insert(at, value)).is_some()
            }
            (Some(Self::List(values)), Change::Remove) => {
                last.parse().ok().filter(|at| *at < values.len()).map(|at: usize| values.remove(at)).is_some()
            }
            (Some(tree), Change::Replace(value)) => tree.child_mut(last).map(|old| *old = value).is_some(),
            (None | Some(Self::Leaf(_)), _) => false,
        }
    }
}

/// A path in a document, as a JSON Pointer (RFC 6901) says it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Path(
    /// Its segments, without escapes.
    pub Vec<String>,
);

impl Path {
    /// Reads a pointer; the slash at its beginning may be missing.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('/').unwrap_or(text);
        if text.is_empty() {
            return Self::default();
        }
        Self(text.split('/').map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect())
    }

    /// Whether one of them leads through the other.
    pub fn touches(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(one, other)| one == other)
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|segment| write!(f, "/{}", segment.replace('~', "~0").replace('/', "~1")))
    }
}

/// One operation of a patch (RFC 6902).
#[derive(Debug, Clone)]
pub struct Operation {
    /// Where.
    pub path: Path,
    /// What.
    pub change: Change,
}

/// What an operation does.
#[derive(Debug, Clone)]
pub enum Change {
    /// It adds this value.
    Add(Tree),
    /// It puts this value in the place of another.
    Replace(Tree),
    /// It removes a value.
    Remove,
}

impl Operation {
    /// The JSON of it.
    pub fn to_json(&self) -> Json {
        let (op, value) = match &self.change {
            Change::Add(value) => ("add", Some(value)),
            Change::Replace(value) => ("replace", Some(value)),
            Change::Remove => ("remove", None),
        };
        let mut fields =
            vec![("op".to_owned(), Json::text(op)), ("path".to_owned(), Json::text(&self.path.to_string()))];
        fields.extend(value.map(|value| ("value".to_owned(), value.to_json())));
        Json::Object(fields)
    }

    /// Reads one.
    pub fn of(json: &Json) -> Option<Self> {
        let path = Path::parse(json.get("path")?.as_str()?);
        let value = || json.get("value").map(|value| Tree::from(value.clone()));
        let change = match json.get("op")?.as_str()? {
            "add" => Change::Add(value()?),
            "replace" => Change::Replace(value()?),
            "remove" => Change::Remove,
            _ => return None,
        };
        Some(Self { path, change })
    }
}
