//! A dry run: a form for a command, and what it would do.
//!
//! Invariant: nothing that is asked here happens.

use super::Answers;
use super::values::short;
use crate::live::Rehearsed;
use crate::reading::{Operation, long};
use crate::timeline::Timeline;
use amiko_core::serializable::{Classes, Json};
use maud::{Markup, html};

/// Operations that are shown.
const SHOWN: usize = 200;

/// How deep an example of a message goes.
const DEEP: usize = 4;

/// The form.
pub(super) fn form(timeline: &Timeline, answers: &Answers) -> Markup {
    let classes = timeline.classes();
    let examples: Vec<(String, String, String)> = classes
        .machines()
        .flat_map(|(kind, message)| {
            examples(classes, message).into_iter().map(|(class, json)| (kind.to_owned(), class, json))
        })
        .collect();
    html! {
        h2 { "Dry run" }
        @if !answers.live {
            p { "A directory can't try a command: that takes the program." }
        } @else {
            p { "What a command would do if it came now. Nothing happens, and nothing leaves." }
            form #dry-run {
                label { "Message "
                    select #example {
                        @for (kind, class, json) in &examples {
                            option data-kind=(kind) data-message=(json) { (short(kind, 40)) " · " (short(class, 60)) }
                        }
                    }
                }
                label { "Kind " input name="kind" value=(examples.first().map_or("", |(kind, ..)| kind)) list="kinds" required; }
                datalist #kinds { @for (kind, _) in classes.machines() { option value=(kind) {} } }
                label { "Key " input name="id" placeholder="none for the node itself"; }
                label { "Message, as JSON " textarea name="message" rows="8" spellcheck="false" { (examples.first().map_or("", |(_, _, json)| json)) } }
                button { "Try" }
            }
            div #outcome role="status" {}
        }
    }
}

/// What a command would do.
pub(crate) fn outcome(classes: &Classes, outcome: &Result<Rehearsed, String>) -> Markup {
    let Rehearsed { difference, outputs } = match outcome {
        Ok(rehearsed) => rehearsed,
        Err(reason) => {
            return html! { h3 { "It would be rejected" } p.rejected { (short(reason, 4_000)) } };
        }
    };
    let mut patch = match Json::parse(difference) {
        Ok(Json::Array(patch)) => patch,
        _ => Vec::new(),
    };
    classes.hide_patch(&mut patch);
    html! {
        h3 { "It would change" }
        @if patch.is_empty() { p { "Nothing." } }
        ul.patch { @for operation in patch.iter().filter_map(Operation::of).take(SHOWN) { li { code { (short(&long(&operation), 400)) } } } }
        @if patch.len() > SHOWN { p.about { (patch.len() - SHOWN) " more" } }
        h3 { "It would send" }
        @if outputs.is_empty() { p { "Nothing." } }
        ul { @for output in outputs.iter().take(SHOWN) { li { (short(output, 200)) } } }
    }
}

/// An example of each message of a type.
fn examples(classes: &Classes, ty: &str) -> Vec<(String, String)> {
    let Some(class) = ty.strip_prefix("class ") else {
        return vec![(ty.to_owned(), example(classes, ty, DEEP).to_string())];
    };
    let fields = classes.class_named(class).unwrap_or_default();
    let prefix = format!("class {class}::");
    let is_enum = fields.iter().any(|field| field.ty.as_deref().is_none_or(|ty| ty.starts_with(&prefix)));
    if !is_enum {
        return vec![(class.to_owned(), pretty(&object(classes, class, class, DEEP)))];
    }
    let variants = fields.iter().map(|field| {
        let json = match field.ty.as_deref() {
            Some(ty) if ty.starts_with(&prefix) => object(classes, ty.trim_start_matches("class "), &field.name, DEEP),
            Some(ty) => Json::Object(vec![(field.name.clone(), example(classes, ty, DEEP))]),
            None => Json::Object(vec![("_class".into(), Json::text(&field.name))]),
        };
        (field.name.clone(), pretty(&json))
    });
    variants.collect()
}

fn pretty(json: &Json) -> String {
    json.to_pretty().unwrap_or_else(|_| json.to_string())
}

fn object(classes: &Classes, class: &str, called: &str, depth: usize) -> Json {
    let mut fields = vec![("_class".to_owned(), Json::text(called))];
    for field in classes.class_named(class).unwrap_or_default() {
        fields.push((
            field.name.clone(),
            example(classes, field.ty.as_deref().unwrap_or_default(), depth.saturating_sub(1)),
        ));
    }
    Json::Object(fields)
}

/// A value of a type, as an example.
fn example(classes: &Classes, ty: &str, depth: usize) -> Json {
    let ty = ty.trim_start_matches("secret ").trim_start_matches("phase of ");
    if ty.ends_with(" or null") {
        return Json::Null;
    }
    if let Some(class) = ty.strip_prefix("class ") {
        let fields = classes.class_named(class).unwrap_or_default();
        return match fields.first() {
            Some(first) if first.ty.is_none() => Json::text(&first.name),
            _ if depth == 0 => Json::Null,
            _ => object(classes, class, class, depth),
        };
    }
    if ty.starts_with("unsigned") || ty.starts_with("integer") || ty == "number" || ty == "time" {
        return Json::integer(0_u8);
    }
    if ty == "true or false" {
        return Json::Bool(false);
    }
    if ["list of ", "set of ", "tuple of "].iter().any(|begin| ty.starts_with(begin)) {
        return Json::Array(Vec::new());
    }
    if ["map of ", "table of "].iter().any(|begin| ty.starts_with(begin)) {
        return Json::Object(Vec::new());
    }
    Json::text("")
}
