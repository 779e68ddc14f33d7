//! A device whose decisions are kept as a store keeps them, and the story that its alerts tell.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use offchannel_server::domain::alert::AlertAction;
use offchannel_server::domain::case::{Case, Decision, NewIds};
use offchannel_server::domain::device::{Device, Status};
use offchannel_server::domain::in_force_exceptions::InForceExceptions;
use offchannel_server::domain::ingest::{self, Context, Refusal};
use offchannel_server::domain::published::InForce;
use offchannel_server::domain::route::Routes;
use offchannel_server::domain::tree::Tree;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::{DeviceFacts, Placement, Platform};
use offchannel_shared::digest::Digest;
use offchannel_shared::ids::{
    AlertId, AppId, ChannelName, DeliveryId, DeviceId, Epoch, FindingId, TokenId, UnitId,
};
use offchannel_shared::inventory::{Change, Grade, Inventory, Scope, Sighting, Transition};
use offchannel_shared::namespace::Namespace;
use offchannel_shared::policy::parse;
use offchannel_shared::signing::PublicKey;
use offchannel_shared::wire::{GoodbyeReason, GoodbyeRequest, ReportRequest, SCHEMA};

pub const POLICY: &str = r#"
schema = 1
name = "x"
stale_after = "1h"
[[rule]]
id = "no-consumer"
verdict = "prohibited"
kinds = ["consumer"]
severity = "high"
"#;

struct Ids(u128);

impl Ids {
    fn next(&mut self) -> [u8; 16] {
        self.0 += 1;
        self.0.to_be_bytes()
    }
}

impl NewIds for Ids {
    fn finding(&mut self) -> FindingId {
        FindingId::from_random(self.next())
    }
    fn alert(&mut self) -> AlertId {
        AlertId::from_random(self.next())
    }
    fn delivery(&mut self) -> DeliveryId {
        DeliveryId::from_random(self.next())
    }
}

/// A device whose decisions are kept as a store keeps them.
pub struct World {
    pub in_force: InForce,
    pub routes: Routes,
    pub exceptions: InForceExceptions,
    pub units: Tree,
    pub surging: BTreeSet<UnitId>,
    pub case: Case,
    ids: Ids,
    pub revision: u64,
    pub epoch: Epoch,
    pub serving_since: Timestamp,
}

pub fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

pub fn sighting(app: &str) -> Sighting {
    Sighting {
        app: AppId::new(app).unwrap(),
        source: "dpkg".to_owned(),
        namespace: Namespace::Dpkg,
        identifier: app.to_owned(),
        scope: Scope::System,
        grade: Grade::Installed,
        version: Some("1.0".to_owned()),
    }
}

pub fn inventory(apps: &[&str]) -> Inventory {
    let mut inventory =
        Inventory { sightings: apps.iter().map(|app| sighting(app)).collect(), ..Inventory::default() };
    inventory.normalise();
    inventory
}

pub fn transition(minute: i64, change: Change, app: &str) -> Transition {
    // Far above every revision on record, so that it is always owed; each scan has its own.
    let revision = 1_000_000 + u64::try_from(minute + 100_000).unwrap();
    Transition { revision, at: at(minute), change, sighting: sighting(app) }
}

impl World {
    pub fn new(policy: &str) -> Self {
        let device = Device {
            id: DeviceId::from_random([1; 16]),
            public_key: PublicKey::from_bytes(&[7; 32]).unwrap(),
            replaced_key: None,
            facts: facts(),
            placement: Placement::default(),
            placed_by: None,
            placed_at: None,
            person: None,
            token: TokenId::from_random([2; 16]),
            enrolled_at: at(0),
            retired_at: None,
            agent_version: "1".to_owned(),
            policy_version: 1,
            last_seen: at(0),
            goodbye: None,
            report: None,
            past_epochs: Vec::new(),
            evaluate_at: None,
        };
        Self {
            in_force: InForce {
                version: 1,
                policy: parse(policy).unwrap_or_else(|error| panic!("{error}")).policy,
                catalogue: Catalogue::built_in(),
            },
            exceptions: InForceExceptions::default(),
            units: Tree::default(),
            surging: BTreeSet::new(),
            routes: Routes::new(&[ChannelName::new("siem").unwrap()], Vec::new()),
            case: Case { device, findings: Vec::new(), alerts: Vec::new() },
            ids: Ids(0),
            revision: 0,
            epoch: Epoch::from_random([9; 16]),
            serving_since: at(0),
        }
    }

    pub fn request(
        &self,
        inventory: &Inventory,
        transitions: Vec<Transition>,
        now: Timestamp,
    ) -> ReportRequest {
        ReportRequest {
            schema: SCHEMA,
            epoch: self.epoch.clone(),
            revision: self.revision,
            digest: Digest::of(inventory),
            observed_at: now,
            policy_version: 1,
            agent_version: "1".to_owned(),
            catalogue_version: "x".to_owned(),
            facts: facts(),
            inventory: inventory.clone(),
            transitions,
            transitions_lost: 0,
        }
    }

    pub fn decide(
        &mut self,
        minute: i64,
        judge: impl Fn(Case, &Context<'_>, &mut dyn NewIds) -> Result<Option<Decision>, Refusal>,
    ) -> Result<Option<Decision>, Refusal> {
        let context = Context {
            in_force: &self.in_force,
            units: &self.units,
            exceptions: &self.exceptions,
            surging: &self.surging,
            routes: &self.routes,
            now: at(minute),
            serving_since: self.serving_since,
        };
        let decision = judge(self.case.clone(), &context, &mut self.ids)?;
        if let Some(decision) = &decision {
            self.case.device = decision.device.clone();
            let mut findings: BTreeMap<_, _> =
                self.case.findings.drain(..).map(|f| (f.id.clone(), f)).collect();
            findings.extend(decision.findings.iter().map(|f| (f.id.clone(), f.clone())));
            self.case.findings = findings.into_values().filter(|f| f.ended_at.is_none()).collect();
            let mut alerts: BTreeMap<_, _> = self.case.alerts.drain(..).map(|a| (a.id.clone(), a)).collect();
            alerts.extend(decision.alerts.iter().map(|a| (a.id.clone(), a.clone())));
            self.case.alerts = alerts.into_values().collect();
        }
        Ok(decision)
    }

    pub fn report_with(&mut self, minute: i64, apps: &[&str], transitions: Vec<Transition>) -> Decision {
        self.revision += 1;
        let request = self.request(&inventory(apps), transitions, at(minute));
        self.decide(minute, |case, context, ids| ingest::report(case, &request, context, ids))
            .unwrap()
            .unwrap()
    }

    pub fn report(&mut self, minute: i64, apps: &[&str]) -> Decision {
        self.report_with(minute, apps, Vec::new())
    }

    pub fn goodbye(&mut self, minute: i64, reason: GoodbyeReason, stays_up: bool) -> Decision {
        let request = GoodbyeRequest { schema: SCHEMA, reason, stays_up };
        self.decide(minute, |case, context, ids| ingest::goodbye(case, &request, context, ids))
            .unwrap()
            .unwrap()
    }

    /// A check-in of a device that was missed.
    pub fn heard(&mut self, minute: i64) -> Decision {
        self.decide(minute, |case, context, ids| ingest::heard(case, context, ids)).unwrap().unwrap()
    }

    pub fn evaluate(&mut self, minute: i64) -> Decision {
        self.decide(minute, |case, context, ids| ingest::evaluate(case, context, ids)).unwrap().unwrap()
    }

    pub fn status(&self, minute: i64) -> Status {
        self.case.device.status(&self.case.findings, self.in_force.policy.stale_after, at(minute))
    }
}

pub fn facts() -> DeviceFacts {
    DeviceFacts {
        hostname: "host".to_owned(),
        platform: Platform::Linux,
        os: "Debian".to_owned(),
        arch: "x86_64".to_owned(),
        machine: String::new(),
    }
}

/// What happened to alerts, in order: action, app or kind, minute.
pub fn story(decision: &Decision, world: &World) -> Vec<(AlertAction, String, i64)> {
    let name = |id: &AlertId| {
        let alert = world.case.alerts.iter().find(|alert| alert.id == *id).unwrap();
        alert.app.as_ref().map_or(alert.kind.to_string(), ToString::to_string)
    };
    let minute = |at: Timestamp| (at.as_second() - 1_800_000_000) / 60;
    decision.events.iter().map(|event| (event.action, name(&event.alert), minute(event.at))).collect()
}

pub fn told(action: AlertAction, what: &str, minute: i64) -> (AlertAction, String, i64) {
    (action, what.to_owned(), minute)
}
