//! What was rejected, by reason.
//!
//! Invariant: the reasons that occurred last stand first.

use super::Answers;
use super::values::short;
use crate::ask::{Ask, Filter};
use crate::reading::{Record, time};
use crate::timeline::Timeline;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Rejected events that are looked at.
const LOOKED_AT: usize = 1_000;

/// The page of all rejections.
pub(super) fn rejections(timeline: &Timeline, ask: &Ask, answers: &Answers) -> Markup {
    let wanted = Ask { filter: Filter { rejected: true, ..Filter::default() }, ..ask.clone() };
    let (records, _) = super::frame::found(timeline, &wanted, u64::MAX, LOOKED_AT);
    let mut reasons: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in &records {
        reasons.entry(record.rejected.as_deref().unwrap_or_default()).or_default().push(record);
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, records)| std::cmp::Reverse(records.first().map_or(0, |record| record.version)));
    html! {
        h2 { "Rejections" }
        @if answers.live {
            h3 { "Of the running node" }
            p.about { "Commands that are rejected change nothing, and are kept in memory." }
            @if answers.rejections.is_empty() { p { "None." } }
            ul {
                @for refused in &answers.rejections {
                    li {
                        span.time { (time(refused.time)) } " at version " (refused.version) ": "
                        span.rejected { (short(&refused.reason, 500)) }
                        @if !refused.chain.is_empty() { " " span.about { "(" (short(&refused.chain.join(" → "), 300)) ")" } }
                    }
                }
            }
        }
        h3 { "In the journal" }
        @if reasons.is_empty() { p { "None." } }
        @for (reason, records) in &reasons {
            details {
                summary { span.rejected { (short(reason, 300)) } " " span.about { (records.len()) " times" } }
                ul {
                    @for record in records.iter().take(20) {
                        li { a href=(ask.event(record.version)) { "version " (record.version) } " " (time(record.time)) " " (short(&record.why(), 120)) }
                    }
                }
            }
        }
    }
}
