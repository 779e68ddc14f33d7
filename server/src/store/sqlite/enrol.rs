//! Enrolment: a token is spent and a device registered, together or not at all.

use jiff::Timestamp;
use offchannel_shared::ids::DeviceId;
use rusqlite::Connection;

use super::failure::Failure;
use super::{devices, placements, tokens};
use crate::domain::device::Device;
use crate::domain::token::{Presented, Token, TokenError};
use crate::store::Enrolled;

/// Enrols a device, or gives back the one that this key was enrolled as.
pub(super) fn enrol(
    c: &Connection,
    presented: &Presented,
    mut device: Device,
    now: Timestamp,
) -> Result<Enrolled, Failure> {
    let Some(mut token) = tokens::load(c, &presented.id)? else {
        return Ok(Enrolled::Refused(TokenError::Unknown));
    };
    // Before anything is told about a key: the secret.
    if token.secret_hash != presented.secret_hash {
        return Ok(Enrolled::Refused(TokenError::Unknown));
    }
    let known = devices::with_key(c, &device.public_key)?;
    if let Some(at) = known.as_ref().and_then(|known| known.retired_at) {
        return Ok(Enrolled::Refused(TokenError::KeyRetired(at)));
    }
    // The answer was lost; the token may have been used up, or have ended, since.
    if let Some(known) = known.as_ref().filter(|known| known.token == token.id) {
        return Ok(Enrolled::Registered(Box::new(known.clone())));
    }
    if let Err(refused) = token.spend(presented, now) {
        return Ok(Enrolled::Refused(refused));
    }
    tokens::used(c, &token)?;
    let known_before = known.is_some();
    let id = match known {
        Some(known) => again(c, known, device, &token, now)?,
        None => {
            device.placement.ownership = token.ownership;
            device.token = token.id.clone();
            devices::insert(c, &device)?;
            device.id
        }
    };
    placements::enrolled(c, &id, &token, known_before, now)?;
    let registered = devices::load(c, &id)?.ok_or_else(|| Failure::not_found("device", &id))?;
    Ok(Enrolled::Registered(Box::new(registered)))
}

/// The same key with another token: the device keeps its id and its history, and is placed anew, which
/// other rules may go with.
fn again(
    c: &Connection,
    known: Device,
    offered: Device,
    token: &Token,
    now: Timestamp,
) -> Result<DeviceId, Failure> {
    let mut device = known.clone();
    device.token = token.id.clone();
    device.facts = offered.facts;
    device.agent_version = offered.agent_version;
    device.last_seen = known.last_seen.max(now);
    device.goodbye = None;
    device.evaluate_at = Some(known.evaluate_at.map_or(now, |at| at.min(now)));
    devices::update(c, &known, &device)?;
    Ok(device.id)
}
