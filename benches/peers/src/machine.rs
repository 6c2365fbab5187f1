//! What was measured, and on what: the machine, and the versions of everybody.

use crate::report::Table;
use std::process::Command;
use std::time::SystemTime;

/// What a program was built with.
pub struct Build {
    /// Its lock file.
    pub lock: &'static str,
    /// Whose versions are told.
    pub peers: &'static [&'static str],
    /// Who brings a SQLite.
    pub sqlite_of: &'static str,
    /// And which one.
    pub sqlite: String,
}

/// Everything that one has to know to make sense of the figures.
pub fn table(build: &Build) -> Table {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let rows = vec![
        row("date", humantime::format_rfc3339_seconds(SystemTime::now()).to_string()),
        row("commit", said("git", &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"])),
        row(
            "processor",
            format!("{}, {} cores", processor(), std::thread::available_parallelism().map_or(1, Into::into)),
        ),
        row("memory", memory()),
        row("system", said("uname", &["-sr"])),
        row("disk", said("df", &["--output=source,fstype", &crate::workshop().to_string_lossy()])),
        row("compiler", said("rustc", &["--version"])),
        row(&format!("SQLite in {}", build.sqlite_of), build.sqlite.clone()),
        row("versions", versions(build)),
    ];
    Table { name: String::new(), heads: vec![String::new(); 2], rows }
}

/// The last line that a program prints.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let words: Vec<_> = text.lines().last().unwrap_or("unknown").split_whitespace().collect();
    words.join(" ")
}

/// What follows a name in a file of the system.
fn entry(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn processor() -> String {
    entry("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into())
}

fn memory() -> String {
    let kibibytes = entry("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    kibibytes.map_or("unknown".into(), |kibibytes| format!("{} GiB", kibibytes >> 20))
}

/// From the lock file that this program was built with.
fn versions(build: &Build) -> String {
    let packages = build.lock.split("[[package]]").filter_map(|package| {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
            Some(line.trim_matches('"'))
        };
        Some((field("name")?, field("version")?))
    });
    let peers: Vec<_> = packages.filter(|(name, _)| build.peers.contains(name)).collect();
    peers.iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ")
}
