//! Measures the memory of the release build, for `tests/bench/growth`; never a condition of a test run.
//!
//! `cargo build --release -p offchannel-agent && cargo test -p offchannel-agent --test run_agent -- --ignored
//! --nocapture memory`

use std::path::Path;

use crate::support::{Collector, Device};

/// After how many changes of the inventory it is measured.
const POINTS: [usize; 5] = [10, 100, 300, 1000, 3000];

#[test]
#[ignore = "a measurement, by hand"]
fn idle_memory_and_its_growth() {
    let agent =
        Path::new(env!("CARGO_BIN_EXE_offchannel-agent")).with_file_name("../release/offchannel-agent");
    let size =
        std::fs::metadata(&agent).expect("build it first: cargo build --release -p offchannel-agent").len();
    let collector = Collector::start();
    let device = Device::new(&collector);
    // This machine as it is, not the small tree: that is what memory is about.
    let config = std::fs::read_to_string(device.path("agent.toml")).unwrap();
    let real = config.replace(&format!("{}/root", device.path("").display()).replace("//", "/"), "/");
    std::fs::write(device.path("agent.toml"), real).unwrap();
    let running = device.run_this(&agent);
    let check_ins = |n: usize| {
        collector.wait_for("check-ins", |told| {
            (told.paths.iter().filter(|path| path.ends_with("check-in")).count() >= n).then_some(())
        });
    };
    check_ins(3);
    println!("binary {size} bytes; scanning this machine:");
    println!("{}", memory(running.pid()));
    drop(running);

    std::fs::write(device.path("agent.toml"), config).unwrap();
    let running = device.run_this(&agent);
    let [.., last] = POINTS;
    for change in 1..=last {
        let seen = collector.wait_for("a report", |told| Some(told.reports.len()));
        device.install(if change % 2 == 0 { &[] } else { &["telegram-desktop"] });
        collector.wait_for("the change", |told| (told.reports.len() > seen).then_some(()));
        if POINTS.contains(&change) {
            println!("after {change} changes of a small tree:\n{}", memory(running.pid()));
        }
    }
}

/// The lines of smaps_rollup(5) that budgets are about.
fn memory(pid: u32) -> String {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let wanted = ["Rss:", "Pss:", "Private_Dirty:", "Anonymous:"];
    let lines: Vec<&str> =
        rollup.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name))).collect();
    lines.join("\n")
}
