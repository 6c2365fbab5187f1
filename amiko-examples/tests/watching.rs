//! `demo --watch`: the picture of a network on a terminal, while payments pass. Real processes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod node;
mod pseudo_terminal;

use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HIDE: &str = "\u{1b}[?25l";
const SHOW: &str = "\u{1b}[?25h";
const BOLD: &str = "\u{1b}[1;32m";
const PLAIN: &str = "\u{1b}[0m";

fn demo(arguments: &[&str]) -> Command {
    let mut demo = Command::new(node::BINARY);
    demo.args(["demo", "--watch"]).args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    demo.env_remove("NO_COLOR").env("TERM", "xterm");
    demo
}

/// A demo that draws on this terminal; killed when the test ends.
struct Demo {
    process: Child,
    terminal: File,
    drawn: String,
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Demo {
    fn start(mut demo: Command) -> Self {
        let (terminal, stdout) = pseudo_terminal::open();
        let process = demo.stdout(stdout).spawn().unwrap();
        Self { process, terminal, drawn: String::new() }
    }

    /// Reads until the terminal shows this, or until nobody draws any more. What is cut through is read with the next.
    fn until(&mut self, words: &str) {
        let mut bytes = self.drawn.clone().into_bytes();
        let mut some = [0; 4096];
        while !String::from_utf8_lossy(&bytes).contains(words) {
            match self.terminal.read(&mut some) {
                // The other end of a terminal that is closed is an error.
                Ok(0) | Err(_) => break,
                Ok(length) => bytes.extend_from_slice(&some[..length]),
            }
        }
        self.drawn = String::from_utf8_lossy(&bytes).into_owned();
    }

    /// Waits for the end; gives its exit code and all that it has drawn.
    fn end(mut self) -> (Option<i32>, String) {
        self.until("\0");
        let code = self.process.wait().unwrap().code();
        (code, std::mem::take(&mut self.drawn))
    }
}

/// The pictures, each drawn over the one before, and what is said after the last one.
fn pictures(drawn: &str) -> (Vec<String>, String) {
    let (drawn, said) = drawn.split_once(HIDE).unwrap().1.split_once(SHOW).unwrap();
    let mut pictures: Vec<String> = Vec::new();
    for picture in drawn.split_inclusive("\u{1b}[J") {
        let lines = picture.matches('\n').count();
        if let Some(last) = pictures.last() {
            let up = format!("\u{1b}[{}A", last.matches('\n').count());
            assert!(picture.starts_with(&up), "{up:?} in {picture:?}");
        }
        if lines > 0 {
            assert!(lines < 24, "{picture:?}");
            let picture =
                picture.trim_start_matches(|c: char| c != 't').replace("\u{1b}[K", "").replace("\u{1b}[J", "");
            let text = picture.replace(BOLD, "").replace(PLAIN, "");
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            assert!(!text.contains('\u{1b}'), "{text:?}");
            pictures.push(picture);
        }
    }
    (pictures, said.to_owned())
}

#[test]
fn payments_light_up_the_links_that_they_use_and_move_balances() {
    let begun = Instant::now();
    let (code, drawn) = Demo::start(demo(&["--payments", "21", "--funds", "1000"])).end();
    let took = begun.elapsed();
    assert_eq!(code, Some(0), "{drawn}");
    let (pictures, said) = pictures(&drawn);
    let link = format!("[0]{BOLD}═══{PLAIN}[1]{BOLD}═══{PLAIN}[2]{BOLD}═══{PLAIN}[4]");
    assert!(pictures.iter().any(|picture| picture.contains(&link)), "{drawn}");
    assert!(pictures.iter().any(|picture| picture.contains("node0   1000    877    -123")), "{drawn}");
    assert!(pictures.iter().any(|picture| picture.contains(" of 21 payments, ")), "{drawn}");
    // A link is lit only while it is used.
    assert!(pictures.iter().any(|picture| picture.contains("[0]───[1]───[2]───[4]")), "{drawn}");
    let most = Duration::from_millis(100) * u32::try_from(pictures.len().saturating_sub(2)).unwrap();
    assert!(pictures.len() > 1 && most <= took, "{} pictures in {took:?}", pictures.len());
    // The last one stays, in the place of the others.
    assert!(said.starts_with("twelve nodes, 1000 on both sides"), "{said}");
    assert!(said.contains("node7   1000    1123   +123") && said.contains("21 of 21 payments committed"), "{said}");
}

#[test]
fn without_colours_a_link_that_is_used_has_another_shape() {
    let (code, drawn) = Demo::start({
        let mut demo = demo(&["--payments", "9"]);
        demo.env("NO_COLOR", "1");
        demo
    })
    .end();
    assert_eq!(code, Some(0), "{drawn}");
    let (pictures, _) = pictures(&drawn);
    assert!(pictures.iter().any(|picture| picture.contains("[0]═══[1]")), "{drawn}");
    assert!(!drawn.contains(BOLD), "{drawn}");
}

#[test]
fn whoever_interrupts_it_has_the_cursor_back() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut demo = Demo::start(demo(&["--payments", "1000000"]));
        demo.until(" payments, ");
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(demo.process.id().to_string()).status().unwrap();
        assert!(sent.success());
        let (ended, drawn) = demo.end();
        assert_eq!(ended, Some(code), "{drawn}");
        assert_eq!(pictures(&drawn).1, "");
    }
}

#[test]
fn where_nothing_can_be_drawn_it_is_refused_before_a_node_starts() {
    let refused = |mut demo: Command, code: i32, words: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let output = demo.arg("--dir").arg(directory.path()).stderr(Stdio::piped()).output().unwrap();
        node::fails(&output, code, words);
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    };
    refused(demo(&[]), 1, &["expected a terminal of 80 columns and 24 lines", "found none: leave --watch out"]);
    refused(demo(&["--json"]), 2, &["--watch", "--json", "leave one out"]);
    for (ws_col, ws_row, found) in [(80, 23, "found 80 and 23"), (79, 24, "found 79 and 24")] {
        let (terminal, stdout) = pseudo_terminal::open();
        tcsetwinsize(&terminal, Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let ended = demo(&[]).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        node::fails(&ended.wait_with_output().unwrap(), 1, &["of 80 columns and 24 lines", found]);
    }
    let (_terminal, stdout) = pseudo_terminal::open();
    let mut dumb = demo(&[]);
    let ended = dumb.env("TERM", "dumb").stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    node::fails(&ended.wait_with_output().unwrap(), 1, &["whose cursor can't be moved"]);
}
