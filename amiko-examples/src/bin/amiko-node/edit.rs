//! Changing the state of a stopped node by hand.
//!
//! Invariant: no work of the user is lost: a file whose changes weren't committed is kept, and named.

use crate::arguments::Edit;
use crate::failure::{Failure, chain};
use crate::{owner, run, screen};
use amiko_core::engine::EditError;
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_examples::payment::{Network, PaymentNode};
use screen::Change;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::SystemTime;

/// Characters of a value that are shown.
const SHOWN: usize = 120;

pub(crate) fn edit(arguments: &Edit, directory: &Path, json: bool) -> Result<ExitCode, Failure> {
    owner::check_directory(directory)?;
    let mut engine =
        run::open_store(Directory::open_existing(directory), directory, Network::default(), Settings::default())?;
    expect_somebody(arguments)?;
    let present = Json::parse(&engine.document().map_err(Failure::refused)?).map_err(Failure::refused)?;
    let mut draft = Draft::new(directory, arguments.from.as_deref(), &present)?;
    let patch = match take(&mut engine, &draft, &present, arguments.yes, json) {
        Ok(patch) => patch,
        // An unchanged file, or one that is gone, isn't worth keeping.
        Err(reason) if draft.is_untouched() => {
            draft.done = true;
            return Err(Failure::Refused(format!("{reason}; nothing was changed")));
        }
        Err(reason) => {
            return Err(Failure::Refused(format!(
                "{reason}; nothing was changed: edit it again with `amiko-node edit --dir {} --from {}`",
                directory.display(),
                draft.path.display()
            )));
        }
    };
    engine.sync().map_err(|error| {
        let reason = chain(&error);
        Failure::Refused(format!(
            "{reason}; whether the change is on disk isn't known: it is kept in {}",
            draft.path.display()
        ))
    })?;
    draft.done = true;
    let version = engine.version().0;
    let changed = patch != Json::Array(Vec::new());
    if json {
        screen::print(Json::Object(vec![("version".into(), Json::integer(version)), ("patch".into(), patch)]));
    } else if changed {
        screen::say(format_args!("committed as version {version}"));
    } else {
        screen::say(format_args!("nothing was changed: version {version}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets the user edit the draft, and commits the result. Returns the difference, as a JSON Patch.
fn take(
    engine: &mut Engine<PaymentNode>,
    draft: &Draft,
    present: &Json,
    yes: bool,
    json: bool,
) -> Result<Json, String> {
    open_editor(&draft.path, json)?;
    let text = draft.read()?;
    let mut patch = Ok(Json::Array(Vec::new()));
    let mut agreed = true;
    let committed = engine.edit(&text, SystemTime::now().into(), |difference| {
        patch = Json::parse(difference).map_err(|error| error.to_string());
        patch.iter().for_each(|patch| show(patch, present));
        agreed = patch.is_ok() && (yes || screen::ask("commit this change?"));
        agreed
    });
    committed.map_err(|error| refusal(&error, &draft.path))?;
    let patch = patch?;
    if agreed { Ok(patch) } else { Err("nobody agreed to the change".into()) }
}

/// Without a terminal nobody sees the changes and agrees, and `vi` would wait for good; an editor that is a script, with
/// --yes, needs none.
fn expect_somebody(arguments: &Edit) -> Result<(), Failure> {
    let named = ["VISUAL", "EDITOR"].iter().any(|name| std::env::var_os(name).is_some_and(|editor| !editor.is_empty()));
    if arguments.yes && named {
        return Ok(());
    }
    screen::expect_somebody("nothing was changed; $EDITOR names an editor that needs none, and --yes agrees beforehand")
}

/// Why an edit wasn't accepted, with the place in the file in the format of compilers, so that editors find it.
fn refusal(error: &EditError, path: &Path) -> String {
    match error {
        EditError::Read(read) => {
            let (place, reason) = (read.place(), read.reason());
            let (line, column, byte) = (place.line, place.column, place.byte);
            format!("{}:{line}:{column} (byte {byte}): {}", path.display(), reason)
        }
        other => chain(other),
    }
}

/// The user's editor, which may have arguments.
fn open_editor(path: &Path, json: bool) -> Result<(), String> {
    let named = |name: &str| std::env::var_os(name).filter(|editor| !editor.is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| "vi".into());
    let mut line = editor.clone();
    line.push(" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).arg(&editor).arg(path);
    if json {
        // Standard output is reserved for the one document.
        command.stdout(Stdio::from(io::stderr()));
    }
    let name = editor.to_string_lossy();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(format!("expected the editor {name} to end well, found {status}; $VISUAL or $EDITOR says which"))
        }
        Err(error) => Err(format!("cannot start the editor {name}: {error}; $VISUAL or $EDITOR says which")),
    }
}

/// The file that is edited. It may contain secrets, so only its owner may read it.
struct Draft {
    path: PathBuf,
    original: String,
    /// It is in the state directory, where nothing else would delete it.
    ours: bool,
    /// It isn't needed any more.
    done: bool,
}

impl Draft {
    const PREFIX: &'static str = "edit-";

    fn new(directory: &Path, from: Option<&Path>, present: &Json) -> Result<Self, Failure> {
        let original = present.to_pretty().map_err(Failure::refused)?;
        if let Some(path) = from {
            if let Err(error) = fs::metadata(path) {
                return Err(Failure::Refused(format!("cannot read {}: {error}", path.display())));
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let inside = path.parent().and_then(|parent| parent.canonicalize().ok()) == directory.canonicalize().ok();
            let ours = inside && name.starts_with(Self::PREFIX) && name.ends_with(".json");
            return Ok(Self { path: path.to_owned(), original, ours, done: false });
        }
        for number in 1_u64.. {
            let path = directory.join(format!("{}{number}.json", Self::PREFIX));
            let refused = |error: io::Error| Failure::Refused(format!("cannot write {}: {error}", path.display()));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(mut file) => {
                    // An incomplete file is useless.
                    let mut draft = Self { path: path.clone(), original, ours: true, done: true };
                    writeln!(file, "{}", draft.original).map_err(refused)?;
                    draft.done = false;
                    return Ok(draft);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused(error)),
            }
        }
        Err(Failure::Refused(format!("expected a name for a file in {}, found none", directory.display())))
    }

    fn read(&self) -> Result<String, String> {
        let bytes = fs::read(&self.path).map_err(|error| format!("cannot read {}: {error}", self.path.display()))?;
        String::from_utf8(bytes).map_err(|error| {
            let byte = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..byte].iter().filter(|byte| **byte == b'\n').count();
            format!("{}:{line} (byte {byte}): expected text in UTF-8, found another byte", self.path.display())
        })
    }

    fn is_untouched(&self) -> bool {
        match fs::read_to_string(&self.path) {
            Ok(text) => self.ours && text.trim_end() == self.original,
            // If the user has removed it, it isn't needed.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.done && self.ours {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Shows a JSON Patch, one operation a line.
fn show(patch: &Json, present: &Json) {
    let Json::Array(operations) = patch else { return };
    let present = Index::new(present);
    for operation in operations {
        let text = |field: &str| operation.get(field).and_then(Json::as_str).unwrap_or_default();
        let path = text("path");
        let old = present.find(path).map(short).unwrap_or_default();
        let new = operation.get("value").map(short).unwrap_or_default();
        match text("op") {
            "add" => screen::tell_change(&Change::Added, &format!("+ {path}  {new}")),
            "remove" => screen::tell_change(&Change::Removed, &format!("- {path}  {old}")),
            _ => screen::tell_change(&Change::Changed, &format!("~ {path}  {old} → {new}")),
        }
    }
}

fn short(value: &Json) -> String {
    let text = value.to_string();
    let more = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    format!("{}{more}", text.chars().take(SHOWN).collect::<String>())
}

/// A value in which others are found by their names, without looking at all that stand before them.
struct Index<'j> {
    value: &'j Json,
    /// Made when somebody looks for one of them.
    inside: OnceCell<HashMap<Cow<'j, str>, Self>>,
}

impl<'j> Index<'j> {
    const fn new(value: &'j Json) -> Self {
        Self { value, inside: OnceCell::new() }
    }

    fn inside(&self) -> &HashMap<Cow<'j, str>, Self> {
        self.inside.get_or_init(|| match self.value {
            Json::Object(fields) => fields.iter().map(|(name, value)| (name.into(), Self::new(value))).collect(),
            Json::Array(values) => {
                values.iter().enumerate().map(|(at, value)| (at.to_string().into(), Self::new(value))).collect()
            }
            _ => HashMap::new(),
        })
    }

    /// The value that a JSON Pointer (RFC 6901) refers to.
    fn find(&self, pointer: &str) -> Option<&'j Json> {
        let mut segments = pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"));
        segments.try_fold(self, |index, segment| index.inside().get(segment.as_str())).map(|index| index.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_finds_its_value() {
        let json = Json::parse(r#"{"a/b~":[1,{"":2}],"c":{"d":3}}"#).unwrap();
        let index = Index::new(&json);
        let found = |pointer: &str| index.find(pointer).map(ToString::to_string);
        assert_eq!(found(""), Some(json.to_string()));
        assert_eq!(found("/a~1b~0/0").as_deref(), Some("1"));
        assert_eq!(found("/a~1b~0/1/").as_deref(), Some("2"));
        assert_eq!(found("/c/d").as_deref(), Some("3"));
        for nothing in ["/d", "/c/d/e", "/a~1b~0/2", "/a~1b~0/00", "/a~1b~0/-"] {
            assert_eq!(found(nothing), None, "{nothing}");
        }
    }
}
