//! From the rename of the package database to the webhook, with the two real programs.
//!
//! `cargo build --release && cargo bench -p offchannel-tests --bench latency [-- ROUNDS]`. Each round installs
//! or removes a package in a small tree, as dpkg does it, and waits for the webhook. Beside each round
//! a plain append and fdatasync is timed on the same file system, because that is what physics takes.

#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use offchannel_tests::clock::instant;
use offchannel_tests::times::summary;
use offchannel_tests::{Agent, Root, Site};

/// Rounds if nothing is said.
const ROUNDS: usize = 100;
/// Debounce of the agent, which every round waits for.
const DEBOUNCE: Duration = Duration::from_millis(150);

fn main() {
    let rounds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(ROUNDS);
    let site = Site::serving();
    let mut root = Root::new();
    let _agent = Agent::running(&site, &root);
    site.wait_for_report();
    let mut disk = File::create(site.folder().join("fdatasync")).expect("a file to sync");
    let (mut latencies, mut syncs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let started = instant();
        root.toggle("telegram-desktop", "4.6.5");
        let heard = site.receiver.wait("the next webhook", |heard| heard.get(round).cloned());
        latencies.push(heard.at - started);
        let started = instant();
        disk.write_all(&[7; 4096]).and_then(|()| disk.sync_data()).expect("a synced write");
        syncs.push(instant() - started);
    }
    println!("{rounds} rounds");
    println!("{}", summary("rename to webhook", &mut latencies));
    let mut without: Vec<Duration> =
        latencies.iter().map(|latency| latency.saturating_sub(DEBOUNCE)).collect();
    println!("{}", summary("the same without the debounce of 150 ms", &mut without));
    println!("{}", summary("append of 4 KiB and fdatasync", &mut syncs));
}
