//! The structure of classes as text, so that a change doesn't go unnoticed.
//!
//! Invariant: two schemas have the same text exactly if each program can read the other's output.

use super::Serializable;
use super::marks::{ClassField, KIND, Marks, PHASE, SECRET};
use crate::per_type::PerType;
use sha2::{Digest, Sha256};
use std::any::TypeId;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The classes that a value can consist of.
#[derive(Debug, Default)]
pub struct Schema {
    classes: BTreeMap<String, Class>,
    /// The moves of each enum of phases: a line for each phase. They don't change what can be read, so they are no part of the text.
    moves: BTreeMap<String, Vec<String>>,
    /// One of the classes has a strong reference.
    strong: bool,
    /// What people without the classes need, if that is wanted: then types say what is secret, and tables their kinds. None of
    /// it makes a program unable to read another's output, so that the text without it is what programs compare.
    marks: Option<Marks>,
}

#[derive(Debug)]
struct Class {
    types: Vec<TypeId>,
    /// The line that names it, and one per field or variant.
    lines: Vec<String>,
}

/// Collects the fields of one class.
#[derive(Debug)]
pub struct Fields<'s> {
    /// The schema, for the classes of the fields.
    pub schema: &'s mut Schema,
    lines: Vec<String>,
    marked: Vec<ClassField>,
}

impl Fields<'_> {
    /// Adds a field with the name of its type, and whether it may be missing.
    pub fn field(&mut self, name: &str, ty: &str, optional: bool) {
        // A table may always be missing: then it is empty.
        let missing = if optional && !is_table(ty) { ", may be missing" } else { "" };
        self.lines.push(format!("  {}: {ty}{missing}", quoted(name)));
        self.marked.push(ClassField::new(name, Some(ty)));
    }

    /// Other names that the field which was added last may have in old files: they are as secret as it is.
    pub fn aliases(&mut self, names: &[&str]) {
        if let (Some(marks), Some(last)) = (&mut self.schema.marks, self.marked.last()) {
            for name in names {
                marks.beside(name, last.ty.as_deref().unwrap_or_default());
            }
        }
    }

    /// A variant without fields.
    pub fn unit(&mut self, name: &str) {
        self.lines.push(format!("  {}", quoted(name)));
        self.marked.push(ClassField::new(name, None));
    }

    /// A phase of an enum without data, the phases that may follow it, and what else people are told of it.
    pub fn phase(&mut self, name: &str, next: &[&str], remarks: &[&str]) {
        self.unit(name);
        self.mark_phase(next, remarks);
    }

    /// The same for a phase of an enum with data, and the name of the type of its data.
    pub fn phase_with(&mut self, name: &str, ty: &str, next: &[&str], remarks: &[&str]) {
        self.field(name, ty, false);
        self.mark_phase(next, remarks);
    }

    fn mark_phase(&mut self, next: &[&str], remarks: &[&str]) {
        if let Some(last) = self.marked.last_mut() {
            last.next = Some(next.iter().map(|&next| next.to_owned()).collect());
            last.remarks = remarks.iter().map(|&remark| remark.to_owned()).collect();
        }
    }
}

impl Schema {
    /// Describes a class, once; returns the name of its type in a field.
    pub fn class<T: 'static>(&mut self, name: &str, version: u32, describe: impl FnOnce(&mut Fields<'_>)) -> String {
        let mut describe = Some(describe);
        self.class_of(TypeId::of::<T>(), name, version, &mut |fields| {
            if let Some(describe) = describe.take() {
                describe(fields);
            }
        })
    }

    /// The same for the type of this ID: compiled once and not for each class, for the code that the derive writes.
    #[doc(hidden)]
    pub fn class_of(
        &mut self,
        id: TypeId,
        name: &str,
        version: u32,
        describe: &mut dyn FnMut(&mut Fields<'_>),
    ) -> String {
        let called = format!("class {}", quoted(name));
        // Entered before its fields, so that a class may contain itself.
        let class =
            self.classes.entry(name.to_owned()).or_insert_with(|| Class { types: Vec::new(), lines: Vec::new() });
        if class.types.contains(&id) {
            return called;
        }
        class.types.push(id);
        let lines = vec![format!("{called}, version {version}")];
        let mut fields = Fields { schema: self, lines, marked: Vec::new() };
        describe(&mut fields);
        let Fields { lines, marked, .. } = fields;
        let moves = marked.iter().filter_map(|field| Some((&field.name, field.next.as_ref()?)));
        let moves = moves.filter(|(_, next)| !next.is_empty());
        let moves: Vec<_> = moves.map(|(from, next)| format!("  {} -> {}", quoted(from), listed(next))).collect();
        if !moves.is_empty() {
            self.moves.insert(name.to_owned(), moves);
        }
        if let Some(marks) = &mut self.marks {
            marks.class(name, marked);
        }
        // Another type of the same name, such as the class with other parameters, is described next to the first.
        if let Some(class) = self.classes.get_mut(name).filter(|class| class.lines != lines) {
            class.lines.extend(lines);
        }
        called
    }

    /// Notes that one of the classes has a strong reference: for hand-written classes. References that aren't noted
    /// aren't checked.
    pub fn strong(&mut self) {
        self.strong = true;
    }

    /// A schema that collects what people without the classes need.
    pub(crate) fn with_marks() -> Self {
        Self { marks: Some(Marks::default()), ..Self::default() }
    }

    /// What was collected.
    pub(crate) fn into_marks(self) -> Marks {
        self.marks.unwrap_or_default()
    }

    /// The name of a type, as that of a secret.
    #[must_use]
    pub fn secret(&self, called: String) -> String {
        if self.marks.is_some() { format!("{SECRET}{called}") } else { called }
    }

    /// The name of an enum of phases, as that of a field which is in one of them.
    pub(crate) fn phase(&self, called: String) -> String {
        if self.marks.is_some() { format!("{PHASE}{called}") } else { called }
    }

    /// The name of a table, with the kind of its objects.
    pub(crate) fn kind(&self, table: String, kind: &str) -> String {
        if self.marks.is_some() { format!("{table}{KIND}{kind}") } else { table }
    }

    /// Notes what messages the machines of a kind take, and what they reply: for the code that the derive writes.
    pub fn machine(&mut self, kind: &str, message: &str, reply: &str) {
        if let Some(marks) = &mut self.marks {
            marks.machine(kind, message, reply);
        }
    }

    /// Notes the type of what stands under a name beside the state: for the code that the derive writes.
    pub fn beside(&mut self, name: &str, called: &str) {
        if let Some(marks) = &mut self.marks {
            marks.beside(name, called);
        }
    }

    /// Whether one of the classes has a strong reference.
    pub(crate) fn has_strong(&self) -> bool {
        self.strong
    }

    /// Enters a serde struct or enum.
    pub(super) fn foreign(&mut self, name: &str, lines: &[String]) {
        let name = format!("{name} of serde");
        let lines =
            [format!("class {name}, version 1")].into_iter().chain(lines.iter().map(|line| format!("  {line}")));
        self.classes.entry(name).or_insert_with(|| Class { types: Vec::new(), lines: lines.collect() });
    }

    /// Enters classes whose text only is known.
    pub(super) fn take_over(&mut self, text: &str) {
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines().chain(["class "]) {
            if let Some(first) = lines.first().filter(|_| line.starts_with("class ")).cloned() {
                let name = first.trim_start_matches("class ").rsplit_once(", version ").map_or("", |(name, _)| name);
                let lines = std::mem::take(&mut lines);
                self.classes.entry(name.to_owned()).or_insert_with(|| Class { types: Vec::new(), lines });
            }
            lines.push(line.to_owned());
        }
    }

    pub(crate) fn text(&self) -> String {
        let lines = self.classes.values().flat_map(|class| &class.lines);
        lines.fold(String::new(), |text, line| text + line + "\n")
    }

    /// What a lock has: the text, and the moves of phases.
    fn locked(&self) -> String {
        let moves = self
            .moves
            .iter()
            .flat_map(|(name, lines)| std::iter::once(format!("{MOVES}{}", quoted(name))).chain(lines.iter().cloned()));
        moves.fold(self.text(), |text, line| text + &line + "\n")
    }

    /// The names that are shared by more than one type.
    fn ambiguous(&self) -> Vec<Cow<'_, str>> {
        self.classes.iter().filter(|(_, class)| class.types.len() > 1).map(|(name, _)| quoted(name)).collect()
    }
}

/// Separators in a line that a name could be confused with: after a field, after a class, inside a type of several parts, and in a
/// move.
const SEPARATORS: [&str; 5] = [": ", ", ", " to ", " or null", " -> "];

/// Begins the line that names an enum of phases in a lock.
const MOVES: &str = "moves of ";

/// Names between commas.
fn listed(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// A name as it appears in a line: quoted and escaped, if it could be taken for anything but a name.
pub(crate) fn quoted(name: &str) -> Cow<'_, str> {
    let is_plain = !name.starts_with('"')
        && name.trim() == name
        && !name.contains(char::is_control)
        && !SEPARATORS.iter().any(|separator| name.contains(separator));
    if is_plain {
        return Cow::Borrowed(name);
    }
    let mut text = String::from('"');
    for character in name.chars() {
        match character {
            special @ ('"' | '\\') => text.extend(['\\', special]),
            control if control.is_control() => text.extend(control.escape_default()),
            other => text.push(other),
        }
    }
    text.push('"');
    Cow::Owned(text)
}

/// The name at the beginning of a line, and the rest after the separator.
fn split<'l>(line: &'l str, separator: &str) -> Option<(&'l str, &'l str)> {
    let Some(inside) = line.strip_prefix('"') else { return line.split_once(separator) };
    let mut escaped = false;
    let end = inside.find(|character| {
        let ends = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    });
    let (name, rest) = line.split_at(end? + 2);
    Some((name, rest.strip_prefix(separator)?))
}

/// The schema of a type as text: its classes sorted by name, with version and fields.
///
/// ```
/// use amiko_core::{prelude::*, serializable::schema};
///
/// #[derive(Serializable)]
/// #[amiko(version = 2, migrate = lift)]
/// struct Account { balance: u64, #[amiko(default)] notes: Vec<String> }
///
/// fn lift(from: u32, account: &mut amiko_core::serializable::Json) -> Result<(), String> {
///     if from == 1 {
///         account.rename("amount", "balance");
///     }
///     Ok(())
/// }
///
/// assert_eq!(schema::describe::<Account>(), "\
/// class Account, version 2
///   balance: unsigned integer of 64 bits
///   notes: list of text, may be missing
/// ");
/// let account: Account = from_json(r#"{"_class":"Account","amount":7}"#)?;
/// assert_eq!(account.balance, 7);
/// # Ok::<(), amiko_core::ReadError>(())
/// ```
pub fn describe<T: Serializable>() -> String {
    let mut schema = Schema::default();
    let called = T::schema(&mut schema);
    let text = schema.text();
    if text.is_empty() { called + "\n" } else { text }
}

/// The SHA-256 of the schema, in hex. It is computed once per type.
pub fn fingerprint<T: Serializable>() -> String {
    static KNOWN: PerType<String> = PerType::new();
    KNOWN.of::<T>(|| hex::encode(Sha256::digest(describe::<T>())))
}

/// Compares the schema of a type with a checked-in file: one line in a test.
///
/// ```no_run
/// # use amiko_core::{prelude::*, serializable::schema};
/// # #[derive(Serializable)] struct Bank {}
/// #[test]
/// fn old_files_still_open() {
///     schema::check::<Bank>("schema.lock").unwrap();
/// }
/// ```
///
/// # Errors
/// What changed, and what to do about it. With the environment variable `AMIKO_BLESS=1` the file is written instead.
pub fn check<T: Serializable>(lock: impl AsRef<Path>) -> Result<(), String> {
    let mut schema = Schema::default();
    T::schema(&mut schema);
    compare(&schema, lock.as_ref())
}

/// Compares a schema with its checked-in file; with `AMIKO_BLESS=1` writes the file.
pub(crate) fn compare(schema: &Schema, lock: &Path) -> Result<(), String> {
    let ambiguous = schema.ambiguous();
    if !ambiguous.is_empty() {
        return Err(format!("expected each class name once, found two types named {}", ambiguous.join(" and ")));
    }
    let text = schema.locked();
    if std::env::var_os("AMIKO_BLESS").is_some_and(|value| value == "1") {
        return std::fs::write(lock, text).map_err(|error| format!("{}: {error}", lock.display()));
    }
    let old = std::fs::read_to_string(lock)
        .map_err(|error| format!("{}: {error}; run the test with AMIKO_BLESS=1 to write it", lock.display()))?;
    if old == text { Ok(()) } else { Err(explain(&old, &text, lock)) }
}

fn is_table(ty: &str) -> bool {
    ty.starts_with("table of ")
}

fn parse(text: &str) -> BTreeMap<&str, (u32, BTreeMap<&str, &str>)> {
    let mut classes = BTreeMap::new();
    let mut current = "";
    for line in text.lines() {
        if let Some((name, version)) = line.strip_prefix("class ").and_then(|line| split(line, ", version ")) {
            current = name;
            classes.insert(name, (version.parse().unwrap_or(0), BTreeMap::new()));
        } else if line.starts_with(MOVES) {
            current = "";
        } else if let Some((_, fields)) = classes.get_mut(current) {
            let (name, ty) = split(line.trim(), ": ").unwrap_or((line.trim(), ""));
            fields.insert(name, ty);
        }
    }
    classes
}

/// The moves in a lock: an enum, a phase, and one that may follow.
fn parse_moves(text: &str) -> BTreeSet<(&str, &str, &str)> {
    let (mut moves, mut current) = (BTreeSet::new(), None);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(MOVES) {
            current = Some(name);
        } else if !line.starts_with(' ') {
            current = None;
        } else if let (Some(current), Some((from, next))) = (current, split(line.trim(), " -> ")) {
            let mut rest = next;
            while !rest.is_empty() {
                let (next, after) = split(rest, ", ").unwrap_or((rest, ""));
                moves.insert((current, from, next));
                rest = after;
            }
        }
    }
    moves
}

/// What differs, and what is needed for old files to open, and for the objects in them to go on.
fn explain(old: &str, new: &str, lock: &Path) -> String {
    let (old_moves, new_moves) = (parse_moves(old), parse_moves(new));
    let (old, new) = (parse(old), parse(new));
    let mut lines = vec![format!("the classes are no longer those of {}:", lock.display())];
    for (class, (version, fields)) in &new {
        let Some((old_version, old_fields)) = old.get(class) else {
            lines.push(format!("  {class} is new: old files don't have it, nothing is to be done"));
            continue;
        };
        let lifted = version > old_version;
        let needs = |what: String, cure: &str| {
            if lifted {
                format!("{what}: `migrate` has to lift it to version {version}")
            } else {
                format!("{what}: {cure}")
            }
        };
        for (field, ty) in fields {
            match old_fields.get(field) {
                None if ty.ends_with("may be missing") || ty.is_empty() || is_table(ty) => {
                    lines.push(format!("  {class}.{field} is new and may be missing: nothing is to be done"));
                }
                None => lines.push(needs(
                    format!("  {class}.{field} is new"),
                    "give it #[amiko(default)], or the class a new version and a migration",
                )),
                Some(was) if was != ty => lines.push(needs(
                    format!("  {class}.{field} was {was}, and is {ty}"),
                    "give the class a new version and a migration",
                )),
                Some(_) => {}
            }
        }
        for field in old_fields.keys().filter(|field| !fields.contains_key(*field)) {
            lines.push(needs(
                format!("  {class}.{field} is gone"),
                "if it was renamed, give it #[amiko(alias)]; else the class a new version and a migration",
            ));
        }
    }
    for class in old.keys().filter(|class| !new.contains_key(*class)) {
        lines
            .push(format!("  {class} is gone: old files that have it don't open; was it renamed? see #[amiko(class)]"));
    }
    for (class, from, to) in old_moves.difference(&new_moves).filter(|(class, ..)| new.contains_key(class)) {
        lines.push(format!(
            "  {class}: the move {from} -> {to} is gone: an object that is {from} in an old file can't become {to} any more"
        ));
    }
    for (class, from, to) in new_moves.difference(&old_moves) {
        lines.push(format!("  {class}: the move {from} -> {to} is new: nothing is to be done"));
    }
    lines.push("when old files open, run the test with AMIKO_BLESS=1".into());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plain_name_stands_as_it_is() {
        for name in
            ["", "Account", "meetingPoint", "Order::Take", "kebab-case", "a b", "a\\b", "a\"b", "é", "a:b", "a,b", "!"]
        {
            assert_eq!(quoted(name), name);
        }
    }

    #[test]
    fn a_name_that_could_be_more_stands_between_quotes() {
        let names = [
            ("a: text", r#""a: text""#),
            ("a, version 2", r#""a, version 2""#),
            ("a or null", r#""a or null""#),
            (" a", r#"" a""#),
            ("\"a", r#""\"a""#),
            ("a\n  b: \\", r#""a\n  b: \\""#),
            ("\0\u{7f}", r#""\u{0}\u{7f}""#),
        ];
        for (name, text) in names {
            assert_eq!(quoted(name), text);
        }
    }

    proptest! {
        #[test]
        fn a_line_is_parsed_as_what_it_was_made_of(class in "[a:, \"\\\\\n]{0,8}", field in "[a:, \"\\\\\n]{1,8}") {
            let mut schema = Schema::default();
            let called = schema.class::<u8>(&class, 3, |fields| {
                fields.field(&field, "text", true);
                fields.unit("b");
            });
            let text = schema.text();
            prop_assert_eq!(called, format!("class {}", quoted(&class)));
            let known = BTreeMap::from([(&*quoted(&field), "text, may be missing"), ("b", "")].map(|(name, ty)| (name.to_owned(), ty)));
            let parsed = parse(&text);
            let (version, fields) = &parsed[&*quoted(&class)];
            let fields: BTreeMap<_, _> = fields.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect();
            prop_assert_eq!((*version, fields), (3, known));
        }

        #[test]
        fn no_two_names_are_one_text(one in "[a: \"\\\\n\n]{0,6}", other in "[a: \"\\\\n\n]{0,6}") {
            prop_assert_eq!(quoted(&one) == quoted(&other), one == other);
        }
    }
}
