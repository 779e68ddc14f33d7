//! Bringing findings and alerts in line with what is true at an instant.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use offchannel_shared::ids::{AlertId, AppId, FindingId, RuleId, StepId};
use offchannel_shared::inventory::Inventory;
use offchannel_shared::policy::{self, Evaluation, Judged, Severity, Subject, When};
use offchannel_shared::span::Span;
use offchannel_shared::wire::GoodbyeReason;

use super::alert::{Act, ActError, Alert, AlertEvent, AlertKind, Cause, Terms};
use super::case::{Case, Decision, NewIds, SightingChange};
use super::delivery::{Delivery, DeliveryState};
use super::device::Device;
use super::digest::InDigest;
use super::finding::{Finding, FindingKind};
use super::ingest::{Context, sighting_changes};
use super::ledger::Breach;
use super::notify::notification;
use super::trouble;

/// How long an agent may be stopped on a device that stays up. An upgrade or a restart has it back within seconds, and one that
/// fails, or waits for the network, is put right or tried again within minutes; whoever stops it for longer than this
/// works on the device unseen.
const STOPPED_MAX: Span = Span::minutes(60);

/// What an alert is about, within one device.
type Key = (AlertKind, Option<RuleId>, Option<AppId>);

/// A condition that an alert stands for.
#[derive(Debug)]
struct Condition {
    terms: Terms,
    /// Accepted by an exception: holds, but needs no alert.
    exempt: bool,
}

impl Condition {
    /// Of something that is wrong with the device itself.
    fn of_device(kind: AlertKind) -> Self {
        Self { terms: Terms { severity: severity_of(kind), records_needed: false }, exempt: false }
    }
}

/// Works on one device's case; [`Reconciler::finish`] gives what has changed.
pub(super) struct Reconciler<'a> {
    pub(super) device: Device,
    context: &'a Context<'a>,
    findings: BTreeMap<FindingId, Finding>,
    alerts: BTreeMap<Key, Alert>,
    /// What is there at the instant that is judged.
    present: Inventory,
    next_change: Option<Timestamp>,
    touched_findings: BTreeSet<FindingId>,
    touched_alerts: BTreeSet<AlertId>,
    events: Vec<AlertEvent>,
    breaches: Vec<Breach>,
    changes: Vec<SightingChange>,
    deliveries: Vec<Delivery>,
}

impl<'a> Reconciler<'a> {
    pub(super) fn new(case: Case, context: &'a Context<'a>) -> Self {
        let report = case.device.report.as_ref();
        let present = report.map_or_else(Inventory::default, |report| report.inventory.clone());
        Self {
            device: case.device,
            context,
            findings: case.findings.into_iter().map(|finding| (finding.id.clone(), finding)).collect(),
            alerts: case.alerts.into_iter().map(|alert| (key_of(&alert), alert)).collect(),
            present,
            next_change: None,
            touched_findings: BTreeSet::new(),
            touched_alerts: BTreeSet::new(),
            events: Vec::new(),
            breaches: Vec::new(),
            changes: Vec::new(),
            deliveries: Vec::new(),
        }
    }

    /// The inventory on record.
    pub(super) fn inventory(&self) -> Inventory {
        self.device.report.as_ref().map_or_else(Inventory::default, |report| report.inventory.clone())
    }

    /// Before this nothing can have changed: it would have been in the last report.
    pub(super) fn earliest(&self, now: Timestamp) -> Timestamp {
        let known = self.device.report.as_ref().map_or(self.device.enrolled_at, |report| report.received_at);
        known.min(now)
    }

    /// Puts findings and alerts right for an inventory now.
    pub(super) fn judge(&mut self, inventory: &Inventory, at: Timestamp, ids: &mut dyn NewIds) {
        self.judge_apps(inventory, at, ids);
        let conditions = self.device_conditions(inventory, at);
        self.reconcile_alerts(conditions, |kind| !kind.is_about_app(), at, ids);
        self.pass_time(at, ids);
    }

    /// Puts findings and alerts about apps right for an inventory at an instant, which may lie in the past.
    /// What is wrong with the device itself is known for now only.
    pub(super) fn judge_apps(&mut self, inventory: &Inventory, at: Timestamp, ids: &mut dyn NewIds) {
        self.changes.extend(sighting_changes(&self.present.sightings, &inventory.sightings, at));
        self.present.clone_from(inventory);
        let mut evaluation = Evaluation::default();
        // Before the first report nothing is known, and a missing app is not a finding.
        if self.device.report.is_some() || !inventory.sightings.is_empty() {
            let subject = Subject {
                platform: self.device.facts.platform,
                placement: &self.device.placement,
                inventory,
                exceptions: &self.context.exceptions.of(&self.device),
            };
            let in_force = self.context.in_force;
            evaluation = policy::evaluate(&in_force.policy, &in_force.catalogue, &subject, at);
        }
        self.next_change = evaluation.next_change;
        self.reconcile_findings(&evaluation.judged, at, ids);
        self.reconcile_alerts(self.breaches(at), AlertKind::is_about_app, at, ids);
    }

    /// Opens an alert about the device itself that stays until somebody resolves it. `why` is told
    /// with it.
    pub(super) fn raise(&mut self, kind: AlertKind, why: &str, at: Timestamp, ids: &mut dyn NewIds) {
        let key = (kind, None, None);
        let terms = Condition::of_device(kind).terms;
        let event = match self.alerts.get_mut(&key) {
            Some(alert) => alert.happen(terms, at),
            None => {
                let (mut alert, event) =
                    Alert::open(ids.alert(), self.device.id.clone(), key.clone(), terms, at);
                alert.holds = false;
                self.alerts.insert(key.clone(), alert);
                Some(event)
            }
        };
        let event = event.map(|event| AlertEvent { text: Some(why.to_owned()), ..event });
        self.tell(&key, event, ids);
    }

    /// Takes in what a person does to one of the device's alerts.
    pub(super) fn act(
        &mut self,
        alert: &AlertId,
        act: &Act,
        by: &str,
        text: Option<&str>,
        ids: &mut dyn NewIds,
    ) -> Result<(), ActError> {
        let now = self.context.now;
        let found = self.alerts.iter_mut().find(|(_, known)| known.id == *alert);
        let (key, alert) = found.ok_or(ActError::Unknown)?;
        let (key, events) = (key.clone(), alert.act(act, by, text, now)?);
        for event in events {
            self.tell(&key, Some(event), ids);
        }
        Ok(())
    }

    /// Carries an alert to others because it is not the first, if it is still the case that opened then.
    pub(super) fn repeated(&mut self, breach: &Breach, step: &StepId, why: &str, ids: &mut dyn NewIds) {
        let now = self.context.now;
        let Some(step) = self.context.in_force.policy.escalation.iter().find(|known| known.id == *step)
        else {
            return;
        };
        let found = self.alerts.iter_mut().find(|(_, alert)| alert.id == breach.alert);
        let Some((key, alert)) = found.filter(|(_, alert)| alert.active_since == breach.at) else { return };
        let (key, event) = (key.clone(), alert.escalate(step, why.to_owned(), now));
        self.tell(&key, event, ids);
    }

    /// What time alone does to alerts: what was put off opens again, what is too old is carried to others.
    fn pass_time(&mut self, at: Timestamp, ids: &mut dyn NewIds) {
        let context = self.context;
        let keys: Vec<Key> = self.alerts.keys().cloned().collect();
        for key in keys {
            let woken = self.alerts.get_mut(&key).and_then(|alert| alert.wake(at));
            self.tell(&key, woken, ids);
            for step in &context.in_force.policy.escalation {
                let Some(alert) = self.alerts.get_mut(&key) else { continue };
                let When::Age { after, .. } = step.when else { continue };
                if alert.escalates_at(step).is_none_or(|due| due > at) {
                    continue;
                }
                let event = alert.escalate(step, format!("still there {after} after it opened"), at);
                self.tell(&key, event, ids);
            }
        }
    }

    /// When time alone will do something to an alert next.
    fn next_of_alerts(&self) -> impl Iterator<Item = Timestamp> {
        let steps = &self.context.in_force.policy.escalation;
        self.alerts.values().flat_map(move |alert| {
            let carried = steps.iter().filter_map(|step| alert.escalates_at(step));
            carried.chain(alert.snoozed_until)
        })
    }

    /// From when on the device counts as silent.
    fn silent_from(&self) -> Timestamp {
        let heard = self.device.last_seen.max(self.context.serving_since);
        self.context.in_force.policy.stale_after.after(heard)
    }

    /// From when on the agent counts as switched off, if it was stopped on a device that was to stay up.
    fn switched_off_from(&self) -> Option<Timestamp> {
        let goodbye = self.device.goodbye.as_ref().filter(|goodbye| goodbye.stays_up)?;
        Some(STOPPED_MAX.after(goodbye.at.max(self.context.serving_since)))
    }

    /// Ends all findings and resolves all alerts.
    pub(super) fn close(&mut self, cause: Cause, at: Timestamp, ids: &mut dyn NewIds) {
        self.changes.extend(sighting_changes(&self.present.sightings, &[], at));
        self.present = Inventory::default();
        self.reconcile_findings(&[], at, ids);
        let keys: Vec<Key> = self.alerts.keys().cloned().collect();
        for key in keys {
            // Nobody will judge the device again when the time is over for which this was put off.
            let woken =
                self.alerts.get_mut(&key).filter(|alert| alert.holds).and_then(|alert| alert.wake_now(at));
            self.tell(&key, woken, ids);
            self.cease(&key, cause, at, ids);
        }
    }

    /// Everything that has changed, and when the device is to be judged again.
    pub(super) fn finish(mut self) -> Decision {
        let now = self.context.now;
        let silence = self.silent_from();
        let breaches = self.findings.values().filter(|f| f.ended_at.is_none()).map(|f| f.breach_at);
        let alerts = self.next_of_alerts();
        let changes =
            breaches.chain([silence]).chain(self.switched_off_from()).chain(self.next_change).chain(alerts);
        let next = changes.filter(|at| *at > now).min();
        self.device.evaluate_at = next.filter(|_| self.device.retired_at.is_none());
        let touched = &self.touched_findings;
        let findings = self.findings.into_values().filter(|f| touched.contains(&f.id)).collect();
        let touched = &self.touched_alerts;
        let alerts = self.alerts.into_values().filter(|a| touched.contains(&a.id)).collect();
        Decision {
            policy_version: self.context.in_force.version,
            exceptions_version: self.context.exceptions.version(),
            device: self.device,
            findings,
            alerts,
            events: self.events,
            breaches: self.breaches,
            sightings: self.changes,
            deliveries: self.deliveries,
        }
    }

    fn reconcile_findings(&mut self, judged: &[Judged], at: Timestamp, ids: &mut dyn NewIds) {
        let wanted: BTreeMap<(&RuleId, &AppId), &Judged> =
            judged.iter().map(|found| ((&found.rule, &found.app), found)).collect();
        let version = self.context.in_force.version;
        let mut known = BTreeSet::new();
        for finding in self.findings.values_mut().filter(|finding| finding.ended_at.is_none()) {
            let before = finding.clone();
            match wanted.get(&(&finding.rule, &finding.app)) {
                Some(found) => {
                    known.insert((finding.rule.clone(), finding.app.clone()));
                    finding.kind = found.breach.into();
                    finding.severity = found.severity;
                    finding.policy_version = version;
                    finding.breach_at = found.grace.after(finding.started_at);
                    finding.exception.clone_from(&found.exception);
                }
                None => finding.ended_at = Some(at),
            }
            if *finding != before {
                self.touched_findings.insert(finding.id.clone());
            }
        }
        for found in judged.iter().filter(|f| !known.contains(&(f.rule.clone(), f.app.clone()))) {
            let finding = Finding {
                id: ids.finding(),
                device: self.device.id.clone(),
                rule: found.rule.clone(),
                app: found.app.clone(),
                kind: FindingKind::from(found.breach),
                severity: found.severity,
                policy_version: version,
                started_at: at,
                breach_at: found.grace.after(at),
                exception: found.exception.clone(),
                ended_at: None,
            };
            self.touched_findings.insert(finding.id.clone());
            self.findings.insert(finding.id.clone(), finding);
        }
    }

    /// The findings that count as breaches at an instant.
    fn breaches(&self, at: Timestamp) -> BTreeMap<Key, Condition> {
        let open = self.findings.values().filter(|f| f.ended_at.is_none() && f.breach_at <= at);
        let condition = |finding: &Finding| {
            let key = (finding.kind.into(), Some(finding.rule.clone()), Some(finding.app.clone()));
            let rule = self.context.in_force.policy.rule(&finding.rule);
            // What must be there is no chat in which records could be.
            let chat = finding.kind != FindingKind::RequiredAppMissing;
            let records_needed = chat && rule.is_some_and(|rule| rule.records_step);
            let terms = Terms { severity: finding.severity, records_needed };
            (key, Condition { terms, exempt: finding.exception.is_some() })
        };
        open.map(condition).collect()
    }

    /// What is wrong with the device itself.
    fn device_conditions(&self, inventory: &Inventory, at: Timestamp) -> BTreeMap<Key, Condition> {
        let device = &self.device;
        let uninstalled = device.goodbye.as_ref().is_some_and(|g| g.reason == GoodbyeReason::Uninstall);
        let switched_off = self.switched_off_from().is_some_and(|from| from <= at);
        let silent = self.silent_from() <= at;
        let told = |kind| inventory.sources.iter().any(|source| trouble::is_sign_of(source, kind));
        let conditions = [
            (AlertKind::AgentUninstalled, uninstalled),
            (AlertKind::AgentStopped, switched_off),
            // Why it is silent is known otherwise.
            (AlertKind::DeviceSilent, silent && !uninstalled && !switched_off),
            (AlertKind::PolicyRefused, told(AlertKind::PolicyRefused)),
            (AlertKind::AgentTampered, told(AlertKind::AgentTampered)),
            (AlertKind::SourceUnreadable, told(AlertKind::SourceUnreadable)),
            (AlertKind::ClockOff, told(AlertKind::ClockOff)),
        ];
        let holds = conditions.into_iter().filter(|(_, holds)| *holds);
        holds.map(|(kind, _)| ((kind, None, None), Condition::of_device(kind))).collect()
    }

    fn reconcile_alerts(
        &mut self,
        conditions: BTreeMap<Key, Condition>,
        concerns: impl Fn(AlertKind) -> bool,
        at: Timestamp,
        ids: &mut dyn NewIds,
    ) {
        // That a device is cloned, or on another machine, is over when somebody says so: no later report proves it.
        // And while copies take turns, what one of them does not have says nothing of the others: alerts about apps
        // would come and go with every report.
        let cloned = self.alerts.values().any(|a| a.kind == AlertKind::DeviceCloned && a.is_active());
        let copies = cloned && self.device.takes_turns();
        let lasts = |kind: AlertKind| kind.lasts() || (copies && kind.is_about_app());
        let concerned = |key: &&Key| concerns(key.0) && !lasts(key.0);
        let over = self.alerts.keys().filter(concerned).filter(|key| !conditions.contains_key(key));
        let over: Vec<Key> = over.cloned().collect();
        for key in &over {
            self.cease(key, Cause::Removed, at, ids);
        }
        for (key, condition) in conditions {
            if condition.exempt {
                self.cease(&key, Cause::Exception, at, ids);
            } else {
                self.hold(key, condition.terms, at, ids);
            }
        }
    }

    /// A condition holds: its alert is to be there and active.
    fn hold(&mut self, key: Key, terms: Terms, at: Timestamp, ids: &mut dyn NewIds) {
        let event = match self.alerts.get_mut(&key) {
            Some(alert) => {
                let before = alert.clone();
                let event = alert.hold(terms, at);
                if *alert != before {
                    self.touched_alerts.insert(alert.id.clone());
                }
                event
            }
            None => {
                let (alert, event) = Alert::open(ids.alert(), self.device.id.clone(), key.clone(), terms, at);
                self.alerts.insert(key.clone(), alert);
                Some(event)
            }
        };
        self.tell(&key, event, ids);
    }

    fn cease(&mut self, key: &Key, cause: Cause, at: Timestamp, ids: &mut dyn NewIds) {
        let Some(alert) = self.alerts.get_mut(key) else { return };
        if alert.holds {
            self.touched_alerts.insert(alert.id.clone());
        }
        let event = alert.cease(cause, at);
        self.tell(key, event, ids);
    }

    /// Records what happened to an alert and queues a notification for the channels that are told.
    fn tell(&mut self, key: &Key, event: Option<AlertEvent>, ids: &mut dyn NewIds) {
        let (Some(event), Some(alert)) = (event, self.alerts.get(key)) else { return };
        self.touched_alerts.insert(alert.id.clone());
        self.breaches.extend(Breach::of(&event, alert, &self.device));
        let units = &self.device.placement.units;
        // Who is told of the surge need not be told of each breach that makes it.
        let in_surge =
            alert.kind.is_about_app() && units.iter().any(|unit| self.context.surging.contains(unit));
        let told = self.context.routes.of(&event, alert, units, in_surge, self.context.now);
        for way in told {
            let notification = notification(&event, alert, &self.device, &self.present, self.context);
            let group = way.digest.map(|schedule| schedule.group(&notification));
            self.deliveries.push(Delivery {
                id: ids.delivery(),
                channel: way.channel.clone(),
                alert: alert.id.clone(),
                notification,
                digest: group.map(|group| InDigest { group, message: None }),
                created_at: self.context.now,
                due_at: way.due,
                attempts: 0,
                state: DeliveryState::Pending,
                last_error: None,
            });
        }
        self.events.push(event);
    }
}

fn key_of(alert: &Alert) -> Key {
    (alert.kind, alert.rule.clone(), alert.app.clone())
}

/// How grave it is when something is wrong with the device or its agent.
fn severity_of(kind: AlertKind) -> Severity {
    match kind {
        AlertKind::DeviceCloned
        | AlertKind::AgentUninstalled
        | AlertKind::AgentStopped
        | AlertKind::AgentTampered => Severity::High,
        AlertKind::DeviceSilent
        | AlertKind::MachineChanged
        | AlertKind::PolicyRefused
        | AlertKind::SourceUnreadable => Severity::Medium,
        // The agent reports on, with the collector's time.
        AlertKind::ClockOff => Severity::Low,
        // The policy says how grave the first is; the second is a matter of the calendar.
        AlertKind::UnitSurge => Severity::High,
        AlertKind::ExceptionEnding => Severity::Low,
        // Alerts about apps take their rule's severity.
        AlertKind::ProhibitedApp | AlertKind::UnreviewedApp | AlertKind::RequiredAppMissing => Severity::Info,
    }
}
