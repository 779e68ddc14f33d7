//! What a report, a check-in, a goodbye or the passing of time means for a device.
//!
//! Every function takes the case and returns the decision that puts it right; none of them can tell
//! whether it runs for the first time, so that a repeated request changes nothing twice.

use std::collections::BTreeSet;

use jiff::Timestamp;
use offchannel_shared::device::DeviceFacts;
use offchannel_shared::digest::Digest;
use offchannel_shared::ids::{AlertId, StepId, UnitId};
use offchannel_shared::inventory::{Change, Health, Inventory, Sighting, Transition};
use offchannel_shared::wire::{
    GoodbyeReason, GoodbyeRequest, ReportRequest, SIGHTINGS_MAX, TEXT_MAX, TRANSITIONS_MAX,
};

use super::alert::{Act, ActError, AlertKind, Cause};
use super::case::{Case, Decision, NewIds, SightingChange};
use super::device::{Goodbye, LastReport, PAST_EPOCHS};
use super::in_force_exceptions::InForceExceptions;
use super::ledger::Breach;
use super::published::InForce;
use super::reconcile::Reconciler;
use super::route::Routes;
use super::tree::Tree;

/// What is told when an epoch that had ended comes back.
const TURNS: &str = "the agent's state of before came back: two machines report turn by turn with one key";
/// What is told when the hash of the machine is another one.
const OTHER_MACHINE: &str = "the device reports from another machine than before: a copy whose original is \
                             silent, other hardware, or a system that was installed anew with the agent's files kept";

/// Longest host name, in bytes (RFC 1035 allows 253, Windows 255).
const HOSTNAME_MAX: usize = 255;

/// Why a request about a device is refused. Nothing is written then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The device was retired.
    #[error("the device was retired at {0}: enrol it again if it is in use")]
    Retired(Timestamp),
    /// The key that signed is not the device's any more.
    #[error("the key that signs was replaced at {0}: use the new one, or enrol again with a new token")]
    KeyReplaced(Timestamp),
    /// The new key was in use before.
    #[error("the key that is offered was in use before: make a new one")]
    KeyTaken,
    /// The new key's proof does not hold.
    #[error("the proof does not show that the device has the key that it offers")]
    KeyUnproven,
    /// Another revision of this epoch is on record.
    #[error(
        "revision {offered} is behind, or differs from, revision {current} on record: start a new epoch and report again"
    )]
    RevisionStale {
        /// The revision that was offered.
        offered: u64,
        /// The revision on record.
        current: u64,
    },
    /// The digest is not that of the inventory.
    #[error("the report says digest {offered}, its inventory has {actual}")]
    DigestMismatch {
        /// The digest that the report gives.
        offered: Digest,
        /// The digest of what it carries.
        actual: Digest,
    },
    /// What a person does to an alert makes no sense.
    #[error(transparent)]
    Act(#[from] ActError),
    /// More than any real device has.
    #[error("the report has {found} {what}, at most {most} are accepted")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are accepted.
        most: usize,
    },
}

/// By what a device is judged, and when.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The policy in force.
    pub in_force: &'a InForce,
    /// The units, for who answers for them.
    pub units: &'a Tree,
    /// What is accepted for a time.
    pub exceptions: &'a InForceExceptions,
    /// The units that have a surge.
    pub surging: &'a BTreeSet<UnitId>,
    /// The channels that are told of changes of alerts.
    pub routes: &'a Routes,
    /// The present instant.
    pub now: Timestamp,
    /// Since when this collector can be heard by agents: nobody is silent who could not speak.
    pub serving_since: Timestamp,
}

/// Takes in a report. `None` if it is on record already.
///
/// # Errors
/// [`Refusal`].
pub fn report(
    case: Case,
    report: &ReportRequest,
    context: &Context<'_>,
    ids: &mut dyn NewIds,
) -> Result<Option<Decision>, Refusal> {
    refuse_retired(&case)?;
    let inventory = checked(report)?;
    let facts = facts_of(&case, report);
    let mut cloned = false;
    // What is on record has these transitions too, even if the agent does not know it.
    let mut on_record = 0;
    if let Some(last) = &case.device.report {
        if last.epoch == report.epoch {
            on_record = last.revision;
            let same = last.revision == report.revision && last.digest == report.digest;
            let device = &case.device;
            let as_known = device.policy_version == report.policy_version
                && device.agent_version == report.agent_version
                && device.facts == facts
                && device.goodbye.is_none();
            if same && as_known {
                return Ok(None);
            }
            if !same && report.revision <= last.revision {
                let refusal = Refusal::RevisionStale { offered: report.revision, current: last.revision };
                return Err(refusal);
            }
        } else {
            cloned = case.device.past_epochs.contains(&report.epoch);
        }
    }
    let mut work = Reconciler::new(case, context);
    let mut at = work.earliest(context.now);
    let mut step = work.inventory();
    let mut sightings: BTreeSet<Sighting> = step.sightings.iter().cloned().collect();
    let owed: Vec<&Transition> = report.transitions.iter().filter(|t| t.revision > on_record).collect();
    // What one scan saw belongs together: an update is an old version that went and a new one that came, and
    // in between the app was not gone.
    for scan in owed.chunk_by(|one, next| one.revision == next.revision) {
        let mut changed = false;
        for transition in scan {
            // The device's clock may be off: no change lies before the last report or after now.
            at = transition.at.clamp(at, context.now);
            changed |= match transition.change {
                Change::Appeared => sightings.insert(transition.sighting.clone()),
                Change::Disappeared => sightings.remove(&transition.sighting),
            };
        }
        if changed {
            step.sightings = sightings.iter().cloned().collect();
            work.judge_apps(&step, at, ids);
        }
    }
    let device = &mut work.device;
    if let Some(last) = device.report.take().filter(|last| last.epoch != report.epoch) {
        device.past_epochs.push(last.epoch);
        let surplus = device.past_epochs.len().saturating_sub(PAST_EPOCHS);
        device.past_epochs.drain(..surplus);
    }
    device.report = Some(LastReport {
        epoch: report.epoch.clone(),
        revision: report.revision,
        digest: report.digest.clone(),
        received_at: context.now,
        observed_at: report.observed_at,
        inventory: inventory.clone(),
    });
    let moved = !device.facts.machine.is_empty() && device.facts.machine != facts.machine;
    device.facts = facts;
    device.agent_version.clone_from(&report.agent_version);
    device.policy_version = report.policy_version;
    device.last_seen = context.now;
    device.goodbye = None;
    if cloned {
        work.raise(AlertKind::DeviceCloned, TURNS, context.now, ids);
    } else if moved {
        work.raise(AlertKind::MachineChanged, OTHER_MACHINE, context.now, ids);
    }
    work.judge(&inventory, context.now, ids);
    Ok(Some(work.finish()))
}

/// Judges a device anew, because time has passed or another policy is in force.
///
/// # Errors
/// [`Refusal::Retired`].
pub fn evaluate(
    mut case: Case,
    context: &Context<'_>,
    ids: &mut dyn NewIds,
) -> Result<Option<Decision>, Refusal> {
    refuse_retired(&case)?;
    // A clock that was ahead and was put right must not switch off the watch for silence.
    case.device.last_seen = case.device.last_seen.min(context.now);
    let mut work = Reconciler::new(case, context);
    let inventory = work.inventory();
    work.judge(&inventory, context.now, ids);
    Ok(Some(work.finish()))
}

/// Takes in that a device was heard of that had fallen silent or said goodbye.
///
/// # Errors
/// [`Refusal::Retired`].
pub fn heard(
    mut case: Case,
    context: &Context<'_>,
    ids: &mut dyn NewIds,
) -> Result<Option<Decision>, Refusal> {
    refuse_retired(&case)?;
    case.device.last_seen = context.now;
    case.device.goodbye = None;
    evaluate(case, context, ids)
}

/// Takes in a goodbye.
///
/// # Errors
/// [`Refusal::Retired`].
pub fn goodbye(
    mut case: Case,
    request: &GoodbyeRequest,
    context: &Context<'_>,
    ids: &mut dyn NewIds,
) -> Result<Option<Decision>, Refusal> {
    refuse_retired(&case)?;
    case.device.last_seen = context.now;
    let reason = request.reason;
    // With the other reasons it means nothing.
    let stays_up = reason == GoodbyeReason::Stop && request.stays_up;
    case.device.goodbye = Some(Goodbye { reason, at: context.now, stays_up });
    evaluate(case, context, ids)
}

/// Retires a device: its findings end, its alerts are resolved, its requests are refused from now on.
///
/// # Errors
/// [`Refusal::Retired`] if it is retired already.
pub fn retire(case: Case, context: &Context<'_>, ids: &mut dyn NewIds) -> Result<Option<Decision>, Refusal> {
    refuse_retired(&case)?;
    let mut work = Reconciler::new(case, context);
    work.close(Cause::DeviceRetired, context.now, ids);
    work.device.retired_at = Some(context.now);
    Ok(Some(work.finish()))
}

/// Takes in what a person does to an alert of a device, which may be retired. `None` if it is as wanted already.
///
/// # Errors
/// [`Refusal::Act`].
pub fn act(
    case: Case,
    alert: &AlertId,
    act: &Act,
    (by, text): (&str, Option<&str>),
    context: &Context<'_>,
    ids: &mut dyn NewIds,
) -> Result<Option<Decision>, Refusal> {
    let due = case.device.evaluate_at;
    let mut work = Reconciler::new(case, context);
    work.act(alert, act, by, text, ids)?;
    Ok(unjudged(work, due))
}

/// Carries an alert to others because it is not the first of somebody; `None` if it is not the case any more that
/// opened with this breach, or was carried before.
///
/// # Errors
/// None; the signature is that of all decisions.
pub fn repeated(
    case: Case,
    breach: &Breach,
    (step, why): (&StepId, &str),
    context: &Context<'_>,
    ids: &mut dyn NewIds,
) -> Result<Option<Decision>, Refusal> {
    let due = case.device.evaluate_at;
    let mut work = Reconciler::new(case, context);
    work.repeated(breach, step, why, ids);
    Ok(unjudged(work, due))
}

/// What has changed, if anything, where nothing was judged: what else made the device due still does.
fn unjudged(work: Reconciler<'_>, due: Option<Timestamp>) -> Option<Decision> {
    let mut decision = work.finish();
    if decision.device.retired_at.is_none() {
        decision.device.evaluate_at = decision.device.evaluate_at.into_iter().chain(due).min();
    }
    (!decision.events.is_empty()).then_some(decision)
}

/// What the device says of itself. A machine whose id cannot be read is no other than before; what it once was stays
/// known, so that a third one is told from it.
fn facts_of(case: &Case, report: &ReportRequest) -> DeviceFacts {
    let mut facts = report.facts.clone();
    if facts.machine.is_empty() {
        facts.machine.clone_from(&case.device.facts.machine);
    }
    facts
}

pub(super) fn refuse_retired(case: &Case) -> Result<(), Refusal> {
    case.device.retired_at.map_or(Ok(()), |at| Err(Refusal::Retired(at)))
}

/// The report's inventory in normal form, if it is what the report says it is.
fn checked(report: &ReportRequest) -> Result<Inventory, Refusal> {
    let limit = |what, found: usize, most: usize| {
        if found > most { Err(Refusal::TooMany { what, found, most }) } else { Ok(()) }
    };
    let inventory = &report.inventory;
    limit("sightings", inventory.sightings.len() + inventory.unlisted.len(), SIGHTINGS_MAX)?;
    limit("sources", inventory.sources.len(), SIGHTINGS_MAX)?;
    limit("transitions", report.transitions.len(), TRANSITIONS_MAX)?;
    check_facts(&report.facts)?;
    limit("bytes in one text", longest_text(report), TEXT_MAX)?;
    let mut inventory = inventory.clone();
    inventory.normalise();
    let actual = Digest::of(&inventory);
    if actual != report.digest {
        return Err(Refusal::DigestMismatch { offered: report.digest.clone(), actual });
    }
    Ok(inventory)
}

/// Refuses facts that are longer than any real device has: they are stored, and copied into every notification.
///
/// # Errors
/// [`Refusal::TooMany`].
pub fn check_facts(facts: &DeviceFacts) -> Result<(), Refusal> {
    let texts = [
        ("bytes in the host name", &facts.hostname, HOSTNAME_MAX),
        ("bytes in the operating system's name", &facts.os, TEXT_MAX),
        ("bytes in the architecture", &facts.arch, TEXT_MAX),
        ("bytes in the machine's hash", &facts.machine, TEXT_MAX),
    ];
    match texts.into_iter().find(|(_, text, most)| text.len() > *most) {
        Some((what, text, most)) => Err(Refusal::TooMany { what, found: text.len(), most }),
        None => Ok(()),
    }
}

/// The length of the longest text of a report, facts aside, in bytes.
fn longest_text(report: &ReportRequest) -> usize {
    let of_sighting =
        |s: &Sighting| s.source.len().max(s.identifier.len()).max(s.version.as_ref().map_or(0, String::len));
    let inventory = &report.inventory;
    let found = inventory.sightings.iter().map(of_sighting);
    let owed = report.transitions.iter().map(|transition| of_sighting(&transition.sighting));
    let unlisted = inventory.unlisted.iter().flat_map(|u| {
        let optional = [&u.name, &u.version].map(|text| text.as_ref().map_or(0, String::len));
        let categories = u.categories.iter().map(String::len);
        categories.chain(optional).chain([u.source.len(), u.identifier.len(), u.categories.len()])
    });
    let sources = inventory.sources.iter().map(|source| match &source.health {
        Health::Ok | Health::Absent => source.source.len(),
        Health::Partial(why) | Health::Failed(why) => source.source.len().max(why.len()),
    });
    let versions = [report.agent_version.len(), report.catalogue_version.len()];
    found.chain(owed).chain(unlisted).chain(sources).chain(versions).max().unwrap_or_default()
}

/// The changes from one set of sightings to the next.
pub(super) fn sighting_changes(
    before: &[Sighting],
    after: &[Sighting],
    at: Timestamp,
) -> Vec<SightingChange> {
    offchannel_shared::inventory::transitions(before, after, 0, at)
        .into_iter()
        .map(|transition| SightingChange {
            sighting: transition.sighting,
            at,
            ended: transition.change == Change::Disappeared,
        })
        .collect()
}
