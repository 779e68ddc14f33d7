//! A device: a small file tree, a state folder, and the real agent over both.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use super::{Collector, TOKEN};

/// A Debian machine in a folder.
pub struct Device {
    place: TempDir,
}

/// The agent as a daemon; killed with the test.
pub struct Running {
    child: Child,
}

impl Device {
    /// One without messengers, configured for this collector, with a token to enrol by.
    pub fn new(collector: &Collector) -> Self {
        let device = Self { place: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(device.path("root/var/lib/dpkg")).unwrap();
        std::fs::create_dir_all(device.path("root/etc")).unwrap();
        std::fs::write(device.path("root/etc/hostname"), "test-device\n").unwrap();
        device.install(&[]);
        std::fs::write(device.path("ca.pem"), collector.certificate()).unwrap();
        device.token(TOKEN);
        device.configure(&collector.url());
        device
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.place.path().join(relative)
    }

    /// Writes the token file.
    pub fn token(&self, token: &str) {
        std::fs::write(self.path("token"), format!("{token}\n")).unwrap();
    }

    /// Writes the configuration.
    pub fn configure(&self, url: &str) {
        let folder = self.place.path().display();
        let text = format!(
            "state_dir = '{folder}/state'\n[server]\nurl = \"{url}\"\nca_file = \"ca.pem\"\n\
             [enrolment]\ntoken_file = \"token\"\n[scan]\nroot = '{folder}/root'\n[log]\nlevel = \"debug\"\n"
        );
        std::fs::write(self.path("agent.toml"), text).unwrap();
    }

    /// Writes the configuration of an agent that looks at this very machine.
    #[cfg(target_os = "linux")]
    pub fn configure_for_this_machine(&self, url: &str) {
        self.configure(url);
        let text = std::fs::read_to_string(self.path("agent.toml")).unwrap();
        let (before, after) = text.split_once("[scan]\n").unwrap();
        let (_, after) = after.split_once('\n').unwrap();
        std::fs::write(self.path("agent.toml"), format!("{before}{after}")).unwrap();
    }

    /// Has exactly these packages from now on, replaced as dpkg does it: by a rename.
    pub fn install(&self, packages: &[&str]) {
        let mut text = String::new();
        for package in ["libc6"].iter().chain(packages) {
            writeln!(
                text,
                "Package: {package}\nStatus: install ok installed\nPriority: optional\nSection: net\n\
                 Maintainer: Debian <debian@example.org>\nArchitecture: amd64\nVersion: 1.0-1\nDescription: test\n"
            )
            .unwrap();
        }
        let status = self.path("root/var/lib/dpkg/status");
        std::fs::write(status.with_extension("new"), text).unwrap();
        std::fs::rename(status.with_extension("new"), status).unwrap();
    }

    /// The agent with this command.
    pub fn command(&self, command: &str) -> Command {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_offchannel-agent"));
        agent.arg(command).arg("--config").arg(self.path("agent.toml"));
        // What is read here is English wherever it is read.
        agent.env("LC_ALL", "C");
        agent
    }

    /// Runs a command to its end.
    pub fn call(&self, command: &str, more: &[&str]) -> Output {
        self.command(command).args(more).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed, and reads its JSON.
    #[track_caller]
    pub fn json(&self, command: &str) -> serde_json::Value {
        let output = self.call(command, &["--format", "json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that must fail, and returns what it says.
    #[track_caller]
    pub fn fails(&self, command: &str, more: &[&str]) -> String {
        let output = self.call(command, more);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Starts the daemon. Its log goes to the test's standard error.
    pub fn run(&self) -> Running {
        Running::start(self.command("run"))
    }

    /// Starts the daemon under a supervisor that hears at this socket and waits so long for a sign of life.
    #[cfg(target_os = "linux")]
    pub fn run_under(&self, socket: &std::path::Path, watchdog: std::time::Duration) -> Running {
        let mut command = self.command("run");
        command.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        Running::start(command)
    }

    /// Starts the daemon under strace with these variables set. What the kernel is asked to open, run, remove or connect
    /// to, and about which files, goes to the folder `traces`.
    #[cfg(target_os = "linux")]
    pub fn run_traced(&self, variables: &[String]) -> Running {
        std::fs::create_dir(self.path("traces")).unwrap();
        let mut command = Command::new("strace");
        command.args(["-ff", "--seccomp-bpf", "-y", "-qq", "-s", "4096", "-e"]);
        command.arg(
            "trace=open,openat,openat2,creat,execve,execveat,unlink,unlinkat,stat,statx,newfstatat,connect",
        );
        for variable in variables {
            command.args(["-E", variable]);
        }
        command.arg("-o").arg(self.path("traces/of")).arg(env!("CARGO_BIN_EXE_offchannel-agent"));
        command.arg("run").arg("--config").arg(self.path("agent.toml"));
        Running::start(command)
    }

    /// Starts the daemon of another build, with the environment that its service gives it.
    #[cfg(target_os = "linux")]
    pub fn run_this(&self, agent: &std::path::Path) -> Running {
        let mut command = Command::new(agent);
        let unit = include_str!("../../../../packaging/linux/offchannel-agent.service");
        let variables = unit.lines().filter_map(|line| line.strip_prefix("Environment="));
        command
            .envs(variables.flat_map(str::split_whitespace).filter_map(|variable| variable.split_once('=')));
        command.arg("run").arg("--config").arg(self.path("agent.toml"));
        Running::start(command)
    }

    pub fn state(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.path("state/state.json")).unwrap()).unwrap()
    }
}

impl Running {
    #[cfg(unix)]
    fn start(mut command: Command) -> Self {
        Self { child: command.spawn().unwrap() }
    }

    /// Where no signal asks a program to end, the end of its input does.
    #[cfg(not(unix))]
    fn start(mut command: Command) -> Self {
        Self { child: command.arg("--stop-at-eof").stdin(Stdio::piped()).spawn().unwrap() }
    }

    /// Asks it to end, and waits. Returns its exit code.
    pub fn stop(mut self) -> Option<i32> {
        #[cfg(unix)]
        {
            let pid = rustix::process::Pid::from_child(&self.child);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        }
        #[cfg(not(unix))]
        drop(self.child.stdin.take());
        self.child.wait().unwrap().code()
    }

    /// Asks the daemon that runs under a tracer to end, and waits for both.
    #[cfg(target_os = "linux")]
    pub fn stop_traced(mut self) {
        let tracer = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap();
        let agent = rustix::process::Pid::from_raw(children.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(agent, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    /// Ends it in the middle of whatever it does, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails where it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
