//! A directory in a browser.
//!
//! Invariant: it listens on the loopback alone.

use crate::arguments::Inspect;
use crate::directory::Source;
use crate::failure::Failure;
use crate::output::Output;
use amiko_core::serializable::Json;
use std::net::SocketAddr;

/// `amiko inspect`.
pub(crate) fn inspect(inspect: &Inspect, output: &mut Output) -> Result<(), Failure> {
    if !inspect.directory.is_dir() {
        return Err(Failure::no_store(&inspect.directory));
    }
    // Says so, if nothing is hidden.
    Source::open(&inspect.directory, false)?;
    let address: SocketAddr = inspect.listen.replacen("localhost", "127.0.0.1", 1).parse().map_err(|_| {
        Failure::Usage(format!("expected an address and a port, as 127.0.0.1:8080, found {:?}", inspect.listen))
    })?;
    if !address.ip().is_loopback() {
        let other = "expected an address of the loopback; from another machine, `ssh -L` leads there";
        return Err(Failure::Usage(other.into()));
    }
    let refused = |error: std::io::Error| Failure::Listen(format!("can't listen on {address}: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(refused)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await.map_err(refused)?;
        let settings = amiko_inspector::Settings::new().map_err(refused)?;
        let url = settings.url(&format!("http://{}", listener.local_addr().map_err(refused)?));
        if output.json {
            output.document(&Json::Object(vec![("url".to_owned(), Json::text(&url))]))?;
        } else {
            output.line(&url)?;
        }
        output.flush()?;
        let router = amiko_inspector::router_of_directory(&inspect.directory, settings);
        axum::serve(listener, router).await.map_err(refused)
    })
}
