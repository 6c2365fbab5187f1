//! What goes wrong: processes, the network, and the database, each on a thread of its own.

use super::clients::{ALL_WRITE, NOBODY_WRITES, WANDERERS_WRITE};
use super::common::{ask, ask_any};
use super::processes::Processes;
use super::proxy::{Network, Ways};
use super::random::Random;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What has gone wrong how often.
#[derive(Default)]
pub(crate) struct Counts(Mutex<BTreeMap<&'static str, u64>>);

impl Counts {
    fn add(&self, what: &'static str) {
        *self.0.lock().unwrap().entry(what).or_default() += 1;
    }

    pub(crate) fn get(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap().clone()
    }
}

/// Where things go wrong, and until when.
pub(crate) struct Trouble {
    pub(crate) url: String,
    pub(crate) processes: Arc<Processes>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) until: Instant,
    /// Who writes.
    pub(crate) quiet: Arc<AtomicU8>,
    /// The longest time for which a process is stopped.
    pub(crate) longest_stop: Duration,
    /// How long the database is left in peace between two faults of its own, at the most.
    pub(crate) peace: Duration,
    /// What mustn't happen, whatever goes wrong.
    pub(crate) complaints: Mutex<Vec<String>>,
}

impl Trouble {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Sleeps, but not beyond the end.
    fn wait(&self, pause: Duration) {
        sleep(pause.min(self.until.saturating_duration_since(Instant::now())));
    }

    fn complain(&self, complaint: String) {
        eprintln!("{complaint}");
        self.complaints.lock().unwrap().push(complaint);
    }

    /// The place of the leader, most of the time; otherwise any.
    fn place(&self, random: &mut Random) -> usize {
        let any = random.below(self.processes.places.len() as u64) as usize;
        if random.below(3) == 0 {
            return any;
        }
        let sql = format!("SELECT address FROM amiko.node WHERE name = '{}'", self.processes.node);
        let rows = ask(&self.url, &sql).unwrap_or_default();
        rows.first().and_then(|row| self.processes.place_of(&row[0])).unwrap_or(any)
    }

    /// Kills, stops and ends processes, and starts them again.
    pub(crate) fn of_processes(&self, seed: u64) {
        let mut random = Random::new(seed);
        let lease = self.processes.lease;
        while !self.is_over() {
            self.wait(random.up_to(lease * 4));
            for place in 0..self.processes.places.len() {
                if let Some(code) = self.processes.code(place) {
                    self.complain(format!("a process ended by itself, with {code:?}"));
                    self.processes.begin(place);
                }
            }
            let place = self.place(&mut random);
            match random.below(10) {
                0..4 => {
                    self.counts.add("kills");
                    self.processes.kill(place);
                    self.wait(random.up_to(lease * 2));
                    self.processes.begin(place);
                }
                4..8 => {
                    self.counts.add("stops");
                    self.processes.pause(place);
                    self.wait(match random.below(10) {
                        0..5 => random.up_to(lease),
                        5..9 => random.between(lease, lease * 4),
                        _ => random.up_to(self.longest_stop),
                    });
                    self.processes.resume(place);
                }
                _ => {
                    self.counts.add("ends");
                    self.processes.tell(place);
                    if let Err(complaint) = self.processes.has_stopped(place, lease * 12) {
                        self.complain(complaint);
                    }
                    self.processes.begin(place);
                }
            }
        }
    }

    /// Cuts, holds up and slows down the network of a process.
    pub(crate) fn of_networks(&self, seed: u64) {
        let mut random = Random::new(seed);
        let lease = self.processes.lease;
        while !self.is_over() {
            self.wait(random.up_to(lease * 3));
            let place = self.place(&mut random);
            let ways = &self.processes.places[place].ways;
            let (network, what) = match random.below(10) {
                0..3 => (Network::Cut, "cuts"),
                3..5 => (Network::Holds, "hold-ups"),
                5..7 => (Network::HoldsOld, "hold-ups"),
                7..9 => (Network::LosesAnswers, "lost answers"),
                _ => (Network::Delays(random.up_to(lease / 4)), "delays"),
            };
            self.counts.add(what);
            match random.below(4) {
                0 => {
                    ways.set(network);
                    self.wait(random.up_to(lease / 2));
                }
                1 => {
                    ways.set(network);
                    self.wait(random.up_to(lease * 4));
                }
                _ => self.cut_off_quietly(network, ways, &mut random),
            }
            if network == Network::LosesAnswers {
                // What comes next over these connections isn't what was asked for.
                ways.set(Network::Cut);
            }
            ways.set(Network::Passes);
            self.quiet.store(ALL_WRITE, Ordering::Relaxed);
        }
    }

    /// A leader that isn't asked to write anything may not know that it has been cut off, while another one is asked.
    fn cut_off_quietly(&self, network: Network, ways: &Ways, random: &mut Random) {
        let lease = self.processes.lease;
        self.quiet.store(NOBODY_WRITES, Ordering::Relaxed);
        self.wait(lease / 4);
        ways.set(network);
        self.wait(random.between(lease, lease * 2));
        self.quiet.store(WANDERERS_WRITE, Ordering::Relaxed);
        self.wait(random.up_to(lease * 2));
    }

    /// Ends connections and waits of the database, and its primary.
    pub(crate) fn of_databases(&self, seed: u64) {
        let mut random = Random::new(seed);
        let servers = Servers::of(&self.url);
        while !self.is_over() {
            self.wait(random.up_to(self.peace));
            match (random.below(4), &servers) {
                (0, _) => self.end_connections(&mut random),
                (1, Some(servers)) => self.stall(servers, &mut random),
                (2, Some(servers)) => self.fill(servers, &mut random),
                (_, Some(servers)) => self.fail_over(servers, &mut random),
                (_, None) => self.end_connections(&mut random),
            }
        }
    }

    fn end_connections(&self, random: &mut Random) {
        let act = if random.below(2) == 0 { "pg_terminate_backend" } else { "pg_cancel_backend" };
        let sql =
            format!("SELECT {act}(pid) FROM pg_stat_activity WHERE application_name = 'amiko' AND random() < 0.5");
        if ask(&self.url, &sql).is_ok_and(|rows| !rows.is_empty()) {
            self.counts.add("ended connections");
        }
    }

    /// No standby gets anything for a time, in which waits for them are cancelled. Sometimes the primary is lost then, with what
    /// only it has.
    fn stall(&self, servers: &Servers, random: &mut Random) {
        let Some((primary, standbys)) = servers.roles() else { return };
        self.counts.add("standbys away");
        for standby in &standbys {
            servers.ask(*standby, "ALTER SYSTEM SET primary_conninfo = ''");
            servers.ask(*standby, "SELECT pg_reload_conf()");
        }
        let end = Instant::now() + random.between(self.processes.lease, self.processes.lease * 4);
        while Instant::now() < end && !self.is_over() {
            let sql = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' \
                       AND application_name = 'amiko' AND random() < 0.3";
            if servers.ask(primary, sql).is_some_and(|rows| !rows.is_empty()) {
                self.counts.add("cancelled waits");
            }
            self.wait(self.processes.lease / 20);
        }
        if random.below(2) == 0 && servers.control(&["kill", &primary.to_string()]) {
            return self.replace(servers, primary, random);
        }
        for standby in standbys {
            servers.control(&["follow", &standby.to_string(), &primary.to_string()]);
        }
        if !servers.are_together() {
            self.complain("expected the standbys to come back".to_owned());
        }
    }

    /// There is no room for anything more on the primary's disk.
    fn fill(&self, servers: &Servers, random: &mut Random) {
        let Some((primary, _)) = servers.roles() else { return };
        if !servers.control(&["fill", &primary.to_string()]) {
            return self.fail_over(servers, random);
        }
        self.counts.add("full disks");
        self.wait(random.up_to(self.processes.lease * 4));
        if !servers.control(&["free", &primary.to_string()]) {
            self.complain("expected a server to go on once its disk has room".to_owned());
        }
    }

    fn fail_over(&self, servers: &Servers, random: &mut Random) {
        let Some((primary, _)) = servers.roles() else { return };
        if servers.control(&["kill", &primary.to_string()]) {
            self.replace(servers, primary, random);
        }
    }

    /// Makes the standby the primary that has more of the journal: only it is sure to have all that was acknowledged.
    fn replace(&self, servers: &Servers, lost: usize, random: &mut Random) {
        self.counts.add("failovers");
        self.wait(random.up_to(self.processes.lease * 2));
        let mut standbys: Vec<_> = (0..servers.configs.len()).filter(|server| *server != lost).collect();
        let has = |server: &usize| {
            const SQL: &str = "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn";
            servers.ask(*server, SQL).and_then(|rows| rows.first()?[0].parse::<u64>().ok()).unwrap_or(0)
        };
        // What was on its way has arrived, or never will: the server is gone.
        let mut before = Vec::new();
        loop {
            let now: Vec<_> = standbys.iter().map(has).collect();
            if now == before {
                break;
            }
            before = now;
            sleep(Duration::from_millis(200));
        }
        standbys.sort_by_key(|server| std::cmp::Reverse(has(server)));
        let next = standbys[0].to_string();
        let mut done = servers.control(&["promote", &next]);
        for standby in [standbys[1], lost] {
            done &= servers.control(&["follow", &standby.to_string(), &next]);
        }
        if !done || !servers.are_together() {
            let logs: Vec<_> = (0..servers.configs.len()).map(|server| servers.end_of_log(server)).collect();
            eprintln!("{}", logs.join("\n\n"));
            self.complain(format!("expected server {next} to be the primary, and the others its standbys"));
        }
    }

    /// Nothing is wrong any more.
    pub(crate) fn mend(&self) {
        for place in &self.processes.places {
            place.ways.set(Network::Cut);
            place.ways.set(Network::Passes);
        }
        for place in 0..self.processes.places.len() {
            self.processes.resume(place);
            if self.processes.address(place).is_none() {
                self.processes.begin(place);
            }
        }
    }
}

/// The servers of the database, if they can be told what to do.
struct Servers {
    configs: Vec<tokio_postgres::Config>,
    control: String,
}

impl Servers {
    fn of(url: &str) -> Option<Self> {
        let control = std::env::var("AMIKO_POSTGRES_CONTROL").ok()?;
        let (before, rest) = url.split_once('@')?;
        let (hosts, after) = rest.split_once('/')?;
        let configs = hosts.split(',').map(|host| format!("{before}@{host}/{after}").parse().unwrap()).collect();
        Some(Self { configs, control })
    }

    fn ask(&self, server: usize, sql: &str) -> Option<Vec<Vec<String>>> {
        ask_any(&self.configs[server], sql).ok()
    }

    fn control(&self, words: &[&str]) -> bool {
        let output = Command::new(&self.control).args(words).output().unwrap();
        if !output.status.success() && !output.stderr.is_empty() {
            eprintln!("{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        output.status.success()
    }

    fn end_of_log(&self, server: usize) -> String {
        let output = Command::new(&self.control).args(["log", &server.to_string()]).output().unwrap();
        let log = std::fs::read_to_string(String::from_utf8_lossy(&output.stdout).trim()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// The primary and its standbys, if it has them all.
    fn roles(&self) -> Option<(usize, Vec<usize>)> {
        let all = 0..self.configs.len();
        let primary = all.clone().find(|server| {
            let sql = "SELECT pg_is_in_recovery() OR (SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming') < 2";
            self.ask(*server, sql).is_some_and(|rows| rows[0][0] == "f")
        })?;
        Some((primary, all.filter(|server| *server != primary).collect()))
    }

    fn are_together(&self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            if self.roles().is_some() {
                return true;
            }
            sleep(Duration::from_millis(100));
        }
        false
    }
}
