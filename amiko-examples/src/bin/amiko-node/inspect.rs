//! Shows the running node in a browser.
//!
//! Invariant: what is shown changes nothing, and only who has the printed address sees it.

use crate::failure::Failure;
use crate::log::Level;
use crate::run::Node;
use crate::screen;
use amiko_core::store::Store;
use amiko_examples::payment::Address;
use std::net::IpAddr;
use std::path::Path;
use tokio::net::TcpListener;

/// Messages that are kept, so that the diagrams of the newest events show all of them.
pub(crate) const DELIVERIES: usize = 100_000;

/// Begins to show the node; gives the address for a browser.
pub(crate) async fn begin<S: Store + 'static>(
    address: &Address,
    handle: Node<S>,
    directory: Option<&Path>,
) -> Result<String, Failure> {
    let refused = |error: std::io::Error| {
        Failure::Refused(format!("the inspector can't listen on {}:{}: {error}", address.host, address.port))
    };
    if address.host.parse::<IpAddr>().is_ok_and(|host| host.is_unspecified()) {
        let expected =
            "expected an address of this machine by which browsers come, found one that stands for all of them";
        return Err(Failure::Usage(format!("{expected}: {}", address.host)));
    }
    let listener = TcpListener::bind((address.host.as_str(), address.port)).await.map_err(refused)?;
    let local = listener.local_addr().map_err(refused)?;
    let mut settings = amiko_inspector::Settings::new().map_err(refused)?;
    settings.directory = directory.map(Path::to_owned);
    let host = match address.host.parse::<IpAddr>() {
        Ok(IpAddr::V6(host)) => format!("[{host}]"),
        _ => address.host.clone(),
    };
    if !local.ip().is_loopback() {
        settings.hosts.push(address.host.clone());
        let text =
            format!("whoever can read what goes to {local} can read the whole state: the inspector isn't encrypted");
        screen::notice(Level::Warn, text);
    }
    let url = settings.url(&format!("http://{host}:{}", local.port()));
    let router = amiko_inspector::router(handle, settings);
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(url)
}
