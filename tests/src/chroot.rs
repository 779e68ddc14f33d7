//! A Debian system in a folder, for packages to be installed in: a copy, so that the first one stays as it was made.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Output, Process};
use crate::unit::Unit;

/// Mounts `/proc`, in a mount namespace that ends with the command, and changes to the root. Every program in it replaces
/// the one before: what runs at last has the process id of the first.
const ENTER: &str = "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" \"$@\"";

/// The system.
#[derive(Debug)]
pub struct Chroot {
    folder: TempDir,
}

impl Chroot {
    /// A copy of a root, beside it.
    pub fn copy_of(root: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("offchannel-packages-")
            .tempdir_in(root.parent().expect("a folder beside the root"))
            .expect("a folder for a copy of the root");
        let mut copy = Command::new("cp");
        copy.args(["-a", "--reflink=auto"]).arg(root.join(".")).arg(folder.path());
        let copied = Output::of(&mut copy);
        assert_eq!(copied.code, 0, "{copied:#?}");
        Self { folder }
    }

    /// Why a command cannot be run in such a system here, if so.
    pub fn hindrance() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("only root can change to another root".to_owned());
        }
        let tried = Output::of(Command::new("unshare").args(["--mount", "true"]));
        (tried.code != 0).then(|| format!("no mount namespace can be made: {}", tried.stderr.trim()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path in it.
    pub fn at(&self, path: &str) -> PathBuf {
        self.path().join(path.trim_start_matches('/'))
    }

    /// A command in it, as root, with an environment of its own.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/unshare");
        command
            .args(["--mount", "sh", "-c", ENTER])
            .arg(self.path())
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Runs a command in it to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Output::of(&mut self.command(arguments))
    }

    /// Runs a command in it that must succeed; returns what it printed.
    #[track_caller]
    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.code, 0, "{arguments:?} failed: {output:#?}");
        format!("{}{}", output.stdout, output.stderr)
    }

    /// Starts what an installed unit starts, with its account and its capabilities, as far as that is possible without
    /// systemd.
    pub fn start(&self, unit: &str) -> Process {
        let unit = Unit::read(&self.at("/usr/lib/systemd/system").join(unit));
        let (user, group) = (unit.value("User"), unit.value("Group"));
        let capabilities = unit.value("AmbientCapabilities").to_ascii_lowercase();
        let kept: String = capabilities
            .split_whitespace()
            .map(|name| format!(",+{}", name.trim_start_matches("cap_")))
            .collect();
        let kept = format!("-all{kept}");
        let flags = [
            "setpriv",
            "--reuid",
            user,
            "--regid",
            group,
            "--clear-groups",
            "--no-new-privs",
            "--inh-caps",
            &kept,
            "--ambient-caps",
            &kept,
            "--bounding-set",
            &kept,
        ];
        let program: Vec<&str> = unit.value("ExecStart").split_whitespace().collect();
        let log = self.path().join(format!("{user}.log"));
        Process::start(unit.value("ExecStart"), &mut self.command(&[&flags[..], &program].concat()), &log)
    }

    /// The paths of everything in it but what the kernel shows.
    pub fn files(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        walk(self.path(), self.path(), &mut found);
        found
    }
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the system") {
        let entry = entry.expect("an entry of a folder");
        let path = entry.path();
        let name = path.strip_prefix(root).expect("a path in the root").to_string_lossy().into_owned();
        if entry.file_type().expect("the type of an entry").is_dir() {
            walk(root, &path, found);
        }
        found.insert(format!("/{name}"));
    }
}
