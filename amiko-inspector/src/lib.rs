#![doc = include_str!("../README.md")]
// A library prints nothing.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod reading;
pub mod timeline;

mod ask;
mod directory;
mod live;
mod pages;
mod server;
mod settings;
mod shared;

pub use directory::LoadError;
pub use settings::{Settings, Token};

use amiko_core::Node;
use amiko_core::store::Store;
use amiko_core::tree::classes_of_node;
use amiko_runtime::Handle;
use axum::Router;
use std::path::PathBuf;
use std::sync::Arc;

/// Shows a node that runs. The router can be nested in another one, if [`Settings::base`] says where; it follows the node until
/// it is dropped.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn router<N: Node, S: Store + 'static>(handle: Handle<N, S>, settings: Settings) -> Router {
    serve(shared::Shared::new(settings, Some(Box::new(handle)), Some(classes_of_node::<N>())))
}

/// Shows a state directory, in use or not, without the classes of its node.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn router_of_directory(path: impl Into<PathBuf>, mut settings: Settings) -> Router {
    settings.directory = Some(path.into());
    serve(shared::Shared::new(settings, None, None))
}

fn serve(shared: Arc<shared::Shared>) -> Router {
    tokio::spawn(shared::feed(Arc::downgrade(&shared)));
    server::router(shared)
}

/// An error and what is behind it in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
