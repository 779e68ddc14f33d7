//! What the kernel was asked by an agent that runs under strace.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use super::Device;

/// Where the agent looks that is no place of a source: what every program opens that is linked dynamically, asks
/// for names, or counts processors.
const OF_EVERY_PROGRAM: [&str; 7] =
    ["/etc/ld.so.", "/lib/", "/usr/lib/", "/lib64/", "/proc/", "/sys/fs/cgroup", "/dev/null"];

/// Whether strace can be used here; says so if not. It may be there and not be allowed, as in some containers.
#[expect(clippy::print_stdout, reason = "what is skipped is said")]
pub fn can_trace() -> bool {
    let probe = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let can = probe.is_ok_and(|output| output.status.success());
    if !can {
        println!(
            "SKIPPED: strace cannot be used here: apt-get install strace, where processes may be traced"
        );
    }
    can
}

/// The traces of all threads of a device's agent.
pub fn trace_of(device: &Device) -> String {
    let threads = std::fs::read_dir(device.path("traces")).unwrap();
    threads.map(|trace| std::fs::read_to_string(trace.unwrap().path()).unwrap()).collect()
}

/// Whether this is a file of the agent's own, or of every program's.
pub fn is_of_the_agent(path: &str, device: &Device) -> bool {
    let own = ["agent.toml", "ca.pem", "token"].iter().any(|name| Path::new(path) == device.path(name));
    let of_every_program = OF_EVERY_PROGRAM.iter().any(|place| path.starts_with(place));
    let terminal = std::fs::metadata(path).is_ok_and(|about| about.mode() & 0o170_000 == 0o020_000);
    own || of_every_program || terminal || Path::new(path).starts_with(device.path("state"))
}

/// One line of a trace: `1234 openat(AT_FDCWD</tmp>, "x", O_RDONLY|O_CLOEXEC) = 5</tmp/x>`.
pub struct Call<'a>(pub &'a str);

impl Call<'_> {
    /// What was opened, if something was.
    pub fn opened(&self) -> Option<&str> {
        let is_open = self.0.contains("open") || self.0.contains("creat(");
        let path = self.0.rsplit_once(" = ")?.1.split_once('<')?.1.strip_suffix('>')?;
        (is_open && !self.0.contains("O_PATH")).then_some(path)
    }

    /// Whether it may change a file.
    pub fn writes(&self) -> bool {
        ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "creat(", "unlink"]
            .iter()
            .any(|sign| self.0.contains(sign))
    }

    pub fn is_folder(&self) -> bool {
        self.0.contains("O_DIRECTORY")
    }
}
