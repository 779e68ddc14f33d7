//! Which alerts are meant, by what they are about and how they stand.

use clap::Args;
use offchannel_shared::ids::{AppId, DeviceId, RuleId, UnitId};
use offchannel_shared::policy::Severity;

use crate::domain::alert::{AlertKind, AlertState};
use crate::store::AlertFilter;

/// Alerts that fit all that is given.
#[derive(Debug, Args)]
#[group(id = "which", multiple = true)]
pub(super) struct Which {
    /// Of this kind; may be given several times.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<AlertKind>,
    /// In this state; may be given several times.
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Vec<AlertState>,
    /// At least so grave: info, low, medium, high or critical.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    severity: Option<Severity>,
    /// About this app.
    #[arg(long, value_name = "APP")]
    app: Option<AppId>,
    /// Of this rule.
    #[arg(long, value_name = "RULE")]
    rule: Option<RuleId>,
    /// Of this device.
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// Of devices that are in this unit or below it now.
    #[arg(long, value_name = "UNIT")]
    unit: Option<UnitId>,
    /// That this person works on.
    #[arg(long, value_name = "NAME")]
    assignee: Option<String>,
}

impl Which {
    /// As a filter; in these states where none is given.
    pub(super) fn filter(self, states: &[AlertState], limit: u32) -> AlertFilter {
        let Self { kind: kinds, state, severity, app, rule, device, unit, assignee } = self;
        let states = if state.is_empty() { states.to_vec() } else { state };
        AlertFilter { states, device, unit, kinds, severity, app, rule, assignee, limit }
    }
}

fn kind(text: &str) -> Result<AlertKind, String> {
    word(text, &AlertKind::ALL, AlertKind::as_str)
}

fn state(text: &str) -> Result<AlertState, String> {
    word(text, &AlertState::ALL, AlertState::as_str)
}

fn severity(text: &str) -> Result<Severity, String> {
    word(text, &Severity::ALL, Severity::as_str)
}

fn word<T: Copy>(text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let found = all.iter().copied().find(|one| name(*one) == text);
    found.ok_or_else(|| {
        let known: Vec<&str> = all.iter().copied().map(name).collect();
        format!("expected one of {}", known.join(", "))
    })
}
