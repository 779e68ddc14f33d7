//! The JSON shapes of the admin commands. Scripts rely on them: fields are added, never changed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::{Ownership, Platform};
use offchannel_shared::ids::UnitId;
use offchannel_shared::inventory::{Grade, Sighting, SourceHealth, Unlisted};
use offchannel_shared::label::Label;
use offchannel_shared::policy::{Policy, Severity};
use serde::Serialize;

use crate::domain::alert::{About, Alert, AlertAction, AlertEvent, AlertKind, AlertState, Cause, Records};
use crate::domain::device::Goodbye;
use crate::domain::device_import::DeviceChange;
use crate::domain::finding::{Finding, FindingKind};
use crate::domain::placement::{Difference, PersonRef, PlacedBy};
use crate::domain::published::{InForce, PolicyVersion};
use crate::domain::token::Token;
use crate::domain::tree::Organisation;
use crate::domain::unit::Unit;
use crate::domain::unit_import::UnitChange;
use crate::service::{AlertView, DeviceView};

/// The schema of all these shapes.
pub const SCHEMA: u32 = 1;

/// A device.
#[derive(Debug, Serialize)]
pub struct DeviceJson<'a> {
    id: &'a str,
    hostname: &'a str,
    platform: Platform,
    os: &'a str,
    arch: &'a str,
    ownership: Ownership,
    unit: Option<&'a str>,
    /// The unit and those above it, the nearest first.
    units: Vec<&'a str>,
    unit_by: Option<PlacedBy>,
    /// Who answers for the unit; only where one device is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerJson<'a>>,
    labels: &'a BTreeSet<Label>,
    person: Option<&'a str>,
    status: &'static str,
    /// How many findings it has.
    findings: usize,
    /// How many of them are accepted by exceptions.
    accepted: usize,
    as_of: Timestamp,
    agent_version: &'a str,
    policy_version: u64,
    enrolled_at: Timestamp,
    key: String,
    key_since: Timestamp,
    last_seen: Timestamp,
    goodbye: Option<&'a Goodbye>,
    reported_at: Option<Timestamp>,
    retired_at: Option<Timestamp>,
    revision: u64,
}

/// How a device stands; how a retired one stood is of no use.
pub fn status_word(view: &DeviceView) -> &'static str {
    if view.device.retired_at.is_some() { "retired" } else { view.status.as_str() }
}

impl<'a> From<&'a DeviceView> for DeviceJson<'a> {
    fn from(view: &'a DeviceView) -> Self {
        let device = &view.device;
        Self {
            id: device.id.as_str(),
            hostname: &device.facts.hostname,
            platform: device.facts.platform,
            os: &device.facts.os,
            arch: &device.facts.arch,
            ownership: device.placement.ownership,
            unit: device.placement.units.first().map(|unit| unit.as_str()),
            units: device.placement.units.iter().map(|unit| unit.as_str()).collect(),
            unit_by: device.placed_by,
            owner: view.units.iter().find_map(OwnerJson::of),
            labels: &device.placement.labels,
            person: device.person.as_ref().map(PersonRef::as_str),
            status: status_word(view),
            findings: view.findings.len(),
            accepted: view.accepted(),
            as_of: view.as_of,
            agent_version: &device.agent_version,
            policy_version: device.policy_version,
            enrolled_at: device.enrolled_at,
            key: device.public_key.id(),
            key_since: device.key_since(),
            last_seen: device.last_seen,
            goodbye: device.goodbye.as_ref(),
            reported_at: device.report.as_ref().map(|report| report.received_at),
            retired_at: device.retired_at,
            revision: device.report.as_ref().map_or(0, |report| report.revision),
        }
    }
}

/// Who answers for a unit.
#[derive(Debug, Serialize)]
pub struct OwnerJson<'a> {
    unit: &'a str,
    name: &'a str,
    email: Option<&'a str>,
}

impl<'a> OwnerJson<'a> {
    /// The shape of a unit's own owner, if it has one.
    fn of(unit: &'a Unit) -> Option<Self> {
        let owner = unit.owner.as_ref()?;
        Some(Self { unit: unit.id.as_str(), name: &owner.name, email: owner.email.as_deref() })
    }
}

/// A unit.
#[derive(Debug, Serialize)]
pub struct UnitJson<'a> {
    id: &'a str,
    name: &'a str,
    parent: Option<&'a str>,
    /// The unit and those above it, the nearest first.
    path: Vec<UnitId>,
    /// Who answers for it: its own owner, or that of the nearest unit above that has one.
    owner: Option<OwnerJson<'a>>,
    label: Option<&'a str>,
    devices: u64,
    tokens: u64,
}

impl<'a> UnitJson<'a> {
    /// The shape of a unit.
    pub fn new(unit: &'a Unit, organisation: &'a Organisation) -> Self {
        let path = organisation.tree.path(&unit.id);
        let held = organisation.held(&unit.id);
        Self {
            id: unit.id.as_str(),
            name: &unit.name,
            parent: unit.parent.as_ref().map(|parent| parent.as_str()),
            owner: organisation.tree.owner(&path).and_then(OwnerJson::of),
            path,
            label: unit.label.as_ref().map(Label::as_str),
            devices: held.devices,
            tokens: held.tokens,
        }
    }
}

/// A change of a unit.
#[derive(Debug, Serialize)]
pub struct UnitChangeJson<'a> {
    unit: &'a str,
    kind: &'static str,
    differences: &'a [Difference],
}

impl<'a> From<&'a UnitChange> for UnitChangeJson<'a> {
    fn from(change: &'a UnitChange) -> Self {
        let UnitChange { unit, kind, differences } = change;
        Self { unit: unit.as_str(), kind: kind.as_str(), differences }
    }
}

/// A change of where a device belongs.
#[derive(Debug, Serialize)]
pub struct DeviceChangeJson<'a> {
    device: &'a str,
    hostname: &'a str,
    differences: &'a [Difference],
}

impl<'a> From<&'a DeviceChange> for DeviceChangeJson<'a> {
    fn from(change: &'a DeviceChange) -> Self {
        let DeviceChange { device, hostname, differences } = change;
        Self { device: device.as_str(), hostname, differences }
    }
}

/// A sighting with what the catalogue says of its app.
#[derive(Debug, Serialize)]
pub struct SightingJson<'a> {
    app: &'a str,
    name: &'a str,
    kind: Option<&'static str>,
    networks: Vec<&'a str>,
    official: Option<bool>,
    #[serde(flatten)]
    sighting: SightingFacts<'a>,
}

#[derive(Debug, Serialize)]
struct SightingFacts<'a> {
    grade: Grade,
    source: &'a str,
    identifier: &'a str,
    version: Option<&'a str>,
    scope: String,
}

impl<'a> SightingJson<'a> {
    /// The shape of a sighting.
    pub fn new(sighting: &'a Sighting, catalogue: &'a Catalogue) -> Self {
        let app = catalogue.app(sighting.app.as_str());
        Self {
            app: sighting.app.as_str(),
            name: app.map_or(sighting.app.as_str(), |app| app.name),
            kind: app.map(|app| app.kind.as_str()),
            networks: app.map(|app| app.networks().collect()).unwrap_or_default(),
            official: app.map(|app| app.official),
            sighting: SightingFacts {
                grade: sighting.grade,
                source: &sighting.source,
                identifier: &sighting.identifier,
                version: sighting.version.as_deref(),
                scope: sighting.scope.to_string(),
            },
        }
    }
}

/// A finding with what its rule says.
#[derive(Debug, Serialize)]
pub struct FindingJson<'a> {
    id: &'a str,
    kind: FindingKind,
    rule: &'a str,
    app: &'a str,
    severity: Severity,
    started_at: Timestamp,
    breach_at: Timestamp,
    exception: Option<&'a str>,
    policy_version: u64,
    reason: &'a str,
    alternatives: Vec<&'a str>,
}

impl<'a> FindingJson<'a> {
    /// The shape of a finding.
    pub fn new(finding: &'a Finding, policy: &'a Policy) -> Self {
        let rule = policy.rule(&finding.rule);
        Self {
            id: finding.id.as_str(),
            kind: finding.kind,
            rule: finding.rule.as_str(),
            app: finding.app.as_str(),
            severity: finding.severity,
            started_at: finding.started_at,
            breach_at: finding.breach_at,
            exception: finding.exception.as_ref().map(|id| id.as_str()),
            policy_version: finding.policy_version,
            reason: rule.map_or("", |rule| &rule.reason),
            alternatives: rule
                .map(|rule| rule.alternatives.iter().map(|app| app.as_str()).collect())
                .unwrap_or_default(),
        }
    }
}

/// An alert.
#[derive(Debug, Serialize)]
pub struct AlertJson<'a> {
    id: &'a str,
    kind: AlertKind,
    app: Option<&'a str>,
    rule: Option<&'a str>,
    severity: Severity,
    state: AlertState,
    cause: Option<Cause>,
    /// None where it is about something else.
    device: Option<&'a str>,
    /// Given where it is about a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    /// Given where it is about an exception.
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<&'a str>,
    opened_at: Timestamp,
    changed_at: Timestamp,
    reopened: u32,
    /// Whether what it is about is the case now.
    holds: bool,
    assignee: Option<&'a str>,
    snoozed_until: Option<Timestamp>,
    /// Whether a statement about business records is missing.
    records_missing: bool,
    records: Option<Records>,
    /// Steps of escalation that were taken since it last opened.
    escalated: Vec<&'a str>,
}

impl<'a> From<&'a Alert> for AlertJson<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self {
            id: alert.id.as_str(),
            kind: alert.kind,
            app: alert.app.as_ref().map(|app| app.as_str()),
            rule: alert.rule.as_ref().map(|rule| rule.as_str()),
            severity: alert.severity,
            state: alert.state,
            cause: alert.cause,
            device: alert.about.device().map(|id| id.as_str()),
            unit: alert.about.unit().map(|id| id.as_str()),
            exception: match &alert.about {
                About::Exception(id) => Some(id.as_str()),
                About::Device(_) | About::Unit(_) => None,
            },
            opened_at: alert.opened_at,
            changed_at: alert.changed_at,
            reopened: alert.reopened,
            holds: alert.holds,
            assignee: alert.assignee.as_deref(),
            snoozed_until: alert.snoozed_until,
            records_missing: alert.records_missing(),
            records: alert.records,
            escalated: alert.escalated.iter().map(|step| step.as_str()).collect(),
        }
    }
}

/// An alert in a list.
#[derive(Debug, Serialize)]
pub struct ListedAlertJson<'a> {
    #[serde(flatten)]
    alert: AlertJson<'a>,
    hostname: Option<&'a str>,
    app_name: Option<&'a str>,
}

impl<'a> From<&'a AlertView> for ListedAlertJson<'a> {
    fn from(view: &'a AlertView) -> Self {
        Self {
            alert: (&view.alert).into(),
            hostname: view.hostname.as_deref(),
            app_name: view.app_name.as_deref(),
        }
    }
}

/// A history entry of an alert.
#[derive(Debug, Serialize)]
pub struct EventJson<'a> {
    at: Timestamp,
    action: AlertAction,
    actor: &'a str,
    cause: Option<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Records>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

impl EventJson<'_> {
    /// What happened.
    pub(super) fn action(&self) -> &'static str {
        self.action.as_str()
    }
}

impl<'a> From<&'a AlertEvent> for EventJson<'a> {
    fn from(event: &'a AlertEvent) -> Self {
        Self {
            at: event.at,
            action: event.action,
            actor: &event.actor,
            cause: event.cause,
            until: event.until,
            records: event.records,
            step: event.step.as_ref().map(|step| step.as_str()),
            why: event.why.as_deref(),
            text: event.text.as_deref(),
        }
    }
}

/// Everything about one device: `device show` and `quickstart`.
#[derive(Debug, Serialize)]
pub struct DeviceReportJson<'a> {
    schema: u32,
    device: DeviceJson<'a>,
    policy: PolicyJson<'a>,
    sightings: Vec<SightingJson<'a>>,
    unreviewed: &'a [Unlisted],
    findings: Vec<FindingJson<'a>>,
    alerts: Vec<AlertJson<'a>>,
    sources: &'a [SourceHealth],
}

#[derive(Debug, Serialize)]
struct PolicyJson<'a> {
    version: u64,
    name: &'a str,
}

impl<'a> DeviceReportJson<'a> {
    /// The shape of a device with everything that is known of it.
    pub fn new(view: &'a DeviceView, in_force: &'a InForce) -> Self {
        let inventory = view.device.report.as_ref().map(|report| &report.inventory);
        let sightings = inventory.map_or(&[][..], |inventory| &inventory.sightings);
        Self {
            schema: SCHEMA,
            device: view.into(),
            policy: PolicyJson { version: in_force.version, name: &in_force.policy.name },
            sightings: sightings.iter().map(|s| SightingJson::new(s, &in_force.catalogue)).collect(),
            unreviewed: inventory.map_or(&[][..], |inventory| &inventory.unlisted),
            findings: view.findings.iter().map(|f| FindingJson::new(f, &in_force.policy)).collect(),
            alerts: view.alerts.iter().map(AlertJson::from).collect(),
            sources: inventory.map_or(&[][..], |inventory| &inventory.sources),
        }
    }
}

/// A token, without its secret.
#[derive(Debug, Serialize)]
pub struct TokenJson<'a> {
    id: &'a str,
    label: &'a str,
    ownership: Ownership,
    unit: Option<&'a str>,
    /// As in the JSON of devices, but without the units above.
    units: Vec<&'a str>,
    device_labels: &'a BTreeSet<Label>,
    uses: u32,
    max_uses: u32,
    created_at: Timestamp,
    expires_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

impl<'a> From<&'a Token> for TokenJson<'a> {
    fn from(token: &'a Token) -> Self {
        Self {
            id: token.id.as_str(),
            label: &token.label,
            ownership: token.ownership,
            unit: token.unit.as_ref().map(|unit| unit.as_str()),
            units: token.unit.iter().map(|unit| unit.as_str()).collect(),
            device_labels: &token.labels,
            uses: token.uses,
            max_uses: token.max_uses,
            created_at: token.created_at,
            expires_at: token.expires_at,
            revoked_at: token.revoked_at,
        }
    }
}

/// A published policy version, without its text.
#[derive(Debug, Serialize)]
pub struct PolicyVersionJson<'a> {
    version: u64,
    author: &'a str,
    comment: &'a str,
    published_at: Timestamp,
    effective_from: Option<Timestamp>,
    in_force_since: Option<Timestamp>,
    approved_by: Option<&'a str>,
    cancelled_at: Option<Timestamp>,
    cancelled_by: Option<&'a str>,
}

impl<'a> From<&'a PolicyVersion> for PolicyVersionJson<'a> {
    fn from(policy: &'a PolicyVersion) -> Self {
        Self {
            version: policy.version,
            author: &policy.author,
            comment: &policy.comment,
            published_at: policy.published_at,
            effective_from: policy.effective_from,
            in_force_since: policy.in_force_since,
            approved_by: policy.approved_by.as_deref(),
            cancelled_at: policy.cancelled.as_ref().map(|(at, _)| *at),
            cancelled_by: policy.cancelled.as_ref().map(|(_, by)| by.as_str()),
        }
    }
}
