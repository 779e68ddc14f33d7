//! What the embedded store has acknowledged is there after anything: a kill at any moment, a full disk.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

#[expect(dead_code, reason = "the behaviours run in store_conformance")]
mod conformance;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use offchannel_server::domain::case::{Case, Decision};
use offchannel_server::random;
use offchannel_server::store::sqlite::{OpenOptions, SqliteStore};
use offchannel_server::store::{
    AlertStore as _, DecideOutcome, DeliveryFilter, DeliveryStore as _, DeviceStore as _, Store, StoreError,
};
use offchannel_shared::ids::DeviceId;
use rusqlite::Connection;
use tokio::task::JoinSet;

use self::conformance::fixtures::{
    alert, at, change, commit, deciding, delivery, device, enrolled, id, nothing, opened, presented, report,
    token,
};

const DEVICES: u64 = 8;
const KILLS: u32 = 30;

fn open(path: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(path, &OpenOptions { create: true, migrate: true, announce: false, now: at(0) })
        .unwrap()
}

/// The next revision, with one event and one delivery: so many of each as the revision says.
fn next(case: Case) -> Decision {
    let Case { mut device, alerts, .. } = case;
    let revision = device.report.as_ref().map_or(0, |report| report.revision) + 1;
    let apps: &[&str] = if revision % 2 == 1 { &["telegram"] } else { &[] };
    device.report = Some(report(revision, apps));
    let number = device.facts.hostname.trim_start_matches("host-").parse::<u64>().unwrap();
    let alert = alerts.into_iter().next().unwrap_or_else(|| alert(&device.id, number, "telegram"));
    Decision {
        events: vec![opened(&alert)],
        deliveries: vec![delivery(&alert, number * 1_000_000 + revision, "siem", 10)],
        sightings: vec![change("telegram", i64::try_from(revision).unwrap(), revision % 2 == 0)],
        alerts: vec![alert],
        ..nothing(device)
    }
}

/// Not a test of its own: what the next test starts and kills. Reads the path of the database from its input.
#[test]
#[ignore = "runs until it is killed"]
fn commits_until_it_is_killed() {
    let mut path = String::new();
    std::io::stdin().read_line(&mut path).unwrap();
    if path.is_empty() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let store: Arc<dyn Store> = open(Path::new(path.trim_end()));
        // From an earlier life, maybe.
        drop(store.create_token(token(0)).await);
        let mut tasks = JoinSet::new();
        for number in 0..DEVICES {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                store.enrol(presented(&token(0)), device(number), at(0)).await.unwrap();
                loop {
                    let decision = commit(&store, &id(number), next).await;
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "acknowledged {number} {}", decision.device.report.unwrap().revision)
                        .unwrap();
                    out.flush().unwrap();
                }
            });
        }
        tasks.join_all().await;
    });
}

fn start(path: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "commits_until_it_is_killed", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", path.display()).unwrap();
    child
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offchannel.db");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    let mut total = 0;
    for round in 0..KILLS {
        let mut child = start(&path);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut note = |line: &str| {
            let mut words = line.split_whitespace();
            if words.next() == Some("acknowledged") {
                let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
                // The last line may be torn.
                if let (Some(device), Some(revision), true) = (number(), number(), line.ends_with('\n')) {
                    acknowledged.insert(device, revision);
                    total += 1;
                }
            }
        };
        // Some are killed while they open the database or read back its log.
        let [enough] = random::bytes::<1>().unwrap();
        let mut line = String::new();
        for _ in 0..u32::from(enough) * (round % 4) / 3 {
            line.clear();
            output.read_line(&mut line).unwrap();
            note(&line);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        rest.split_inclusive('\n').for_each(&mut note);
        // What was kept without an acknowledgement counts from now on, too.
        acknowledged = runtime.block_on(verify(&path, &acknowledged));
    }
    assert!(total > 200, "the test is worth nothing with {total} commits");
}

/// Everything that was acknowledged is there, and nothing is there by half. Returns what is there.
async fn verify(path: &Path, acknowledged: &BTreeMap<u64, u64>) -> BTreeMap<u64, u64> {
    let store = open(path);
    let mut kept = BTreeMap::new();
    let (mut events, mut deliveries) = (BTreeMap::new(), BTreeMap::new());
    for recorded in store.events(0, u32::MAX).await.unwrap() {
        *events.entry(recorded.event.alert).or_insert(0) += 1;
    }
    for delivery in store.deliveries(DeliveryFilter::default()).await.unwrap() {
        *deliveries.entry(delivery.alert).or_insert(0) += 1;
    }
    for number in 0..DEVICES {
        let found: Option<DeviceId> = store.device(&id(number)).await.unwrap().map(|device| device.id);
        let promised = acknowledged.get(&number).copied().unwrap_or(0);
        let Some(found) = found else {
            assert_eq!(promised, 0, "device {number} is lost");
            continue;
        };
        let device = store.device(&found).await.unwrap().unwrap();
        let revision = device.report.map_or(0, |report| report.revision);
        // One decision at a time is on its way.
        assert!(
            (promised..=promised + 1).contains(&revision),
            "device {number}: {promised} promised, {revision} kept"
        );
        let of = |counts: &BTreeMap<_, u64>| counts.get(&id(number)).copied().unwrap_or(0);
        assert_eq!((of(&events), of(&deliveries)), (revision, revision), "device {number} is there by half");
        let intervals = store.history(&found).await.unwrap().sightings;
        assert_eq!(intervals.len() as u64, revision.div_ceil(2));
        kept.insert(number, revision);
    }
    store.close().await.unwrap();
    let checked: String =
        Connection::open(path).unwrap().query_row("PRAGMA quick_check", [], |row| row.get(0)).unwrap();
    assert_eq!(checked, "ok");
    kept
}

/// A decision that takes `size` bytes.
fn large(size: usize) -> impl Fn(Case) -> Decision + Clone + Send + Sync + 'static {
    move |case| {
        let mut decision = next(case);
        decision.device.facts.os = "x".repeat(size);
        decision
    }
}

/// Tries to have such a decision committed for each of these devices.
fn try_all(
    store: &Arc<dyn Store>,
    tries: &[(u64, usize)],
) -> (JoinSet<Result<DecideOutcome, StoreError>>, Arc<AtomicUsize>) {
    let (mut tasks, queued) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for (number, size) in tries.iter().copied() {
        let (store, queued) = (Arc::clone(store), Arc::clone(&queued));
        tasks.spawn(async move {
            // In the same step of this task the decision is queued.
            queued.fetch_add(1, Ordering::SeqCst);
            let decide = large(size);
            store.decide(&id(number), deciding(move |case| Ok(Some(decide(case))))).await
        });
    }
    (tasks, queued)
}

#[tokio::test]
async fn a_full_disk_refuses_whole_batches_and_is_recovered_from() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("offchannel.db"));
    let all: Arc<dyn Store> = Arc::clone(&store) as _;
    for number in 1..=10 {
        enrolled(&all, number).await;
    }
    commit(&all, &id(1), next).await;
    let before = revisions(&all).await;
    let size = store.limit_pages(1).await.unwrap();
    assert!(size > 1, "the limit is never below what there is");
    // Room for everything but the large one.
    store.limit_pages(size + 20).await.unwrap();

    // The writer is held until nine commands wait behind it: they make one batch.
    let (hold, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let (started, mut running) = tokio::sync::mpsc::unbounded_channel();
    let holding = tokio::spawn({
        let all = Arc::clone(&all);
        async move {
            let decide = deciding(move |_| {
                started.send(()).unwrap();
                held.lock().unwrap().recv().unwrap();
                Ok(None)
            });
            all.decide(&id(1), decide).await.unwrap()
        }
    });
    running.recv().await.unwrap();
    let tries: Vec<(u64, usize)> =
        (2..=10).map(|number| (number, if number == 6 { 200_000 } else { 1 })).collect();
    let (tasks, queued) = try_all(&all, &tries);
    while queued.load(Ordering::SeqCst) < tries.len() {
        tokio::task::yield_now().await;
    }
    assert_eq!(revisions(&all).await, before, "reads go on while the writer is held");
    hold.send(()).unwrap();
    assert_eq!(holding.await.unwrap(), DecideOutcome::Committed(None));
    let outcomes = tasks.join_all().await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(StoreError::Full))), "{outcomes:?}");
    assert_eq!(revisions(&all).await, before, "nothing of a refused batch stays");

    commit(&all, &id(2), large(1)).await;
    store.limit_pages(100_000).await.unwrap();
    for number in 3..=10 {
        commit(&all, &id(number), large(200_000)).await;
    }
    let after = revisions(&all).await;
    assert!(after.values().all(|revision| *revision == 1), "{after:?}");
    store.close().await.unwrap();
}

async fn revisions(store: &Arc<dyn Store>) -> BTreeMap<String, u64> {
    let devices = store.devices(None, 100).await.unwrap().into_iter().map(|summary| summary.device);
    devices.map(|device| (device.id.to_string(), device.report.map_or(0, |report| report.revision))).collect()
}
