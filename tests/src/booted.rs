//! A Debian system in a folder that is really booted: systemd as the first process of namespaces of its own, with a network of
//! its own that reaches nobody.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::chroot::Chroot;
use crate::process::{Output, Process};
use crate::wait::wait_for;

/// Makes a control group for the system, as systemd needs one that is its own, and runs `$1` in it as the first process of
/// new namespaces, for the root `$0`. The hierarchy is mounted where nobody else sees it, for it may be mounted anywhere on
/// this machine, or nowhere.
const OUTSIDE: &str = r#"
set -e
mount -t cgroup2 cgroup2 "$0/mnt"
own="$0/mnt$(sed -n 's/^0:://p' /proc/self/cgroup)/offchannel-test-$$"
mkdir "$own"
trap 'find "$own" -depth -type d -exec rmdir {} \;' EXIT
(
  echo 0 >"$own/cgroup.procs"
  exec setpriv --pdeathsig KILL \
    unshare --pid --fork --kill-child --mount --uts --ipc --net --cgroup sh -c "$1" "$0"
)
"#;

/// What a system needs of the kernel and must not have: everything of this machine that is not in a namespace can be read only.
const MOUNT: &str = r#"
set -e
cd "$0"
mount --bind . .
cd "$0"
mount -t proc proc proc
for shared in proc/sys proc/sysrq-trigger; do
  [ -e "$shared" ] || continue
  mount --bind "$shared" "$shared"
  mount -o remount,bind,ro "$shared"
done
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 dev dev
for node in null zero full random urandom tty; do
  : >"dev/$node"
  mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
"#;

/// Leaves this machine's files behind and becomes systemd. What the variable says is to it the sign of a container.
const BOOT: &str = r#"
pivot_root . mnt
umount -l mnt
exec env -i container=offchannel-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
"#;

/// A system that runs; it ends as by a power cut when this is dropped.
#[derive(Debug)]
pub struct Booted<'a> {
    system: &'a Chroot,
    outside: Process,
    first: Pid,
}

impl<'a> Booted<'a> {
    /// Why no system can be booted here, if so.
    pub fn hindrance(system: &Chroot) -> Option<String> {
        if let Some(hindrance) = Chroot::hindrance() {
            return Some(hindrance);
        }
        let tried = Output::of(&mut outside(system.path(), MOUNT));
        (tried.code != 0).then(|| {
            format!(
                "no namespaces and control group for a booted system can be made: {}",
                tried.stderr.trim()
            )
        })
    }

    /// Boots a system, and waits until it is up.
    #[track_caller]
    pub fn boot(system: &'a Chroot) -> Self {
        let log = system.path().join("offchannel-test-boot.log");
        let mut command = outside(system.path(), &format!("{MOUNT}{BOOT}"));
        let mut outside = Process::start("the booted system", &mut command, &log);
        let first = wait_for("the first process of the system", || {
            if let Some(status) = outside.ended() {
                panic!("the system ended ({status}): {}", outside.log());
            }
            first_process(outside.id())
        });
        let mut booted = Self { system, outside, first };
        wait_for("the system to be up", || {
            if let Some(status) = booted.outside.ended() {
                panic!("the system ended ({status}): {}", booted.outside.log());
            }
            let state = booted.run(&["systemctl", "is-system-running"]);
            if state.stdout.trim() == "running" { Ok(()) } else { Err(format!("{state:?}")) }
        });
        booted
    }

    /// The files of the system.
    pub fn system(&self) -> &'a Chroot {
        self.system
    }

    /// A command in it, as root, with an environment of its own.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/nsenter");
        command
            .arg("--target")
            .arg(self.first.as_raw_nonzero().to_string())
            .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd", "--"])
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

    /// What systemd says of a unit.
    #[track_caller]
    pub fn property(&self, unit: &str, name: &str) -> String {
        let said = self.must(&["systemctl", "show", "--value", "--property", name, unit]);
        said.trim().to_owned()
    }

    /// What a unit has logged since the system was started.
    #[track_caller]
    pub fn journal(&self, unit: &str) -> String {
        self.must(&["journalctl", "--boot", "--no-pager", "--output", "cat", "--unit", unit])
    }

    /// Switches it off as a user does, and waits until it is.
    #[track_caller]
    pub fn power_off(mut self) {
        self.must(&["systemctl", "poweroff"]);
        self.outside.wait();
    }
}

impl Drop for Booted<'_> {
    #[expect(clippy::print_stderr, reason = "this is what explains a failed test")]
    fn drop(&mut self) {
        if self.outside.ended().is_some() {
            return;
        }
        if std::thread::panicking() {
            let journal = self.run(&["journalctl", "--boot", "--no-pager", "--lines", "150"]);
            eprintln!("--- journal of the booted system ---\n{}", journal.stdout);
        }
        // All others of its namespace end with it, and then what waits for it outside, which tidies up.
        let _ = kill_process(self.first, Signal::KILL);
        self.outside.wait();
    }
}

/// The command that runs a script in namespaces for a system.
fn outside(root: &Path, script: &str) -> Command {
    let mut command = Command::new("/usr/bin/setpriv");
    command
        .args(["--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c", OUTSIDE])
        .arg(root)
        .arg(script)
        .env("LC_ALL", "C");
    command
}

/// The process that is the first of the new namespace: shell, `unshare` and it are mother and child.
fn first_process(outside: u32) -> Result<Pid, String> {
    let unshare = child(outside).ok_or("no namespace yet")?;
    let first = child(unshare).ok_or("no first process yet")?;
    i32::try_from(first).ok().and_then(Pid::from_raw).ok_or_else(|| format!("{first} is no process id"))
}

/// A child of a process.
fn child(parent: u32) -> Option<u32> {
    let is_child = |id: &u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        status
            .lines()
            .any(|line| line.strip_prefix("PPid:").is_some_and(|id| id.trim() == parent.to_string()))
    };
    let processes = fs::read_dir("/proc").expect("the list of processes");
    processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).find(is_child)
}
