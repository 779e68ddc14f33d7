//! Programs that run on this machine, from scan to scan.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use offchannel_agent::clock::Clock;
use offchannel_agent::scan::host::Host;
use offchannel_agent::scan::scanner::Scanner;
use offchannel_shared::catalogue::Catalogue;

/// How often a scan is repeated at most until it shows what happened a moment ago.
const SCANS: usize = 2000;

/// A process that becomes other programs when it is told to, under one number.
struct Shifting {
    child: Child,
    input: ChildStdin,
}

impl Shifting {
    /// One that runs this shell, waiting for its first line.
    fn start(shell: &Path) -> Self {
        let mut child =
            Command::new(shell).arg("-c").arg("read line; exec $line").stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        Self { child, input }
    }

    /// Runs another program from now on.
    fn become_this(&mut self, command: &str) {
        writeln!(self.input, "{command}").unwrap();
    }
}

impl Drop for Shifting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Scans this machine's processes.
struct Scans {
    scanner: Scanner,
    clock: Clock,
}

impl Scans {
    /// How many programs run of which the catalogue knows that they belong to this app, and how many altogether.
    fn look(&mut self, app: &str) -> (usize, u64) {
        let scan = self.scanner.scan(&Catalogue::built_in(), Some(&["processes"].into()), &self.clock);
        let run = scan.runs.iter().find(|run| run.source == "processes").unwrap();
        let sightings = scan.inventory.sightings.iter();
        let count = sightings.filter(|s| s.source == "processes" && s.app.as_str() == app).count();
        (count, run.artefacts)
    }

    #[track_caller]
    fn until(&mut self, app: &str, runs: bool) {
        let seen = (0..SCANS).any(|_| (self.look(app).0 > 0) == runs);
        assert!(seen, "after {SCANS} scans it is still not so that {app} runs: {runs}");
    }
}

/// A folder in which the shell has these names.
fn shells(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        fs::copy("/bin/sh", folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn a_process_that_becomes_another_program_is_looked_at_anew() {
    let folder = shells(&["innocent", "gajim", "python3.11"]);
    let path = |name: &str| folder.path().join(name);
    // Scripts of one interpreter: neither its file nor the process's number tells them apart.
    for name in ["tool", "dino"] {
        let script = format!("#!{}\nread line\nexec $line\n", path("python3.11").display());
        fs::write(path(name), script).unwrap();
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut scans = Scans { scanner: Scanner::new(Host::live()), clock: Clock::system() };
    let mut process = Shifting::start(&path("innocent"));
    assert!(scans.look("gajim").1 > 0, "this very test runs");
    scans.until("gajim", false);

    process.become_this(&path("gajim").display().to_string());
    scans.until("gajim", true);
    // Without a script of its own the shell takes what it is told for commands.
    process.become_this(&format!("exec {}", path("tool").display()));
    scans.until("gajim", false);
    scans.until("dino", false);
    process.become_this(&path("dino").display().to_string());
    scans.until("dino", true);
    drop(process);
    scans.until("dino", false);
}

#[test]
fn whoever_runs_an_app_is_told_at_every_scan_and_everybody_else_is_counted() {
    let folder = shells(&["hexchat"]);
    let mut scans = Scans { scanner: Scanner::new(Host::live()), clock: Clock::system() };
    let (_, before) = scans.look("hexchat");
    let process = Shifting::start(&folder.path().join("hexchat"));
    scans.until("hexchat", true);
    for _ in 0..3 {
        let (seen, all) = scans.look("hexchat");
        assert!(seen >= 1 && all > 1, "{seen} of {all}; before there were {before}");
    }
    drop(process);
}
