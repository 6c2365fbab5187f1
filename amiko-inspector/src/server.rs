//! The router: who may ask, and for what.
//!
//! Invariant: nothing of the node leaves without its token, nor to a browser that was led here by another site; and no method
//! changes anything.

use crate::ask::{Ask, LONGEST, Page};
use crate::pages::{self, Answers};
use crate::settings::Settings;
use crate::shared::Shared;
use amiko_core::serializable::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::WatchStream;

/// How long a browser waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// Bytes of a command that is tried.
const COMMAND: usize = 1 << 20;

/// What every answer says to a browser: it loads nothing from elsewhere, runs no text of a page, and tells nobody.
const POLICY: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let inside = Router::new()
        .route("/-/frame", get(frame))
        .route("/-/live", get(live))
        .route("/-/dry-run", post(dry_run))
        .layer(DefaultBodyLimit::max(COMMAND))
        .layer(from_fn_with_state(Arc::clone(&shared), known));
    Router::new()
        .route("/-/inspector.js", get(|| asset("text/javascript; charset=utf-8", include_str!("assets/inspector.js"))))
        .route("/-/inspector.css", get(|| asset("text/css; charset=utf-8", include_str!("assets/inspector.css"))))
        .route("/-/{*rest}", any(|| async { refused(StatusCode::NOT_FOUND, "there is nothing here") }))
        .fallback(get(shell))
        .merge(inside)
        .layer(from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}

async fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// A name and perhaps a port: whether it is the loopback, or one of those that were allowed.
fn is_allowed(settings: &Settings, host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    ["localhost", "127.0.0.1", "::1"].contains(&name)
        || settings.hosts.iter().any(|known| known == name || known == host)
}

fn allow(settings: &Settings, request: &Request) -> Result<(), (StatusCode, &'static str)> {
    let text = |name: HeaderName| request.headers().get(name).map(HeaderValue::to_str);
    let host = match text(header::HOST) {
        Some(host) => host.unwrap_or_default(),
        None => request.uri().host().unwrap_or_default(),
    };
    if !is_allowed(settings, host) {
        let why = "expected the name of the loopback, or one of `Settings::hosts`";
        return Err((StatusCode::MISDIRECTED_REQUEST, why));
    }
    let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, host)| is_allowed(settings, host));
    match text(header::ORIGIN) {
        None => Ok(()),
        Some(Ok(origin)) if is_own(origin) => Ok(()),
        Some(_) => Err((StatusCode::FORBIDDEN, "expected a request of this page, found one of another site")),
    }
}

/// Refuses those who come by another name, which a site could have given to this address, or from another site.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match allow(&shared.settings, &request) {
        Ok(()) => next.run(request).await,
        Err((status, why)) => refused(status, why),
    };
    for (name, value) in POLICY {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Refuses those who don't know the token.
async fn known(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = given.and_then(|value| value.strip_prefix("Bearer "));
    if token.is_some_and(|token| shared.settings.token.is(token)) {
        return next.run(request).await;
    }
    refused(StatusCode::UNAUTHORIZED, "expected the token of this node, found none, or another")
}

async fn shell(State(shared): State<Arc<Shared>>) -> Response {
    html(pages::shell(&shared.settings.base).into_string())
}

fn html(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

/// The parts of the page whose address is in the query.
async fn frame(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let address = uri.query().unwrap_or_default();
    if address.len() > LONGEST {
        return refused(StatusCode::URI_TOO_LONG, "expected a shorter address");
    }
    // `path=…` comes first, and is the address as the browser shows it, without an escape of its own.
    let Some(address) = address.strip_prefix("path=") else {
        return refused(StatusCode::BAD_REQUEST, "expected a path");
    };
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let path = path.strip_prefix(shared.settings.base.as_str()).unwrap_or(path);
    let ask = Ask::parse(&shared.settings.base, path, query);
    let Ok(Ok(turn)) = timeout(TURN, Arc::clone(&shared.pages).acquire_owned()).await else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "too many pages at once: try again");
    };
    let answers = answers(&shared, &ask).await;
    let looked = Arc::clone(&shared);
    let page = tokio::task::spawn_blocking(move || {
        // A browser that has given up frees no place: the page is still being made.
        let _turn = turn;
        looked.look(|timeline| pages::frame(timeline, &ask, &answers)).unwrap_or_else(|reason| pages::notice(&reason))
    });
    match page.await {
        Ok(page) => html(page.into_string()),
        Err(_) => refused(StatusCode::INTERNAL_SERVER_ERROR, "the page can't be made"),
    }
}

/// Asks the node what a page needs to know of it.
async fn answers(shared: &Arc<Shared>, ask: &Ask) -> Answers {
    let mut answers = Answers { live: shared.live.is_some(), trouble: shared.trouble(), ..Answers::default() };
    if let (Page::Health, Some(path)) = (&ask.page, &shared.settings.directory) {
        answers.files = crate::directory::files(path);
    }
    let Some(live) = &shared.live else { return answers };
    match ask.page {
        Page::Event(version) => answers.deliveries = live.deliveries(version).await,
        Page::Rejections => answers.rejections = live.rejections().await,
        Page::Health => {
            answers.connected = live.connected().await;
            answers.syncs = live.sync_times();
            answers.lease = live.lease().await;
        }
        Page::Outside => {
            answers.connected = live.connected().await;
            answers.effects = live.effects().await;
        }
        Page::Tree(_) | Page::Object(_) | Page::DryRun | Page::Unknown => {}
    }
    answers
}

/// Tells a browser the newest version, as often as it takes it, and no version twice.
async fn live(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(place) = Arc::clone(&shared.followers).try_acquire_owned() else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "too many browsers follow this node");
    };
    let events = WatchStream::new(shared.newest.subscribe()).map(move |newest| {
        let _place = &place;
        Ok::<Event, Infallible>(Event::default().data(newest.to_string()))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// What a command would do.
async fn dry_run(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    // A site can't send this type without asking first, which nobody here answers.
    let is_json =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !is_json {
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "expected JSON");
    }
    let Some(live) = &shared.live else {
        return refused(StatusCode::CONFLICT, "a directory can't try a command: that takes the program");
    };
    let Ok(Ok(_turn)) = timeout(TURN, shared.pages.acquire()).await else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "too many pages at once: try again");
    };
    let text = String::from_utf8_lossy(&body).into_owned();
    let outcome = match Json::parse(&text) {
        Ok(_) => live.dry_run(text).await,
        Err(error) => Err(error.to_string()),
    };
    // A node that runs says itself what is secret.
    let classes = shared.classes.clone().unwrap_or_default();
    let page = pages::outcome(&classes, &outcome).into_string();
    let mut response = Response::new(Body::from(page));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}
