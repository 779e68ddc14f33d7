//! Scans a tree a number of times, for counting instructions:
//!
//! ```text
//! cargo bench -p offchannel-agent --bench scan --no-run
//! valgrind --tool=callgrind target/release/deps/scan-... ROOT full 1      (and 11: the difference is 10 scans)
//! valgrind --tool=callgrind target/release/deps/scan-... ROOT tick 1      (and 11: 10 scans of nothing new)
//! ```
//!
//! `ROOT` is a tree such as `tests/bench/corpus` makes; `/` is this machine with its processes.
//! Without arguments, as `cargo bench` calls it, it scans an empty tree once.

use std::collections::BTreeSet;
use std::path::PathBuf;

use offchannel_agent::clock::Clock;
use offchannel_agent::scan::host::Host;
use offchannel_agent::scan::scanner::Scanner;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::Platform;

#[expect(clippy::print_stdout, reason = "this is a program for the terminal")]
fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let root = args.next().unwrap_or_else(|| "/nonexistent".to_owned());
    let mode = args.next().unwrap_or_else(|| "full".to_owned());
    let count: u32 = args.next().and_then(|count| count.parse().ok()).unwrap_or(1);
    let only: Option<BTreeSet<&'static str>> = match mode.as_str() {
        "dpkg" => Some(["dpkg"].into()),
        "processes" => Some(["processes"].into()),
        _ => None,
    };
    let host = if root == "/" { Host::live() } else { Host::at(PathBuf::from(root), Platform::Linux) };
    let catalogue = Catalogue::built_in();
    let clock = Clock::system();
    let mut scanner = Scanner::new(host);
    let mut scan = scanner.scan(&catalogue, None, &clock);
    for _ in 0..count {
        if mode == "full" {
            scanner.forget();
        }
        scan = scanner.scan(&catalogue, only.as_ref(), &clock);
    }
    let artefacts: u64 = scan.runs.iter().map(|run| run.artefacts).sum();
    println!("{} sightings of {artefacts} artefacts", scan.inventory.sightings.len());
    for run in &scan.runs {
        println!("{:<20} {:>6} artefacts {:>8} us  {}", run.source, run.artefacts, run.micros, run.health);
    }
}
