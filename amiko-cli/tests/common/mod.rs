//! Running the command, and directories for it.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs;
use std::process::{Command, Output};

pub(crate) fn amiko(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_amiko")).args(arguments).output().unwrap()
}

pub(crate) fn said(arguments: &[&str]) -> String {
    let output = amiko(arguments);
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    format!("{text}exit {}\n", output.status.code().unwrap())
}

/// A copy of the fixture, which was written by the first version of the format.
pub(crate) fn fixture() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/../amiko-core/tests/fixtures/format-1/directory");
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}
