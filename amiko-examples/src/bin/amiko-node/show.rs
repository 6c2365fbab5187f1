//! What commands print for people: in 80 columns where a table can be made to fit.

use crate::client::unexpected;
use crate::control::{Answer, ChannelSummary, LinkSummary, RequestSummary, Summary};
use crate::failure::Failure;
use crate::screen;
use amiko_core::prelude::*;
use amiko_examples::payment::{Outcome, PaymentRecord, Role};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use std::cmp::Ordering;
use std::time::{Duration, UNIX_EPOCH};

/// Columns of a terminal that everybody has.
const WIDTH: usize = 80;

pub(crate) fn show(answer: Answer, json: bool) -> Result<(), Failure> {
    match answer {
        // The document is JSON already, one object per line.
        Answer::Document { text } => screen::print(screen::as_is(&text)),
        Answer::Payments { records } if json => screen::document(&records)?,
        Answer::Requests { requests } if json => screen::document(&requests)?,
        Answer::Link { summary } if json => screen::document(&summary)?,
        other if json => screen::document(&other)?,
        Answer::Done { did, link: None } | Answer::Url { did: Some(did), .. } => screen::say(screen::plain(&did)),
        Answer::Done { did, link: Some(link) } => {
            let (local, remote) = (link.local, link.remote);
            let said = format!("{did}: {local} to pay with, {remote} to receive over {}", link.name);
            screen::say(screen::plain(&said));
        }
        Answer::Url { url, did: None } => screen::say(url),
        Answer::State { summary } => show_summary(summary),
        Answer::Link { summary } => show_links(&[summary]),
        Answer::Requests { requests } => show_requests(&requests),
        Answer::Payments { records } => show_payments(&records),
        other => return Err(unexpected(&other)),
    }
    Ok(())
}

/// A QR code, two rows of it a line. What is light in it is drawn, as most terminals are dark.
pub(crate) fn draw_code(text: &str) -> Result<(), Failure> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L);
    let code = code.map_err(|error| Failure::Refused(format!("the URL has no QR code: {error}")))?;
    screen::draw(&code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build());
    Ok(())
}

/// A table that fits the width, as far as its columns of text can be shortened; numbers never are. Neither is what a row
/// begins with, since commands take it as it is: if it is long, it has a line to itself. Returns the rows as they are shown.
fn say_table(heads: &[&str], texts: &[usize], rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    /// What is left of a text at least.
    const LEAST: usize = 8;
    /// The longest name that stands beside the other columns.
    const NAME: usize = 20;
    let apart = |mut row: Vec<String>| match row.first_mut() {
        Some(name) if name.chars().count() > NAME => vec![vec![std::mem::take(name)], row],
        _ => vec![row],
    };
    let mut rows: Vec<Vec<String>> = rows.into_iter().flat_map(apart).collect();
    let width = |rows: &[Vec<String>], column: usize| {
        let rows = rows.iter().filter(|row| row.len() > 1);
        let cells = rows.filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heads.get(column).map(|head| head.chars().count())).max().unwrap_or(0)
    };
    loop {
        let widths: Vec<usize> = (0..heads.len()).map(|column| width(&rows, column)).collect();
        let total = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
        let widest = texts.iter().filter_map(|column| Some((*widths.get(*column)?, *column))).max();
        let Some((wide, column)) = widest.filter(|(wide, _)| total > WIDTH && *wide > LEAST) else { break };
        let limit = wide.saturating_sub(total - WIDTH).max(wide / 2).max(LEAST);
        for cell in rows.iter_mut().filter_map(|row| row.get_mut(column)) {
            if cell.chars().count() > limit {
                *cell = cell.chars().take(limit - 1).chain(['…']).collect();
            }
        }
        if width(&rows, column) >= wide {
            break;
        }
    }
    screen::say(screen::table(heads, &rows));
    rows
}

/// `1 timer`, `2 timers`.
fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The order in which people count: `link2` before `link10`.
fn natural(one: &str, other: &str) -> Ordering {
    let number = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (mut left, mut right) = (one, other);
    loop {
        let (digits, others) = (number(left), number(right));
        if digits > 0 && others > 0 {
            let ((first, rest), (second, last)) = (left.split_at(digits), right.split_at(others));
            let (value, against) = (first.trim_start_matches('0'), second.trim_start_matches('0'));
            match value.len().cmp(&against.len()).then_with(|| value.cmp(against)) {
                Ordering::Equal => (left, right) = (rest, last),
                unequal => return unequal,
            }
            continue;
        }
        let (mut first, mut second) = (left.chars(), right.chars());
        match (first.next(), second.next()) {
            // `a1` and `a01` are two names.
            (None, None) => return one.cmp(other),
            (left, right) if left != right => return left.cmp(&right),
            _ => (left, right) = (first.as_str(), second.as_str()),
        }
    }
}

fn show_summary(summary: Summary) {
    let Summary { mut links, mut meeting_points, .. } = summary;
    links.sort_by(|one, other| natural(&one.name, &other.name));
    meeting_points.sort_by(|one, other| natural(one, other));
    let line = |head: &str, text: &str| screen::say(format_args!("{head:<15} {}", screen::plain(text)));
    let or_none = |names: &[String]| if names.is_empty() { "none".into() } else { names.join(", ") };
    line("network", &summary.network.to_string());
    line("key", summary.key.as_deref().unwrap_or("none"));
    line("address", summary.address.as_deref().unwrap_or("none"));
    line("payout address", summary.payout_address.as_deref().unwrap_or("none"));
    line("meeting points", &or_none(&meeting_points));
    line("of other nodes", &or_none(&summary.external_meeting_points));
    let sum = |amount: fn(&LinkSummary) -> u64| links.iter().map(amount).fold(0, u64::saturating_add);
    line("to pay with", &sum(|link| link.local).to_string());
    line("to receive", &sum(|link| link.remote).to_string());
    let (transactions, timers) = (count(summary.transactions, "transaction"), count(summary.timers, "timer"));
    line("under way", &format!("{transactions}, {timers}"));
    if !links.is_empty() {
        screen::say("");
        show_links(&links);
    }
    for (head, lines) in [
        ("in conflict", &summary.conflicts),
        ("clocks", &summary.clocks),
        ("at the limit", &summary.full),
        ("payments", &summary.payments),
        ("rejected lately", &summary.rejections),
    ] {
        screen::section(head, lines);
    }
}

fn show_links(links: &[LinkSummary]) {
    let row = |link: &LinkSummary| {
        let state = match (link.conflict, link.connected, link.invited) {
            (true, ..) => "in conflict",
            (false, true, _) => "connected",
            (false, false, true) => "invited",
            (false, false, false) => "not connected",
        };
        vec![
            screen::plain(&link.name),
            state.into(),
            link.peer.as_deref().map_or("-".into(), screen::plain),
            link.local.to_string(),
            link.remote.to_string(),
            link.reserved.to_string(),
            link.unconfirmed.to_string(),
        ]
    };
    let heads = ["link", "state", "peer", "to pay", "to receive", "reserved", "unsent"];
    say_table(&heads, &[2], links.iter().map(row).collect());
    let channels: Vec<Vec<String>> = links.iter().flat_map(channel_rows).collect();
    if !channels.is_empty() {
        screen::say("");
        let heads = ["link", "channel", "class", "state", "local", "remote", "reserved", ""];
        let shown = say_table(&heads, &[2, 7], channels.clone());
        // A remark says what to do, so it is there in full.
        let cut = channels
            .iter()
            .zip(shown.iter().filter(|row| row.len() > 1))
            .filter(|(row, shown)| row.last() != shown.last());
        let in_full = cut.filter_map(|(row, _)| match &row[..] {
            [link, channel, .., remark] => Some(format!("{link} {channel}: {remark}")),
            _ => None,
        });
        screen::section("remarks", &in_full.collect::<Vec<_>>());
    }
}

fn channel_rows(link: &LinkSummary) -> Vec<Vec<String>> {
    let row = |(index, channel): (usize, &ChannelSummary)| {
        vec![
            screen::plain(&link.name),
            index.to_string(),
            screen::plain(&channel.class),
            channel.state.clone(),
            channel.local.to_string(),
            channel.remote.to_string(),
            channel.reserved.to_string(),
            screen::plain(&channel.remark),
        ]
    };
    link.channels.iter().enumerate().map(row).collect()
}

fn show_requests(requests: &[RequestSummary]) {
    if requests.is_empty() {
        return screen::say("no open requests");
    }
    let row = |request: &RequestSummary| {
        vec![
            moment(request.begun),
            request.payment.clone(),
            request.amount.to_string(),
            request.state.clone(),
            screen::plain(&request.receipt),
        ]
    };
    say_table(&["time", "payment", "amount", "state", "receipt"], &[4], requests.iter().map(row).collect());
}

/// `2026-11-22T18:56:25Z`.
pub(crate) fn moment(time: Time) -> String {
    /// The end of the year 9999, beyond which the format can't express a time.
    const LAST: u64 = 253_402_300_799;
    if time.as_secs() > LAST {
        return format!("{} s", time.as_secs());
    }
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(time.as_secs())).to_string()
}

fn show_payments(records: &[PaymentRecord]) {
    if records.is_empty() {
        return screen::say("no payments");
    }
    let row = |record: &PaymentRecord| {
        let receipt = screen::plain(&record.receipt);
        let reason = screen::plain(&record.reason);
        vec![
            moment(record.ended),
            record.payment.clone(),
            match record.role {
                // The payee never said how much.
                _ if record.amount == 0 => "-".into(),
                Role::Payer => format!("-{}", record.amount),
                Role::Payee => format!("+{}", record.amount),
            },
            if record.outcome == Outcome::Committed { "committed" } else { "cancelled" }.into(),
            match (receipt.is_empty(), reason.is_empty()) {
                (false, false) => format!("{receipt}: {reason}"),
                _ => receipt + &reason,
            },
        ]
    };
    // As long as they are: this is what is looked for in a log.
    let rows: Vec<Vec<String>> = records.iter().map(row).collect();
    screen::say(screen::table(&["time", "payment", "amount", "outcome", ""], &rows));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_in_which_people_count() {
        let mut names = ["link10", "b", "link2", "link02", "link", "a10b2", "a10b10", "a9", "é"];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(names, ["a9", "a10b2", "a10b10", "b", "link", "link02", "link2", "link10", "é"]);
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|number| count(number, "timer")), ["0 timers", "1 timer", "2 timers"]);
    }
}
