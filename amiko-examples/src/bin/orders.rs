//! A small shop as an HTTP service: orders are placed, paid and shipped, or expire after 15 minutes. With a card, an order is paid
//! through a payment service.
//!
//! ```sh
//! cargo run --bin orders -- shop/ 127.0.0.1:8080
//! curl --json '{"item":"nuts","count":2}' -H 'idempotency-key: 4711' localhost:8080/orders
//! curl -X POST localhost:8080/orders/1/pay
//! curl -N localhost:8080/orders/1/watch    # the order, whenever it has changed
//! ```
//!
//! Each request is answered when what it did is on disk. With an `idempotency-key` it may be sent again.
//!
//! ```sh
//! cargo run --bin payments -- charges.jsonl 127.0.0.1:8090 --lose 50    # charges, but half of its answers get lost
//! cargo run --bin orders -- shop/ --payments http://127.0.0.1:8090
//! curl --json '{"item":"nuts","count":2,"card":"4711"}' localhost:8080/orders
//! ```
//!
//! A card is charged once, whichever of the two is killed meanwhile.

use amiko_core::effect::{Effect, Failure, Performed, Policy};
use amiko_core::prelude::*;
use amiko_runtime::{Attempt, Handle, Performer, Runtime, SendError};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio_stream::{Stream, StreamExt};

/// What each piece costs, in cents.
const PRICE: u64 = 250;

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, reply = u64, effects(Charge))]
struct Shop {
    #[amiko(machines)]
    items: Table<Item>,
    #[amiko(machines)]
    orders: Table<Order>,
    placed: u64,
}

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Item {
    stock: u64,
}

#[derive(Clone, Serializable)]
#[amiko(key = u64)]
struct Order {
    item: Id<Item>,
    count: u64,
    phase: Phase<OrderPhase>,
    /// What the payment service said: the receipt, or why it refused.
    answer: Option<String>,
}

/// The phases of an order.
///
/// ```mermaid
/// stateDiagram-v2
///     [*] --> Placed
///     Placed : after 15 minutes, Expire
///     Placed --> Charging
///     Placed --> Paid
///     Placed --> Expired
///     Charging --> Charged
///     Charging --> Refused
///     Charged --> Shipped
///     Paid --> Shipped
///     Shipped --> [*]
///     Expired --> [*]
///     Refused --> [*]
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serializable, Phases)]
#[amiko(machine = Order)]
enum OrderPhase {
    #[amiko(next(Charging, Paid, Expired), after(minutes = 15, send = Expire))]
    Placed,
    /// Nobody else pays for it now, and it can't expire: the card may have been charged already.
    #[amiko(next(Charged, Refused))]
    Charging,
    #[amiko(next(Shipped))]
    Charged,
    #[amiko(next(Shipped))]
    Paid,
    Shipped,
    Expired,
    Refused,
}

#[derive(Clone, Serializable)]
enum ShopMessage {
    /// Replies the number of the order.
    Place { item: Id<Item>, count: u64, card: Option<String> },
}

#[derive(Clone, Serializable)]
enum ItemMessage {
    Take { count: u64 },
    PutBack { count: u64 },
}

#[derive(Clone, Serializable)]
enum OrderMessage {
    Charge {
        charge: Charge,
    },
    Pay,
    #[amiko(performed)]
    Charged {
        performed: Performed<Charge>,
    },
    Ship,
    Expire,
}

/// The money for an order, by the payment service's name of a card.
#[derive(Clone, Serializable)]
struct Charge {
    order: u64,
    card: String,
    cents: u64,
}

impl Effect for Charge {
    /// The receipt.
    type Outcome = String;

    /// Only a refusal ends it: whether a charge that wasn't answered has happened, nobody knows.
    fn policy(&self) -> Policy {
        let (first, limit) = (Duration::from_millis(50), secs(2));
        Policy { first, limit, attempt: secs(2), total: Duration::MAX, ..Policy::default() }
    }
}

/// Why an order is refused: the caller gets it back by its type.
#[derive(Debug)]
enum Refusal {
    NoSuchItem,
    Shortage { available: u64 },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchItem => f.write_str("the shop doesn't have this item"),
            Self::Shortage { available } => write!(f, "only {available} are left"),
        }
    }
}

impl Error for Refusal {}

impl StateMachine for Shop {
    type Node = Self;
    type Message = ShopMessage;

    fn handle(&mut self, message: ShopMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let ShopMessage::Place { item, count, card } = message;
        if !self.items.contains(&item) {
            return Err(Refusal::NoSuchItem.into());
        }
        self.placed += 1;
        let order = Id::<Order>::new(self.placed);
        cx.send(&item, ItemMessage::Take { count });
        let phase = cx.begin_phase(&order);
        cx.create(&order, Order { item, count, phase, answer: None });
        let cents = count.saturating_mul(PRICE);
        if let Some(card) = card {
            cx.send(&order, OrderMessage::Charge { charge: Charge { order: self.placed, card, cents } });
        }
        cx.reply(self.placed);
        Ok(())
    }
}

impl StateMachine for Item {
    type Node = Shop;
    type Message = ItemMessage;

    fn handle(&mut self, message: ItemMessage, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            ItemMessage::Take { count } => {
                self.stock = self.stock.checked_sub(count).ok_or(Refusal::Shortage { available: self.stock })?;
            }
            ItemMessage::PutBack { count } => self.stock += count,
        }
        Ok(())
    }
}

impl StateMachine for Order {
    type Node = Shop;
    type Message = OrderMessage;

    fn handle(&mut self, message: OrderMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            // In the event that takes the stock: if there isn't enough, nothing is charged.
            OrderMessage::Charge { charge } => {
                self.enter(OrderPhase::Charging, cx)?;
                cx.perform("charge", charge);
            }
            OrderMessage::Charged { performed } => match performed.into_result() {
                Ok(receipt) => {
                    self.enter(OrderPhase::Charged, cx)?;
                    self.answer = Some(receipt);
                }
                Err(refusal) => {
                    self.enter(OrderPhase::Refused, cx)?;
                    self.answer = Some(refusal);
                    cx.send(&self.item, ItemMessage::PutBack { count: self.count });
                }
            },
            OrderMessage::Pay => self.enter(OrderPhase::Paid, cx)?,
            OrderMessage::Ship => self.enter(OrderPhase::Shipped, cx)?,
            OrderMessage::Expire => {
                self.enter(OrderPhase::Expired, cx)?;
                cx.send(&self.item, ItemMessage::PutBack { count: self.count });
            }
        }
        Ok(())
    }
}

/// A new shop.
fn stocked() -> Shop {
    Shop { items: [(Id::new("nuts"), Item { stock: 1_000_000 })].into_iter().collect(), ..Shop::default() }
}

/// The payment service, at this URL.
struct Payments(reqwest::Client, String);

impl Performer<Charge> for Payments {
    async fn perform(&self, charge: Charge, attempt: &Attempt) -> Result<String, Failure> {
        // By the key the service tells that it has seen this charge before, and answers as it did then.
        let request = self.0.post(format!("{}/charges", self.1)).header("idempotency-key", attempt.key()).json(&charge);
        let response = request.send().await?;
        match response.status() {
            StatusCode::OK => Ok(response.text().await?),
            StatusCode::PAYMENT_REQUIRED => Err(Failure::fatal(response.text().await?)),
            status => Err(Failure::retry(format!("expected a receipt, found status {status}"))),
        }
    }
}

type Node = State<Handle<Shop>>;

/// Why a request is answered with an error.
struct Refused(SendError);

impl From<SendError> for Refused {
    fn from(error: SendError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match (self.0.downcast_ref(), &self.0) {
            (Some(Refusal::NoSuchItem), _) => StatusCode::NOT_FOUND,
            (Some(Refusal::Shortage { .. }), _) => StatusCode::CONFLICT,
            (None, SendError::Stopped | SendError::Unknown) => StatusCode::SERVICE_UNAVAILABLE,
            (None, _) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        (status, format!("{}\n", self.0)).into_response()
    }
}

#[derive(serde::Deserialize)]
struct Wanted {
    item: String,
    count: u64,
    card: Option<String>,
}

async fn place(State(shop): Node, headers: HeaderMap, Json(wanted): Json<Wanted>) -> Result<Response, Refused> {
    let place = ShopMessage::Place { item: Id::new(wanted.item), count: wanted.count, card: wanted.card };
    let sending = shop.send(&Id::<Shop>::node(), place);
    let number = match headers.get("idempotency-key").and_then(|key| key.to_str().ok()) {
        Some(key) => sending.key(key).await?,
        None => sending.await?,
    };
    Ok((StatusCode::CREATED, Json(number)).into_response())
}

async fn act(State(shop): Node, Path((number, action)): Path<(u64, String)>) -> Result<StatusCode, Refused> {
    let message = match action.as_str() {
        "pay" => OrderMessage::Pay,
        "ship" => OrderMessage::Ship,
        _ => return Ok(StatusCode::NOT_FOUND),
    };
    shop.send(&Id::<Order>::new(number), message).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn one(State(shop): Node, Path(number): Path<u64>) -> Result<Response, Refused> {
    let order = shop.read(move |shop| shop.orders.get(&Id::new(number)).cloned()).await;
    let order = order.map_err(SendError::from)?;
    Ok(order.map_or(StatusCode::NOT_FOUND.into_response(), |order| Json(order).into_response()))
}

async fn list(State(shop): Node) -> Result<Json<Vec<(u64, Order)>>, Refused> {
    let orders = shop.read(|shop| shop.orders.iter().map(|(id, order)| (*id.key(), order.clone())).collect()).await;
    Ok(Json(orders.map_err(SendError::from)?))
}

async fn watch(State(shop): Node, Path(number): Path<u64>) -> Sse<impl Stream<Item = Result<Event, axum::Error>>> {
    let order = shop.watch_object(&Id::<Order>::new(number)).await;
    Sse::new(order.into_stream().map(|order| Event::default().json_data(order)))
}

/// A small shop as an HTTP service.
#[derive(Parser)]
struct Arguments {
    #[arg(default_value = "shop")]
    directory: PathBuf,
    #[arg(default_value = "127.0.0.1:8080")]
    address: String,
    /// The service that charges cards, as http://HOST:PORT. Without one, orders with a card wait for it.
    #[arg(long)]
    payments: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { directory, address, payments } = Arguments::parse();
    let engine = Engine::open_with(Directory::open(directory)?, Settings::default(), stocked)?;
    let mut runtime = Runtime::new(engine);
    if let Some(url) = payments {
        runtime = runtime.with_performer(Payments(reqwest::Client::new(), url));
    }
    let (shop, running) = runtime.spawn();
    let routes = Router::new()
        .route("/orders", post(place).get(list))
        .route("/orders/{number}", get(one))
        .route("/orders/{number}/{action}", post(act))
        .route("/orders/{number}/watch", get(watch));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    // A server without its node could only refuse: whoever starts the process again has to hear of it.
    let stopped = shop.stopped();
    let server = axum::serve(listener, routes.with_state(shop)).with_graceful_shutdown(stopped);
    let (served, stopped) = tokio::join!(server, running.until_signal());
    served?;
    stopped?;
    Ok(())
}

#[cfg(test)]
#[path = "orders/tests.rs"]
mod tests;
