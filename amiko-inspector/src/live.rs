//! A node that runs, without its type.
//!
//! Invariant: nothing here changes the node, and each question is small: whoever follows a node doesn't slow it.

use crate::chain;
use amiko_core::engine::DryRun;
use amiko_core::event::{CausedDelivery, Output};
use amiko_core::store::Store;
use amiko_core::{Node, Serializable, from_json, to_json};
use amiko_runtime::{EffectState, Handle};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Records of one answer.
const RECORDS: usize = 512;

/// Bytes of one answer; one record may be longer.
const BYTES: usize = 1 << 20;

/// Effects that are shown.
const EFFECTS: usize = 500;

pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Records that follow a version.
pub(crate) struct More {
    pub(crate) records: Vec<(u64, String)>,
    /// The first of them isn't kept in memory any more.
    pub(crate) gap: bool,
    /// The version of the node.
    pub(crate) newest: u64,
}

/// A rejected event.
#[derive(Clone)]
pub(crate) struct Refused {
    pub(crate) time: u64,
    pub(crate) version: u64,
    pub(crate) reason: String,
    pub(crate) chain: Vec<String>,
}

/// What a command would do.
pub(crate) struct Rehearsed {
    /// A JSON Patch.
    pub(crate) difference: String,
    pub(crate) outputs: Vec<String>,
}

/// A node that runs.
pub(crate) trait Live: Send + Sync {
    /// Its document now, with its version.
    fn document(&self) -> Answer<'_, Option<(u64, String)>>;
    /// The records after a version.
    fn after(&self, version: u64) -> Answer<'_, Option<More>>;
    fn deliveries(&self, version: u64) -> Answer<'_, Option<Vec<CausedDelivery>>>;
    fn rejections(&self) -> Answer<'_, Vec<Refused>>;
    fn connected(&self) -> Answer<'_, Vec<String>>;
    fn effects(&self) -> Answer<'_, Vec<EffectState>>;
    fn dry_run(&self, envelope: String) -> Answer<'_, Result<Rehearsed, String>>;
    fn sync_times(&self) -> Vec<Duration>;
    /// How long it leads for certain; none if there is nobody else who could.
    fn lease(&self) -> Answer<'_, Option<Duration>>;
}

impl<N: Node, S: Store + 'static> Live for Handle<N, S> {
    fn document(&self) -> Answer<'_, Option<(u64, String)>> {
        Box::pin(async {
            // The copy shares its objects; its text is written outside of the node's loop.
            let (version, document) = self.query(|engine| (engine.version().0, engine.to_document())).await.ok()?;
            tokio::task::spawn_blocking(move || Some((version, to_json(&document).ok()?))).await.ok()?
        })
    }

    fn after(&self, version: u64) -> Answer<'_, Option<More>> {
        Box::pin(async move {
            let look = move |engine: &amiko_core::Engine<N, S>| {
                let newest = engine.version().0;
                let mut more = More { records: Vec::new(), gap: false, newest };
                if newest <= version {
                    return more;
                }
                let mut bytes = 0;
                let begin = engine.history().next().map_or(newest + 1, |entry| entry.version.0);
                more.gap = begin > version + 1;
                for entry in engine.history().filter(|entry| entry.version.0 > version).take(RECORDS) {
                    if bytes > BYTES || more.gap {
                        break;
                    }
                    bytes += entry.record.len();
                    more.records.push((entry.version.0, entry.record.clone()));
                }
                more
            };
            self.query(look).await.ok()
        })
    }

    fn deliveries(&self, version: u64) -> Answer<'_, Option<Vec<CausedDelivery>>> {
        Box::pin(async move {
            let look = move |engine: &amiko_core::Engine<N, S>| engine.deliveries(version).map(<[_]>::to_vec);
            self.query(look).await.ok().flatten()
        })
    }

    fn rejections(&self) -> Answer<'_, Vec<Refused>> {
        Box::pin(async {
            let look = |engine: &amiko_core::Engine<N, S>| {
                let refused = engine.rejections().rev().map(|rejected| Refused {
                    time: rejected.time.as_millis(),
                    version: rejected.version.0,
                    reason: rejected.rejection.reason().to_owned(),
                    chain: rejected.rejection.chain().map(|delivery| delivery.to_string()).collect(),
                });
                refused.collect()
            };
            self.query(look).await.unwrap_or_default()
        })
    }

    fn connected(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async { Handle::connected(self).await.unwrap_or_default() })
    }

    fn effects(&self) -> Answer<'_, Vec<EffectState>> {
        Box::pin(async { Handle::effects(self, EFFECTS).await.unwrap_or_default() })
    }

    fn sync_times(&self) -> Vec<Duration> {
        Self::sync_times(self)
    }

    fn lease(&self) -> Answer<'_, Option<Duration>> {
        Box::pin(async { self.query(|engine| engine.lease().ok().flatten()).await.ok().flatten() })
    }

    fn dry_run(&self, envelope: String) -> Answer<'_, Result<Rehearsed, String>> {
        Box::pin(async move {
            let envelope: N::Envelope = from_json(&envelope).map_err(|error| error.to_string())?;
            match self.dry_run_command(envelope).await {
                Ok(run) => Ok(rehearsed(&run)),
                Err(error) => Err(chain(&error)),
            }
        })
    }
}

fn rehearsed<N: Node>(run: &DryRun<N>) -> Rehearsed {
    let outputs = run.outputs().map(|output| match output {
        Output::Transmit { connection, message, .. } => {
            format!("{} to {}", message.class().unwrap_or("a message"), connection.key())
        }
        other => format!("{other:?}"),
    });
    Rehearsed { difference: run.difference().to_owned(), outputs: outputs.collect() }
}
