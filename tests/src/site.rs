//! An installed collector: its folder, configuration, webhook and commands.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::port::Port;
use crate::process::{Output, Process};
use crate::receiver::{Receiver, SECRET};
use crate::wait::wait_for;
use crate::{programs, rows};

/// The policy of most tests: two apps are prohibited, agents check in as often as they may.
pub const POLICY: &str = r#"schema = 1
name = "Journeys"
stale_after = "1h"
check_in_every = "5s"

[[rule]]
id = "no-consumer-messaging"
verdict = "prohibited"
apps = ["telegram", "hexchat"]
severity = "high"
reason = "We cannot keep records of it."
alternatives = ["microsoft-teams"]
"#;

/// A collector with everything that belongs to it.
#[derive(Debug)]
pub struct Site {
    // First, so that it ends before the receiver and the folder go.
    serve: Option<Process>,
    /// Hears of every alert.
    pub receiver: Receiver,
    port: Port,
    folder: TempDir,
}

impl Site {
    /// A collector that was never started, with nothing but its configuration.
    pub fn bare() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, receiver) = (Port::reserve(), Receiver::new());
        let site = Self { serve: None, receiver, port, folder };
        let address = site.port.address();
        let config = format!(
            "listen = \"{address}\"\npublic_url = \"https://{address}\"\ndata_dir = \"data\"\n\n\
             [log]\nlevel = \"debug\"\n\n\
             [[channel]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{}\"\nsecret = \"{SECRET}\"\n\
             timeout = \"5s\"\nallow_private = true\n",
            site.receiver.url()
        );
        fs::write(site.config(), config).expect("the collector's configuration");
        site
    }

    /// A collector that serves, with [`POLICY`] in force.
    pub fn serving() -> Self {
        Self::with_policy(POLICY)
    }

    /// A collector that serves, with this policy in force.
    pub fn with_policy(policy: &str) -> Self {
        let mut site = Self::bare();
        let migrated = site.run(&["migrate"]);
        assert_eq!(migrated.code, 0, "{migrated:#?}");
        site.publish(policy);
        site.start();
        site
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The collector's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// The collector's configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder().join("server.toml")
    }

    /// The collector's database.
    pub fn database(&self) -> PathBuf {
        self.data().join("offchannel.db")
    }

    /// The CA of the collector's certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.data().join("tls").join("ca.crt")
    }

    /// The collector's log.
    pub fn log(&self) -> PathBuf {
        self.folder().join("server.log")
    }

    /// The port that it serves on.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Where agents reach it.
    pub fn url(&self) -> String {
        format!("https://{}", self.port.address())
    }

    /// A client that trusts it; there must have been a first start.
    pub fn client(&self) -> Client {
        Client::new(self.port.address(), &self.ca_file())
    }

    /// Starts `serve` and waits until it is ready.
    #[track_caller]
    pub fn start(&mut self) {
        self.start_until("/readyz");
    }

    /// Starts `serve` and waits until it lives; without a policy it is not ready.
    #[track_caller]
    pub fn start_without_policy(&mut self) {
        self.start_until("/healthz");
    }

    #[track_caller]
    fn start_until(&mut self, probe: &str) {
        let mut serve = self.spawn();
        wait_for("the collector to be ready", || {
            if let Some(status) = serve.ended() {
                panic!("the collector ended at its start ({status}): {}", serve.log());
            }
            if !self.ca_file().exists() {
                return Err("there is no certificate yet".to_owned());
            }
            let answer = self.client().request("GET", probe, &[], b"")?;
            if answer.status == 200 { Ok(()) } else { Err(format!("{} {}", answer.status, answer.text())) }
        });
        self.serve = Some(serve);
    }

    /// Starts `serve` without waiting and without keeping it.
    pub fn spawn(&self) -> Process {
        let mut command = programs::server();
        command.arg("--config").arg(self.config()).arg("serve");
        Process::start("offchannel-server serve", &mut command, &self.log())
    }

    /// The process that serves.
    pub fn process(&mut self) -> &mut Process {
        self.serve.as_mut().expect("a collector that serves")
    }

    /// Asks the collector to stop and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.serve.take().expect("a collector that serves").stop()
    }

    /// Ends the collector as a power cut would.
    pub fn kill(&mut self) {
        self.serve.take().expect("a collector that serves").kill();
    }

    /// Runs a command of the collector beside the one that serves.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Output::of(programs::server().arg("--config").arg(self.config()).args(arguments))
    }

    /// Runs a command that must succeed, for its JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--format", "json"]].concat()).json()
    }

    /// Publishes a policy that must be good; returns its version.
    #[track_caller]
    pub fn publish(&self, policy: &str) -> u64 {
        let file = self.policy_file(policy);
        let published = self.json(&["policy", "publish", "--author", "tests", "--file", &file]);
        published["policy"]["version"].as_u64().expect("a version")
    }

    /// Writes a policy file and returns its path.
    pub fn policy_file(&self, policy: &str) -> String {
        let file = self.folder().join("policy.toml");
        fs::write(&file, policy).expect("a policy file");
        file.to_str().expect("a path in UTF-8").to_owned()
    }

    /// A token for one device.
    #[track_caller]
    pub fn token(&self) -> String {
        self.token_with(&[]).1
    }

    /// A token with these options: its id and its text.
    #[track_caller]
    pub fn token_with(&self, options: &[&str]) -> (String, String) {
        let made = self.json(&[&["token", "create"], options].concat());
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (text(&made["token"]["id"]), text(&made["text"]))
    }

    /// All alerts, the last changed first.
    #[track_caller]
    pub fn alerts(&self) -> Vec<Value> {
        self.json(&["alert", "list", "--all"])["alerts"].as_array().expect("a list of alerts").clone()
    }

    /// The alert about an app; there must be one alone.
    #[track_caller]
    pub fn alert_about(&self, app: &str) -> Value {
        let mut alerts = self.alerts();
        alerts.retain(|alert| alert["app"] == app);
        assert_eq!(alerts.len(), 1, "there should be one alert about {app}: {alerts:#?}");
        alerts.remove(0)
    }

    /// What happened to an alert, oldest first: `opened`, `resolved`, ...
    #[track_caller]
    pub fn history(&self, alert: &str) -> Vec<String> {
        let shown = self.json(&["alert", "show", alert]);
        let history = shown["history"].as_array().expect("a history");
        history.iter().map(|event| event["action"].as_str().expect("an action").to_owned()).collect()
    }

    /// The devices that are not retired.
    #[track_caller]
    pub fn devices(&self) -> Vec<Value> {
        self.json(&["device", "list"])["devices"].as_array().expect("a list of devices").clone()
    }

    /// Waits until the only device has reported; returns it.
    #[track_caller]
    pub fn wait_for_report(&self) -> Value {
        wait_for("the first report of a device", || {
            let devices = self.devices();
            let reported = devices.iter().find(|device| !device["reported_at"].is_null());
            reported.cloned().ok_or_else(|| format!("the devices are {devices:#?}"))
        })
    }

    /// What the only device reported last, and what follows from it.
    #[track_caller]
    pub fn only_device(&self) -> Value {
        let devices = self.devices();
        let [device] = devices.as_slice() else { panic!("there should be one device: {devices:#?}") };
        self.json(&["device", "show", device["id"].as_str().expect("an id")])
    }

    /// Everything that is stored.
    pub fn rows(&self) -> BTreeMap<String, Vec<String>> {
        rows::rows(&self.database())
    }
}
