//! Decisions: a device's case is loaded, decided about and written, with nothing in between.

use offchannel_shared::ids::DeviceId;
use rusqlite::Connection;

use super::failure::Failure;
use super::{alerts, deliveries, devices, exceptions, findings, ledger, policies, sightings};
use crate::domain::alert::About;
use crate::domain::case::{Case, Decision};
use crate::domain::device::Device;
use crate::domain::ingest::Refusal;
use crate::domain::subject::{SubjectCase, SubjectDecision};
use crate::store::{Decide, DecideOutcome, DecideSubject};

/// What is known of a device.
pub(super) fn load(c: &Connection, id: &DeviceId) -> Result<Option<Case>, Failure> {
    let Some(device) = devices::load(c, id)? else { return Ok(None) };
    Ok(Some(Case { device, findings: findings::open(c, id)?, alerts: alerts::of_device(c, id)? }))
}

/// Decides and writes the outcome.
pub(super) fn decide(c: &Connection, id: &DeviceId, decide: &Decide) -> Result<DecideOutcome, Failure> {
    let Some(case) = load(c, id)? else { return Err(Failure::not_found("device", id)) };
    let before = case.device.clone();
    match decide.0(case) {
        Err(refusal) => Ok(DecideOutcome::Refused(refusal)),
        Ok(None) => Ok(DecideOutcome::Committed(None)),
        Ok(Some(decision)) if takes_a_key(c, &before, &decision.device)? => {
            Ok(DecideOutcome::Refused(Refusal::KeyTaken))
        }
        Ok(Some(decision)) => {
            write(c, &before, &decision)?;
            Ok(DecideOutcome::Committed(Some(Box::new(decision))))
        }
    }
}

/// Decides about a subject that is no device, and writes the outcome.
pub(super) fn decide_subject(
    c: &Connection,
    about: About,
    decide: &DecideSubject,
) -> Result<Result<Option<SubjectDecision>, Refusal>, Failure> {
    let alert = alerts::of_subject(c, &about)?;
    let decision = match decide.0(SubjectCase { about, alert }) {
        Err(refusal) => return Ok(Err(refusal)),
        Ok(None) => return Ok(Ok(None)),
        Ok(Some(decision)) => decision,
    };
    alerts::put(c, std::slice::from_ref(&decision.alert))?;
    alerts::append(c, &decision.events)?;
    deliveries::insert(c, &decision.deliveries)?;
    Ok(Ok(Some(decision)))
}

/// Whether the key that the device is to have is another device's.
fn takes_a_key(c: &Connection, before: &Device, device: &Device) -> Result<bool, Failure> {
    Ok(before.public_key != device.public_key && devices::with_key(c, &device.public_key)?.is_some())
}

fn write(c: &Connection, before: &Device, decision: &Decision) -> Result<(), Failure> {
    let mut device = decision.device.clone();
    let outdated = policies::in_force(c)? > decision.policy_version
        || exceptions::newest(c)? > decision.exceptions_version;
    if outdated {
        // Judged by a policy or exceptions that are not in force any more: what made the device due still does.
        device.evaluate_at = device.evaluate_at.into_iter().chain(before.evaluate_at).min();
    }
    devices::update(c, before, &device)?;
    findings::put(c, &decision.findings)?;
    // Alerts before what refers to them.
    alerts::put(c, &decision.alerts)?;
    alerts::append(c, &decision.events)?;
    ledger::append(c, &decision.breaches)?;
    sightings::put(c, &before.id, &decision.sightings)?;
    deliveries::insert(c, &decision.deliveries)
}
