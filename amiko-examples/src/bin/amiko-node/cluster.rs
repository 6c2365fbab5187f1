//! A node whose state is in a database: one of several processes leads it.
//!
//! Invariant: no process leads with another key than the one that the neighbours know.

use crate::arguments::Run;
use crate::failure::{Failure, chain};
use crate::log::Level;
use crate::run::{Attended, Leads, attend, engine_settings, lead};
use crate::{key, owner, screen};
use amiko_core::PublicKey;
use amiko_core::engine::Document;
use amiko_core::prelude::*;
use amiko_examples::payment::{Address, Network, PaymentNode, PaymentProtocol};
use amiko_postgres::{Cluster, OpenError, Postgres, PostgresSettings};
use amiko_runtime::{Member, MemberError, Noise, Replica, Runtime, RuntimeSettings, SecretKey, Tcp};
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::watch;
use zeroize::Zeroizing;

type Reason = Box<dyn Error + Send + Sync>;

/// Runs a node in a database, or follows whoever does.
pub(crate) async fn run(url: &str, settings: RuntimeSettings, attended: Attended<'_>) -> Result<ExitCode, Failure> {
    let (arguments, directory) = (attended.arguments, attended.directory);
    let url = &*address(url)?;
    owner::check_directory(directory)?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(Failure::system)?;
    let stored = stored(arguments);
    if arguments.standby {
        let cluster = Cluster::join(url, &arguments.node, stored).map_err(|error| refused(&error))?;
        return follow(cluster, settings, attended).await;
    }
    let store = Postgres::open(url, &arguments.node, stored).map_err(|error| refused(&error))?;
    let network = arguments.network;
    let engine = Engine::open_with(store, engine_settings(arguments), || new(network)).map_err(Failure::refused)?;
    let key = shared_key(directory, engine.node(), network).map_err(|reason| Failure::Refused(reason.to_string()))?;
    lead(Runtime::with_settings(engine, settings), key, attended).await
}

/// The address of the database, which may be in a file.
fn address(text: &str) -> Result<Zeroizing<String>, Failure> {
    let Some(file) = text.strip_prefix('@') else { return Ok(Zeroizing::new(text.to_owned())) };
    let refused = |reason: String| Failure::Refused(format!("expected the address of a database in {file}: {reason}"));
    let mode = std::fs::metadata(file).map_err(|error| refused(error.to_string()))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(refused(format!("others may read it (mode {mode:04o}): `chmod 600 {file}`")));
    }
    let text = Zeroizing::new(std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?);
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn stored(arguments: &Run) -> PostgresSettings {
    let mut settings = PostgresSettings::default();
    settings.lease = Duration::from_millis(arguments.lease);
    settings.renew = settings.lease / 4;
    settings.poll = settings.poll.min(settings.lease / 4);
    // A port that is chosen only when this one leads isn't known yet; and nobody can dial all addresses.
    let is_one = |listen: &&Address| {
        listen.port != 0 && !listen.host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
    };
    let known = arguments.advertise.as_ref().or(Some(&arguments.listen).filter(is_one));
    settings.address = known.map(ToString::to_string);
    settings
}

fn refused(error: &OpenError) -> Failure {
    match error {
        OpenError::Led { .. } => {
            Failure::NotLeader(format!("{}: with --standby this process follows it", chain(error)))
        }
        _ => Failure::Refused(chain(error)),
    }
}

fn new(network: Network) -> PaymentNode {
    PaymentNode { network, ..PaymentNode::default() }
}

/// The key of a node that several processes lead in turn; none on a network without keys. Only the first one of a new node
/// makes it.
fn shared_key(directory: &Path, node: &PaymentNode, network: Network) -> Result<Option<SecretKey>, Reason> {
    if node.network != network {
        let found = node.network;
        return Err(format!(
            "expected a node on the network {network}, found one on {found}: run it with `--network {found}`"
        )
        .into());
    }
    if network == Network::Prototype3 {
        return Ok(None);
    }
    let key = key::open(directory, node.key).map_err(|failure| failure.to_string())?;
    match node.key {
        Some(known) if known != key.public() => Err(format!(
            "expected the key {known} of this node in {}, found another one: copy the file `key` of a process that has led it",
            directory.display()
        )
        .into()),
        _ => Ok(Some(key)),
    }
}

/// Follows, and leads when nobody else does.
async fn follow(cluster: Cluster, settings: RuntimeSettings, attended: Attended<'_>) -> Result<ExitCode, Failure> {
    let (arguments, directory) = (attended.arguments, attended.directory);
    let (network, engine) = (arguments.network, engine_settings(arguments));
    let member = Member::with_initial(cluster, engine, settings, move || Document::new(new(network)));
    let handle = member.handle();
    let (leads, leading) = watch::channel(None);
    let fit = fit(directory, member.replica(), network);
    screen::notice(Level::Info, format!("following whoever leads the node {}", arguments.node));
    let equipped = |runtime: &dyn Fn() -> Option<SocketAddr>, key: Option<PublicKey>| {
        leads.send_replace(runtime().map(|address| Leads { address, key }));
    };
    match network {
        Network::Amiko => {
            let running = member.run(async |runtime| {
                let key = shared_key(directory, runtime.node(), network)?.ok_or("expected a key, found none")?;
                let public = key.public();
                let runtime = runtime.with_network(PaymentProtocol, Noise::new(key)).await?;
                equipped(&|| runtime.local_addr(), Some(public));
                Ok::<_, Reason>(runtime)
            });
            attend(handle, unless(fit, running), leading, attended).await
        }
        Network::Prototype3 => {
            let running = member.run(async |runtime| {
                shared_key(directory, runtime.node(), network)?;
                let runtime = runtime.with_network(PaymentProtocol, Tcp).await?;
                equipped(&|| runtime.local_addr(), None);
                Ok::<_, Reason>(runtime)
            });
            attend(handle, unless(fit, running), leading, attended).await
        }
    }
}

/// Waits until this process knows that it can't lead, which it should know before it is needed.
async fn fit(directory: &Path, replica: Replica<PaymentNode>, network: Network) -> Failure {
    /// How often it looks until there is something to look at.
    const PAUSE: Duration = Duration::from_millis(50);
    loop {
        // A node without a key has no leader yet, who makes it.
        let known = |node: &PaymentNode| node.key.is_some() || network == Network::Prototype3;
        let fit = |node: &PaymentNode| known(node).then(|| shared_key(directory, node, network).map(drop));
        match replica.read(|node, _, _| fit(node)).flatten() {
            Some(Err(reason)) => return Failure::Refused(reason.to_string()),
            Some(Ok(())) => return std::future::pending().await,
            None => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn unless(
    fit: impl Future<Output = Failure>,
    running: impl Future<Output = Result<(), MemberError>>,
) -> Result<(), Failure> {
    tokio::select! {
        failure = fit => Err(failure),
        ended = running => ended.map_err(Failure::refused),
    }
}
