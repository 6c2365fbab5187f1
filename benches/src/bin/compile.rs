//! What a derive costs the compiler, beside serde's: two crates of the same types, checked and built in turns.
//!
//! `cargo run --release -p amiko-benches --bin compile -- [PAIRS] [TYPES]`: five pairs of 400 types unless said otherwise. Half
//! of the types are structs of eight fields, half are enums of three variants, and each of them is written and read once. Both
//! crates stay in the target directory, under `compile`.

#![allow(clippy::expect_used, clippy::panic, reason = "a bench that goes wrong has no figures to give")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// One of the two that are compared.
struct Side {
    name: &'static str,
    dependencies: String,
    derives: &'static str,
    /// Writes and reads a value of this type.
    uses: fn(&str, usize) -> String,
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let (pairs, types): (usize, usize) = (arguments.next().unwrap_or(5), arguments.next().unwrap_or(400));
    let target = std::env::current_exe().expect("a program has a path");
    // The program is in `target/release`.
    let directory = target.ancestors().nth(2).expect("a target directory").join("compile");
    let sides = [amiko(), serde()];
    let crates = sides.each_ref().map(|side| write(side, types, &directory));
    for arguments in [&["check"][..], &["build", "--release"][..]] {
        // With the dependencies, and once more so that nothing is read from the disk for the first time.
        for place in crates.iter().chain(&crates) {
            run(place, arguments);
        }
        let rounds: Vec<_> = (0..pairs).map(|_| crates.each_ref().map(|place| run(place, arguments))).collect();
        println!("cargo {}, {types} types, {pairs} pairs", arguments.join(" "));
        report("seconds", &rounds, |cost| Some(cost.wall));
        report("seconds of processors", &rounds, |cost| cost.processors);
    }
}

fn amiko() -> Side {
    let core = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("amiko-core");
    Side {
        name: "amiko",
        dependencies: format!("amiko-core = {{ path = {core:?} }}\n"),
        derives: "amiko_core::Serializable",
        uses: |name, number| {
            format!(
                "pub fn write_{number}(value: &{name}) -> Option<String> {{ amiko_core::to_json(value).ok() }}\n\
                 pub fn read_{number}(text: &str) -> Option<{name}> {{ amiko_core::from_json(text).ok() }}\n"
            )
        },
    }
}

fn serde() -> Side {
    Side {
        name: "serde",
        dependencies: "serde = { version = \"1\", features = [\"derive\"] }\nserde_json = \"1\"\n".into(),
        derives: "serde::Serialize, serde::Deserialize",
        uses: |name, number| {
            format!(
                "pub fn write_{number}(value: &{name}) -> Option<String> {{ serde_json::to_string(value).ok() }}\n\
                 pub fn read_{number}(text: &str) -> Option<{name}> {{ serde_json::from_str(text).ok() }}\n"
            )
        },
    }
}

/// Writes the crate, with the versions of the workspace, and returns its folder.
fn write(side: &Side, types: usize, directory: &Path) -> PathBuf {
    let place = directory.join(side.name);
    fs::create_dir_all(place.join("src")).expect("a folder");
    let manifest = format!(
        "[package]\nname = \"compile-{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{}",
        side.name, side.dependencies
    );
    fs::write(place.join("Cargo.toml"), manifest).expect("a manifest");
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("Cargo.lock");
    fs::copy(lock, place.join("Cargo.lock")).expect("the versions");
    fs::write(place.join("src/lib.rs"), source(side, types)).expect("a source file");
    place
}

fn source(side: &Side, types: usize) -> String {
    let mut text = String::new();
    for number in 0..types / 2 {
        let (derives, structure, sum) = (side.derives, format!("Struct{number}"), format!("Enum{number}"));
        let (used_structure, used_sum) = ((side.uses)(&structure, 2 * number), (side.uses)(&sum, 2 * number + 1));
        write!(
            text,
            "#[derive(Clone, {derives})]
pub struct {structure} {{
    pub number: u64,
    pub name: String,
    pub active: bool,
    pub limit: Option<u64>,
    pub notes: Vec<String>,
    pub balance: i64,
    pub nickname: Option<String>,
    pub state: {sum},
}}

#[derive(Clone, {derives})]
pub enum {sum} {{
    Idle,
    Paid {{ amount: u64, to: String }},
    Refused {{ reason: String, code: u32 }},
}}

{used_structure}{used_sum}
"
        )
        .expect("a string takes anything");
    }
    text
}

/// What a run took.
struct Cost {
    wall: f64,
    /// Of all its processes, where the system says it: other programs on the machine change it less.
    processors: Option<f64>,
}

/// Compiles the crate, and what it depends on only if that wasn't done before.
fn run(place: &Path, arguments: &[&str]) -> Cost {
    let source = place.join("src/lib.rs");
    let text = fs::read_to_string(&source).expect("the source");
    fs::write(&source, text).expect("the source, as if it had changed");
    let (processors, began) = (of_children(), Instant::now());
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .arg("--quiet")
        .current_dir(place)
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_TARGET_DIR", place.join("target"))
        .status()
        .expect("cargo");
    assert!(status.success(), "expected cargo {arguments:?} to succeed in {}", place.display());
    let wall = began.elapsed().as_secs_f64();
    Cost { wall, processors: of_children().zip(processors).map(|(after, before)| after - before) }
}

/// The time that the processors have spent on processes which this one started and which have ended: Linux counts it in
/// hundredths of a second.
fn of_children() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which may contain anything: fields 16 and 17 of all.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(13)? + ticks(14)?) / 100.0)
}

fn report(what: &str, rounds: &[[Cost; 2]], of: fn(&Cost) -> Option<f64>) {
    let pairs: Option<Vec<_>> = rounds.iter().map(|[ours, theirs]| Some((of(ours)?, of(theirs)?))).collect();
    let Some(pairs) = pairs.filter(|pairs| !pairs.is_empty()) else { return };
    let ours = Spread::of(pairs.iter().map(|pair| pair.0));
    let theirs = Spread::of(pairs.iter().map(|pair| pair.1));
    let ratio = Spread::of(pairs.iter().map(|(ours, theirs)| ours / theirs));
    println!("  {what}: amiko {ours}, serde {theirs}, ratio of pairs {ratio}");
}

/// The middle one of several figures, and how far apart they are.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.collect();
        figures.sort_by(f64::total_cmp);
        Self { least: figures[0], median: figures[figures.len() / 2], most: figures[figures.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.least, self.most)
    }
}
