//! An hour in which nothing happens on a device that has something for every source, and what the agent does in it: as
//! the kernel was asked, and as the collector was told. The hour passes in half a minute, by libfaketime.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use offchannel_shared::wire::{CHECK_IN_PATH, ENROL_PATH, GOODBYE_PATH, REPORT_PATH};
use serde_json::Value;

use crate::privacy::{PRIVATE, RULE, write};
use crate::support::{Call, Collector, Device, bundle, can_trace, is_of_the_agent, signing_key, trace_of};

/// How many times as fast time goes by.
const PACE: u32 = 120;
/// The hour, as long as it takes.
const HOUR: Duration = Duration::from_secs(3600 / PACE as u64);
/// Longest wait for it, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(180);

/// What libfaketime keeps of its own, in the process that it is loaded into.
const OF_FAKETIME: &str = "/dev/shm/";

/// Files that say what the device is and who uses it (`docs/data-collected.md`: facts, users).
const OF_THE_HOST: [&str; 5] =
    ["etc/hostname", "etc/machine-id", "etc/os-release", "usr/lib/os-release", "etc/passwd"];

/// What sources read beside what lies in the folders that they watch, by the end of its path (`docs/detection.md`): the
/// list of extensions of a profile of Firefox, and files that only say where the places of a source are.
const BESIDE: [&str; 3] = ["/extensions.json", "/profiles.ini", "/.config/user-dirs.dirs"];

/// Where the links in profiles of Nix lead to (`docs/detection.md`).
const STORE: &str = "nix/store/";

/// Where libfaketime is, if it is.
#[expect(clippy::print_stdout, reason = "what is skipped is said")]
fn faketime() -> Option<PathBuf> {
    let libraries = std::fs::read_dir("/usr/lib").ok()?;
    let paths = libraries.flatten().map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let found = paths.into_iter().find(|path| path.exists());
    if found.is_none() {
        println!("SKIPPED: libfaketime is not here: apt-get install faketime");
    }
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&source, &target);
        } else if target.symlink_metadata().is_err() {
            match kind.is_symlink() {
                true => std::os::unix::fs::symlink(std::fs::read_link(source).unwrap(), target).unwrap(),
                false => drop(std::fs::copy(source, target).unwrap()),
            }
        }
    }
}

/// A device with all that the fixtures have of Linux, and with what people have in their homes.
fn with_everything(collector: &Collector) -> Device {
    let device = Device::new(collector);
    std::fs::remove_dir_all(device.path("root/var/lib/dpkg")).unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/homes");
    let mut trees: Vec<PathBuf> =
        std::fs::read_dir(fixtures).unwrap().map(|tree| tree.unwrap().path()).collect();
    trees.sort();
    for tree in trees.iter().filter(|tree| tree.file_name().unwrap().to_str().unwrap().starts_with("linux-"))
    {
        copy(tree, &device.path("root"));
    }
    for private in PRIVATE {
        write(&device, &format!("root/home/alice/{private}"), "a secret of alice's");
    }
    device
}

/// What `offchannel-agent` says of this device, run by itself.
fn said(device: &Device, command: &str) -> Value {
    let mut agent = std::process::Command::new(env!("CARGO_BIN_EXE_offchannel-agent"));
    agent.args([command, "--format", "json", "--platform", "linux", "--root"]).arg(device.path("root"));
    let output = agent.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The folders in which the sources say that they look. In a home folder itself they look at what lies directly in it, and
/// in search of programs that were unpacked into a folder at what lies there and may be executed (`docs/detection.md`).
struct Places {
    folders: BTreeSet<PathBuf>,
    homes: BTreeSet<PathBuf>,
}

impl Places {
    fn of(device: &Device) -> Self {
        let sources = said(device, "sources");
        let watched =
            sources["sources"].as_array().unwrap().iter().flat_map(|row| row["watched"].as_array().unwrap());
        let homes = ["alice", "bob", "linuxbrew"].map(|user| device.path("root/home").join(user));
        Self {
            folders: watched.map(|folder| PathBuf::from(folder.as_str().unwrap())).collect(),
            homes: homes.into_iter().collect(),
        }
    }

    /// Whether a source says that it looks here.
    fn have(&self, path: &Path) -> bool {
        let inside = |folder: &PathBuf| match self.homes.contains(folder) {
            true => {
                path.parent() == Some(folder) || (path.ancestors().nth(2) == Some(folder) && is_program(path))
            }
            false => path.starts_with(folder),
        };
        self.folders.iter().any(inside)
    }

    /// Whether it is a folder on the way to such a place.
    fn lie_in(&self, path: &Path) -> bool {
        self.folders.iter().any(|folder| folder.starts_with(path))
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.is_dir() || about.permissions().mode() & 0o111 != 0)
}

/// All texts of a body, but for those that are random or digests, in which anything may stand by chance.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.to_lowercase()),
        Value::Array(list) => list.iter().for_each(|value| texts(value, found)),
        Value::Object(object) => {
            let random = ["digest", "epoch", "machine", "public_key", "token"];
            for (key, value) in object.iter().filter(|(key, _)| !random.contains(&key.as_str())) {
                found.push(key.to_lowercase());
                texts(value, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What was said in one request: its head but for the signature, and its body.
fn told(said: &str) -> Vec<String> {
    let (line, rest) = said.split_once(" {").unwrap();
    let (head, body) = rest.split_once("} ").unwrap();
    let head: serde_json::Map<String, Value> = serde_json::from_str(&format!("{{{head}}}")).unwrap();
    let mut found = vec![line.to_lowercase()];
    for (name, value) in head {
        if !["content-digest", "signature", "signature-input"].contains(&name.as_str()) {
            found.push(name);
            found.push(value.as_str().unwrap().to_lowercase());
        }
    }
    texts(&serde_json::from_str(body).unwrap(), &mut found);
    found
}

#[test]
fn an_idle_hour_opens_what_is_documented_starts_nothing_writes_nothing_and_tells_nothing_more() {
    let (Some(faketime), true) = (faketime(), can_trace()) else { return };
    let collector = Collector::start();
    collector.publish(bundle(1, RULE, &signing_key()));
    collector.check_in_every(300);
    let device = with_everything(&collector);
    let (places, scanned) = (Places::of(&device), said(&device, "scan"));
    collector.hurry(PACE);
    let agent =
        device.run_traced(&[format!("LD_PRELOAD={}", faketime.display()), format!("FAKETIME=+0 x{PACE}")]);
    let first = collector.wait_at_most(PATIENCE, "a report", |told| {
        let at = told.paths.iter().position(|path| path == REPORT_PATH)?;
        told.reports.last().map(|_| told.times[at])
    });
    collector.wait_at_most(PATIENCE, "the hour to pass", |told| {
        told.times.last().is_some_and(|last| *last - first >= HOUR).then_some(())
    });
    agent.stop_traced();
    let (requests, paths) =
        collector.wait_for("what was told", |told| Some((told.said.clone(), told.paths.clone())));

    let text = trace_of(&device);
    let calls: Vec<Call<'_>> = text.lines().map(Call).collect();
    let (root, state) = (device.path("root"), device.path("state"));
    let started = calls.iter().filter(|call| call.0.contains("exec")).count();
    assert_eq!(started, 1, "the agent itself, and nothing that it started");
    // Each scan of everything asks for every source's files: the first, and one about every quarter of an hour.
    let status = format!("\"{}\"", root.join("var/lib/dpkg/status").display());
    let asks = |call: &&Call<'_>| call.0.contains("stat") && call.0.contains(&status);
    let scans = calls.iter().filter(asks).count();
    assert!(scans >= 4, "{scans} scans");
    let check_ins = paths.iter().filter(|path| *path == CHECK_IN_PATH).count();
    assert!(check_ins >= 6, "{paths:?}");
    let (mut read_sources, mut elsewhere) = (BTreeSet::new(), BTreeSet::new());
    for call in &calls {
        if call.0.contains("connect(") && !call.0.contains("AF_UNIX") {
            let port = collector.url().rsplit_once(':').unwrap().1.to_owned();
            let there = call.0.contains(&format!("htons({port})")) && call.0.contains("127.0.0.1");
            assert!(there, "it connects to somebody else: {}", call.0);
        }
        let Some(path) = call.opened() else { continue };
        if path.starts_with(OF_FAKETIME) {
            continue;
        }
        if call.writes() {
            assert!(path == "/dev/null" || Path::new(path).starts_with(&state), "it writes: {}", call.0);
        }
        let Ok(place) = Path::new(path).strip_prefix(&root) else {
            assert!(is_of_the_agent(path, &device), "{}", call.0);
            continue;
        };
        let place = place.to_str().unwrap();
        let known = OF_THE_HOST.contains(&place) || BESIDE.iter().any(|end| place.ends_with(end));
        let way = call.is_folder() && (place == "home" || places.lie_in(Path::new(path)));
        if !known && !way && !place.starts_with(STORE) && !places.have(Path::new(path)) {
            elsewhere.insert(place.to_owned());
        }
        assert!(!PRIVATE.iter().any(|private| place.ends_with(private)), "{}", call.0);
        read_sources.insert(place.to_owned());
    }
    assert_eq!(elsewhere, BTreeSet::new(), "no source says that it looks there");
    assert!(read_sources.len() > 50, "{read_sources:#?}");

    // Everything is there to be found, and one app of it is asked about.
    let sources = scanned["sources"].as_array().unwrap().iter();
    let silent: Vec<&Value> =
        sources.filter(|source| source["health"] != "ok" && source["source"] != "processes").collect();
    assert!(silent.is_empty(), "{silent:#?}");
    let found =
        scanned["sightings"].as_array().unwrap().iter().chain(scanned["unreviewed"].as_array().unwrap());
    let unasked = found
        .filter(|found| found["app"] != "telegram")
        .flat_map(|found| [&found["app"], &found["identifier"]]);
    let mut words: BTreeSet<String> = unasked.map(|word| word.as_str().unwrap().to_lowercase()).collect();
    assert!(words.len() > 30, "{words:?}");
    words.extend(["alice", "bob", "linuxbrew", "libc6", "secret", "letter.txt"].map(str::to_owned));
    for request in &requests {
        for text in told(request) {
            // The sources themselves are named, with their health.
            let own = ["chromium-extension", "firefox-extension"].contains(&text.as_str());
            let word = words.iter().find(|word| !own && text.contains(*word));
            assert_eq!(word, None, "in {request}");
        }
    }
    let known = [ENROL_PATH, CHECK_IN_PATH, REPORT_PATH, GOODBYE_PATH];
    assert!(paths.iter().all(|path| known.contains(&path.as_str())), "{paths:?}");
}
