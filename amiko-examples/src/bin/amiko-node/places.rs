//! Where a node listens, and what it tells others about that.
//!
//! Invariant: an address that stands in a URL is one that somebody else can dial.

use crate::arguments::Run;
use crate::failure::Failure;
use amiko_examples::payment::{Address, Network};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// The address to listen on. It is refused if nobody could dial it, or if others could and shouldn't.
pub(crate) fn find(arguments: &Run) -> Result<SocketAddr, Failure> {
    let listen = &arguments.listen;
    let place = resolve(listen)?;
    let ip = place.ip().to_canonical();
    if arguments.network == Network::Prototype3 && !ip.is_loopback() && !arguments.insecure {
        return Err(Failure::Usage(format!(
            "expected a loopback address to listen on with --network prototype3, found {place}: nothing is encrypted there, \
             and nobody proves anything; if that is what you want, add --insecure"
        )));
    }
    match &arguments.advertise {
        None if ip.is_unspecified() => Err(Failure::Usage(format!(
            "expected --advertise HOST:PORT with --listen {listen}, found none: that listens on all addresses of this \
             machine, and the URLs of this node have to say the one that others can dial"
        ))),
        Some(Address { host, port }) if *port == 0 || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) => {
            let found = Address { host: host.clone(), port: *port };
            Err(Failure::Usage(format!("expected --advertise with an address that others can dial, found {found}")))
        }
        _ => Ok(place),
    }
}

/// The first address that a name has.
fn resolve(address: &Address) -> Result<SocketAddr, Failure> {
    let found = (address.host.as_str(), address.port).to_socket_addrs();
    let reason = match found.map(|mut addresses| addresses.next()) {
        Ok(Some(address)) => return Ok(address),
        Ok(None) => "it has no address".into(),
        Err(error) => error.to_string(),
    };
    Err(Failure::Refused(format!(
        "expected a name or an address of this machine to listen on, found {:?}: {reason}",
        address.host
    )))
}
