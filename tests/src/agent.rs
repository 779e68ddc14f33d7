//! An agent that runs: its configuration, its state folder, its process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Output, Process};
use crate::programs;
use crate::wait::wait_for;

/// An agent that scans a tree.
#[derive(Debug)]
pub struct Agent {
    // First, so that it ends before its folder goes.
    run: Option<Process>,
    folder: TempDir,
}

impl Agent {
    /// An agent that was never started; it will enrol with this token.
    pub fn new(url: &str, ca_file: &Path, token: &str, root: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("enrolment.token"), format!("{token}\n")).expect("a token file");
        let config = format!(
            "state_dir = \"state\"\n\n[server]\nurl = \"{url}\"\nca_file = \"{}\"\n\n\
             [enrolment]\ntoken_file = \"enrolment.token\"\n\n[scan]\nroot = \"{}\"\n\n[log]\nlevel = \"debug\"\n",
            ca_file.display(),
            root.display()
        );
        fs::write(folder.path().join("agent.toml"), config).expect("the agent's configuration");
        Self { run: None, folder }
    }

    /// An agent that was never started, with a token of this collector.
    #[track_caller]
    pub fn of(site: &crate::Site, root: &crate::Root) -> Self {
        Self::new(&site.url(), &site.ca_file(), &site.token(), root.path())
    }

    /// An agent that runs, with a token of this collector.
    #[track_caller]
    pub fn running(site: &crate::Site, root: &crate::Root) -> Self {
        let mut agent = Self::of(site, root);
        agent.start();
        agent
    }

    /// Its state folder.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    /// Its token file.
    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("enrolment.token")
    }

    /// Starts `run`.
    pub fn start(&mut self) {
        let mut command = programs::agent();
        command.arg("run").arg("--config").arg(self.config());
        let log = self.folder.path().join("agent.log");
        self.run = Some(Process::start("offchannel-agent run", &mut command, &log));
    }

    /// The process that runs.
    pub fn process(&mut self) -> &mut Process {
        self.run.as_mut().expect("an agent that runs")
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.run.take().expect("an agent that runs").stop()
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.run.take().expect("an agent that runs").kill();
    }

    /// Holds it up in the middle of whatever it does.
    pub fn freeze(&mut self) {
        self.process().signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.process().signal(Signal::CONT);
    }

    /// Runs another command of the agent with the same configuration.
    pub fn command(&self, arguments: &[&str]) -> Output {
        Output::of(programs::agent().args(arguments).arg("--config").arg(self.config()))
    }

    /// What its state file says; an empty object before there is one.
    pub fn state(&self) -> Value {
        let text = fs::read_to_string(self.state_dir().join("state.json"));
        text.ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_else(|| Value::Object(Default::default()))
    }

    /// What its identity file says.
    #[track_caller]
    pub fn identity(&self) -> Value {
        let text = fs::read(self.identity_file()).expect("the identity");
        serde_json::from_slice(&text).expect("the identity is whole")
    }

    /// Its identity file.
    pub fn identity_file(&self) -> PathBuf {
        self.state_dir().join("identity.json")
    }

    /// Makes the key of one that does not run so old that it is to be replaced.
    #[track_caller]
    pub fn age_key(&self) {
        let mut identity = self.identity();
        identity["key_since"] = "2020-01-01T00:00:00Z".into();
        fs::write(self.identity_file(), identity.to_string()).expect("the identity");
    }

    /// Waits until its state file says something.
    #[track_caller]
    pub fn wait_for_state<T>(&self, what: &str, find: impl Fn(&Value) -> Option<T>) -> T {
        wait_for(what, || {
            let state = self.state();
            find(&state).ok_or_else(|| format!("the state is {state}"))
        })
    }
}
