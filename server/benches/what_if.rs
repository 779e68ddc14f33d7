//! How long it takes to say what a policy would change.
//!
//! `cargo bench -p offchannel-server --bench what_if` fills a database with devices that have reported four apps each and are
//! judged by one policy, and asks several times what another one would change, which changes something on each of
//! them. It prints each time, and how much memory the process had at most before and after.
//!
//! Arguments: `--devices N`, `--rounds N`.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for developers, on a terminal")]

#[path = "../tests/conformance/fixtures.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod fixtures;

use std::sync::Arc;
use std::time::Instant;

use fixtures::{at, deciding, device, nothing, presented, report, token};
use offchannel_server::clock::SettableClock;
use offchannel_server::domain::published::Publication;
use offchannel_server::domain::route::Routes;
use offchannel_server::service::Service;
use offchannel_server::store::Store;
use offchannel_server::store::sqlite::{OpenOptions, SqliteStore};
use offchannel_shared::signing::SigningKey;
use tokio::task::JoinSet;

const APPS: [&str; 4] = ["signal", "telegram", "viber", "whatsapp"];
const CALLERS: usize = 512;

fn policy(apps: &str) -> String {
    let rule = |id: &str, rest: &str| format!("[[rule]]\nid = \"{id}\"\n{rest}\n");
    let mut text = "schema = 1\nname = \"What if\"\nstale_after = \"30d\"\n".to_owned();
    text += &rule("no-chat", &format!("verdict = \"prohibited\"\napps = [{apps}]\nseverity = \"high\""));
    text += &rule("no-irc", "verdict = \"prohibited\"\nkinds = [\"irc\"]\ngrace = \"3d\"");
    text += &rule("teams", "verdict = \"allowed\"\napps = [\"microsoft-teams\"]");
    text + &rule(
        "present",
        "verdict = \"required\"\napps = [\"microsoft-teams\"]\nwhere = { platform = [\"windows\"] }",
    )
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}

fn main() {
    let (mut devices, mut rounds) = (100_000_u64, 3_u64);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok()).unwrap();
        match name.as_str() {
            "--devices" => devices = number(),
            "--rounds" => rounds = number(),
            // Cargo adds this one.
            "--bench" => {}
            other => panic!("unknown argument {other}: expected --devices or --rounds"),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(devices, rounds));
}

async fn run(devices: u64, rounds: u64) {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions { create: true, migrate: true, announce: false, now: at(0) };
    let store: Arc<dyn Store> = SqliteStore::open(&folder.path().join("offchannel.db"), &options).unwrap();
    let clock = SettableClock::at(at(100));
    let key = SigningKey::from_seed(&[7; 32]).unwrap();
    let service =
        Service::start(Arc::clone(&store), Arc::new(clock), key, Routes::default(), Publication::Alone)
            .await
            .unwrap();
    service.publish_policy(&policy("\"signal\", \"telegram\""), "bench", "", None).await.unwrap();
    let started = Instant::now();
    let token = token(1);
    store.create_token(token.clone()).await.unwrap();
    let mut filling = JoinSet::new();
    for number in 1..=devices {
        let (store, presented) = (Arc::clone(&store), presented(&token));
        filling.spawn(async move {
            let device = device(number);
            store.enrol(presented, device.clone(), at(0)).await.unwrap();
            let reported = deciding(move |mut case| {
                case.device.report = Some(report(1, &APPS));
                (case.device.evaluate_at, case.device.last_seen) = (Some(at(60)), at(90));
                Ok(Some(nothing(case.device)))
            });
            store.decide(&device.id, reported).await.unwrap();
        });
        if filling.len() >= CALLERS {
            filling.join_next().await;
        }
    }
    while filling.join_next().await.is_some() {}
    while service.evaluate_due(5_000).await.unwrap() > 0 {}
    println!("{devices} devices enrolled, reported and judged in {:.1} s", started.elapsed().as_secs_f64());
    println!("memory at most: {}", peak());
    let next = policy("\"whatsapp\", \"telegram\", \"viber\"");
    for _ in 0..rounds {
        let started = Instant::now();
        let told = service.what_if(&next, 20).await.unwrap();
        println!(
            "what if: {:.2} s ({} devices, {} with other findings, {} unchanged)",
            started.elapsed().as_secs_f64(),
            told.totals.devices,
            told.totals.other_findings,
            told.totals.unchanged
        );
    }
    println!("memory at most: {}", peak());
    let started = Instant::now();
    service.publish_policy(&next, "bench", "", None).await.unwrap();
    while service.evaluate_due(5_000).await.unwrap() > 0 {}
    println!("published and judged: {:.2} s", started.elapsed().as_secs_f64());
}
