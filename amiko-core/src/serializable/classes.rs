//! What a program says of its classes, for those who look into its files without having them: what is secret, which phases
//! follow which, and what a machine may be sent.
//!
//! Invariant: a name that is secret in one class is hidden in all of them, so that nothing has to be known of a value but where
//! it stands, and what was secret once stays so.

use super::marks::{ClassField, KIND, Marks, is_secret};
use super::{Json, ReadError};
use std::collections::BTreeSet;
use std::fmt;

/// What stands in the place of a secret.
const HIDDEN: &str = "(secret)";

/// The classes of a node, as far as those need to know them who haven't got them.
///
/// A [`Directory`](crate::store::Directory) keeps it in the file `classes.json`.
///
/// ```
/// use amiko_core::serializable::Json;
/// use amiko_core::prelude::*;
///
/// #[derive(Clone, Default, Serializable, Node)]
/// #[amiko(machine)]
/// struct Safe { code: Secret<u32>, owner: String }
///
/// #[derive(Clone, Serializable)]
/// struct Lock { code: Secret<u32> }
///
/// impl StateMachine for Safe {
///     type Node = Self;
///     type Message = Lock;
///     fn handle(&mut self, lock: Lock, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
///         self.code = lock.code;
///         Ok(())
///     }
/// }
///
/// let classes = amiko_core::tree::classes_of_node::<Safe>();
/// let mut record = Json::parse(r#"{"seq":1,"cause":{"message":{"_class":"Lock","code":1234}},
///     "patch":[{"op":"replace","path":"/state/code","value":1234}]}"#)?;
/// classes.hide(&mut record);
/// assert!(!record.to_string().contains("1234"));
/// # Ok::<(), amiko_core::ReadError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Classes(Marks);

/// Why a text isn't a description of classes.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClassesError {
    /// It isn't JSON.
    Read(ReadError),
    /// It is JSON of another form.
    Form {
        /// What was expected.
        expected: &'static str,
    },
}

impl fmt::Display for ClassesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::Form { expected } => {
                write!(
                    f,
                    "expected {expected}, found something else: remove the file, and the next start writes it anew"
                )
            }
        }
    }
}

impl std::error::Error for ClassesError {}

/// The class of what is remembered of a command that acts once. Its reply is secret, whatever it is.
const ANSWER: &str = "Answer";

/// Whether a name is that of a position.
fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the name of a class ends here.
fn ends(ty: &str, at: usize) -> bool {
    ty.get(at..).is_none_or(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_' || next == ':'))
}

impl Classes {
    pub(crate) fn new(marks: Marks) -> Self {
        let mut classes = Self(marks);
        classes.hide_positions();
        classes
    }

    /// A number is no name: a class with a secret at a position is hidden as a whole wherever it is a field.
    fn hide_positions(&mut self) {
        let is_position = |field: &ClassField| is_number(&field.name) && field.ty.as_deref().is_some_and(is_secret);
        let mut hidden: BTreeSet<&str> = BTreeSet::new();
        for (name, fields) in &self.0.classes {
            if fields.iter().any(is_position) {
                hidden.insert(name);
                // The class of a variant is that of the enum, where it is a field.
                hidden.extend(name.rsplit_once("::").map(|(of, _)| of));
            }
        }
        let called: Vec<String> = hidden.iter().map(|name| format!("class {name}")).collect();
        let has =
            |ty: &str| called.iter().any(|called| ty.match_indices(called).any(|(at, _)| ends(ty, at + called.len())));
        let mut found = BTreeSet::new();
        for (name, fields) in &self.0.classes {
            let of = format!("class {name}::");
            let fields = fields.iter().filter(|field| {
                field.ty.as_deref().is_some_and(|ty| !ty.starts_with(&of) && has(ty)) && !is_number(&field.name)
            });
            found.extend(fields.map(|field| field.name.clone()));
        }
        self.0.secrets.extend(found);
    }

    /// Whether anything is secret.
    pub fn has_secrets(&self) -> bool {
        !self.0.secrets.is_empty()
    }

    /// The fields, or the variants, of a class; none if there is no such class.
    pub fn class_named(&self, name: &str) -> Option<&[ClassField]> {
        self.0.classes.get(name).map(Vec::as_slice)
    }

    /// All classes by name.
    pub fn classes(&self) -> impl Iterator<Item = (&str, &[ClassField])> {
        self.0.classes.iter().map(|(name, fields)| (name.as_str(), fields.as_slice()))
    }

    /// The kinds of machines, and the types of what each may be sent.
    pub fn machines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.machines.iter().map(|(kind, message)| (kind.as_str(), message.as_str()))
    }

    /// The kind of the objects in the tables of this name; none if there is no such table.
    pub fn kind_of(&self, table: &str) -> Option<&str> {
        self.tables().find(|(name, _)| *name == table).map(|(_, kind)| kind)
    }

    /// All tables, and the kinds of their objects.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.0.classes.values().flatten();
        fields.filter_map(|field| {
            let (table, kind) = field.ty.as_deref()?.rsplit_once(KIND)?;
            table.starts_with("table of ").then_some((field.name.as_str(), kind))
        })
    }

    /// The names that are secret.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.secrets.iter().map(String::as_str)
    }

    /// Whether what has this name is secret.
    pub fn is_secret(&self, name: &str) -> bool {
        !is_number(name) && self.0.secrets.contains(name)
    }

    /// Hides each secret in a document, in a record, or in a part of either.
    pub fn hide(&self, json: &mut Json) {
        let is_record = matches!(json.get("patch"), Some(Json::Array(_))) && json.get("cause").is_some();
        let is_document = json.get("state").is_some() && json.get("timers").is_some();
        match json {
            // What frames a record or a document has names of its own.
            Json::Object(members) if is_record || is_document => {
                for (name, value) in members {
                    match value {
                        Json::Array(patch) if is_record && name == "patch" => self.hide_patch(patch),
                        value => self.hide_below(value),
                    }
                }
            }
            other => self.hide_below(other),
        }
    }

    /// Hides each secret in the operations of a patch (RFC 6902). One that changes something inside of a secret becomes one that
    /// replaces it.
    pub fn hide_patch(&self, patch: &mut [Json]) {
        for operation in patch {
            let path = operation.get("path").and_then(Json::as_str).unwrap_or_default().to_owned();
            let shown = self.shown_path(&path);
            if shown.len() < path.len() {
                let fields = [("op", "replace"), ("path", shown), ("value", HIDDEN)];
                let fields = fields.map(|(name, value)| (name.to_owned(), Json::text(value)));
                *operation = Json::Object(fields.to_vec());
            } else if let Some(value) = operation.get_mut("value") {
                self.hide_at(&path, value);
            }
        }
    }

    /// As much of a path (a JSON Pointer, RFC 6901) of a document as isn't inside of a secret.
    pub fn shown_path<'p>(&self, path: &'p str) -> &'p str {
        let mut end = 0;
        for (at, segment) in path.split('/').enumerate() {
            end += segment.len() + usize::from(at > 0);
            // The first one is empty, and the second a part of the document, which has a name of its own.
            if at > 1 && self.is_secret(&segment.replace("~1", "/").replace("~0", "~")) {
                break;
            }
        }
        path.get(..end).unwrap_or(path)
    }

    /// Hides each secret in what stands at a path (a JSON Pointer, RFC 6901) of a document; all of it, if it is inside one.
    pub fn hide_at(&self, path: &str, value: &mut Json) {
        let is_inside =
            path.split('/').skip(2).any(|segment| self.is_secret(&segment.replace("~1", "/").replace("~0", "~")));
        if is_inside {
            *value = Json::text(HIDDEN);
        } else if path.is_empty() {
            self.hide(value);
        } else {
            self.hide_below(value);
        }
    }

    /// A JSON that was read isn't nested deeper than a reader allows.
    fn hide_below(&self, json: &mut Json) {
        match json {
            Json::Object(fields) => {
                let class = fields.first().filter(|(name, _)| name == "_class").and_then(|(_, class)| class.as_str());
                let (is_object, is_answer) = (class.is_some(), class == Some(ANSWER));
                for (name, value) in fields {
                    let at_position = is_object && is_number(name) && self.0.secrets.contains(name);
                    if self.is_secret(name) || at_position || (is_answer && name == "reply") {
                        *value = Json::text(HIDDEN);
                    } else {
                        self.hide_below(value);
                    }
                }
            }
            Json::Array(values) => values.iter_mut().for_each(|value| self.hide_below(value)),
            _ => {}
        }
    }

    /// Adds what another program, or an earlier version of this one, says of classes that this one doesn't have. Its secrets
    /// are hidden too.
    pub fn merge(&mut self, other: Self) {
        for (name, fields) in other.0.classes {
            self.0.classes.entry(name).or_insert(fields);
        }
        for (kind, message) in other.0.machines {
            self.0.machines.entry(kind).or_insert(message);
        }
        self.0.secrets.extend(other.0.secrets);
    }

    /// Reads what [`Classes::to_text`] has written.
    ///
    /// # Errors
    /// It is something else.
    pub fn parse(text: &str) -> Result<Self, ClassesError> {
        let json = Json::parse(text).map_err(ClassesError::Read)?;
        let members = |name: &'static str| match json.get(name) {
            Some(Json::Object(fields)) => Ok(fields.as_slice()),
            _ => Err(ClassesError::Form { expected: "an object with `secrets`, `machines` and `classes`" }),
        };
        let mut classes = Self::default();
        for (name, fields) in members("classes")? {
            let Json::Object(fields) = fields else { return Err(ClassesError::Form { expected: "a class" }) };
            let fields: Option<_> = fields.iter().map(|(name, said)| ClassField::parse(name, said)).collect();
            classes.0.class(name, fields.ok_or(ClassesError::Form { expected: "a field" })?);
        }
        for (kind, message) in members("machines")? {
            let message = message.as_str().ok_or(ClassesError::Form { expected: "the type of a message" })?;
            classes.0.machine(kind, message, "");
        }
        let Some(Json::Array(secrets)) = json.get("secrets") else {
            return Err(ClassesError::Form { expected: "an array `secrets`" });
        };
        for secret in secrets {
            let name = secret.as_str().ok_or(ClassesError::Form { expected: "the name of a secret" })?;
            classes.0.secrets.insert(name.to_owned());
        }
        classes.hide_positions();
        Ok(classes)
    }

    /// The text for people and programs: one JSON document.
    pub fn to_text(&self) -> String {
        let object = |fields: Vec<(String, Json)>| Json::Object(fields);
        let classes = self.0.classes.iter().map(|(name, fields)| {
            (name.clone(), object(fields.iter().map(|field| (field.name.clone(), field.to_json())).collect()))
        });
        let machines = self.0.machines.iter().map(|(kind, message)| (kind.clone(), Json::text(message)));
        let json = object(vec![
            ("secrets".to_owned(), Json::Array(self.0.secrets.iter().map(|name| Json::text(name)).collect())),
            ("machines".to_owned(), object(machines.collect())),
            ("classes".to_owned(), object(classes.collect())),
        ]);
        json.to_pretty().unwrap_or_else(|_| json.to_string()) + "\n"
    }
}

impl ClassField {
    fn to_json(&self) -> Json {
        let texts = |texts: &[String]| Json::Array(texts.iter().map(|text| Json::text(text)).collect());
        match (&self.ty, &self.next) {
            (None, Some(next)) if self.remarks.is_empty() => texts(next),
            (ty, Some(next)) => {
                let ty = ty.as_ref().map(|ty| ("type".to_owned(), Json::text(ty)));
                let remarks = (!self.remarks.is_empty()).then(|| ("remarks".to_owned(), texts(&self.remarks)));
                Json::Object(ty.into_iter().chain([("next".to_owned(), texts(next))]).chain(remarks).collect())
            }
            (Some(ty), None) => Json::text(ty),
            (None, None) => Json::Null,
        }
    }

    fn parse(name: &str, said: &Json) -> Option<Self> {
        let texts = |json: &Json| match json {
            Json::Array(texts) => texts.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>(),
            _ => None,
        };
        match said {
            Json::String(_) => Some(Self::new(name, said.as_str())),
            Json::Array(_) => Some(Self { next: Some(texts(said)?), ..Self::new(name, None) }),
            Json::Object(_) => {
                let ty = said.get("type").map(Json::as_str);
                let field = Self::new(name, ty.map_or(Some(None), |ty| ty.map(Some))?);
                let remarks = said.get("remarks").map_or(Some(Vec::new()), texts)?;
                Some(Self { next: Some(texts(said.get("next")?)?), remarks, ..field })
            }
            Json::Null => Some(Self::new(name, None)),
            _ => None,
        }
    }
}
