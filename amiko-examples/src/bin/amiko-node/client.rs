//! The commands that talk to a running node.

use crate::arguments::{Arguments, Command, Link, MeetingPoint};
use crate::control::{self, Answer, Conversation, MAX_ANSWER, MAX_QUESTION, Question};
use crate::failure::Failure;
use crate::owner;
use crate::{screen, show};
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_examples::payment::{LinkUrl, Outcome, PaymentUrl};
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::process::ExitCode;
use tokio::net::UnixStream;

pub(crate) async fn command(command: &Command, directory: &Path, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let json = arguments.json;
    if let Command::Pay { yes: false, .. } = command {
        screen::expect_somebody("nothing was paid, and the request stands; --yes agrees beforehand")?;
    }
    let question = question(command, json)?;
    expect_short(&question)?;
    let mut conversation = connect(directory).await?;
    conversation.verbose = arguments.verbose;
    if let Command::Pay { yes, .. } = command {
        return pay(&mut conversation, &question, *yes, json).await;
    }
    let answer = ask(&mut conversation, &question).await?;
    let drawn = match (command, &answer) {
        (Command::Request { qr: true, .. }, Answer::Url { url, .. }) if !json => Some(url.clone()),
        _ => None,
    };
    show::show(answer, json)?;
    drawn.map_or(Ok(()), |url| show::draw_code(&url))?;
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
        Command::Link(Link::Remove { name }) => Question::RemoveLink { link: link(name) },
        Command::MeetingPoint(MeetingPoint::Remove { name }) => {
            Question::RemoveMeetingPoint { name: Id::new(name.clone()) }
        }
        Command::Cancel { payment } => {
            let url = payment.parse::<PaymentUrl>().map(|url| url.payment.key().clone());
            Question::Cancel { payment: url.unwrap_or_else(|_| payment.clone()) }
        }
        Command::Requests => Question::Requests,
        Command::List { link: Some(name) } => Question::Link { link: link(name) },
        Command::MeetingPoint(MeetingPoint::Add { name }) => Question::AddMeetingPoint { name: Id::new(name.clone()) },
        Command::Deposit { link: name, amount, class } => {
            Question::Deposit { link: link(name), class: class.clone(), amount: *amount }
        }
        Command::Withdraw { link: name, channel, transaction: None } => {
            Question::Withdraw { link: link(name), channel: *channel }
        }
        Command::Withdraw { link: name, channel, transaction: Some(transaction) } => {
            Question::PayBack { link: link(name), channel: *channel, transaction: transaction.clone() }
        }
        Command::Request { amount, receipt, via, .. } => {
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
        Some(Answer::Refused { reason, details }) => {
            Err(Failure::Refused(if conversation.verbose { details } else { reason }))
        }
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

pub(crate) fn unexpected(answer: &Answer) -> Failure {
    Failure::Refused(format!("expected another answer of the node, found {}", answer.class().unwrap_or("none")))
}
