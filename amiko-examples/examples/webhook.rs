//! Webhooks: whoever has subscribed is told of each event, in order, until it has taken it; across crashes, restarts and its outages.
//!
//!     cargo run --example webhook    # against a server inside that fails at first
//!
//! For `https`, give `reqwest` its feature `rustls`.

use amiko_core::effect::{Effect, Failure, Performed, Policy};
use amiko_core::prelude::*;
use amiko_runtime::{Attempt, Handle, Performer, Runtime};
use axum::routing::post;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The longest pause that a subscriber may ask for.
const LONGEST: Duration = secs(3600);

#[derive(Clone, Default, Serializable, Node)]
#[amiko(effects(Post))]
struct Webhooks {
    #[amiko(machines)]
    subscriptions: Table<Subscription>,
}

/// A subscriber, by its URL.
#[derive(Clone, Default, Serializable)]
#[amiko(key = String)]
struct Subscription {
    events: u64,
    taken: u64,
    /// How many it will never take, and why not the last of them.
    refused: u64,
    error: Option<String>,
}

#[derive(Clone, Serializable)]
enum SubscriptionMessage {
    Tell {
        body: String,
    },
    #[amiko(performed)]
    Told {
        performed: Performed<Post>,
    },
}

/// One event for one subscriber.
#[derive(Clone, Serializable)]
struct Post {
    url: String,
    body: String,
}

impl Effect for Post {
    /// The status.
    type Outcome = u16;

    /// A subscriber hears of events in their order: the next one waits until this one is taken or given up.
    const ORDERED: bool = true;

    fn policy(&self) -> Policy {
        Policy { attempt: secs(10), total: secs(3 * 24 * 3600), ..Policy::default() }
    }
}

impl StateMachine for Subscription {
    type Node = Webhooks;
    type Message = SubscriptionMessage;

    fn handle(&mut self, message: SubscriptionMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            SubscriptionMessage::Tell { body } => {
                self.events += 1;
                let url = cx.id().key().clone();
                // A name of its own for each: two of the same name can't wait at once.
                cx.perform(&format!("event {}", self.events), Post { url, body });
            }
            SubscriptionMessage::Told { performed } => match performed.into_result() {
                Ok(_) => self.taken += 1,
                Err(error) => {
                    self.refused += 1;
                    self.error = Some(error);
                }
            },
        }
        Ok(())
    }
}

/// Posts what is to be told.
struct Http(reqwest::Client);

impl Performer<Post> for Http {
    async fn perform(&self, Post { url, body }: Post, attempt: &Attempt) -> Result<u16, Failure> {
        // The subscriber tells by the key what it has taken already: an answer that got lost, and it hears of it again.
        let request =
            self.0.post(url).header("idempotency-key", attempt.key()).header("content-type", "application/json");
        // No answer, or no connection: tried again. The URL may hold a secret, which belongs in no log.
        let response = request.body(body).send().await.map_err(reqwest::Error::without_url)?;
        let (status, pause) = (response.status(), pause(response.headers()));
        println!("attempt {}: {status}", attempt.number());
        let error = format!("expected a status of 200 to 299, found {status}");
        match (status, pause) {
            (status, _) if status.is_success() => Ok(status.as_u16()),
            (StatusCode::TOO_MANY_REQUESTS, Some(pause)) => Err(Failure::retry_after(pause, error)),
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT, _) => Err(Failure::retry(error)),
            (status, _) if status.is_server_error() => Err(Failure::retry(error)),
            // It will say the same again. That it has moved is for whoever subscribed to say.
            _ => Err(Failure::fatal(error)),
        }
    }
}

/// The pause that is asked for in seconds; a date counts as none.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(secs(seconds).min(LONGEST))
}

/// Tells a subscriber of an event, and waits until it has taken all of them, or never will.
async fn tell(webhooks: &Handle<Webhooks>, url: &str, body: &str) -> Result<Subscription, Box<dyn Error>> {
    let subscription = Id::<Subscription>::new(url);
    // On disk from here on: if this program is killed, the next one goes on.
    webhooks.send(&subscription, SubscriptionMessage::Tell { body: body.into() }).await?;
    let mut watched = webhooks.watch_object(&subscription).await;
    loop {
        let now = watched.value()?.ok_or("the subscription is gone")?;
        if now.taken + now.refused == now.events {
            println!(
                "{url}: {} taken, {} refused {}",
                now.taken,
                now.refused,
                now.error.as_deref().unwrap_or_default()
            );
            return Ok(now);
        }
        watched.changed().await?;
    }
}

/// Answers as a subscriber that is down, then busy, and then takes what it is told; and as one that is gone.
fn subscribers() -> axum::Router {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let hook = async |headers: HeaderMap, body: String| {
        println!("subscriber: {body}, key {:?}", headers.get("idempotency-key"));
        match CALLS.fetch_add(1, Ordering::Relaxed) {
            0 => (StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new()),
            1 => (StatusCode::TOO_MANY_REQUESTS, HeaderMap::from_iter([(RETRY_AFTER, 1.into())])),
            _ => (StatusCode::NO_CONTENT, HeaderMap::new()),
        }
    };
    axum::Router::new().route("/hook", post(hook)).route("/gone", post(async || StatusCode::GONE))
}

async fn demo() -> Result<[Subscription; 2], Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let [hook, gone] = ["hook", "gone"].map(|path| format!("http://{address}/{path}"));
    let server = tokio::spawn(async move { axum::serve(listener, subscribers()).await });

    let directory = tempfile::tempdir()?;
    let subscriptions = [&hook, &gone].map(|url| (Id::new(url), Subscription::default())).into_iter().collect();
    let begin = || Webhooks { subscriptions };
    let engine = Engine::open_with(Directory::open(directory.path())?, Settings::default(), begin)?;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let (webhooks, running) = Runtime::new(engine).with_performer(Http(http)).spawn();
    let told = [tell(&webhooks, &hook, r#"{"signup":"ann"}"#).await?, tell(&webhooks, &gone, "{}").await?];
    webhooks.stop();
    running.await?;
    server.abort();
    Ok(told)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    demo().await.map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use super::*;

    #[tokio::test]
    async fn a_subscriber_that_fails_is_told_again_and_one_that_refuses_is_not() {
        let told = demo().await.unwrap();
        let counts: Vec<_> = told.iter().map(|now| (now.events, now.taken, now.refused)).collect();
        assert_eq!(counts, [(1, 1, 0), (1, 0, 1)]);
        assert_eq!(told[1].error.as_deref(), Some("expected a status of 200 to 299, found 410 Gone"));
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_and_has_a_limit() {
        let asked = |text: &'static str| pause(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(asked("7"), Some(secs(7)));
        assert_eq!(asked("18446744073709551615"), Some(LONGEST));
        assert_eq!((asked("tomorrow"), asked("-1"), pause(&HeaderMap::new())), (None, None, None));
    }
}
