//! What the embedded store costs beside what it cannot do without.
//!
//! `cargo bench -p offchannel-server --bench store` runs, in turns, (a) reports through `decide` with many
//! callers and (b) a bare loop on one thread that writes the same rows to the same tables with the same settings and
//! the same number of rows in each commit, and prints the ratio: the speed of a disk's sync changes from
//! minute to minute, the ratio much less. Then it compares ways to have a point read done by another thread.
//!
//! Arguments: `--callers N`, `--devices N`, `--rounds N`.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for developers, on a terminal")]

#[path = "../tests/conformance/fixtures.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod fixtures;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fixtures::{at, deciding, device, nothing, presented, report, token};
use offchannel_server::domain::device::Device;
use offchannel_server::store::sqlite::{OpenOptions, SqliteStore};
use offchannel_server::store::{DeviceStore as _, Store, StoreError};
use offchannel_shared::ids::DeviceId;
use rusqlite::{Connection, params};
use tokio::task::JoinSet;

/// Reports in one round of each kind.
const REPORTS: u64 = 20_000;
/// Point reads of each kind.
const READS: u64 = 20_000;
const APPS: [&str; 4] = ["signal", "telegram", "viber", "whatsapp"];

#[derive(Debug, Clone, Copy)]
struct Size {
    callers: u64,
    devices: u64,
    rounds: u64,
}

fn size() -> Size {
    let mut size = Size { callers: 256, devices: 100_000, rounds: 5 };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok()).unwrap();
        match name.as_str() {
            "--callers" => size.callers = number(),
            "--devices" => size.devices = number(),
            "--rounds" => size.rounds = number(),
            // Cargo adds this one.
            "--bench" => {}
            other => panic!("unknown argument {other}: expected --callers, --devices or --rounds"),
        }
    }
    size
}

fn main() {
    let size = size();
    let folder = tempfile::tempdir_in(".").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let store = open(&folder.path().join("store.db"));
    let bare_path = folder.path().join("bare.db");
    runtime.block_on(fill(&store, size));
    let bare_store = open(&bare_path);
    runtime.block_on(fill(&bare_store, size));
    runtime.block_on(bare_store.close()).unwrap();
    let mut bare = connect(&bare_path);
    println!("{} devices, {} callers, {REPORTS} reports a round", size.devices, size.callers);
    let mut ratios = Vec::new();
    for round in 1..=size.rounds {
        let ours = runtime.block_on(reports(&store, size, round));
        let floor = bare_loop(&mut bare, size, round);
        let ratio = floor.as_secs_f64() / ours.as_secs_f64();
        println!(
            "round {round}: store {:>7.0}/s, bare loop {:>7.0}/s, ratio {ratio:.2}",
            rate(ours),
            rate(floor)
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[ratios.len() / 2]);
    runtime.block_on(reads(&store, &bare_path, size));
    for (what, time) in runtime.block_on(sweeps(&store, size)) {
        println!("{what}: {:.0} ms for {} devices", time.as_secs_f64() * 1e3, size.devices);
    }
    runtime.block_on(store.close()).unwrap();
}

fn rate(time: Duration) -> f64 {
    REPORTS as f64 / time.as_secs_f64()
}

fn open(path: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(path, &OpenOptions { create: true, migrate: true, announce: false, now: at(0) })
        .unwrap()
}

/// Enrols the devices and has each report once.
async fn fill(store: &Arc<SqliteStore>, size: Size) {
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    let token = token(0);
    store.create_token(token.clone()).await.unwrap();
    let mut tasks = JoinSet::new();
    for caller in 0..256 {
        let (store, presented) = (Arc::clone(&store), presented(&token));
        tasks.spawn(async move {
            for number in (caller..size.devices).step_by(256) {
                let mut device = device(number);
                device.id = spread(number);
                let device = store.enrol(presented.clone(), device, at(0)).await;
                drop(device.unwrap());
                decide(&store, spread(number), 0).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
}

/// Ids as they are in practice: their order has nothing to do with when they were made.
fn spread(number: u64) -> DeviceId {
    let high = u128::from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    DeviceId::from_random(((high << 64) | u128::from(number)).to_be_bytes())
}

/// The devices of a round, spread over all of them.
fn picked(size: Size, round: u64, place: u64) -> u64 {
    (round * REPORTS + place).wrapping_mul(7_919) % size.devices
}

fn reported(device: &mut Device, round: u64) {
    let revision = device.report.as_ref().map_or(0, |report| report.revision) + 1;
    device.report = Some(report(revision, &APPS[..usize::try_from(revision % 4).unwrap() + 1]));
    device.last_seen = at(i64::try_from(round).unwrap() * 60);
    device.evaluate_at = Some(at(i64::try_from(round * 60 + revision).unwrap() + 604_800));
}

async fn decide(store: &Arc<dyn Store>, id: DeviceId, round: u64) -> Result<(), StoreError> {
    let decide = deciding(move |case| {
        let mut decision = nothing(case.device);
        reported(&mut decision.device, round);
        Ok(Some(decision))
    });
    store.decide(&id, decide).await.map(drop)
}

async fn reports(store: &Arc<SqliteStore>, size: Size, round: u64) -> Duration {
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for caller in 0..size.callers {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for place in (caller..REPORTS).step_by(usize::try_from(size.callers).unwrap()) {
                decide(&store, spread(picked(size, round, place)), round).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    start.elapsed()
}

fn connect(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000;
            PRAGMA wal_autocheckpoint = 4000; PRAGMA foreign_keys = ON;",
        )
        .unwrap();
    connection
}

/// Rows that are made beforehand, written in as large commits as the store can have at best.
fn bare_loop(connection: &mut Connection, size: Size, round: u64) -> Duration {
    let rows: Vec<Device> = (0..REPORTS)
        .map(|place| {
            let number = picked(size, round, place);
            let mut device = device(number);
            device.id = spread(number);
            device.report = Some(report(round, &[]));
            reported(&mut device, round);
            device
        })
        .collect();
    let inventories: Vec<String> = rows
        .iter()
        .map(|row| serde_json::to_string(&row.report.as_ref().unwrap().inventory).unwrap())
        .collect();
    let start = Instant::now();
    let commit = usize::try_from(size.callers.min(256)).unwrap();
    for (rows, inventories) in rows.chunks(commit).zip(inventories.chunks(commit)) {
        let transaction = connection.transaction().unwrap();
        for (row, inventory) in rows.iter().zip(inventories) {
            let report = row.report.as_ref().unwrap();
            let mut update = transaction
                .prepare_cached(
                    "UPDATE devices SET hostname = ?2, os = ?3, report_epoch = ?4, report_revision = ?5, report_digest = ?6,
                    report_received_at = ?7, report_observed_at = ?8, report_inventory = ?9 WHERE id = ?1",
                )
                .unwrap();
            let values = params![
                row.id.as_str(),
                row.facts.hostname,
                row.facts.os,
                report.epoch.as_str(),
                report.revision.cast_signed(),
                report.digest.as_str(),
                report.received_at.as_microsecond(),
                report.observed_at.as_microsecond(),
                inventory,
            ];
            update.execute(values).unwrap();
            let mut update = transaction
                .prepare_cached(
                    "UPDATE device_activity SET last_seen = ?2, agent_version = ?3, policy_version = ?4, evaluate_at = ?5
                    WHERE device_id = ?1",
                )
                .unwrap();
            let values = params![
                row.id.as_str(),
                row.last_seen.as_microsecond(),
                row.agent_version,
                row.policy_version.cast_signed(),
                row.evaluate_at.unwrap().as_microsecond(),
            ];
            update.execute(values).unwrap();
        }
        transaction.commit().unwrap();
    }
    start.elapsed()
}

/// One caller, one point read after the other: what does the way to the connection cost?
async fn reads(store: &Arc<SqliteStore>, path: &Path, size: Size) {
    let each = |time: Duration| time.as_secs_f64() * 1e6 / READS as f64;
    let start = Instant::now();
    for place in 0..READS {
        assert!(store.device(&spread(picked(size, 1, place))).await.unwrap().is_some());
    }
    println!("point read, through the store, a device with its inventory: {:.1} us", each(start.elapsed()));

    let query = |connection: &Connection, id: &DeviceId| {
        let mut query = connection.prepare_cached("SELECT public_key FROM devices WHERE id = ?1").unwrap();
        query.query_row([id.as_str()], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    };
    let connection = Arc::new(Mutex::new(connect(path)));
    let start = Instant::now();
    for place in 0..READS {
        query(&connection.lock().unwrap(), &spread(picked(size, 1, place)));
    }
    println!("one column, on the caller's thread: {:.1} us", each(start.elapsed()));
    let start = Instant::now();
    for place in 0..READS {
        let connection = Arc::clone(&connection);
        let work = move || query(&connection.lock().unwrap(), &spread(picked(size, 1, place)));
        tokio::task::spawn_blocking(work).await.unwrap();
    }
    println!("one column, by spawn_blocking: {:.1} us", each(start.elapsed()));
    let (queue, inbox) = std::sync::mpsc::channel::<(DeviceId, tokio::sync::oneshot::Sender<()>)>();
    let thread = std::thread::spawn(move || {
        for (id, reply) in inbox {
            query(&connection.lock().unwrap(), &id);
            reply.send(()).unwrap();
        }
    });
    let start = Instant::now();
    for place in 0..READS {
        let (reply, answer) = tokio::sync::oneshot::channel();
        queue.send((spread(picked(size, 1, place)), reply)).unwrap();
        answer.await.unwrap();
    }
    println!("one column, by a thread of its own: {:.1} us", each(start.elapsed()));
    drop(queue);
    thread.join().unwrap();
}

/// What touches every device.
async fn sweeps(store: &Arc<SqliteStore>, size: Size) -> Vec<(&'static str, Duration)> {
    let start = Instant::now();
    store.evaluate_all(at(1_000)).await.unwrap();
    let all_due = start.elapsed();
    let seen = (0..size.devices).map(|number| offchannel_server::store::Seen {
        device: spread(number),
        at: at(9_000),
        agent_version: "0.1.0".to_owned(),
        policy_version: 1,
    });
    let seen = seen.collect();
    let start = Instant::now();
    store.seen(seen).await.unwrap();
    let heard = start.elapsed();
    let start = Instant::now();
    let mut after = None;
    let mut count = 0;
    loop {
        let page = store.devices(after.as_ref(), 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.device.id.clone());
        count += page.len();
    }
    assert_eq!(count as u64, size.devices);
    vec![
        ("make every device due", all_due),
        ("write when each was heard of", heard),
        ("list all", start.elapsed()),
    ]
}
