//! Encrypted connections.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use amiko_postgres::{OpenError, Postgres};
use common::{database, node, quick};
use std::process::Command;

/// Names the certificates that the process trusts.
const TRUSTED: &str = "SSL_CERT_FILE";
const PART: &str = "AMIKO_TEST_TLS";

fn encrypted(url: &str) -> String {
    url.replace("sslmode=disable", "sslmode=require")
}

/// A database with a certificate that somebody vouches for, and the same one where nobody does. Who vouches is a setting of a
/// process, so each case is one of its own.
#[test]
fn a_connection_is_encrypted_or_refused() {
    let Some(url) = database() else { return };
    let Ok(certificate) = std::env::var("AMIKO_POSTGRES_CERTIFICATE") else { return };
    let run = |part: &str, trusted: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "in_a_process", "--ignored"]).env(PART, part).env(TRUSTED, trusted);
        let output = command.env("AMIKO_POSTGRES", encrypted(&url)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    run("trusted", &certificate);
    run("unknown", "/dev/null");
}

#[test]
#[ignore = "a process that the test above starts"]
fn in_a_process() {
    let opened = Postgres::open(&database().unwrap(), &node("tls"), quick());
    match (std::env::var(PART).unwrap().as_str(), opened) {
        ("trusted", Ok(_)) => {}
        ("unknown", Err(error @ OpenError::Database { .. })) => {
            let said = std::error::Error::source(&error).unwrap().to_string();
            assert!(said.contains("UnknownIssuer"), "{said}");
        }
        (part, opened) => unreachable!("{part}: {opened:?}"),
    }
}
