//! Every kind of store against every rule.

use std::error::Error;
use std::time::Duration;

use super::disk::{Disk, Random};
use super::*;
use crate::store::conformance::{Subject, check_all};
use crate::store::{Memory, OsVfs};

struct InMemory;

impl Subject for InMemory {
    type Store = Memory;

    fn fresh(&mut self) -> Result<Memory, Box<dyn Error>> {
        Ok(Memory::new())
    }

    fn crash(&mut self, store: Memory) -> Result<Memory, Box<dyn Error>> {
        Ok(store.crash())
    }

    fn limited(&mut self, bytes: u64) -> Result<Option<Memory>, Box<dyn Error>> {
        Ok(Some(Memory::with_buffer_limit(bytes)))
    }

    fn fail_next_sync(&mut self, store: &mut Memory) -> bool {
        store.fail_next_sync();
        true
    }
}

/// On the disk of the machine, where only the process can be made to crash.
#[derive(Default)]
struct OnDisk(Vec<tempfile::TempDir>);

impl OnDisk {
    fn open(&mut self, settings: DirectorySettings) -> Result<Directory<OsVfs>, Box<dyn Error>> {
        let folder = folder();
        let store = Directory::open_with(folder.path(), settings)?;
        self.0.push(folder);
        Ok(store)
    }
}

impl Subject for OnDisk {
    type Store = Directory<OsVfs>;

    fn fresh(&mut self) -> Result<Directory<OsVfs>, Box<dyn Error>> {
        self.open(settings())
    }

    fn crash(&mut self, store: Directory<OsVfs>) -> Result<Directory<OsVfs>, Box<dyn Error>> {
        let path = store.path().to_owned();
        drop(store);
        Ok(Directory::open_with(path, settings())?)
    }

    fn limited(&mut self, bytes: u64) -> Result<Option<Directory<OsVfs>>, Box<dyn Error>> {
        self.open(DirectorySettings { buffer_limit: bytes, ..settings() }).map(Some)
    }
}

/// On disks that keep, after a crash, any part of what wasn't synced. The path of a store is the number of its disk.
struct OnSimulatedDisks {
    disks: Vec<Disk>,
    random: Random,
    /// Whether only the process crashes, and the disk has all that was written.
    process_only: bool,
    settings: DirectorySettings,
}

impl OnSimulatedDisks {
    fn open(&mut self, settings: DirectorySettings) -> Result<Directory<Disk>, Box<dyn Error>> {
        let disk = Disk::default();
        let number = self.disks.len().to_string();
        self.disks.push(disk.clone());
        Ok(Directory::open_with_vfs(number, settings, disk)?)
    }

    fn disk(&self, store: &Directory<Disk>) -> Disk {
        let number: usize = store.path().to_str().unwrap().parse().unwrap();
        self.disks[number].clone()
    }
}

impl Subject for OnSimulatedDisks {
    type Store = Directory<Disk>;

    fn fresh(&mut self) -> Result<Directory<Disk>, Box<dyn Error>> {
        self.open(self.settings.clone())
    }

    fn crash(&mut self, store: Directory<Disk>) -> Result<Directory<Disk>, Box<dyn Error>> {
        let (disk, path) = (self.disk(&store), store.path().to_owned());
        drop(store);
        if self.process_only {
            disk.repair();
        } else {
            disk.crash(&mut self.random);
        }
        Ok(Directory::open_with_vfs(path, self.settings.clone(), disk)?)
    }

    fn limited(&mut self, bytes: u64) -> Result<Option<Directory<Disk>>, Box<dyn Error>> {
        self.open(DirectorySettings { buffer_limit: bytes, ..self.settings.clone() }).map(Some)
    }

    fn fail_next_sync(&mut self, store: &mut Directory<Disk>) -> bool {
        let operation = 1 + self.random.below(2);
        self.disk(store).fail_at(operation as usize);
        true
    }
}

#[test]
fn memory_conforms() {
    check_all(&mut InMemory).unwrap();
}

#[test]
fn a_directory_conforms() {
    check_all(&mut OnDisk::default()).unwrap();
}

#[test]
fn a_directory_on_a_simulated_disk_conforms() {
    let retentions = [Retention::Count(0), Retention::Bytes(2_000), Retention::Forever, Retention::Age(Duration::ZERO)];
    for seed in 0..12 {
        for process_only in [false, true] {
            let settings = DirectorySettings { retention: retentions[seed as usize % 4], ..settings() };
            let mut subject = OnSimulatedDisks { disks: Vec::new(), random: Random(seed), process_only, settings };
            check_all(&mut subject).unwrap_or_else(|violation| panic!("seed {seed}, {process_only}: {violation}"));
        }
    }
}
