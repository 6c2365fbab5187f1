//! Output for people, and for programs. Invariant: no text reaches a terminal but what is printable, whoever has written it.

use crate::failure::Failure;
use crate::log::{self, Level};
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_examples::printable;
use clap::Parser;
use std::fmt::Display;
use std::io::{Error, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Why standard output took something not.
static UNWRITTEN: OnceLock<Error> = OnceLock::new();

/// Whether `--json` has printed its document.
static PRINTED: AtomicBool = AtomicBool::new(false);

/// Text on standard output. Its newlines stay; a part of it that comes from outside goes through [`plain`] first, so that
/// it can't begin a line. [`written`] says whether it got there. If the reader has gone, as `head` does, that is no error: it
/// has what it wanted.
pub(crate) fn say(text: impl Display) {
    put(&lines(&text.to_string()));
}

fn put(line: &str) {
    note(writeln!(std::io::stdout().lock(), "{line}"));
}

/// Text in which everything is printable but its newlines.
fn lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

fn note(written: Result<(), Error>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        // The first one says more than those that follow from it.
        drop(UNWRITTEN.set(error));
    }
}

/// Whether all that was said is written.
pub(crate) fn written() -> Result<(), Failure> {
    note(std::io::stdout().flush());
    match UNWRITTEN.get() {
        None => Ok(()),
        Some(error) => Err(Failure::Unwritten(format!(
            "can't write to standard output: {error}; the command itself was carried out"
        ))),
    }
}

/// The one JSON document that `--json` prints, without the names of our classes, which are internal.
pub(crate) fn document<T: Serializable>(value: &T) -> Result<(), Failure> {
    print(as_document(value)?);
    Ok(())
}

/// A value as `--json` shows it.
pub(crate) fn as_document<T: Serializable>(value: &T) -> Result<Json, Failure> {
    let text = to_json(value).map_err(Failure::refused)?;
    let mut json = Json::parse(&as_is(&text)).map_err(Failure::refused)?;
    without_classes(&mut json);
    Ok(json)
}

/// Prints the one JSON document, in which only strings can have what isn't printable.
pub(crate) fn print(document: impl Display) {
    PRINTED.store(true, Ordering::Relaxed);
    put(&printable::json(&document.to_string()));
}

/// Prints the one JSON document of a failure, unless there was one already.
pub(crate) fn print_failure(failure: &Failure) {
    if !PRINTED.load(Ordering::Relaxed) {
        print(failure.document());
    }
}

/// JSON as files have it, with each text as it is: there, a text that begins with `!` has another one, and bytes are `!x`
/// and their hex digits.
pub(crate) fn as_is(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('"') {
        let (before, string) = rest.split_at(at + 1);
        shown.push_str(before);
        let string = match string.strip_prefix('!') {
            Some(marked) => marked.strip_prefix('x').unwrap_or(marked),
            None => string,
        };
        // To the quote that ends it, which isn't behind a backslash.
        let mut escaped = false;
        let end = string.find(|character| {
            let ends = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            ends
        });
        let (text, after) = string.split_at(end.map_or(string.len(), |end| end + 1));
        shown.push_str(text);
        rest = after;
    }
    shown.push_str(rest);
    shown
}

fn without_classes(json: &mut Json) {
    match json {
        Json::Array(values) => values.iter_mut().for_each(without_classes),
        Json::Object(fields) => {
            fields.retain(|(name, _)| name != "_class");
            fields.iter_mut().for_each(|(_, value)| without_classes(value));
        }
        _ => {}
    }
}

/// A line on standard error, whatever is in it. If that can't be written, nobody is left to tell.
pub(crate) fn tell(line: impl Display) {
    drop(writeln!(std::io::stderr().lock(), "{}", plain(&line.to_string())));
}

/// Something that the user of any command should know. While a node runs, it is a line of its log.
pub(crate) fn notice(level: Level, line: impl Display) {
    if !log::tell(level, &line) {
        tell(format_args!("amiko-node: {line}"));
    }
}

/// An error message, or the last line of a log.
pub(crate) fn complain(failure: &Failure) {
    if log::tell(Level::Error, failure) {
        return;
    }
    let (start, end) = if color(std::io::stderr().is_terminal()) { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
    let failure = plain(&failure.to_string());
    drop(writeln!(std::io::stderr().lock(), "{start}amiko-node:{end} {failure}"));
}

/// What the parser of the command line says: help, the version, or an error, which repeats what was given as it was.
pub(crate) fn usage<P: Parser>(error: &clap::Error) -> Result<(), Error> {
    let given: Vec<String> = std::env::args_os().map(|given| given.to_string_lossy().into_owned()).collect();
    let shown: Vec<String> = given.iter().map(|given| plain(given)).collect();
    if shown == given {
        return error.print();
    }
    // The same mistake with what can be shown; unless it is none then.
    match P::try_parse_from(shown) {
        Err(error) => error.print(),
        Ok(_) => {
            tell(error.render());
            Ok(())
        }
    }
}

fn color(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text in bold, if standard output is a terminal that allows it.
pub(crate) fn bold(text: &str) -> String {
    if color(std::io::stdout().is_terminal()) { format!("\x1b[1;32m{text}\x1b[0m") } else { text.to_owned() }
}

/// What becomes of a part of the state.
pub(crate) enum Change {
    Added,
    Changed,
    Removed,
}

/// A line in the colour of its kind, if standard error is a terminal that allows it.
pub(crate) fn tell_change(change: &Change, line: &str) {
    let color = match change {
        Change::Added => "32",
        Change::Changed => "33",
        Change::Removed => "31",
    };
    if self::color(std::io::stderr().is_terminal()) {
        drop(writeln!(std::io::stderr().lock(), "\x1b[{color}m{}\x1b[0m", plain(line)));
    } else {
        tell(line);
    }
}

/// Text from outside, in one line of printable characters.
pub(crate) fn plain(text: &str) -> String {
    printable::plain(text)
}

/// Text of ours, which may have colours.
pub(crate) fn draw(text: &str) {
    put(text);
}

/// Asks a yes or no question; no answer is a no.
pub(crate) fn ask(question: &str) -> bool {
    answer(question).unwrap_or(false)
}

/// Asks a yes or no question; `None` if there was no answer.
pub(crate) fn answer(question: &str) -> Option<bool> {
    drop(write!(std::io::stderr(), "{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::stderr().flush().and_then(|()| std::io::stdin().read_line(&mut answer));
    match read {
        Ok(1..) => Some(matches!(answer.trim(), "y" | "Y" | "yes")),
        _ => None,
    }
}

/// Refuses to ask where nobody can answer.
pub(crate) fn expect_somebody(what: &str) -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::NotAgreed(format!("expected a terminal to ask on, found none: {what}")))
}

/// Shows the progress of a long operation: in place on a terminal, now and then elsewhere.
pub(crate) struct Progress {
    terminal: bool,
    begun: Instant,
    total: u32,
    shown: u32,
}

impl Progress {
    pub(crate) fn new(total: u32) -> Self {
        Self { terminal: std::io::stderr().is_terminal(), begun: Instant::now(), total, shown: 0 }
    }

    pub(crate) fn show(&mut self, done: u32) {
        let text = progress(done, self.total, self.begun.elapsed());
        if self.terminal {
            // What is left of a longer line is erased.
            drop(write!(std::io::stderr(), "\r{text}\x1b[K"));
        } else if done == self.total || done >= self.shown + self.total.div_ceil(10) {
            self.shown = done;
            tell(text);
        }
    }

    pub(crate) fn end(&self) {
        if self.terminal {
            tell("");
        }
    }
}

/// How far it is, how fast, and how long the rest will take.
pub(crate) fn progress(done: u32, total: u32, took: Duration) -> String {
    let rate = f64::from(done) / took.as_secs_f64().max(f64::EPSILON);
    let left = f64::from(total.saturating_sub(done)) / rate;
    let rest = if done < total && left.is_finite() { format!(", {left:.0} s left") } else { String::new() };
    format!("{done} of {total} payments, {rate:.0} a second{rest}")
}

/// Columns and lines of a terminal that everybody has.
pub(crate) const SIZE: (u16, u16) = (80, 24);

/// Refuses to draw where nothing can be drawn in the place of something else.
pub(crate) fn expect_canvas() -> Result<(), Failure> {
    let refused = |found: String| {
        let (columns, lines) = SIZE;
        Err(Failure::Refused(format!(
            "expected a terminal of {columns} columns and {lines} lines to draw on, found {found}: leave --watch out"
        )))
    };
    let screen = std::io::stdout();
    if !screen.is_terminal() {
        return refused("none".into());
    }
    if std::env::var_os("TERM").is_some_and(|kind| kind == "dumb") {
        return refused("one whose cursor can't be moved".into());
    }
    match rustix::termios::tcgetwinsize(&screen) {
        // Those that aren't real may say that they have no size.
        Ok(size) if (1..SIZE.0).contains(&size.ws_col) || (1..SIZE.1).contains(&size.ws_row) => {
            refused(format!("{} and {}", size.ws_col, size.ws_row))
        }
        _ => Ok(()),
    }
}

/// A picture on the terminal, each drawn in the place of the one before. The last one stays, with the cursor below it.
pub(crate) struct Live(Vec<String>);

impl Live {
    /// Hides the cursor, until this is dropped.
    pub(crate) fn begin() -> Self {
        Self::write("\x1b[?25l");
        Self(Vec::new())
    }

    /// Draws lines that fit the terminal, unless they are there already.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        if self.0 == lines {
            return;
        }
        let mut text = if self.0.is_empty() { String::new() } else { format!("\x1b[{}A", self.0.len()) };
        // What is left of a longer line is erased, and so are lines that aren't in this one.
        lines.iter().for_each(|line| text.push_str(&format!("{line}\x1b[K\n")));
        text.push_str("\x1b[J");
        Self::write(&text);
        self.0 = lines.to_vec();
    }

    /// What is said next stands in the picture's place.
    pub(crate) fn erase(mut self) {
        self.draw(&[]);
    }

    fn write(text: &str) {
        let mut out = std::io::stdout().lock();
        note(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        Self::write("\x1b[?25h");
    }
}

/// Lines under a heading; nothing if there are none.
pub(crate) fn section(head: &str, lines: &[String]) {
    if !lines.is_empty() {
        say(format_args!("\n{head}"));
        lines.iter().for_each(|line| say(format_args!("  {}", plain(line))));
    }
}

/// Columns as wide as their widest cell, each cell in one line of printable characters. A row of one cell is a line, and
/// no column is as wide as that.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let width = |column: usize| {
        let rows = rows.iter().filter(|row| row.len() > 1);
        let cells = rows.filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heads.get(column).map(|head| head.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(heads.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_a_text_its_lines_are_ours() {
        assert_eq!(lines("a\u{1b}[2J\n\u{202e}b\r\n"), "a\\u{1b}[2J\n\\u{202e}b\\r\n");
        let rows = vec![vec!["a\nFORGED".into(), "\u{200b}".into()], vec!["b".into(), "c\u{9b}\t".into()]];
        let expected = "name       what\na\\nFORGED  \\u{200b}\nb          c\\u{9b}\\t";
        assert_eq!(table(&["name", "what"], &rows), expected);
    }

    #[test]
    fn progress_says_how_fast_it_is_and_what_is_left() {
        assert_eq!(progress(0, 9, Duration::from_secs(1)), "0 of 9 payments, 0 a second");
        assert_eq!(progress(50, 200, Duration::from_secs(2)), "50 of 200 payments, 25 a second, 6 s left");
        assert_eq!(progress(200, 200, Duration::from_secs(8)), "200 of 200 payments, 25 a second");
    }

    #[test]
    fn texts_are_shown_as_they_are() {
        for (kept, shown) in [
            (r#"{"a":"!!hurry"}"#, r#"{"a":"!hurry"}"#),
            (r#"{"a":"!x00ff","b":"!!x00"}"#, r#"{"a":"00ff","b":"!x00"}"#),
            (r#"{"!!k":["a\"!!b","\\","!!\\"],"n":1}"#, r#"{"!k":["a\"!!b","\\","!\\"],"n":1}"#),
            ("[]", "[]"),
            (r#"{"a":"hurry!!","b":"!!"}"#, r#"{"a":"hurry!!","b":"!"}"#),
        ] {
            assert_eq!(as_is(kept), shown);
        }
    }
}
