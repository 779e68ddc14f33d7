//! The same store, naively: maps in memory. Random commands must have the same outcome in both, and leave
//! behind the same things to read.

use std::collections::BTreeMap;
use std::sync::Arc;

use offchannel_server::domain::alert::{Alert, AlertEvent, AlertState, Cause};
use offchannel_server::domain::case::{Case, Decision};
use offchannel_server::domain::delivery::{Attempt, Delivery, DeliveryState};
use offchannel_server::domain::device::Device;
use offchannel_server::domain::finding::Finding;
use offchannel_server::domain::published::PolicyVersion;
use offchannel_server::domain::token::{Presented, Token, TokenError};
use offchannel_server::store::{
    AlertFilter, DecideOutcome, DeliveryFilter, Enrolled, Seen, SightingInterval, Store,
};
use offchannel_shared::ids::{AlertId, ChannelName, DeliveryId, DeviceId, FindingId, TokenId};
use proptest::prelude::*;

use super::fixtures::{
    alert, at, change, channel, deciding, delivery, device, finding, id, nothing, opened, policy, presented,
    report, terms, token,
};
use super::model_units::{self, Organise, Units};

const APPS: [&str; 3] = ["signal", "telegram", "whatsapp"];
const CHANNELS: [&str; 2] = ["mail", "siem"];

/// Something that is done to a store. Small numbers, so that commands meet.
#[derive(Debug, Clone)]
pub enum Command {
    Token { number: u64, uses: u32, expires: i64, unit: Option<u64>, labels: u8 },
    Organise(Organise),
    Revoke { number: u64, now: i64 },
    Enrol { token: u64, wrong: bool, key: u64, id: u64, now: i64 },
    Decide { device: u64, plan: Plan },
    Seen { device: u64, at: i64 },
    EvaluateAll { at: i64 },
    Publish { expected: Option<u64>, at: i64 },
    Claim { worker: u8, channels: u8, now: i64, lease: i64, limit: u32 },
    Finish { delivery: u64, worker: u8, how: u8, now: i64 },
    Retry { delivery: u64, now: i64 },
    Release,
    RetryAll { channel: Option<u8>, now: i64 },
}

/// What a decision changes.
#[derive(Debug, Clone)]
pub struct Plan {
    now: i64,
    apps: u8,
    toggled_findings: u8,
    toggled_alerts: u8,
    deliveries: u8,
    due: Option<i64>,
    retire: bool,
    /// Queues a delivery with the id of an earlier one, if there is one: the decision must fail.
    collide: bool,
}

/// Any sequence of commands.
pub fn commands() -> impl Strategy<Value = Vec<Command>> {
    let small = || 1_u64..5;
    let time = || 0_i64..200;
    let plan = (time(), 0_u8..8, 0_u8..8, 0_u8..8, 0_u8..3, prop::option::of(time()), 0_u8..20).prop_map(
        |(now, apps, toggled_findings, toggled_alerts, deliveries, due, rare)| Plan {
            now,
            apps,
            toggled_findings,
            toggled_alerts,
            deliveries,
            due,
            retire: rare == 0,
            collide: rare == 1,
        },
    );
    let command = prop_oneof![
        2 => (small(), 0_u32..4, time(), prop::option::of(small()), 0_u8..4).prop_map(
            |(number, uses, expires, unit, labels)| Command::Token { number, uses, expires, unit, labels }
        ),
        8 => model_units::commands().prop_map(Command::Organise),
        1 => (small(), time()).prop_map(|(number, now)| Command::Revoke { number, now }),
        4 => (small(), 0_u8..8, small(), small(), time()).prop_map(|(token, wrong, key, id, now)| {
            Command::Enrol { token, wrong: wrong == 0, key, id, now: now / 2 }
        }),
        8 => (small(), plan).prop_map(|(device, plan)| Command::Decide { device, plan }),
        1 => (small(), time()).prop_map(|(device, at)| Command::Seen { device, at }),
        1 => time().prop_map(|at| Command::EvaluateAll { at }),
        1 => (prop::option::of(0_u64..3), time()).prop_map(|(expected, at)| Command::Publish { expected, at }),
        2 => (0_u8..2, 0_u8..4, time(), time(), 0_u32..4).prop_map(|(worker, channels, now, lease, limit)| {
            Command::Claim { worker, channels, now, lease, limit }
        }),
        2 => (0_u64..40, 0_u8..2, 0_u8..5, time()).prop_map(|(delivery, worker, how, now)| {
            Command::Finish { delivery, worker, how, now }
        }),
        1 => (0_u64..40, time()).prop_map(|(delivery, now)| Command::Retry { delivery, now }),
        1 => Just(Command::Release),
        1 => (prop::option::of(0_u8..2), time()).prop_map(|(channel, now)| Command::RetryAll { channel, now }),
    ];
    prop::collection::vec(command, 1..60)
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) tokens: BTreeMap<TokenId, Token>,
    pub(super) devices: BTreeMap<DeviceId, Device>,
    pub(super) units: Units,
    findings: BTreeMap<FindingId, Finding>,
    alerts: BTreeMap<AlertId, Alert>,
    events: Vec<AlertEvent>,
    sightings: BTreeMap<DeviceId, Vec<SightingInterval>>,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    /// The ids of deliveries in the order in which they were queued.
    queued: Vec<DeliveryId>,
    leases: BTreeMap<DeliveryId, (String, i64)>,
    policies: Vec<PolicyVersion>,
}

/// Runs commands on a store and on the model, and compares after each.
pub async fn run(store: Arc<dyn Store>, commands: Vec<Command>) {
    let mut model = Model::default();
    for (place, command) in commands.iter().enumerate() {
        model.step(&store, place as u64, command).await;
        model.compare(&store, command).await;
    }
}

/// The decision that a plan makes of a case; new ids are made from the number.
fn decide(case: Case, number: u64, plan: &Plan) -> Decision {
    let Case { mut device, findings, alerts } = case;
    let set = |bits: u8| APPS.iter().enumerate().filter(move |(bit, _)| bits & (1 << bit) != 0);
    let wanted: Vec<&str> = set(plan.apps).map(|(_, name)| *name).collect();
    let had = device.report.as_ref().map_or(Vec::new(), |report| report.inventory.sightings.clone());
    let has = |name: &str| had.iter().any(|sighting| sighting.app.as_str() == name);
    let mut decision = nothing(device.clone());
    for name in APPS.into_iter().filter(|name| has(name) != wanted.contains(name)) {
        decision.sightings.push(change(name, plan.now, has(name)));
    }
    for (bit, name) in set(plan.toggled_findings) {
        let open = findings.iter().find(|finding| finding.app.as_str() == *name);
        let mut changed =
            open.cloned().unwrap_or_else(|| finding(&device.id, number * 10 + bit as u64, name));
        changed.ended_at = open.map(|_| at(plan.now));
        decision.findings.push(changed);
    }
    for (bit, name) in set(plan.toggled_alerts) {
        let known = alerts.iter().find(|alert| alert.app.as_ref().is_some_and(|app| app.as_str() == *name));
        let mut changed = known.cloned().unwrap_or_else(|| alert(&device.id, number * 10 + bit as u64, name));
        let event = match known.map(|alert| alert.state) {
            None => Some(opened(&changed)),
            Some(AlertState::Resolved) => changed.hold(terms(&changed), at(plan.now)),
            Some(_) => changed.cease(Cause::Removed, at(plan.now)),
        };
        decision.events.extend(event);
        for queued in 0..plan.deliveries {
            let id = if plan.collide { 1 } else { number * 10 + bit as u64 * 3 + u64::from(queued) };
            decision.deliveries.push(delivery(&changed, id, CHANNELS[usize::from(queued) % 2], plan.now));
        }
        decision.alerts.push(changed);
    }
    let revision = device.report.as_ref().map_or(1, |report| report.revision + 1);
    device.report = Some(report(revision, &wanted));
    device.last_seen = at(plan.now);
    device.evaluate_at = plan.due.map(at).filter(|_| !plan.retire);
    device.retired_at = device.retired_at.or(plan.retire.then(|| at(plan.now)));
    Decision { device, ..decision }
}

impl Model {
    async fn step(&mut self, store: &Arc<dyn Store>, place: u64, command: &Command) {
        match command.clone() {
            Command::Token { number, uses, expires, unit, labels } => {
                let mut token = token(number);
                (token.max_uses, token.expires_at) = (uses, at(expires));
                token.unit = unit.map(model_units::unit_id);
                token.labels = model_units::labels(labels);
                let taken = store.create_token(token.clone()).await.is_ok();
                let known = token.unit.as_ref().is_none_or(|unit| self.units.knows(unit));
                assert_eq!(taken, known && !self.tokens.contains_key(&token.id));
                if known {
                    self.tokens.entry(token.id.clone()).or_insert(token);
                }
            }
            Command::Organise(organise) => self.organise(store, organise).await,
            Command::Revoke { number, now } => {
                let revoked = store.revoke_token(&id(number), at(now)).await.ok();
                let token = self.tokens.get_mut(&id(number));
                let expected = token.map(|token| {
                    token.revoked_at.get_or_insert(at(now));
                    token.clone()
                });
                assert_eq!(revoked, expected);
            }
            Command::Enrol { token: number, wrong, key, id: own, now } => {
                let mut presented = presented(&token(number));
                if wrong {
                    presented.secret_hash = "0".repeat(64);
                }
                let mut offered = device(key);
                // A key has a few ids of its own: random ids of devices never meet.
                offered.id = id(key * 100 + own);
                let outcome = store.enrol(presented.clone(), offered.clone(), at(now)).await.unwrap();
                let expected = self.enrol(&presented, offered, now);
                let expected =
                    expected.map_or_else(Enrolled::Refused, |device| Enrolled::Registered(Box::new(device)));
                assert_eq!(outcome, expected);
            }
            Command::Decide { device, plan } => self.decide(store, place, device, plan).await,
            Command::Seen { device, at: when } => {
                for id in self.of_key(device) {
                    let seen = Seen {
                        device: id.clone(),
                        at: at(when),
                        agent_version: "9".into(),
                        policy_version: 2,
                    };
                    store.seen(vec![seen]).await.unwrap();
                    let device = self.devices.get_mut(&id).unwrap();
                    if device.last_seen <= at(when) {
                        device.last_seen = at(when);
                        (device.agent_version, device.policy_version) = ("9".to_owned(), 2);
                    }
                }
            }
            Command::EvaluateAll { at: when } => {
                store.evaluate_all(at(when)).await.unwrap();
                self.evaluate_all(when);
            }
            Command::Publish { expected, at: when } => {
                let found = self.policies.len() as u64;
                let published = store.publish(policy("", when), expected).await.ok();
                let fits = expected.is_none_or(|expected| expected == found);
                assert_eq!(published.as_ref().map(|policy| policy.version), fits.then_some(found + 1));
                self.policies.extend(published);
                if fits {
                    self.evaluate_all(when);
                }
            }
            Command::Claim { worker, channels, now, lease, limit } => {
                let names: Vec<ChannelName> = (0..2_u8)
                    .filter(|bit| channels & (1 << bit) != 0)
                    .map(|bit| channel(CHANNELS[usize::from(bit)]))
                    .collect();
                let worker = worker.to_string();
                let claimed =
                    store.claim_deliveries(&names, &worker, at(now), at(now + lease), limit).await.unwrap();
                let free = |id: &DeliveryId| self.leases.get(id).is_none_or(|(_, until)| *until <= now);
                let mut due: Vec<&Delivery> = self
                    .deliveries
                    .values()
                    .filter(|one| one.state == DeliveryState::Pending && one.due_at <= at(now))
                    .filter(|one| free(&one.id) && names.contains(&one.channel) && self.is_first(one))
                    .collect();
                due.sort_by_key(|one| (one.due_at, one.id.clone()));
                due.truncate(limit as usize);
                assert_eq!(claimed.iter().collect::<Vec<_>>(), due);
                for one in claimed {
                    self.leases.insert(one.id, (worker.clone(), now + lease));
                }
            }
            Command::Finish { delivery, worker, how, now } => {
                let Some(mut one) = self.pick(delivery) else { return };
                let attempt = match how {
                    0 => Attempt::Delivered,
                    1 => Attempt::Retry { error: "later".to_owned(), after: None },
                    3 => Attempt::Accepted,
                    4 => Attempt::InPart { error: "not for all".to_owned() },
                    _ => Attempt::GiveUp { error: "never".to_owned() },
                };
                one.attempted(attempt, at(now), 0.5);
                let held = self.leases.get(&one.id).is_some_and(|(holder, _)| *holder == worker.to_string());
                assert_eq!(store.finish_delivery(one.clone(), &worker.to_string()).await.unwrap(), held);
                if held {
                    self.leases.remove(&one.id);
                    self.deliveries.insert(one.id.clone(), one.clone());
                    if one.state == DeliveryState::Pending {
                        let place = self.queued.iter().position(|id| *id == one.id).unwrap();
                        for later in self.queued.split_off(place + 1) {
                            if self.waits_like(&later, &one) {
                                let later = self.deliveries.get_mut(&later).unwrap();
                                later.due_at = later.due_at.max(one.due_at);
                            }
                            self.queued.push(later);
                        }
                    }
                }
            }
            Command::Retry { delivery, now } => {
                let Some(mut one) = self.pick(delivery) else { return };
                let dead = one.state == DeliveryState::Dead;
                let retried = store.retry_delivery(&one.id, at(now)).await.ok();
                if dead {
                    (one.state, one.due_at) = (DeliveryState::Pending, at(now));
                    self.deliveries.insert(one.id.clone(), one.clone());
                }
                assert_eq!(retried, dead.then_some(one));
            }
            Command::Release => {
                let pending = |id: &DeliveryId| self.deliveries[id].state == DeliveryState::Pending;
                let expected = self.leases.keys().filter(|id| pending(id)).count();
                assert_eq!(store.release_deliveries().await.unwrap(), expected as u64);
                self.leases.clear();
            }
            Command::RetryAll { channel: place, now } => {
                let only = place.map(|place| channel(CHANNELS[usize::from(place)]));
                let retried = store.retry_deliveries(only.clone(), at(now)).await.unwrap();
                let dead = self.deliveries.values_mut().filter(|one| one.state == DeliveryState::Dead);
                let mut expected = 0;
                for one in dead.filter(|one| only.as_ref().is_none_or(|only| one.channel == *only)) {
                    (one.state, one.due_at) = (DeliveryState::Pending, at(now));
                    expected += 1;
                }
                assert_eq!(retried, expected);
            }
        }
    }

    pub(super) fn of_key(&self, key: u64) -> Vec<DeviceId> {
        let key = device(key).public_key;
        self.devices
            .values()
            .filter(|device| device.public_key == key)
            .map(|device| device.id.clone())
            .collect()
    }

    /// Whether no earlier delivery of its alert and channel is pending.
    fn is_first(&self, one: &Delivery) -> bool {
        self.queued.iter().find(|id| self.waits_like(id, one)) == Some(&one.id)
    }

    /// Whether a delivery is pending and of the same alert and channel as another.
    fn waits_like(&self, id: &DeliveryId, other: &Delivery) -> bool {
        let one = &self.deliveries[id];
        one.state == DeliveryState::Pending && (&one.alert, &one.channel) == (&other.alert, &other.channel)
    }

    fn pick(&self, place: u64) -> Option<Delivery> {
        self.deliveries.values().nth(place as usize).cloned()
    }

    fn evaluate_all(&mut self, when: i64) {
        for device in self.devices.values_mut().filter(|device| device.retired_at.is_none()) {
            device.evaluate_at = Some(device.evaluate_at.map_or(at(when), |due| due.min(at(when))));
        }
    }

    fn enrol(&mut self, presented: &Presented, mut offered: Device, now: i64) -> Result<Device, TokenError> {
        let token = self.tokens.get_mut(&presented.id).ok_or(TokenError::Unknown)?;
        if token.secret_hash != presented.secret_hash {
            return Err(TokenError::Unknown);
        }
        let known = self.devices.values().find(|device| device.public_key == offered.public_key).cloned();
        if let Some(at) = known.as_ref().and_then(|known| known.retired_at) {
            return Err(TokenError::KeyRetired(at));
        }
        if let Some(known) = known.as_ref().filter(|known| known.token == token.id) {
            return Ok(known.clone());
        }
        token.spend(presented, at(now))?;
        let token = token.clone();
        offered.token = token.id.clone();
        if let Some(known) = &known {
            offered = Device {
                token: offered.token,
                facts: offered.facts,
                agent_version: offered.agent_version,
                last_seen: known.last_seen.max(at(now)),
                goodbye: None,
                evaluate_at: Some(known.evaluate_at.map_or(at(now), |due| due.min(at(now)))),
                ..known.clone()
            };
        }
        let id = offered.id.clone();
        self.devices.insert(id.clone(), offered);
        self.enrolled(&id, &token, known.is_some(), now);
        Ok(self.devices[&id].clone())
    }

    fn case(&self, device: &DeviceId) -> Case {
        Case {
            device: self.devices[device].clone(),
            findings: self
                .findings
                .values()
                .filter(|finding| finding.device == *device && finding.ended_at.is_none())
                .cloned()
                .collect(),
            alerts: self
                .alerts
                .values()
                .filter(|alert| alert.about.device() == Some(device))
                .cloned()
                .collect(),
        }
    }

    async fn decide(&mut self, store: &Arc<dyn Store>, place: u64, key: u64, plan: Plan) {
        for id in self.of_key(key) {
            let expected = decide(self.case(&id), place, &plan);
            let planned = plan.clone();
            let outcome =
                store.decide(&id, deciding(move |case| Ok(Some(decide(case, place, &planned))))).await;
            let mut ids: Vec<&DeliveryId> = expected.deliveries.iter().map(|one| &one.id).collect();
            ids.sort();
            let many = ids.len();
            ids.dedup();
            if ids.len() < many || ids.iter().any(|id| self.deliveries.contains_key(id)) {
                assert!(outcome.is_err(), "a delivery id was taken twice");
                continue;
            }
            let DecideOutcome::Committed(Some(decision)) = outcome.unwrap() else { panic!("not decided") };
            assert_eq!(*decision, expected);
            self.apply(&id, *decision);
        }
    }

    fn apply(&mut self, device: &DeviceId, decision: Decision) {
        self.devices.insert(device.clone(), decision.device);
        self.findings.extend(decision.findings.into_iter().map(|one| (one.id.clone(), one)));
        self.alerts.extend(decision.alerts.into_iter().map(|one| (one.id.clone(), one)));
        self.events.extend(decision.events);
        for mut one in decision.deliveries {
            let earlier: Vec<_> =
                self.queued.iter().filter(|id| self.waits_like(id, &one)).cloned().collect();
            for id in &earlier {
                let earlier = self.deliveries.get_mut(id).unwrap();
                if earlier.attempts == 0 {
                    earlier.due_at = earlier.due_at.min(one.due_at);
                }
            }
            let due = earlier.iter().map(|id| self.deliveries[id].due_at).max();
            one.due_at = due.map_or(one.due_at, |due| one.due_at.max(due));
            self.queued.push(one.id.clone());
            self.deliveries.insert(one.id.clone(), one);
        }
        let intervals = self.sightings.entry(device.clone()).or_default();
        for change in decision.sightings {
            let same = |one: &&mut SightingInterval| one.sighting == change.sighting;
            if change.ended {
                let open = intervals.iter_mut().filter(same).filter(|one| one.ended_at.is_none());
                open.for_each(|one| one.ended_at = Some(change.at));
            } else if let Some(one) =
                intervals.iter_mut().filter(same).find(|one| one.started_at == change.at)
            {
                one.ended_at = None;
            } else {
                let interval =
                    SightingInterval { sighting: change.sighting, started_at: change.at, ended_at: None };
                intervals.push(interval);
            }
        }
    }

    async fn compare(&self, store: &Arc<dyn Store>, command: &Command) {
        let context = format!("after {command:?}");
        let mut tokens: Vec<Token> = self.tokens.values().cloned().collect();
        tokens.sort_by(|a, b| (b.created_at, &a.id).cmp(&(a.created_at, &b.id)));
        assert_eq!(store.tokens().await.unwrap(), tokens, "{context}");
        let listed = store.devices(None, 100).await.unwrap();
        assert_eq!(listed.len(), self.devices.len(), "{context}");
        for (mut summary, device) in listed.into_iter().zip(self.devices.values()) {
            let expected = self.case(&device.id);
            summary.findings.sort_by(|a, b| a.id.cmp(&b.id));
            assert_eq!((&summary.device, &summary.findings), (device, &expected.findings), "{context}");
            let mut case = store.case(&device.id).await.unwrap().unwrap();
            case.findings.sort_by(|a, b| a.id.cmp(&b.id));
            case.alerts.sort_by(|a, b| a.id.cmp(&b.id));
            assert_eq!(case, expected, "{context}");
            let mut history = store.history(&device.id).await.unwrap();
            history.findings.sort_by(|a, b| a.id.cmp(&b.id));
            let findings: Vec<_> =
                self.findings.values().filter(|one| one.device == device.id).cloned().collect();
            assert_eq!(history.findings, findings, "{context}");
            let mut sightings = self.sightings.get(&device.id).cloned().unwrap_or_default();
            sightings.sort_by_key(|one| (one.started_at, one.sighting.clone()));
            assert_eq!(history.sightings, sightings, "{context}");
        }
        let mut alerts: Vec<Alert> = self.alerts.values().cloned().collect();
        alerts.sort_by(|a, b| (b.changed_at, &a.id).cmp(&(a.changed_at, &b.id)));
        let listed = store.alerts(AlertFilter::default()).await.unwrap();
        assert_eq!(listed.into_iter().map(|record| record.alert).collect::<Vec<_>>(), alerts, "{context}");
        let events = store.events(0, 10_000).await.unwrap();
        assert_eq!(events.into_iter().map(|one| one.event).collect::<Vec<_>>(), self.events, "{context}");
        let mut deliveries: Vec<Delivery> = self.deliveries.values().cloned().collect();
        deliveries.sort_by(|a, b| (b.created_at, &a.id).cmp(&(a.created_at, &b.id)));
        assert_eq!(store.deliveries(DeliveryFilter::default()).await.unwrap(), deliveries, "{context}");
        let mut due: Vec<&Device> = self.devices.values().collect();
        due.retain(|device| {
            device.retired_at.is_none() && device.evaluate_at.is_some_and(|due| due <= at(100))
        });
        due.sort_by_key(|device| (device.evaluate_at, device.id.clone()));
        let due: Vec<DeviceId> = due.into_iter().take(3).map(|device| device.id.clone()).collect();
        assert_eq!(store.due(at(100), 3).await.unwrap(), due, "{context}");
        self.compare_units(store, &context).await;
        let mut policies = self.policies.clone();
        policies.reverse();
        assert_eq!(store.policies().await.unwrap(), policies, "{context}");
    }
}
