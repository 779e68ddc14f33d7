//! Programs that run: started with a log, asked or forced to end, never left behind.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::wait::wait_for;

/// How much of a log is printed when a test fails, in bytes.
const TAIL: usize = 8_000;

/// A program that runs until it is stopped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts a program; what it prints is added to `log`, unless the command says where else standard output goes.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the log file twice"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned(), ended: None }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        // Not yet waited for, so the id is still its own, even if it has ended.
        if self.ended.is_none() {
            kill_process(id, signal)
                .unwrap_or_else(|error| panic!("{} cannot be signalled: {error}", self.name));
        }
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.end();
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let what = format!("{} to end", self.name);
        wait_for(&what, || self.ended().ok_or_else(|| "it runs".to_owned()))
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("the state of a child");
        }
        self.ended
    }

    /// What it has printed so far, as have earlier ones with the same log.
    pub fn log(&self) -> String {
        read(&self.log)
    }

    fn end(&mut self) {
        if self.ended().is_none() {
            // Fails only if it has ended meanwhile.
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "this is what explains a failed test")]
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            let log = self.log();
            let mut start = log.len().saturating_sub(TAIL);
            while !log.is_char_boundary(start) {
                start += 1;
            }
            eprintln!("--- log of {} ({}) ---\n{}", self.name, self.log.display(), &log[start..]);
        }
    }
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Output {
    /// The exit code; 128 and more for a signal, as in a shell.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        use std::os::unix::process::ExitStatusExt as _;

        let output = command.stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("a program prints UTF-8");
        Self {
            code: output
                .status
                .code()
                .or_else(|| output.status.signal().map(|signal| 128 + signal))
                .unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Standard output as JSON, of a command that must succeed.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "the command failed: {self:#?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {self:#?}"))
    }

    /// Standard error of a command that must have failed with exit code 1, without a panic.
    #[track_caller]
    pub fn failure(&self) -> &str {
        assert_eq!(self.code, 1, "the command should have failed with exit code 1: {self:#?}");
        assert!(!self.stderr.contains("panicked"), "the program panicked: {self:#?}");
        &self.stderr
    }
}

/// A text file, or nothing if there is none.
fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
