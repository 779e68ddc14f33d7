//! From the start of the agent's process to its first report that the collector has acknowledged, with the two real programs.
//!
//! `cargo build --release && cargo bench -p offchannel-tests --bench start [-- STARTS [TREE]]`. The agent is enrolled and stopped;
//! while it is down a package comes or goes, so that there is something to report. `TREE` is what it scans, such as
//! `tests/bench/corpus` makes, and is written in; without it that is a small tree. The agent does not wait its turn among all devices,
//! as it does not under `quickstart`. The time ends when the agent's own state says on disk that the report was acknowledged:
//! that is one synced write later than the answer. Beside each start a plain append and fdatasync is timed on the same file
//! system, of which every start does several.

#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]

use std::fs::{self, File};
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use offchannel_tests::clock::instant;
use offchannel_tests::times::summary;
use offchannel_tests::{Agent, Root, Site};
use rustix::fs::inotify;

/// Starts if nothing is said.
const STARTS: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let starts = arguments.first().map_or(STARTS, |starts| starts.parse().expect("a number of starts"));
    let small = Root::new();
    let tree = arguments.get(1).map_or_else(|| small.path().to_owned(), PathBuf::from);
    let tree = tree.canonicalize().expect("the tree");
    let mut packages = Packages::of(&tree);
    packages.write();
    let site = Site::serving();
    let mut agent = Agent::new(&site.url(), &site.ca_file(), &site.token(), &tree);
    let mut config = File::options().append(true).open(agent.config()).expect("the agent's configuration");
    config.write_all(b"\n[check_in]\nsplay = false\n").expect("the agent's configuration");
    agent.start();
    site.wait_for_report();
    agent.stop();
    let mut disk = File::create(site.folder().join("fdatasync")).expect("a file to sync");
    let (mut times, mut syncs) = (Vec::new(), Vec::new());
    let changes = Changes::of(&agent.state_dir());
    for _ in 0..starts {
        packages.toggle();
        let before = acknowledged(&agent);
        let started = instant();
        agent.start();
        changes.wait_until(|| acknowledged(&agent) > before);
        times.push(instant() - started);
        agent.stop();
        let started = instant();
        disk.write_all(&[7; 4096]).and_then(|()| disk.sync_data()).expect("a synced write");
        syncs.push(instant() - started);
    }
    println!("{starts} starts");
    println!("{}", summary("start to acknowledged report", &mut times));
    println!("{}", summary("append of 4 KiB and fdatasync", &mut syncs));
}

/// The last revision of which the agent knows that the collector has it.
fn acknowledged(agent: &Agent) -> u64 {
    agent.state()["acknowledged"].as_u64().expect("a revision")
}

/// A package database in which one messenger comes and goes.
struct Packages {
    status: PathBuf,
    with: String,
    without: String,
    is_there: bool,
}

impl Packages {
    fn of(tree: &Path) -> Self {
        let status = tree.join("var/lib/dpkg/status");
        let without = fs::read_to_string(&status).expect("a package database");
        let without = without.replace("Package: hexchat\n", "Package: hexchat-not\n");
        let stanza = "Package: hexchat\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.16\n\n";
        Self { status, with: format!("{}\n\n{stanza}", without.trim_end()), without, is_there: false }
    }

    fn toggle(&mut self) {
        self.is_there = !self.is_there;
        self.write();
    }

    /// As dpkg does it: by a rename.
    fn write(&self) {
        let draft = self.status.with_extension("new");
        fs::write(&draft, if self.is_there { &self.with } else { &self.without })
            .expect("a package database");
        fs::rename(draft, &self.status).expect("a package database");
    }
}

/// Hears of files that take another's place in a folder.
struct Changes(OwnedFd);

impl Changes {
    fn of(folder: &Path) -> Self {
        let changes = inotify::init(inotify::CreateFlags::CLOEXEC).expect("inotify");
        inotify::add_watch(&changes, folder, inotify::WatchFlags::MOVED_TO).expect("a watched folder");
        Self(changes)
    }

    /// Waits for changes until this is so.
    fn wait_until(&self, mut done: impl FnMut() -> bool) {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        while !done() {
            events.next().expect("an event");
        }
    }
}
