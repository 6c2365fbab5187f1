//! What a side has to do to be compared.
//!
//! Invariant: no suite knows any of them by its name.

use crate::contenders;
use crate::outside::Outside;
use crate::place::Kind;
use crate::workflow::Task;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

/// What comes later.
pub type Later<'l, T> = Pin<Box<dyn Future<Output = T> + Send + 'l>>;

/// How a side is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As it is fastest, as far as its documents and its interface go; its commits are synced.
    Tuned,
    /// The same, but its commits aren't synced, since it doesn't do that by itself.
    NotSynced,
    /// As it comes.
    Defaults,
}

/// One side, in one way.
pub trait Contender: Sync {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// Its name on the command line.
    fn argument(&self) -> &'static str;

    /// Whether it is set up in this way.
    fn is(&self, way: Way) -> bool;

    /// Where it keeps its state.
    fn kind(&self) -> Kind {
        Kind::Directory
    }

    /// Whether it is so slow that it has fewer workflows to do.
    fn is_slow(&self) -> bool {
        false
    }

    /// When a commit is durable, and by whose will.
    fn promise(&self) -> &'static str;

    /// Opens the state of a place; nothing runs yet.
    fn open<'c>(&'c self, place: &'c str) -> Later<'c, Box<dyn Opened>>;

    /// Writes what a process leaves that ends while so many workflows wait for their fourth step.
    fn prepare<'c>(&'c self, place: &'c str, count: u64) -> Later<'c, ()>;
}

/// A state that is open, and whose workflows don't run yet.
pub trait Opened: Send {
    /// Runs them.
    fn start(self: Box<Self>, outside: Arc<Outside>) -> Later<'static, Box<dyn Running>>;
}

/// A state whose workflows run.
pub trait Running: Send + Sync {
    /// Begins workflows; when that is over, it is durable that they are there.
    fn begin(&self, workflows: Range<u64>, task: Task) -> Later<'_, ()>;

    /// Waits until one of them is over. Says whether it has succeeded, and kept all that it was answered.
    fn end(&self, workflow: u64) -> Later<'_, bool>;

    /// How many have gone to sleep so far, durably.
    fn asleep(&self) -> Later<'_, u64>;

    /// Ends, and checks that commits were synced as they should have been.
    fn stop(self: Box<Self>) -> Later<'static, ()>;
}

/// Those who are set up in one of these ways, and keep their state in one kind of place; ours is the first.
pub fn those(kind: Kind, ways: &[Way]) -> Vec<&'static dyn Contender> {
    let all = contenders::ALL.iter().copied();
    all.filter(|contender| contender.kind() == kind && ways.iter().any(|way| contender.is(*way))).collect()
}

/// The one of this name on the command line.
pub fn named(argument: &str) -> Result<&'static dyn Contender, String> {
    let found = contenders::ALL.iter().copied().find(|contender| contender.argument() == argument);
    found.ok_or_else(|| format!("expected a contender, found {argument}"))
}

/// Their names.
pub fn names(contenders: &[&'static dyn Contender]) -> Vec<&'static str> {
    contenders.iter().map(|contender| contender.name()).collect()
}
