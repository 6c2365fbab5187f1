//! `docs/node.md` says of each command what `--help` says. `AMIKO_BLESS=1` writes it anew.

#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;
use std::fmt::Write;
use std::process::Command;

const BEGIN: &str = "<!-- written by `cargo test -p amiko-examples --test manual` -->\n";
const END: &str = "<!-- end -->\n";

fn prints(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_amiko-node")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A help text, taken apart.
struct Help {
    about: String,
    usage: String,
    /// Sections with their rows: what stands there, and what it means.
    sections: Vec<(String, Vec<(String, String)>)>,
}

impl Help {
    fn of(command: &[&str]) -> Self {
        let text = prints(&[command, &["--help"]].concat());
        let mut lines = text.lines();
        let about = lines.by_ref().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        let (mut usage, mut sections) = (String::new(), Vec::<(String, Vec<(String, String)>)>::new());
        for line in lines {
            if let Some(found) = line.strip_prefix("Usage: amiko-node ") {
                usage = found.to_owned();
            } else if let Some(head) = line.strip_suffix(':').filter(|head| !head.starts_with(' ')) {
                sections.push((head.to_owned(), Vec::new()));
            } else if let (Some(row), Some((_, rows))) = (line.strip_prefix("  "), sections.last_mut()) {
                let (what, meaning) = row.trim_start().split_once("  ").unwrap_or((row.trim_start(), ""));
                rows.push((what.to_owned(), meaning.trim_start().to_owned()));
            }
        }
        Self { about, usage, sections }
    }

    fn rows(&self, section: &str) -> &[(String, String)] {
        self.sections.iter().find(|(head, _)| head == section).map_or(&[], |(_, rows)| rows)
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn describe(command: &[&str], global: &[(String, String)], out: &mut String) {
    let help = Help::of(command);
    let commands: Vec<&str> = help.rows("Commands").iter().map(|(name, _)| name.as_str()).collect();
    if commands.is_empty() || command == ["man"] {
        writeln!(out, "\n#### `{}`\n\n{}.", help.usage.replace(" [OPTIONS]", ""), help.about).unwrap();
        let options =
            help.rows("Options").iter().filter(|(option, _)| !global.iter().any(|(known, _)| known == option));
        let rows: Vec<_> = help.rows("Arguments").iter().chain(options).collect();
        if !rows.is_empty() {
            out.push_str("\n| | |\n|---|---|\n");
        }
        for (what, meaning) in rows {
            writeln!(out, "| `{}` | {} |", cell(what), cell(meaning)).unwrap();
        }
    }
    for name in commands.into_iter().filter(|name| *name != "help") {
        describe(&[command, &[name]].concat(), global, out);
    }
}

#[test]
fn the_documentation_says_of_each_command_what_its_help_says() {
    let all = Help::of(&[]);
    // Each command has these, and `-V` is the whole program's.
    let global: Vec<_> = all.rows("Options").to_vec();
    let mut expected = String::from("\n| option of every command | |\n|---|---|\n");
    for (option, meaning) in global.iter().filter(|(option, _)| option.starts_with("--")) {
        writeln!(expected, "| `{}` | {} |", cell(option), cell(meaning)).unwrap();
    }
    describe(&[], &global, &mut expected);
    expected.push('\n');

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/node.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("AMIKO_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert!(found == expected, "docs/node.md isn't what --help says; AMIKO_BLESS=1 writes it: {expected}");
    }
    // What people are told to type is there.
    for line in page.lines().filter_map(|line| line.trim_start().strip_prefix("amiko-node ")) {
        let command =
            line.split_whitespace().find(|word| !word.starts_with("--") && !["a", "b"].contains(word)).unwrap();
        assert!(expected.contains(&format!("#### `{command}")), "{line}");
    }
}

#[test]
fn shells_complete_and_man_shows_each_command() {
    for (shell, words) in [
        ("bash", "_amiko__node()"),
        ("zsh", "#compdef amiko-node"),
        ("fish", "complete -c amiko-node"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = prints(&["completions", shell]);
        assert!(script.contains(words) && script.contains("meeting-point"), "{shell}: {script}");
    }
    let page = prints(&["man"]);
    assert!(page.contains(".TH amiko-node 1") && page.contains("Exit codes:"), "{page}");
    assert!(prints(&["man", "link", "add"]).contains("amiko\\-node link add"));
    let document: Value = serde_json::from_str(&prints(&["man", "--json"])).unwrap();
    assert_eq!(document["text"].as_str().unwrap().trim_end(), page.trim_end());
    let unknown = Command::new(env!("CARGO_BIN_EXE_amiko-node")).args(["man", "lynx"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("expected one of the commands demo, run, link"));
}
