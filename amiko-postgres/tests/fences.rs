//! Two that believe to lead, and commits whose answers are lost: one fault at a time, over a network that the test cuts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod common;
#[path = "history/proxy.rs"]
mod proxy;

use amiko_core::Time;
use amiko_core::store::{Recovery, Refused, Standby, Store, StoreError, Takeover, Work as _};
use amiko_postgres::{Cluster, Postgres, PostgresDone, PostgresSettings};
use common::{ask, database, lead, node, quick, until};
use proxy::{Network, Ways};
use std::sync::{PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// One of these tests leaves the whole database without standbys for a moment: the others don't run meanwhile.
static DATABASE: RwLock<()> = RwLock::new(());

/// What a store hands over.
#[derive(Default)]
struct Records(Vec<String>);

impl Recovery for Records {
    fn snapshot(&mut self, _: u64, _: &str) -> Result<(), Refused> {
        self.0.clear();
        Ok(())
    }

    fn record(&mut self, _: u64, record: &str) -> Result<(), Refused> {
        self.0.push(record.to_owned());
        Ok(())
    }
}

fn record(sequence: u64, by: &str) -> String {
    format!(r#"{{"seq":{sequence},"by":"{by}"}}"#)
}

/// A new leader's store, with what it found.
fn recovered(mut store: Postgres) -> (Postgres, Vec<String>) {
    let mut records = Records::default();
    store.recover(&mut records).unwrap();
    (store, records.0)
}

fn write(store: &mut Postgres, sequence: u64, by: &str) -> Result<(), StoreError> {
    store.append(sequence, &record(sequence, by))?;
    store.sync()
}

/// Begins a commit on a thread of its own.
fn commit(store: &mut Postgres, sequence: u64, by: &str) -> JoinHandle<PostgresDone> {
    store.append(sequence, &record(sequence, by)).unwrap();
    let work = store.begin_sync().unwrap().unwrap();
    std::thread::spawn(move || work.run())
}

/// Settings of one whose connection lasts: it waits for answers for longer than a test takes. After a commit it is silent for half
/// a second, so that no renewal is under way when the test goes on.
fn patient() -> PostgresSettings {
    let mut settings = quick();
    settings.lease = Duration::from_secs(1);
    settings.renew = settings.lease / 2;
    settings.timeout = Duration::from_secs(60);
    settings
}

/// Settings of one that gives a connection up soon, and has a lease for the whole test.
fn hasty() -> PostgresSettings {
    let mut settings = quick();
    settings.lease = Duration::from_secs(60);
    settings.renew = Duration::from_secs(30);
    settings.timeout = Duration::from_secs(1);
    settings
}

fn epoch(url: &str, node: &str) -> u64 {
    ask(url, &format!("SELECT epoch FROM amiko.node WHERE name = '{node}'")).unwrap()[0][0].parse().unwrap()
}

/// How far the journal goes, and how many rows it has.
fn journal(url: &str, node: &str) -> (u64, u64) {
    let sql = format!("SELECT coalesce(max(last), 0), count(*) FROM amiko.journal_group WHERE node = '{node}'");
    let rows = ask(url, &sql).unwrap();
    (rows[0][0].parse().unwrap(), rows[0][1].parse().unwrap())
}

#[test]
fn a_commit_that_arrives_after_another_one_leads_does_nothing() {
    let Some(url) = database() else { return };
    let _shared = DATABASE.read().unwrap_or_else(PoisonError::into_inner);
    let (ways, node) = (Ways::to(&url), node("fence"));
    let (mut old, _) = recovered(Postgres::open(&ways.url, &node, patient()).unwrap());
    write(&mut old, 1, "old").unwrap();

    ways.set(Network::Holds);
    let late = commit(&mut old, 2, "old");
    let (mut new, found) = recovered(lead(&url, &node, &patient()));
    assert_eq!(found, [record(1, "old")]);
    let lease = old.lease();
    assert!(matches!(lease, Err(StoreError::Fenced { .. })), "it answered questions beside another leader: {lease:?}");

    ways.set(Network::Passes);
    let refused = old.end_sync(late.join().unwrap());
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    assert_eq!(journal(&url, &node), (1, 1), "the journal was written after another one had read it");
    write(&mut new, 2, "new").unwrap();
    new.close();
    old.close();
    let (_, found) = recovered(lead(&url, &node, &quick()));
    assert_eq!(found, [record(1, "old"), record(2, "new")]);
}

#[test]
fn a_leader_that_answers_no_more_for_a_lease_says_so_by_its_own_clock() {
    let Some(url) = database() else { return };
    let _shared = DATABASE.read().unwrap_or_else(PoisonError::into_inner);
    let (ways, node) = (Ways::to(&url), node("lease"));
    let (old, _) = recovered(Postgres::open(&ways.url, &node, patient()).unwrap());
    assert!(old.lease().unwrap().is_some_and(|left| left <= patient().lease));
    ways.set(Network::Holds);
    until("the lease ends without anybody saying so", || old.lease().is_err());
    ways.set(Network::Passes);
    until("it is renewed once the database answers, as nobody else leads", || old.lease().is_ok());
}

#[test]
fn a_lease_is_counted_anew_by_the_clock_of_a_server_that_takes_over() {
    let Some(url) = database() else { return };
    let _shared = DATABASE.read().unwrap_or_else(PoisonError::into_inner);
    let (ways, node) = (Ways::to(&url), node("clock"));
    let (mut old, _) = recovered(Postgres::open(&ways.url, &node, patient()).unwrap());
    write(&mut old, 1, "old").unwrap();
    ways.set(Network::Holds);
    // As if another server had written it, whose clock is an hour behind.
    let behind = format!(
        "UPDATE amiko.node SET expires = expires - interval '1 hour', clock = clock - interval '1 day' WHERE name = '{node}'"
    );
    ask(&url, &behind).unwrap();
    let new = lead(&url, &node, &patient());
    let lease = old.lease();
    assert!(matches!(lease, Err(StoreError::Fenced { .. })), "it answered questions beside another leader: {lease:?}");
    new.close();
    ways.set(Network::Passes);
}

#[test]
fn a_commit_whose_answer_is_lost_is_found_out_and_not_doubled() {
    let Some(url) = database() else { return };
    let _shared = DATABASE.read().unwrap_or_else(PoisonError::into_inner);
    let (ways, node) = (Ways::to(&url), node("answer"));
    let (mut store, _) = recovered(Postgres::open(&ways.url, &node, hasty()).unwrap());
    write(&mut store, 1, "it").unwrap();
    let before = epoch(&url, &node);

    ways.set(Network::LosesAnswers);
    let lost = commit(&mut store, 2, "it");
    until("the commit arrives", || journal(&url, &node).0 == 2);
    ways.set(Network::Cut);
    ways.set(Network::Passes);
    store.end_sync(lost.join().unwrap()).unwrap();
    assert!(epoch(&url, &node) > before, "without a new epoch nobody knows what becomes of a commit");
    assert_eq!(journal(&url, &node), (2, 2));
    write(&mut store, 3, "it").unwrap();
    store.close();
    let (_, found) = recovered(lead(&url, &node, &quick()));
    assert_eq!(found, [record(1, "it"), record(2, "it"), record(3, "it")]);
}

#[test]
fn a_snapshot_that_goes_on_in_a_new_epoch_can_be_read() {
    let Some(url) = database() else { return };
    let _shared = DATABASE.read().unwrap_or_else(PoisonError::into_inner);
    let (ways, node) = (Ways::to(&url), node("snapshot"));
    let (mut store, _) = recovered(Postgres::open(&ways.url, &node, hasty()).unwrap());
    write(&mut store, 1, "it").unwrap();
    store.begin_snapshot(1, Time::from_secs(1)).unwrap();
    store.write_snapshot(r#"{"by":"#).unwrap();
    store.sync().unwrap();
    let before = epoch(&url, &node);
    ways.set(Network::LosesAnswers);
    let lost = commit(&mut store, 2, "it");
    until("the commit arrives", || journal(&url, &node).0 == 2);
    ways.set(Network::Cut);
    ways.set(Network::Passes);
    store.end_sync(lost.join().unwrap()).unwrap();
    assert!(epoch(&url, &node) > before);
    store.write_snapshot(r#""it"}"#).unwrap();
    store.finish_snapshot().unwrap();
    store.sync().unwrap();
    store.close();
    let (_, found) = recovered(lead(&url, &node, &quick()));
    assert_eq!(found, [record(2, "it")]);
}

#[test]
fn a_commit_that_is_late_does_nothing_once_it_was_reported_as_failed() {
    let Some(url) = database() else { return };
    let _shared = DATABASE.read().unwrap_or_else(PoisonError::into_inner);
    let (ways, node) = (Ways::to(&url), node("late"));
    let (mut store, _) = recovered(Postgres::open(&ways.url, &node, hasty()).unwrap());
    write(&mut store, 1, "it").unwrap();

    ways.set(Network::HoldsOld);
    let late = commit(&mut store, 2, "it");
    let failed = store.end_sync(late.join().unwrap());
    assert!(matches!(failed, Err(StoreError::Io { .. })), "{failed:?}");
    ways.set(Network::Passes);
    // Whenever what was held up arrives, its epoch is over.
    store.close();
    let (mut next, found) = recovered(lead(&url, &node, &quick()));
    assert_eq!(found, [record(1, "it")]);
    write(&mut next, 2, "next").unwrap();
    assert_eq!(journal(&url, &node), (2, 2));
}

#[test]
fn a_commit_that_is_lost_isnt_acknowledged_because_another_one_has_written_as_many() {
    let Some(url) = database() else { return };
    let _shared = DATABASE.read().unwrap_or_else(PoisonError::into_inner);
    let (ways, node) = (Ways::to(&url), node("lost"));
    let mut settings = patient();
    settings.timeout = Duration::from_secs(1);
    let (mut old, _) = recovered(Postgres::open(&ways.url, &node, settings).unwrap());
    write(&mut old, 1, "old").unwrap();

    ways.set(Network::Holds);
    let lost = commit(&mut old, 2, "old");
    let (mut new, _) = recovered(lead(&url, &node, &hasty()));
    write(&mut new, 2, "new").unwrap();
    // What was held up is lost.
    ways.set(Network::Cut);
    ways.set(Network::Passes);
    let refused = old.end_sync(lost.join().unwrap());
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    assert_eq!(journal(&url, &node), (2, 2));
}

#[test]
fn whoever_takes_over_has_what_was_committed_after_it_looked() {
    let Some(url) = database() else { return };
    let _shared = DATABASE.read().unwrap_or_else(PoisonError::into_inner);
    let node = node("tail");
    let mut standby = Cluster::join(&url, &node, quick()).unwrap();
    let (mut old, _) = recovered(Postgres::open(&url, &node, patient()).unwrap());
    write(&mut old, 1, "old").unwrap();
    let mut records = Records::default();
    standby.follow(&mut records).unwrap();
    assert_eq!(records.0, [record(1, "old")]);
    write(&mut old, 2, "old").unwrap();
    old.abandon();
    let mut new = loop {
        match standby.take_over().unwrap() {
            Takeover::Leads(store) => break store,
            _ => standby.wait(quick().poll),
        }
    };
    assert_eq!(new.recover(&mut records).unwrap().sequence, 2);
    assert_eq!(records.0, [record(1, "old"), record(2, "old")]);
    write(&mut new, 3, "new").unwrap();
}

#[test]
fn a_wait_for_a_standby_that_was_cancelled_isnt_taken_for_a_durable_commit() {
    let Some(url) = database() else { return };
    let privileged = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user";
    let standbys = "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')";
    if ask(&url, privileged).unwrap()[0][0] != "t" || ask(&url, standbys).unwrap()[0][0] == "0" {
        eprintln!("NOT RUN: it needs a superuser, and a synchronous standby; run it with .ci/postgres");
        return;
    }
    let _alone = DATABASE.write().unwrap_or_else(PoisonError::into_inner);
    let names = |change: &str| {
        ask(&url, &format!("ALTER SYSTEM {change}")).unwrap();
        ask(&url, "SELECT pg_reload_conf()").unwrap();
    };
    let before = ask(&url, "SHOW synchronous_standby_names").unwrap().remove(0).remove(0);
    let node = node("cancelled");
    let mut settings = hasty();
    settings.timeout = Duration::from_secs(60);
    let (mut store, _) = recovered(Postgres::open(&url, &node, settings).unwrap());
    write(&mut store, 1, "it").unwrap();
    let reached = epoch(&url, &node);

    // Nobody has this name, so every commit waits.
    names("SET synchronous_standby_names = 'nobody'");
    until("the names are in use", || ask(&url, standbys).unwrap()[0][0] == "0");
    let waiting = commit(&mut store, 2, "it");
    let waits = |statement: &str| {
        let sql = format!(
            "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'amiko' AND query LIKE '%{statement}%'"
        );
        ask(&url, &sql).unwrap().first().map(|row| row[0].clone())
    };
    until("the commit waits for a standby", || waits("INSERT INTO amiko.journal_group").is_some());
    let backend = waits("INSERT INTO amiko.journal_group").unwrap();
    ask(&url, &format!("SELECT pg_cancel_backend({backend})")).unwrap();
    until("it is found out what became of it", || waiting.is_finished() || waits("epoch = epoch").is_some());
    let acknowledged = waiting.is_finished();
    names(&format!("SET synchronous_standby_names = '{before}'"));
    assert!(!acknowledged, "a commit that no standby has was acknowledged");
    store.end_sync(waiting.join().unwrap()).unwrap();
    assert!(epoch(&url, &node) > reached);
    assert_eq!(journal(&url, &node), (2, 2));
}
