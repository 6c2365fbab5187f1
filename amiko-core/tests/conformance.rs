//! A directory on the simulated disk against the rules for every store, by the public interface alone: this is what the
//! tests of a store outside this crate look like.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use amiko_core::sim::{Fault, Random, SimVfs};
use amiko_core::store::conformance::{Subject, check_all};
use amiko_core::store::{Directory, DirectorySettings};
use std::error::Error;

type Store = Directory<SimVfs>;

struct Simulated {
    /// The disk of the store that was made last.
    disk: SimVfs,
    random: Random,
    settings: DirectorySettings,
}

impl Simulated {
    fn open(&self, settings: DirectorySettings) -> Result<Store, Box<dyn Error>> {
        Ok(Directory::open_with_vfs("store", settings, self.disk.clone())?)
    }
}

impl Subject for Simulated {
    type Store = Store;

    fn fresh(&mut self) -> Result<Store, Box<dyn Error>> {
        self.disk = SimVfs::new();
        self.open(self.settings.clone())
    }

    fn crash(&mut self, store: Store) -> Result<Store, Box<dyn Error>> {
        drop(store);
        self.disk.clear_faults();
        self.disk = match self.random.below(3) {
            0 => self.disk.kill(),
            _ => self.disk.crash_by_chance(&mut self.random),
        };
        self.open(self.settings.clone())
    }

    fn limited(&mut self, bytes: u64) -> Result<Option<Store>, Box<dyn Error>> {
        self.disk = SimVfs::new();
        self.open({
            let mut settings = self.settings.clone();
            settings.buffer_limit = bytes;
            settings
        })
        .map(Some)
    }

    fn fail_next_sync(&mut self, _: &mut Store) -> bool {
        self.disk.fail_at(self.disk.operations() + 1 + self.random.below(2), Fault::Io);
        true
    }
}

#[test]
fn a_directory_on_the_simulated_disk_conforms() {
    for seed in 0..20 {
        let mut settings = DirectorySettings::default();
        settings.segment_chunk = 256;
        let mut subject = Simulated { disk: SimVfs::new(), random: Random::new(seed), settings };
        check_all(&mut subject).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}
