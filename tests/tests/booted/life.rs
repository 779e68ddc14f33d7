//! What is asked again and again of the booted system, its agent and its collector.

use offchannel_tests::{Booted, Output, wait_for};
use serde_json::Value;

use crate::AS_SERVER;

pub const AGENT: &str = "offchannel-agent.service";
pub const SERVER: &str = "offchannel-server.service";

/// A booted system with agent and collector.
pub struct Life<'a>(pub Booted<'a>);

impl Life<'_> {
    /// A command of the collector, as its user.
    pub fn collector(&self, arguments: &[&str]) -> Output {
        let output = self.0.run(&[&AS_SERVER[..], arguments].concat());
        assert_eq!(output.code, 0, "{arguments:?} failed: {output:#?}");
        output
    }

    /// A command of the collector, for its JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.collector(&[arguments, &["--format", "json"]].concat()).json()
    }

    /// The one device.
    pub fn device(&self) -> Value {
        let mut list = self.json(&["device", "list"]);
        let devices = list["devices"].as_array_mut().expect("devices");
        assert!(devices.len() <= 1, "the agent is another device: {devices:#?}");
        devices.pop().unwrap_or_default()
    }

    /// The kinds of the alerts that are open.
    pub fn alerts(&self) -> Vec<String> {
        let list = self.json(&["alert", "list"]);
        let alerts = list["alerts"].as_array().expect("alerts").iter();
        alerts.map(|alert| alert["kind"].as_str().expect("a kind").to_owned()).collect()
    }

    /// Waits until no alert is open.
    #[track_caller]
    pub fn without_alerts(&self) {
        wait_for("all alerts to be over", || {
            let alerts = self.alerts();
            if alerts.is_empty() { Ok(()) } else { Err(format!("the alerts are {alerts:?}")) }
        });
    }

    /// Waits until the device has reported since it last said goodbye.
    #[track_caller]
    pub fn reporting(&self) {
        wait_for("a device that reports", || {
            let device = self.device();
            if !device["reported_at"].is_null() && device["goodbye"].is_null() {
                Ok(())
            } else {
                Err(format!("the device is {device:#}, the agent says {}", self.0.journal(AGENT)))
            }
        });
    }

    /// The agent's process id in the system; `0` while it does not run.
    pub fn pid(&self) -> String {
        self.0.property(AGENT, "MainPID")
    }

    /// Waits until another agent than this one runs.
    #[track_caller]
    pub fn another_than(&self, before: &str) {
        wait_for("the agent to be started anew", || {
            let state = self.0.property(AGENT, "ActiveState");
            let now = self.pid();
            if state == "active" && now != before { Ok(()) } else { Err(format!("{state}, {now}")) }
        });
    }
}

/// Why a device said goodbye, and whether it was known to stay up.
pub fn goodbye(device: &Value) -> (String, bool) {
    let said = &device["goodbye"];
    let reason = said["reason"].as_str().unwrap_or_else(|| panic!("no goodbye: {device:#}"));
    (reason.to_owned(), said["stays_up"].as_bool().expect("a truth"))
}
