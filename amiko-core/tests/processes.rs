//! Real processes on real file systems: killed at any moment, out of space, over a limit, and two at once. Whatever
//! happens to the process or to its disk, what a sync has acknowledged is there afterwards.
//!
//! `AMIKO_KILLS=5000` kills more often than usual, `AMIKO_SEED=1` draws the same plans as a run that failed. The moments
//! are up to the scheduler, so a failure may take a few runs to come back.

#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use amiko_core::Version;
use amiko_core::engine::EventError;
use amiko_core::prelude::*;
use amiko_core::store::{DirectorySettings, Retention};
use std::error::Error;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

#[derive(Clone, PartialEq, Debug, Serializable)]
#[amiko(key = u64)]
struct Entry {
    text: String,
}

/// Everything in it follows from how many events there were.
#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Ledger {
    #[amiko(objects)]
    entries: Table<Entry>,
    count: u64,
    total: u64,
}

/// What one event does to a ledger.
#[derive(Clone, Serializable)]
struct Enter {
    text: String,
    /// How many entries stay.
    keep: u64,
}

impl StateMachine for Ledger {
    type Node = Self;
    type Message = Enter;

    fn handle(&mut self, Enter { text, keep }: Enter, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.count += 1;
        self.total += self.count;
        self.entries.insert(&Id::new(self.count), Entry { text });
        if let Some(old) = self.count.checked_sub(keep) {
            self.entries.remove(&Id::new(old));
        }
        Ok(())
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn text(version: u64) -> String {
    let length = Random(version).below(500);
    "{\"seq\":ä\n".chars().cycle().take(length as usize).collect()
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

fn seed() -> u64 {
    from_environment("AMIKO_SEED").unwrap_or_else(|| RandomState::new().hash_one(()))
}

/// What a writer does, in this process or in another.
#[derive(Clone, Debug)]
struct Plan {
    directory: PathBuf,
    seed: u64,
    /// So many events, then it ends.
    events: u64,
    /// So many of them at most before each sync.
    group: u64,
    /// How many entries stay: with fewer of them, snapshots are smaller and come more often.
    keep: u64,
    segment_chunk: u64,
    snapshot_minimum: u64,
}

/// The plan of a writer in a process of its own.
const PLAN: &str = "AMIKO_PLAN";
const DIRECTORY: &str = "AMIKO_DIRECTORY";

impl Plan {
    /// A state that grows, until something stops it: more events than the small disks of these tests have room for.
    fn growing(directory: PathBuf) -> Self {
        Self {
            directory,
            seed: 1,
            events: 10_000,
            group: 8,
            keep: u64::MAX,
            segment_chunk: 4096,
            snapshot_minimum: 1000,
        }
    }

    /// The same writer, with so many events to write.
    fn events(&self, events: u64) -> Self {
        Self { events, ..self.clone() }
    }

    /// The numbers as text; the directory goes beside them, as it may have any name.
    fn write(&self) -> String {
        let Self { directory: _, seed, events, group, keep, segment_chunk, snapshot_minimum } = self;
        format!("{seed} {events} {group} {keep} {segment_chunk} {snapshot_minimum}")
    }

    fn read(directory: PathBuf, text: &str) -> Self {
        let numbers: Vec<u64> = text.split(' ').map(|number| number.parse().unwrap()).collect();
        let [seed, events, group, keep, segment_chunk, snapshot_minimum] = numbers[..] else { panic!("{text}") };
        Self { directory, seed, events, group, keep, segment_chunk, snapshot_minimum }
    }

    fn open(&self) -> Result<Engine<Ledger>, Box<dyn Error>> {
        let mut settings = DirectorySettings::default();
        settings.segment_chunk = self.segment_chunk;
        // Small disks are too small for what isn't needed.
        settings.retention = Retention::Count(0);
        let store = Directory::open_with(&self.directory, settings)?;
        let mut settings = Settings::default();
        settings.snapshot_ratio = 1;
        settings.snapshot_minimum = self.snapshot_minimum;
        Ok(Engine::open(store, settings)?)
    }

    /// Opens what is there, and makes sure that it is what this many events have made.
    fn open_whole(&self) -> Result<Engine<Ledger>, Box<dyn Error>> {
        let engine = self.open()?;
        let (version, ledger) = (engine.version().0, engine.node());
        let sums = (version, version * (version + 1) / 2);
        if (ledger.count, ledger.total) != sums {
            return Err(format!("expected count and total {sums:?}, found {:?}", (ledger.count, ledger.total)).into());
        }
        let entries = ledger.entries.iter().map(|(id, entry)| (*id.key(), entry.text.clone()));
        let expected = (version.saturating_sub(self.keep) + 1..=version).map(|version| (version, text(version)));
        if !entries.eq(expected) {
            let found: Vec<u64> = ledger.entries.iter().map(|(id, _)| *id.key()).collect();
            return Err(format!("version {version} has other entries than it should: {found:?}").into());
        }
        Ok(engine)
    }

    /// One event.
    fn enter(&self, engine: &mut Engine<Ledger>) -> Result<Version, EventError> {
        let text = text(engine.version().0 + 1);
        engine.send(&Id::<Ledger>::new(()), Enter { text, keep: self.keep }, Time::default())
    }

    /// What a writer does: it says that it opens, and then each version that is durable, a line each.
    fn carry_out(&self) -> Result<(), Box<dyn Error>> {
        let mut random = Random(self.seed);
        // The harness may have left a line without its end.
        say("\nopening")?;
        let mut engine = self.open_whole()?;
        let mut left = self.events;
        loop {
            say(&format!("durable {}", engine.durable().0))?;
            if left == 0 {
                return Ok(());
            }
            let group = (1 + random.below(self.group)).min(left);
            left -= group;
            for _ in 0..group {
                self.enter(&mut engine)?;
            }
            engine.sync()?;
        }
    }

    /// This plan as a command: this binary again, with nothing but the writer.
    fn command(&self) -> Command {
        self.arguments(Command::new(std::env::current_exe().unwrap()))
    }

    /// The same as the `"$@"` of a shell with its script.
    fn command_by(&self, shell: &[&str]) -> Command {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg("sh").arg(std::env::current_exe().unwrap());
        self.arguments(command)
    }

    fn arguments(&self, mut command: Command) -> Command {
        command.args(["--exact", "writer", "--include-ignored", "--nocapture"]);
        command.env(PLAN, self.write()).env(DIRECTORY, &self.directory);
        command
    }
}

/// Past the capture of the harness, and in one write.
fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes())?;
    stdout.flush()
}

/// The version that a writer's line says is durable.
fn durable(line: &str) -> Option<u64> {
    line.strip_prefix("durable ").map(|version| version.parse().unwrap())
}

fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[test]
#[ignore = "a process that the other tests start"]
fn writer() {
    let (Some(directory), Ok(plan)) = (std::env::var_os(DIRECTORY), std::env::var(PLAN)) else { return };
    if let Err(error) = Plan::read(directory.into(), &plan).carry_out() {
        eprintln!("{}", chain(&*error));
        std::process::exit(1);
    }
}

/// A writer in a process of its own; killed when the test ends.
#[derive(Debug)]
struct Writer {
    process: Child,
    stdout: BufReader<ChildStdout>,
    /// The last version that it has said to be durable.
    acknowledged: Option<u64>,
}

/// What a process said until its end.
#[derive(Debug)]
struct Ended {
    status: ExitStatus,
    acknowledged: Option<u64>,
    stderr: String,
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Writer {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        Self { process, stdout, acknowledged: None }
    }

    /// Waits for its next line; false at the end.
    fn listen(&mut self) -> bool {
        let mut line = String::new();
        while self.stdout.read_line(&mut line).unwrap() > 0 {
            // A line that was cut off isn't said.
            let said = line.strip_suffix('\n').unwrap_or_default();
            if let Some(version) = durable(said) {
                assert!(self.acknowledged.is_none_or(|before| before <= version), "{version} after {self:?}");
                self.acknowledged = Some(version);
                return true;
            }
            if said == "opening" {
                return true;
            }
            line.clear();
        }
        false
    }

    fn end(mut self) -> Ended {
        while self.listen() {}
        let mut stderr = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = self.process.wait().unwrap();
        Ended { status, acknowledged: self.acknowledged, stderr }
    }

    fn kill(mut self) -> Ended {
        self.process.kill().unwrap();
        self.end()
    }
}

impl Ended {
    /// The last version that it said to be durable, if not the one that was so before.
    fn last(&self, before: u64) -> u64 {
        let last = self.acknowledged.unwrap_or(before);
        assert!(last >= before, "{before} was durable: {self:?}");
        last
    }

    /// It ended by itself, with an error about a file of the directory that has these words in it.
    fn assert_refused(&self, directory: &Path, words: &str) {
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        assert_clear(&self.stderr, directory, words);
    }
}

/// An error for people: which file, and what the operating system said about it.
fn assert_clear(error: &str, directory: &Path, words: &str) {
    assert!(!error.contains("panicked"), "{error}");
    assert!(error.to_lowercase().contains(words), "{words:?} in {error}");
    let names = ["journal-", "snapshot-"].map(|name| directory.join(name).display().to_string());
    assert!(names.iter().any(|name| error.contains(name)), "one of {names:?} in {error}");
}

/// What is there has everything up to this version, and may go on.
fn assert_goes_on(plan: &Plan, acknowledged: u64) {
    let ended = Writer::start(plan.events(20).command()).end();
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.last(acknowledged) >= acknowledged + 20, "{ended:?}");
    plan.open_whole().unwrap_or_else(|error| panic!("{}", chain(&*error)));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The files of a directory and their sizes: something to watch for changes.
fn sight(directory: &Path) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len()))).collect()
}

fn spin_while(time: Duration, condition: impl Fn() -> bool) {
    let end = Instant::now() + time;
    while Instant::now() < end && condition() {
        std::hint::spin_loop();
    }
}

#[test]
fn what_was_acknowledged_is_there_however_often_the_process_is_killed() {
    const KILLS_OF_ONE: u64 = 20;
    let seed = seed();
    let mut random = Random(seed);
    // On a disk a process is mostly killed while it waits for a sync; in memory, while it does everything else.
    let disk = tempfile::tempdir().unwrap();
    let memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (mut directory, mut acknowledged) = (PathBuf::new(), 0);
    for kill in 0..from_environment("AMIKO_KILLS").unwrap_or(200) {
        let new = kill % KILLS_OF_ONE == 0;
        if new {
            let root = if (kill / KILLS_OF_ONE).is_multiple_of(4) { &disk } else { &memory };
            (directory, acknowledged) = (root.path().join(kill.to_string()), 0);
        }
        let plan = Plan {
            seed: random.next(),
            events: u64::MAX,
            group: 1 << random.below(8),
            keep: 50,
            segment_chunk: 1 << (2 * random.below(9)),
            snapshot_minimum: 1 << random.below(16),
            ..Plan::growing(directory.clone())
        };
        // Each directory is killed while it is made, and then often while it is opened; or when its files are changing.
        let lines = if new { 1 } else { 1 + random.below(5) };
        let watch = random.below(3) > 0;
        let spin = Duration::from_micros(random.below(if watch { 200 } else { 3_000 }));
        let place = format!("AMIKO_SEED={seed}, kill {kill} after {lines} lines, watched: {watch}, {spin:?}");

        let mut writer = Writer::start(plan.command());
        for _ in 0..lines {
            writer.listen();
        }
        if watch {
            let before = sight(&directory);
            spin_while(Duration::from_millis(20), || sight(&directory) == before);
        }
        spin_while(spin, || true);
        let ended = writer.kill();
        assert_eq!(ended.status.signal(), Some(9), "{place}: {ended:?}");
        acknowledged = ended.last(acknowledged);

        // A copy is looked at, so that the next process finds what this one has left behind.
        if directory.exists() {
            let copied = memory.path().join("copy");
            copy(&directory, &copied);
            let engine = Plan { directory: copied.clone(), ..plan }.open_whole();
            let engine = engine.unwrap_or_else(|error| panic!("{place}: {}", chain(&*error)));
            assert!(engine.version().0 >= acknowledged, "{place}: {acknowledged} was durable, {}", engine.version().0);
            drop(engine);
            fs::remove_dir_all(copied).unwrap();
        }
    }
}

/// Mounts a small disk where the directory of the plan is to be and fills it; then opens the directory as it was left, and
/// once more when there is room. Each time it says how that ended.
const FULL_DISK: &str = r#"
    disk="${AMIKO_DIRECTORY%/*}"
    mount -t tmpfs -o size=1m tmpfs "$disk" || exit
    trap 'umount "$disk"' EXIT
    echo mounted
    head -c 524288 /dev/zero > "$disk/ballast"
    "$@"; echo "ended $?"
    AMIKO_PLAN="$AMIKO_NOTHING" "$@"; echo "ended $?"
    rm "$disk/ballast"
    AMIKO_PLAN="$AMIKO_MORE" "$@"; echo "ended $?"
"#;

#[test]
fn a_full_disk_ends_the_process_with_a_reason_and_loses_nothing() {
    let in_a_namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FULL_DISK];
    let as_root = ["sh", "-c", FULL_DISK];
    // What the disk is too small for: more of the journal, a snapshot, and a second segment of the journal.
    for (segment_chunk, snapshot_minimum) in [(4096, u64::MAX), (4096, 1000), (1 << 18, 1000)] {
        let root = tempfile::tempdir().unwrap();
        let plan = Plan { segment_chunk, snapshot_minimum, ..Plan::growing(root.path().join("state")) };
        let run = |shell: &[&str]| {
            let mut command = plan.command_by(shell);
            command.env("AMIKO_NOTHING", plan.events(0).write()).env("AMIKO_MORE", plan.events(20).write());
            let output = command.stdin(Stdio::null()).output().ok()?;
            let [stdout, stderr] = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
            stdout.contains("mounted\n").then_some((stdout, stderr))
        };
        let Some((stdout, stderr)) = run(&in_a_namespace).or_else(|| run(&as_root)) else {
            // Past the capture of the harness: a test that passes doesn't show that it did nothing.
            writeln!(io::stderr(), "skipped: a full disk, as nothing may be mounted here").unwrap();
            return;
        };
        let said = format!("{plan:?}\n{stdout}\n{stderr}");
        let mut ended = Vec::new();
        let mut last = 0;
        for line in stdout.lines() {
            if let Some(version) = durable(line) {
                assert!(version >= last, "{last} was durable: {said}");
                last = version;
            } else if let Some(code) = line.strip_prefix("ended ") {
                ended.push((code, last));
            }
        }
        let [("1", first), ("0", _), ("0", after)] = ended[..] else { panic!("{ended:?}: {said}") };
        assert!(after >= first + 20, "{said}");
        assert_clear(&stderr, &plan.directory, "no space left");
    }
}

#[test]
fn a_limit_on_the_size_of_files_ends_the_process_with_a_reason_and_loses_nothing() {
    const NEVER: u64 = u64::MAX;
    // The limit is met by the first chunk of the journal that this process fills, by a later one, and by a snapshot.
    for (segment_chunk, snapshot_minimum, group) in [(1 << 20, NEVER, 1), (4096, NEVER, 8), (4096, 1000, 8)] {
        let root = tempfile::tempdir().unwrap();
        let plan = Plan { segment_chunk, snapshot_minimum, group, ..Plan::growing(root.path().join("state")) };
        assert!(Writer::start(plan.events(1).command()).end().status.success());
        // The shell's signal would end the process before it could say anything.
        let limited = || Writer::start(plan.command_by(&["sh", "-c", "trap '' XFSZ; ulimit -f 400; exec \"$@\""]));
        let ended = limited().end();
        ended.assert_refused(&plan.directory, "file too large");
        let acknowledged = ended.last(1);
        assert!(acknowledged > 1 || segment_chunk > 4096, "{ended:?}");
        // Opened under the same limit, it may come a little further, or not even open.
        let ended = limited().end();
        ended.assert_refused(&plan.directory, "file too large");
        assert_goes_on(&plan, ended.last(acknowledged));
    }
}

#[test]
fn a_new_directory_that_cant_be_written_is_refused_and_can_be_made_later() {
    let root = tempfile::tempdir().unwrap();
    let plan = Plan::growing(root.path().to_owned());
    let in_the_way = root.path().join("journal-1.jsonl.tmp");
    symlink("/dev/full", &in_the_way).unwrap();
    let ended = Writer::start(plan.command()).end();
    ended.assert_refused(root.path(), "expected a regular file");
    assert_eq!(ended.acknowledged, None);
    fs::remove_file(in_the_way).unwrap();
    assert_goes_on(&plan, 0);
}

#[test]
fn a_compaction_that_cant_be_written_stops_the_engine_and_loses_nothing() {
    let names: [fn(u64) -> String; 2] =
        [|version| format!("journal-{}.jsonl.tmp", version + 1), |version| format!("snapshot-{version}.json.tmp")];
    for name in names {
        let root = tempfile::tempdir().unwrap();
        let plan = Plan { snapshot_minimum: 10_000, ..Plan::growing(root.path().to_owned()) };
        let mut engine = plan.open().unwrap();
        let in_the_way = || (1..500).map(|version| root.path().join(name(version)));
        in_the_way().for_each(|path| symlink("/dev/full", path).unwrap());

        let mut acknowledged = 0;
        let error = loop {
            assert!(acknowledged < 500, "nothing was compacted");
            plan.enter(&mut engine).unwrap();
            match engine.sync() {
                Ok(_) => acknowledged = engine.version().0,
                Err(error) => break error,
            }
        };
        assert!(acknowledged > 0, "{}", chain(&error));
        assert_clear(&chain(&error), root.path(), "expected a regular file");
        assert!(plan.enter(&mut engine).is_err() && engine.sync().is_err(), "what is on disk isn't known any more");
        drop(engine);

        in_the_way().for_each(|path| drop(fs::remove_file(path)));
        assert_goes_on(&plan, acknowledged);
    }
}

#[test]
fn a_second_process_is_told_which_one_has_the_directory() {
    let root = tempfile::tempdir().unwrap();
    let plan = Plan { events: u64::MAX, keep: 50, ..Plan::growing(root.path().to_owned()) };
    let mut writer = Writer::start(plan.command());
    let mut wait_for = |version| {
        while writer.acknowledged.is_none_or(|last| last < version) {
            assert!(writer.listen(), "{writer:?}");
        }
        writer.acknowledged
    };
    let before = wait_for(1).unwrap();
    let ended = Writer::start(plan.command()).end();
    assert_eq!((ended.status.code(), ended.acknowledged), (Some(1), None), "{ended:?}");
    // The first hasn't noticed.
    wait_for(before + 500);
    for words in [root.path().display().to_string(), format!("pid {}", writer.process.id())] {
        assert!(ended.stderr.contains(&words), "{words:?} in {ended:?}");
    }
    // Nor does it leave anything locked.
    assert_goes_on(&plan, writer.kill().last(0));
}
