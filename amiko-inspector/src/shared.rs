//! What all requests share: the timeline, which one task feeds.
//!
//! Invariant: requests only read; the task alone writes, a few records at a time, and waits for no browser.

use crate::chain;
use crate::directory::{self, LoadError};
use crate::live::{Live, More};
use crate::settings::Settings;
use crate::timeline::Timeline;
use amiko_core::serializable::Classes;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};

/// How often it is looked for new events.
const LOOK: Duration = Duration::from_millis(200);

/// How long it waits after an error before it begins anew.
const BREATH: Duration = Duration::from_secs(1);

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) live: Option<Box<dyn Live>>,
    /// What the program itself says of its classes, if it is a node that runs.
    pub(crate) classes: Option<Classes>,
    timeline: RwLock<Option<Timeline>>,
    trouble: RwLock<Option<String>>,
    /// Events that were read so far while the timeline is being made.
    read: AtomicU64,
    pub(crate) newest: watch::Sender<u64>,
    pub(crate) pages: Arc<Semaphore>,
    pub(crate) followers: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new(settings: Settings, live: Option<Box<dyn Live>>, classes: Option<Classes>) -> Arc<Self> {
        Arc::new(Self {
            live,
            classes,
            timeline: RwLock::new(None),
            trouble: RwLock::new(None),
            read: AtomicU64::new(0),
            newest: watch::Sender::new(0),
            pages: Arc::new(Semaphore::new(settings.pages.max(1))),
            followers: Arc::new(Semaphore::new(settings.followers)),
            settings,
        })
    }

    /// Looks at the timeline; says what there is instead if there is none.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Timeline) -> R) -> Result<R, String> {
        let timeline = self.timeline.read().unwrap_or_else(PoisonError::into_inner);
        match &*timeline {
            Some(timeline) => Ok(look(timeline)),
            None => Err(self.trouble().unwrap_or_else(|| {
                format!("reading the journal: {} events so far", self.read.load(Ordering::Relaxed))
            })),
        }
    }

    /// What keeps it from following the node, if anything does.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.write().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn put(&self, timeline: Timeline) {
        let newest = timeline.versions().1;
        *self.timeline.write().unwrap_or_else(PoisonError::into_inner) = Some(timeline);
        self.newest.send_replace(newest);
    }

    fn change<R>(&self, change: impl FnOnce(&mut Timeline) -> R) -> Option<R> {
        let mut timeline = self.timeline.write().unwrap_or_else(PoisonError::into_inner);
        let timeline = timeline.as_mut()?;
        let outcome = change(timeline);
        self.newest.send_if_modified(|newest| {
            let changed = *newest != timeline.versions().1;
            *newest = timeline.versions().1;
            changed
        });
        Some(outcome)
    }
}

/// Feeds the timeline until nobody needs it any more.
pub(crate) async fn feed(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let begun = begin(&strong).await;
        drop(strong);
        let trouble = match begun {
            Ok(()) => follow(&shared).await,
            Err(trouble) => trouble,
        };
        let Some(strong) = shared.upgrade() else { return };
        strong.set_trouble(Some(trouble));
        drop(strong);
        sleep(BREATH).await;
    }
}

async fn begin(shared: &Arc<Shared>) -> Result<(), String> {
    let timeline = match (&shared.settings.directory, &shared.live) {
        (Some(path), _) => {
            let (path, limit, counted) = (path.clone(), shared.settings.history, Arc::clone(shared));
            blocking(move || {
                directory::load(&path, counted.classes.clone(), limit, |_| {
                    counted.read.fetch_add(1, Ordering::Relaxed);
                })
            })
            .await?
            .map_err(|error| chain(&error))?
        }
        (None, Some(live)) => {
            let (version, document) = live.document().await.ok_or("the node has stopped")?;
            let (limit, classes) = (shared.settings.history, shared.classes.clone().unwrap_or_default());
            blocking(move || Timeline::new(classes, version, &document, limit))
                .await?
                .map_err(|error| error.to_string())?
        }
        (None, None) => return Err("expected a node or a directory, found neither".into()),
    };
    shared.put(timeline);
    shared.set_trouble(None);
    Ok(())
}

/// Returns what went wrong, or an empty text if nobody is there any more.
async fn follow(shared: &Weak<Shared>) -> String {
    let mut signature = Vec::new();
    loop {
        let Some(strong) = shared.upgrade() else { return String::new() };
        let begun = Instant::now();
        let step = match (&strong.live, &strong.settings.directory) {
            (Some(live), directory) => follow_node(&strong, &**live, directory.as_ref()).await,
            (None, Some(path)) => {
                let now = directory::signature(path);
                let said =
                    |files: &directory::Files| files.iter().find(|(name, ..)| name == directory::CLASSES).cloned();
                if now == signature {
                    Ok(false)
                } else if !signature.is_empty() && said(&now) != said(&signature) {
                    Err("its program says something else of its classes: it begins anew".into())
                } else {
                    signature = now;
                    follow_directory(&strong, path.clone()).await.map(|_| false)
                }
            }
            (None, None) => Ok(false),
        };
        drop(strong);
        match step {
            // There may be more.
            Ok(true) => tokio::task::yield_now().await,
            // Files are read from the beginning of the newest one: of a long one that takes a while.
            Ok(false) => sleep(LOOK.max(begun.elapsed() * 4)).await,
            Err(trouble) => return trouble,
        }
    }
}

async fn follow_node(shared: &Arc<Shared>, live: &dyn Live, directory: Option<&PathBuf>) -> Result<bool, String> {
    let newest = *shared.newest.borrow();
    let More { records, gap, newest: now } = live.after(newest).await.ok_or("the node has stopped")?;
    if gap {
        return match directory {
            // What isn't in the file yet will be.
            Some(path) => follow_directory(shared, path.clone()).await,
            None => Err("the node was faster than this page: it begins anew".into()),
        };
    }
    let last = records.last().map_or(newest, |(version, _)| *version);
    let shared = Arc::clone(shared);
    blocking(move || {
        shared.change(|timeline| timeline.push_all(records.iter().map(|(version, record)| (*version, record.as_str()))))
    })
    .await?
    .unwrap_or(Ok(()))
    .map_err(|error| error.to_string())?;
    Ok(last < now)
}

/// Takes in what the files have more, some hundred records at a time; whether there was any.
async fn follow_directory(shared: &Arc<Shared>, path: PathBuf) -> Result<bool, String> {
    let shared = Arc::clone(shared);
    let outcome = blocking(move || {
        let before = *shared.newest.borrow();
        directory::records(&path, before + 1, |records| {
            let records = records.iter().map(|(version, record)| (*version, record.as_str()));
            shared.change(|timeline| timeline.push_all(records)).unwrap_or(Ok(()))
        })?;
        Ok(*shared.newest.borrow() > before)
    });
    outcome.await?.map_err(|error: LoadError| chain(&error))
}

async fn blocking<R: Send + 'static>(act: impl FnOnce() -> R + Send + 'static) -> Result<R, String> {
    tokio::task::spawn_blocking(act).await.map_err(|error| error.to_string())
}
