//! A small shop as an HTTP service: orders are placed, paid and shipped, or expire after 15 minutes.
//!
//! ```sh
//! cargo run --bin orders -- shop/ 127.0.0.1:8080
//! curl --json '{"item":"nuts","count":2}' -H 'idempotency-key: 4711' localhost:8080/orders
//! curl -X POST localhost:8080/orders/1/pay
//! curl -N localhost:8080/orders/1/watch    # the order, whenever it has changed
//! ```
//!
//! Each request is answered when what it did is on disk. With an `idempotency-key` it may be sent again.

use amiko_core::prelude::*;
use amiko_runtime::{Handle, Runtime, SendError, Stopped, stop_signal};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use std::error::Error;
use std::fmt;
use std::time::Duration;
use tokio_stream::{Stream, StreamExt};

/// How long an order may stay unpaid.
const EXPIRY: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, reply = u64)]
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
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Serializable, Phases)]
enum Phase {
    #[amiko(next(Paid, Expired))]
    Placed,
    #[amiko(next(Shipped))]
    Paid,
    Shipped,
    Expired,
}

#[derive(Clone, Serializable)]
enum ShopMessage {
    /// Replies the number of the order.
    Place { item: Id<Item>, count: u64 },
}

#[derive(Clone, Serializable)]
enum ItemMessage {
    Take { count: u64 },
    PutBack { count: u64 },
}

#[derive(Clone, Serializable)]
enum OrderMessage {
    Begin,
    Pay,
    Ship,
    Expire,
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
        let ShopMessage::Place { item, count } = message;
        if !self.items.contains(&item) {
            return Err(Refusal::NoSuchItem.into());
        }
        self.placed += 1;
        let order = Id::<Order>::new(self.placed);
        cx.send(&item, ItemMessage::Take { count });
        cx.create(&order, Order { item, count, phase: Phase::INITIAL });
        cx.send(&order, OrderMessage::Begin);
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
            OrderMessage::Begin => cx.timer("expiry", cx.now() + EXPIRY, OrderMessage::Expire),
            OrderMessage::Pay => {
                self.phase.enter(Phase::Paid)?;
                cx.cancel("expiry");
            }
            OrderMessage::Ship => self.phase.enter(Phase::Shipped)?,
            OrderMessage::Expire => {
                self.phase.enter(Phase::Expired)?;
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

type Node = State<Handle<Shop>>;

struct Failure(SendError);

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
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
}

async fn place(State(shop): Node, headers: HeaderMap, Json(wanted): Json<Wanted>) -> Result<Response, Failure> {
    let place = ShopMessage::Place { item: Id::new(wanted.item), count: wanted.count };
    let sending = shop.send(&Id::<Shop>::node(), place);
    let number = match headers.get("idempotency-key").and_then(|key| key.to_str().ok()) {
        Some(key) => sending.key(key).await?,
        None => sending.await?,
    };
    Ok((StatusCode::CREATED, Json(number)).into_response())
}

async fn act(State(shop): Node, Path((number, action)): Path<(u64, String)>) -> Result<StatusCode, Failure> {
    let message = match action.as_str() {
        "pay" => OrderMessage::Pay,
        "ship" => OrderMessage::Ship,
        _ => return Ok(StatusCode::NOT_FOUND),
    };
    shop.send(&Id::<Order>::new(number), message).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn one(State(shop): Node, Path(number): Path<u64>) -> Result<Response, Failure> {
    let order = shop.read(move |shop| shop.orders.get(&Id::new(number)).cloned()).await;
    let order = order.map_err(|Stopped| SendError::Stopped)?;
    Ok(order.map_or(StatusCode::NOT_FOUND.into_response(), |order| Json(order).into_response()))
}

async fn list(State(shop): Node) -> Result<Json<Vec<(u64, Order)>>, Failure> {
    let orders = shop.read(|shop| shop.orders.iter().map(|(id, order)| (*id.key(), order.clone())).collect()).await;
    Ok(Json(orders.map_err(|Stopped| SendError::Stopped)?))
}

async fn watch(State(shop): Node, Path(number): Path<u64>) -> Sse<impl Stream<Item = Result<Event, axum::Error>>> {
    let order = shop.watch_object(&Id::<Order>::new(number)).await;
    Sse::new(order.into_stream().map(|order| Event::default().json_data(order)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (directory, address) = (arguments.next().unwrap_or("shop".into()), arguments.next());
    let engine = Engine::open_with(Directory::open(directory)?, Settings::default(), stocked)?;
    let (shop, running) = Runtime::new(engine).spawn();
    let routes = Router::new()
        .route("/orders", post(place).get(list))
        .route("/orders/{number}", get(one))
        .route("/orders/{number}/{action}", post(act))
        .route("/orders/{number}/watch", get(watch));
    let listener = tokio::net::TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    println!("listening on {}", listener.local_addr()?);
    let server = axum::serve(listener, routes.with_state(shop)).with_graceful_shutdown(stop_signal());
    let (served, stopped) = tokio::join!(server, running.until_signal());
    served?;
    stopped?;
    Ok(())
}

#[cfg(test)]
#[path = "orders/tests.rs"]
mod tests;
