//! The processes of one node, each with a network of its own to the database.

use super::ledger;
use super::proxy::Ways;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A process that runs; killed when it is dropped.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(url: &str, node: &str, lease: Duration) -> Self {
        // This very program, which is a process of the node if the environment says so.
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["a_process", "--exact", "--nocapture"])
            .env(ledger::URL, url)
            .env(ledger::NODE, node)
            .env(ledger::LEASE, lease.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| line.unwrap().strip_prefix("listening on ").map(str::to_owned)).unwrap();
        // The harness of the tests says now and then that it is still there, and ends if nobody hears it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A place among the processes: whoever runs there, and its network.
pub(crate) struct Place {
    pub(crate) ways: Ways,
    process: Mutex<Option<Process>>,
}

/// All of them.
pub(crate) struct Processes {
    pub(crate) node: String,
    pub(crate) lease: Duration,
    pub(crate) places: Vec<Place>,
}

impl Processes {
    pub(crate) fn start(url: &str, node: &str, lease: Duration, count: usize) -> Self {
        let places = (0..count).map(|_| Place { ways: Ways::to(url), process: Mutex::new(None) }).collect();
        let this = Self { node: node.to_owned(), lease, places };
        (0..count).for_each(|place| this.begin(place));
        this
    }

    /// Starts a process in this place.
    pub(crate) fn begin(&self, place: usize) {
        let Place { ways, process } = &self.places[place];
        let new = Process::start(&ways.url, &self.node, self.lease);
        *process.lock().unwrap() = Some(new);
    }

    /// Where the one in this place answers, if there is one.
    pub(crate) fn address(&self, place: usize) -> Option<String> {
        self.places[place].process.lock().unwrap().as_ref().map(|process| process.address.clone())
    }

    /// The place of the one with this address.
    pub(crate) fn place_of(&self, address: &str) -> Option<usize> {
        (0..self.places.len()).find(|place| self.address(*place).as_deref() == Some(address))
    }

    fn with(&self, place: usize, act: impl FnOnce(&mut Process)) {
        if let Some(process) = &mut *self.places[place].process.lock().unwrap() {
            act(process);
        }
    }

    /// As `kill -9`.
    pub(crate) fn kill(&self, place: usize) {
        drop(self.places[place].process.lock().unwrap().take());
    }

    pub(crate) fn pause(&self, place: usize) {
        self.with(place, |process| process.signal(Signal::STOP));
    }

    pub(crate) fn resume(&self, place: usize) {
        self.with(place, |process| process.signal(Signal::CONT));
    }

    /// Tells it to stop.
    pub(crate) fn tell(&self, place: usize) {
        self.with(place, |process| process.signal(Signal::TERM));
    }

    /// Waits until it has stopped; says whether it has in time. One that can't reach the database may say that it has failed.
    pub(crate) fn has_stopped(&self, place: usize, limit: Duration) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            if let Some(code) = self.code(place) {
                self.kill(place);
                return match code {
                    Some(ledger::STOPPED | ledger::FAILED) => Ok(()),
                    code => Err(format!("a process that was told to stop ended with {code:?}")),
                };
            }
            if begun.elapsed() > limit {
                self.kill(place);
                return Err(format!("a process that was told to stop was still there after {limit:?}"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How it has ended, if it has.
    pub(crate) fn code(&self, place: usize) -> Option<Option<i32>> {
        let mut process = self.places[place].process.lock().unwrap();
        process.as_mut().and_then(|process| process.child.try_wait().unwrap()).map(|status| status.code())
    }
}
