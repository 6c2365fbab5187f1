//! The commands that talk to a running node.

use crate::arguments::{Arguments, Command, Link, MeetingPoint};
use crate::control::{
    self, Answer, ChannelSummary, Conversation, LinkSummary, MAX_ANSWER, MAX_QUESTION, Question, Summary,
};
use crate::failure::Failure;
use crate::owner;
use crate::screen;
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_examples::payment::{LinkUrl, Outcome, PaymentRecord, Role};
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};
use tokio::net::UnixStream;

pub(crate) async fn command(command: &Command, directory: &Path, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let json = arguments.json;
    if let Command::Pay { yes: false, .. } = command {
        screen::expect_somebody("nothing was paid, and the request stands; --yes agrees beforehand")?;
    }
    let question = question(command, json)?;
    expect_short(&question)?;
    let mut conversation = connect(directory).await?;
    if let Command::Pay { yes, .. } = command {
        return pay(&mut conversation, &question, *yes, json).await;
    }
    let answer = ask(&mut conversation, &question).await?;
    show(answer, json)?;
    Ok(ExitCode::SUCCESS)
}

/// A question that the node wouldn't take isn't sent, so that the user learns which part of it is too long.
fn expect_short(question: &Question) -> Result<(), Failure> {
    let text = to_json(question).map_err(Failure::refused)?;
    let length = text.len() + 1;
    if u64::try_from(length).is_ok_and(|length| length < MAX_QUESTION) {
        return Ok(());
    }
    let fields = match Json::parse(&text) {
        Ok(Json::Object(fields)) => fields,
        _ => Vec::new(),
    };
    let longest = fields.iter().map(|(name, value)| (value.to_string().len(), name)).max();
    let longest = longest.map_or(String::new(), |(length, name)| format!(", {length} of them in its {name}"));
    Err(Failure::Refused(format!("expected a command of less than {MAX_QUESTION} bytes, found {length}{longest}")))
}

fn question(command: &Command, json: bool) -> Result<Question, Failure> {
    let link = |name: &String| Id::new(name.clone());
    let url = |to: &Option<String>| {
        let url = to.as_deref().map(str::parse::<LinkUrl>).transpose();
        url.map_err(|error| Failure::Usage(error.to_string()))
    };
    Ok(match command {
        Command::Link(Link::Add { name, to }) => Question::AddLink { name: link(name), to: url(to)? },
        Command::Link(Link::Renew { name, to }) => Question::RenewLink { link: link(name), to: url(to)? },
        Command::Link(Link::Reconcile { name }) => Question::Reconcile { link: link(name) },
        Command::Link(Link::Accept { name, classes }) => {
            Question::Accept { link: link(name), classes: classes.iter().cloned().collect() }
        }
        Command::MeetingPoint(MeetingPoint::Add { name }) => Question::AddMeetingPoint { name: Id::new(name.clone()) },
        Command::Deposit { link: name, amount, class } => {
            Question::Deposit { link: link(name), class: class.clone(), amount: *amount }
        }
        Command::Withdraw { link: name, channel } => Question::Withdraw { link: link(name), channel: *channel },
        Command::Request { amount, receipt, via } => {
            Question::Request { amount: *amount, receipt: receipt.clone(), via: via.as_ref().map(link) }
        }
        Command::Pay { url, via, .. } => Question::Pay { url: url.clone(), via: via.as_ref().map(link) },
        Command::Payments => Question::Payments,
        _ if json => Question::Document,
        _ => Question::List,
    })
}

async fn connect(directory: &Path) -> Result<Conversation, Failure> {
    let path = control::socket(directory);
    match UnixStream::connect(&path).await {
        Ok(stream) => {
            owner::check_peer(&stream, &path)?;
            Ok(Conversation::new(stream))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Failure::Denied(format!(
            "permission denied: {} belongs to another user: be that user, or name another directory with --dir",
            directory.display()
        ))),
        Err(error) => Err(Failure::NotRunning(format!(
            "no node runs on {} ({error}): start it with `amiko-node run --dir {0}`",
            directory.display()
        ))),
    }
}

async fn ask(conversation: &mut Conversation, question: &Question) -> Result<Answer, Failure> {
    conversation.say(question).await.map_err(lost)?;
    hear(conversation).await
}

async fn hear(conversation: &mut Conversation) -> Result<Answer, Failure> {
    match conversation.hear(MAX_ANSWER).await.map_err(lost)? {
        Some(Answer::Refused { reason }) => Err(Failure::Refused(reason)),
        Some(answer) => Ok(answer),
        None => Err(stopped()),
    }
}

fn lost(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => stopped(),
        _ => Failure::system(error),
    }
}

fn stopped() -> Failure {
    Failure::Stopped("the node stopped before it answered: start it again".into())
}

async fn pay(conversation: &mut Conversation, question: &Question, yes: bool, json: bool) -> Result<ExitCode, Failure> {
    let mut answer = ask(conversation, question).await?;
    if let Answer::Receipt { amount, receipt, .. } = &answer {
        let what = if receipt.is_empty() { String::new() } else { format!(" for {receipt:?}") };
        screen::tell(format_args!("pay {amount}{what}"));
        let Some(agreed) = (if yes { Some(true) } else { screen::answer("pay it?") }) else {
            let text = "nobody agreed, and the request stands: `pay` asks again, until it expires";
            return Err(Failure::NotAgreed(text.into()));
        };
        answer = ask(conversation, if agreed { &Question::Agree } else { &Question::Refuse }).await?;
    }
    let Answer::Ended { record } = answer else { return Err(unexpected(&answer)) };
    if record.outcome == Outcome::Cancelled {
        let text = format!("the payment was cancelled: {}; nothing was paid", record.reason);
        return Err(Failure::Cancelled(text).beside(screen::as_document(&record)?));
    }
    if json {
        screen::document(&record)?;
    } else {
        let took = (record.ended - record.begun).as_millis();
        screen::say(format_args!("paid {} in {took} ms", record.amount));
    }
    Ok(ExitCode::SUCCESS)
}

fn unexpected(answer: &Answer) -> Failure {
    Failure::Refused(format!("expected another answer of the node, found {}", answer.class().unwrap_or("none")))
}

fn show(answer: Answer, json: bool) -> Result<(), Failure> {
    match answer {
        // The document is JSON already, one object per line.
        Answer::Document { text } => screen::print(screen::as_is(&text)),
        Answer::Payments { records } if json => screen::document(&records)?,
        other if json => screen::document(&other)?,
        Answer::Done => screen::say("done"),
        Answer::Url { url } => screen::say(screen::plain(&url)),
        Answer::State { summary } => show_summary(&summary),
        Answer::Payments { records } => show_payments(&records),
        other => return Err(unexpected(&other)),
    }
    Ok(())
}

fn show_summary(summary: &Summary) {
    screen::say(format_args!("network          {}", summary.network));
    screen::say(format_args!("key              {}", screen::plain(summary.key.as_deref().unwrap_or("none"))));
    let or_none = |names: &[String]| if names.is_empty() { "none".into() } else { screen::plain(&names.join(", ")) };
    screen::say(format_args!("address          {}", screen::plain(summary.address.as_deref().unwrap_or("none"))));
    screen::say(format_args!("meeting points   {}", or_none(&summary.meeting_points)));
    screen::say(format_args!("of other nodes   {}", or_none(&summary.external_meeting_points)));
    screen::say(format_args!("under way        {} transactions, {} timers", summary.transactions, summary.timers));
    let rows: Vec<Vec<String>> = summary
        .links
        .iter()
        .map(|link| {
            vec![
                screen::plain(&link.name),
                match (link.conflict, link.connected, link.invited) {
                    (true, ..) => "in conflict",
                    (false, true, _) => "connected",
                    (false, false, true) => "invited",
                    (false, false, false) => "not connected",
                }
                .into(),
                link.peer.as_deref().map_or("-".into(), screen::plain),
                link.channels.len().to_string(),
                link.local.to_string(),
                link.remote.to_string(),
                link.reserved.to_string(),
                link.unconfirmed.to_string(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let heads = ["link", "state", "peer", "channels", "local", "remote", "reserved", "unconfirmed"];
        screen::say(format_args!("\n{}", screen::table(&heads, &rows)));
    }
    let channels: Vec<Vec<String>> = summary.links.iter().flat_map(channel_rows).collect();
    if !channels.is_empty() {
        let heads = ["link", "channel", "class", "state", "local", "remote", "reserved", ""];
        screen::say(format_args!("\n{}", screen::table(&heads, &channels)));
    }
    for (head, lines) in
        [("in conflict", &summary.conflicts), ("payments", &summary.payments), ("rejected lately", &summary.rejections)]
    {
        screen::section(head, lines);
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
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| {
            vec![
                moment(record.ended),
                record.payment.clone(),
                if record.role == Role::Payer { format!("-{}", record.amount) } else { format!("+{}", record.amount) },
                record.outcome.class().unwrap_or_default().into(),
                screen::plain(if record.reason.is_empty() { &record.receipt } else { &record.reason }),
            ]
        })
        .collect();
    if rows.is_empty() {
        screen::say("no payments");
    } else {
        screen::say(screen::table(&["time", "payment", "amount", "outcome", ""], &rows));
    }
}
