//! What the disk forgets, and what it must not.

use super::*;

fn path(text: &str) -> &Path {
    Path::new(text)
}

/// A disk with a durable, empty file `d/a`.
fn disk() -> (SimVfs, SimFile) {
    let disk = SimVfs::new();
    disk.create_dir(path("d")).unwrap();
    let file = disk.create(path("d/a")).unwrap();
    disk.sync_dir(path("d")).unwrap();
    (disk, file)
}

fn read(disk: &SimVfs, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(path(name), Access::Read).ok()?;
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 10_000];
        match file.read_at(bytes.len() as u64, &mut buffer).unwrap() {
            0 => return Some(bytes),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

fn names(disk: &SimVfs) -> Vec<String> {
    disk.list(path("d")).unwrap()
}

#[test]
fn a_crash_keeps_what_is_synced_and_of_the_rest_what_it_is_told_to() {
    let (disk, mut file) = disk();
    file.write_at(0, b"synced").unwrap();
    file.sync_data().unwrap();
    file.write_at(3, b"one").unwrap();
    file.write_at(8, b"three").unwrap();
    let image = |fates: [Fate; 2]| {
        let mut fates = fates.into_iter();
        read(&disk.crash(|_| fates.next().unwrap()), "d/a").unwrap()
    };
    use Fate::{Dropped, Holed, Kept, Torn};
    assert_eq!(image([Kept, Kept]), b"synone\0\0three");
    assert_eq!(image([Dropped, Dropped]), b"synced");
    assert_eq!(image([Kept, Dropped]), b"synone");
    assert_eq!(image([Torn(1), Torn(2)]), b"synoed\0\0th");
    assert_eq!(image([Torn(99), Torn(0)]), b"synone");
    assert_eq!(image([Holed { from: 0, to: 2 }, Holed { from: 1, to: 4 }]), b"syncee\0\0t\0\0\0e");
    assert_eq!(image([Holed { from: 1, to: 99 }, Holed { from: 9, to: 3 }]), b"synoed\0\0three");
    assert_eq!(read(&disk, "d/a").unwrap(), b"synone\0\0three", "the disk stays as it is");
}

#[test]
fn names_become_durable_by_their_directory_and_contents_by_their_file() {
    let (disk, mut file) = disk();
    file.write_at(0, b"a").unwrap();
    file.sync_data().unwrap();
    disk.rename(path("d/a"), path("d/b")).unwrap();
    let mut other = disk.create(path("d/a")).unwrap();
    other.write_at(0, b"other").unwrap();
    disk.sync_dir(path("")).unwrap();
    assert_eq!(names(&disk.crash(|_| Fate::Dropped)), ["a"], "not by the directory above");
    disk.sync_dir(path("d")).unwrap();
    let left = disk.crash(|_| Fate::Dropped);
    assert_eq!((read(&left, "d/a").unwrap(), read(&left, "d/b").unwrap()), (b"".to_vec(), b"a".to_vec()));
    // A file is what it is, whatever it is called.
    file.write_at(1, b"!").unwrap();
    disk.remove(path("d/b")).unwrap();
    assert_eq!(file.size().unwrap(), 2);
    assert_eq!(names(&disk), ["a"]);
    assert_eq!(disk.pending().len(), 3);
}

#[test]
fn a_rename_between_directories_is_two_changes() {
    let (disk, _) = disk();
    disk.create_dir(path("e/f")).unwrap();
    disk.rename(path("d/a"), path("e/f/a")).unwrap();
    disk.sync_dir(path("e/f")).unwrap();
    let left = disk.crash(|_| Fate::Dropped);
    assert_eq!((read(&left, "d/a"), read(&left, "e/f/a")), (Some(vec![]), Some(vec![])));
    disk.sync_dir(path("d")).unwrap();
    assert_eq!(read(&disk.crash(|_| Fate::Dropped), "d/a"), None);
}

#[test]
fn what_a_failed_sync_was_for_no_later_one_makes_durable() {
    let (disk, mut file) = disk();
    file.write_at(0, b"one").unwrap();
    disk.fail_at(disk.operations() + 1, Fault::Sync);
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    // What is written afterwards is, and the order of the two stays.
    file.write_at(1, b"two").unwrap();
    file.sync_data().unwrap();
    assert_eq!(read(&disk, "d/a").unwrap(), b"otwo");
    assert_eq!(disk.pending().len(), 1);
    assert_eq!(read(&disk.crash(|_| Fate::Dropped), "d/a").unwrap(), b"\0two");
    assert_eq!(read(&disk.crash(|_| Fate::Kept), "d/a").unwrap(), b"otwo");
    assert_eq!(read(&disk.kill().crash(|_| Fate::Dropped), "d/a").unwrap(), b"\0two", "a new process changes nothing");

    disk.rename(path("d/a"), path("d/b")).unwrap();
    disk.fail_at(disk.operations() + 1, Fault::Io);
    assert!(disk.sync_dir(path("d")).is_err());
    disk.sync_dir(path("d")).unwrap();
    assert_eq!(names(&disk), ["b"]);
    assert_eq!(names(&disk.crash(|_| Fate::Dropped)), ["a"]);
}

#[test]
fn threads_may_share_it() {
    fn shared<T: Send + Sync>() {}
    shared::<SimVfs>();
    shared::<SimFile>();
}

#[test]
fn a_lock_is_held_until_it_is_dropped_or_its_process_dies() {
    let (disk, _) = disk();
    let lock = disk.lock(path("d/LOCK"), Access::Write).unwrap();
    assert!(matches!(disk.clone().lock(path("d/LOCK"), Access::Write), Err(LockError::Held { holder: None })));
    disk.kill().lock(path("d/LOCK"), Access::Write).unwrap();
    disk.crash(|_| Fate::Dropped).lock(path("d/LOCK"), Access::Write).unwrap();
    drop(lock);
    disk.lock(path("d/LOCK"), Access::Write).unwrap();
}

#[test]
fn each_fault_fails_what_it_concerns_when_it_is_told_to() {
    let (disk, mut file) = disk();
    let next = || disk.operations() + 1;
    disk.fail_at(next(), Fault::ShortWrite(2));
    assert!(file.write_at(0, b"short").is_err());
    assert_eq!(read(&disk, "d/a").unwrap(), b"sh");
    disk.fail_at(next(), Fault::Full);
    assert_eq!(file.write_at(0, b"full").unwrap_err().kind(), ErrorKind::StorageFull);
    disk.fail_at(next(), Fault::Sync);
    file.write_at(0, b"S").unwrap();
    // Opening comes first.
    disk.fail_at(next() + 1, Fault::BitFlip(17));
    assert_eq!(read(&disk, "d/a").unwrap(), b"Qh");
    assert_eq!(read(&disk, "d/a").unwrap(), b"Sh");
    disk.fail_from(next(), Fault::Halt);
    assert!(disk.list(path("d")).is_err() && file.size().is_err() && disk.remove(path("d/a")).is_err());
    assert!(file.sync_data().is_err());
    disk.clear_faults();
    file.sync_data().unwrap();
    assert_eq!(read(&disk.crash(|_| Fate::Dropped), "d/a").unwrap(), b"Sh", "nothing was taken for clean");
}

#[test]
fn what_is_not_there_and_what_is_not_allowed_is_refused() {
    let (disk, mut file) = disk();
    let kind = |outcome: io::Result<()>| outcome.unwrap_err().kind();
    assert_eq!(kind(disk.remove(path("d/b"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.rename(path("d/b"), path("d/c"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.rename(path("d/a"), path("e/a"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.create(path("e/a")).map(drop)), ErrorKind::NotFound);
    assert_eq!(kind(disk.create(path("d")).map(drop)), ErrorKind::NotFound);
    assert_eq!(kind(disk.sync_dir(path("e"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.create_dir(path("d/a/b"))), ErrorKind::AlreadyExists);
    assert_eq!(kind(file.write_at(u64::MAX, b"far")), ErrorKind::FileTooLarge);
    let mut reader = disk.open(path("d/a"), Access::Read).unwrap();
    assert_eq!(kind(reader.write_at(0, b"no")), ErrorKind::PermissionDenied);
    assert_eq!(file.read_at(u64::MAX, &mut [0]).unwrap(), 0);
}
