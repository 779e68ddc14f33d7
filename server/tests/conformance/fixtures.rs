//! Plain things to store. The same number gives the same thing.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use offchannel_server::domain::alert::{
    Alert, AlertAction, AlertEvent, AlertKind, AlertState, COLLECTOR, Terms,
};
use offchannel_server::domain::case::{Case, Decision, SightingChange};
use offchannel_server::domain::delivery::{
    Delivery, DeliveryState, Notification, NotifiedAlert, NotifiedDevice,
};
use offchannel_server::domain::device::{Device, LastReport};
use offchannel_server::domain::finding::{Finding, FindingKind};
use offchannel_server::domain::ingest::Refusal;
use offchannel_server::domain::published::PolicyVersion;
use offchannel_server::domain::token::{Presented, Token};
use offchannel_server::domain::unit::Unit;
use offchannel_server::store::{Decide, DecideOutcome, Enrolled, Store};
use offchannel_shared::device::{DeviceFacts, Ownership, Placement, Platform};
use offchannel_shared::digest::Digest;
use offchannel_shared::ids::{AppId, ChannelName, DeviceId, Id, Kind, RuleId, UnitId};
use offchannel_shared::inventory::{Grade, Health, Inventory, Scope, Sighting, SourceHealth};
use offchannel_shared::label::Label;
use offchannel_shared::namespace::Namespace;
use offchannel_shared::policy::Severity;
use offchannel_shared::signing::PublicKey;

/// So many seconds after an instant that all tests share.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

pub fn id<K: Kind>(number: u64) -> Id<K> {
    Id::from_random(u128::from(number).to_be_bytes())
}

pub fn app(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

pub fn rule(name: &str) -> RuleId {
    RuleId::new(name).unwrap()
}

pub fn unit_id(name: &str) -> UnitId {
    UnitId::new(name).unwrap()
}

pub fn labels(texts: &[&str]) -> BTreeSet<Label> {
    texts.iter().map(|text| Label::new(*text).unwrap()).collect()
}

/// A unit that is part of another one, or at the top.
pub fn unit(name: &str, parent: Option<&str>) -> Unit {
    let parent = parent.map(unit_id);
    Unit { id: unit_id(name), name: name.to_uppercase(), parent, owner: None, label: None }
}

pub fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

pub fn token(number: u64) -> Token {
    Token {
        id: id(number),
        secret_hash: format!("{number:064x}"),
        label: format!("token {number}"),
        ownership: Ownership::Corporate,
        unit: None,
        labels: BTreeSet::new(),
        max_uses: 1_000_000,
        uses: 0,
        created_at: at(i64::try_from(number).unwrap()),
        expires_at: at(1_000_000),
        revoked_at: None,
    }
}

/// The right secret of a token.
pub fn presented(token: &Token) -> Presented {
    Presented { id: token.id.clone(), secret_hash: token.secret_hash.clone() }
}

/// A device that has not reported.
pub fn device(number: u64) -> Device {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    Device {
        id: id(number),
        public_key: PublicKey::from_bytes(&key).unwrap(),
        replaced_key: None,
        facts: DeviceFacts {
            hostname: format!("host-{number}"),
            platform: Platform::Linux,
            os: "Debian GNU/Linux 12 (bookworm)".to_owned(),
            arch: "x86_64".to_owned(),
            machine: format!("{number:032x}"),
        },
        placement: Placement { ownership: Ownership::Personal, ..Placement::default() },
        placed_by: None,
        placed_at: None,
        person: None,
        token: id(0),
        enrolled_at: at(0),
        retired_at: None,
        agent_version: "0.1.0".to_owned(),
        policy_version: 0,
        last_seen: at(0),
        goodbye: None,
        report: None,
        past_epochs: Vec::new(),
        evaluate_at: None,
    }
}

pub fn sighting(name: &str) -> Sighting {
    Sighting {
        app: app(name),
        source: "dpkg".to_owned(),
        namespace: Namespace::Dpkg,
        identifier: format!("{name}-desktop"),
        scope: Scope::System,
        grade: Grade::Installed,
        version: Some("4.6.5".to_owned()),
    }
}

pub fn report(revision: u64, apps: &[&str]) -> LastReport {
    let health = |source: &str, health| SourceHealth { source: source.to_owned(), health };
    let mut inventory = Inventory {
        sightings: apps.iter().map(|name| sighting(name)).collect(),
        unlisted: Vec::new(),
        sources: vec![health("dpkg", Health::Ok), health("snap", Health::Partial("no right".to_owned()))],
    };
    inventory.normalise();
    LastReport {
        epoch: id(7),
        revision,
        digest: Digest::of(&inventory),
        received_at: at(60),
        observed_at: at(59),
        inventory,
    }
}

pub fn finding(device: &DeviceId, number: u64, name: &str) -> Finding {
    Finding {
        id: id(number),
        device: device.clone(),
        rule: rule("no-consumer-messaging"),
        app: app(name),
        kind: FindingKind::ProhibitedApp,
        severity: Severity::High,
        policy_version: 1,
        started_at: at(60),
        breach_at: at(90),
        exception: None,
        ended_at: None,
    }
}

pub fn alert(device: &DeviceId, number: u64, name: &str) -> Alert {
    Alert {
        id: id(number),
        about: device.clone().into(),
        kind: AlertKind::ProhibitedApp,
        rule: Some(rule("no-consumer-messaging")),
        app: Some(app(name)),
        severity: Severity::High,
        state: AlertState::Open,
        holds: true,
        snoozed_until: None,
        assignee: None,
        records_needed: false,
        records: None,
        opened_at: at(60),
        active_since: at(60),
        changed_at: at(60),
        cause: None,
        reopened: 0,
        escalated: BTreeSet::new(),
    }
}

/// How its condition is to be dealt with.
pub fn terms(alert: &Alert) -> Terms {
    Terms { severity: alert.severity, records_needed: alert.records_needed }
}

pub fn opened(alert: &Alert) -> AlertEvent {
    AlertEvent {
        alert: alert.id.clone(),
        at: alert.changed_at,
        action: AlertAction::Opened,
        actor: COLLECTOR.to_owned(),
        cause: None,
        until: None,
        records: None,
        step: None,
        why: None,
        text: None,
    }
}

pub fn delivery(alert: &Alert, number: u64, to: &str, due: i64) -> Delivery {
    Delivery {
        id: id(number),
        channel: channel(to),
        alert: alert.id.clone(),
        notification: Notification {
            action: AlertAction::Opened,
            at: alert.changed_at,
            actor: "collector".to_owned(),
            note: None,
            alert: NotifiedAlert {
                id: alert.id.clone(),
                kind: alert.kind,
                severity: alert.severity,
                state: alert.state,
                opened_at: alert.opened_at,
                cause: alert.cause,
                reopened: alert.reopened,
                assignee: None,
                snoozed_until: None,
            },
            device: Some(NotifiedDevice {
                id: alert.about.device().map(ToString::to_string).unwrap_or_default(),
                hostname: "host".to_owned(),
                platform: "linux".to_owned(),
                unit: None,
            }),
            app: None,
            rule: None,
            unit: None,
            escalation: None,
            evidence: Vec::new(),
            troubles: Vec::new(),
            test: false,
        },
        created_at: at(due),
        due_at: at(due),
        attempts: 0,
        state: DeliveryState::Pending,
        digest: None,
        last_error: None,
    }
}

pub fn change(name: &str, seconds: i64, ended: bool) -> SightingChange {
    SightingChange { sighting: sighting(name), at: at(seconds), ended }
}

pub fn policy(comment: &str, seconds: i64) -> PolicyVersion {
    PolicyVersion::at_once("schema = 1\n# bytes are kept: \u{e9}\r\n", "ada", comment, at(seconds))
}

/// A decision that leaves everything as it is.
pub fn nothing(device: Device) -> Decision {
    Decision {
        // Newer than anything that is published here.
        policy_version: u64::MAX,
        exceptions_version: u64::MAX,
        device,
        findings: Vec::new(),
        alerts: Vec::new(),
        events: Vec::new(),
        breaches: Vec::new(),
        sightings: Vec::new(),
        deliveries: Vec::new(),
    }
}

pub fn deciding(
    decide: impl Fn(Case) -> Result<Option<Decision>, Refusal> + Send + Sync + 'static,
) -> Decide {
    Decide(Arc::new(decide))
}

/// Has a decision committed that is made from the device as it stands.
pub async fn commit(
    store: &Arc<dyn Store>,
    id: &DeviceId,
    decide: impl Fn(Case) -> Decision + Send + Sync + 'static,
) -> Decision {
    let outcome = store.decide(id, deciding(move |case| Ok(Some(decide(case))))).await.unwrap();
    match outcome {
        DecideOutcome::Committed(Some(decision)) => *decision,
        other => panic!("expected a committed decision, got {other:?}"),
    }
}

/// Enrols device `number` with a token of its own number.
pub async fn enrolled(store: &Arc<dyn Store>, number: u64) -> Device {
    enrolled_with(store, number, token(number)).await
}

/// Enrols device `number` with this token, which is made.
pub async fn enrolled_with(store: &Arc<dyn Store>, number: u64, token: Token) -> Device {
    store.create_token(token.clone()).await.unwrap();
    match store.enrol(presented(&token), device(number), at(0)).await.unwrap() {
        Enrolled::Registered(device) => *device,
        Enrolled::Refused(error) => panic!("refused: {error}"),
    }
}

/// Queues deliveries, each about an alert and a device of its own: number, channel, due.
pub async fn queued(store: &Arc<dyn Store>, deliveries: &[(u64, &str, i64)]) {
    for one in deliveries {
        alerted(store, one.0, &[*one]).await;
    }
}

/// Enrols a device and opens an alert about it, with these deliveries: number, channel, due.
pub async fn alerted(store: &Arc<dyn Store>, number: u64, deliveries: &[(u64, &str, i64)]) -> Alert {
    let device = enrolled(store, number).await;
    let alert = alert(&device.id, number, "telegram");
    let deliveries: Vec<Delivery> =
        deliveries.iter().map(|(number, to, due)| delivery(&alert, *number, to, *due)).collect();
    let opening = alert.clone();
    commit(store, &device.id, move |case| Decision {
        alerts: vec![opening.clone()],
        events: vec![opened(&opening)],
        deliveries: deliveries.clone(),
        ..nothing(case.device)
    })
    .await;
    alert
}
