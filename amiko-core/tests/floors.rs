//! The floors of the library: each knows only those below it.
//!
//! The list stands in ARCHITECTURE.md, from the ground up; what is checked are the imports of the sources themselves, each
//! followed through re-exports to the file that has the definition.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// Where a name of a module leads: to a definition in the module's file, or along another path.
enum Name {
    Defined,
    Alias(Vec<String>),
}

#[derive(Default)]
struct Module {
    file: PathBuf,
    names: BTreeMap<String, Name>,
}

/// The modules of the crate by their paths, and what each file mentions, with the module in which it is mentioned.
#[derive(Default)]
struct Sources {
    modules: BTreeMap<Vec<String>, Module>,
    mentions: BTreeSet<(PathBuf, Vec<String>, Vec<String>)>,
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    })
}

impl Sources {
    fn of(source: &Path) -> Self {
        let mut sources = Self::default();
        sources.folder(source, source);
        sources
    }

    fn folder(&mut self, source: &Path, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.folder(source, &path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file = path.strip_prefix(source).unwrap().to_owned();
                if !file
                    .components()
                    .any(|part| Path::new(part.as_os_str()).file_stem().is_some_and(|stem| stem == "tests"))
                {
                    let parsed = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
                    self.module(&file, module_of(&file), &parsed.items);
                }
            }
        }
    }

    fn module(&mut self, file: &Path, module: Vec<String>, items: &[Item]) {
        self.modules.entry(module.clone()).or_default().file = file.to_owned();
        for item in items {
            self.item(file, &module, item);
        }
    }

    fn item(&mut self, file: &Path, module: &[String], item: &Item) {
        let name = match item {
            Item::Mod(item) if is_test(&item.attrs) => return,
            Item::Mod(item) => {
                if let Some((_, items)) = &item.content {
                    self.module(file, [module, &[item.ident.to_string()]].concat(), items);
                }
                return;
            }
            Item::Use(item) if is_test(&item.attrs) => return,
            Item::Use(item) => return self.import(file, module, Vec::new(), &item.tree),
            Item::Struct(item) => Some(&item.ident),
            Item::Enum(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Fn(item) => Some(&item.sig.ident),
            Item::Type(item) => Some(&item.ident),
            Item::Const(item) => Some(&item.ident),
            Item::Static(item) => Some(&item.ident),
            Item::Macro(item) => item.ident.as_ref(),
            _ => None,
        };
        if let Some(name) = name {
            let names = &mut self.modules.get_mut(module).unwrap().names;
            // What a macro defines is imported under its name in the same file.
            names.insert(name.to_string(), Name::Defined);
        }
        Paths { sources: self, file, module }.visit_item(item);
    }

    fn import(&mut self, file: &Path, module: &[String], mut path: Vec<String>, tree: &UseTree) {
        let (name, last) = match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                return self.import(file, module, path, &tree.tree);
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(file, module, path.clone(), tree));
            }
            UseTree::Name(tree) => (tree.ident.to_string(), tree.ident.to_string()),
            UseTree::Rename(tree) => (tree.rename.to_string(), tree.ident.to_string()),
            // There is none but of the variants of an enum.
            UseTree::Glob(_) => {
                self.mentions.insert((file.to_owned(), module.to_vec(), path));
                return;
            }
        };
        let name = if name == "self" { path.last().unwrap().clone() } else { name };
        if last != "self" {
            path.push(last);
        }
        self.mentions.insert((file.to_owned(), module.to_vec(), path.clone()));
        let names = &mut self.modules.get_mut(module).unwrap().names;
        names.entry(name).or_insert(Name::Alias(path));
    }

    /// The file that has the definition; none for what isn't of this crate.
    fn definition(&self, from: &[String], path: &[String], depth: usize) -> Option<&Path> {
        assert!(depth < 32, "{} leads in a circle", path.join("::"));
        let mut at = from.to_vec();
        for (index, name) in path.iter().enumerate() {
            let child = [&at[..], std::slice::from_ref(name)].concat();
            match name.as_str() {
                "crate" | "amiko_core" if index == 0 => at.clear(),
                "self" if index == 0 => {}
                "super" => drop(at.pop()),
                _ if self.modules.contains_key(&child) => at = child,
                _ => {
                    let module = self.modules.get(&at)?;
                    return match module.names.get(name)? {
                        Name::Defined => Some(&module.file),
                        // Of another crate: there is no module of this name.
                        Name::Alias(to) if to[0] == *name => None,
                        Name::Alias(to) => {
                            let rest = [to, &path[index + 1..]].concat();
                            self.definition(&at, &rest, depth + 1)
                        }
                    };
                }
            }
        }
        self.modules.get(&at).map(|module| &*module.file)
    }

    /// Which file imports from which.
    fn imports(&self) -> BTreeSet<(&Path, &Path)> {
        let found = self.mentions.iter().filter_map(|(file, module, path)| {
            let to = self.definition(module, path, 0)?;
            (to != file).then_some((&**file, to))
        });
        // The two on the roof.
        found.filter(|(from, _)| !["lib.rs", "private.rs"].map(Path::new).contains(from)).collect()
    }
}

/// The paths inside of an item that name the crate or a module above.
struct Paths<'s> {
    sources: &'s mut Sources,
    file: &'s Path,
    module: &'s [String],
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 && matches!(segments[0].as_str(), "crate" | "super" | "self") {
            self.sources.mentions.insert((self.file.to_owned(), self.module.to_vec(), segments));
        }
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.sources.import(self.file, self.module, Vec::new(), &item.tree);
    }
}

/// `engine/mod.rs` is the module `engine`, and so is `engine.rs`.
fn module_of(file: &Path) -> Vec<String> {
    let mut module: Vec<_> = file.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

/// The rooms of each floor, from the ground up, as ARCHITECTURE.md lists them.
fn floors() -> Vec<Vec<String>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md")).unwrap();
    let list = text.split("```floors\n").nth(1).unwrap().split("```").next().unwrap();
    let rooms = |line: &str| line.split("  ").next().unwrap().split(' ').map(str::to_owned).collect();
    list.lines().rev().map(rooms).collect()
}

/// The files that can be reached from each other, but for a module's file and those in its own folder.
fn circles<'p>(imports: &BTreeSet<(&'p Path, &'p Path)>) -> BTreeSet<BTreeSet<&'p Path>> {
    let down = imports.iter().filter(|(from, to)| !module_of(from).starts_with(&module_of(to)));
    let mut next = BTreeMap::<&Path, Vec<&Path>>::new();
    down.for_each(|(from, to)| next.entry(from).or_default().push(to));
    let reached = |from: &'p Path| {
        let (mut found, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(file) = open.pop() {
            for to in next.get(file).into_iter().flatten() {
                if found.insert(*to) {
                    open.push(to);
                }
            }
        }
        found
    };
    let reach: BTreeMap<_, _> = next.keys().map(|file| (*file, reached(file))).collect();
    let on_circle = reach.iter().filter(|(file, reached)| reached.contains(*file));
    let circle = |(file, reached): (&&'p Path, &BTreeSet<&'p Path>)| {
        reached.iter().copied().filter(|other| reach.get(other).is_some_and(|back| back.contains(file))).collect()
    };
    on_circle.map(circle).collect()
}

#[test]
fn each_floor_knows_only_those_below_it() {
    let sources = Sources::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let (imports, floors) = (sources.imports(), floors());
    let floor = |file: &Path| {
        let room = module_of(file).swap_remove(0);
        let floor = floors.iter().position(|rooms| rooms.contains(&room));
        (floor.unwrap_or_else(|| panic!("{room}: expected it on a floor in ARCHITECTURE.md, found it on none")), room)
    };
    let upwards: Vec<_> = imports
        .iter()
        .filter(|(from, to)| {
            let ((from, room), (to, other)) = (floor(from), floor(to));
            to > from || to == from && room != other
        })
        .map(|(from, to)| format!("{} -> {}", from.display(), to.display()))
        .collect();
    let circles = circles(&imports);
    println!("{} imports: {} imports upwards, {} circles", imports.len(), upwards.len(), circles.len());
    assert!(imports.len() > 200, "expected the imports of the whole library, found {}", imports.len());
    assert!(upwards.is_empty(), "{upwards:#?}");
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn a_circle_is_found() {
    let [one, two, three] = ["a/one.rs", "a/two.rs", "a/mod.rs"].map(Path::new);
    assert!(circles(&BTreeSet::from([(one, two), (two, three), (three, one)])).is_empty());
    assert_eq!(circles(&BTreeSet::from([(one, two), (two, one)])).len(), 1);
}
