//! Replacing a device's key: the old one signs for the new one, and is never accepted again. Whoever still uses it
//! is a copy of the device, or a thief, unless it is the device itself that was not told.

use jiff::Timestamp;
use offchannel_shared::signing::PublicKey;
use offchannel_shared::wire::RotateRequest;

use super::alert::AlertKind;
use super::case::{Case, Decision, NewIds};
use super::device::ReplacedKey;
use super::ingest::{Context, Refusal, evaluate, refuse_retired};
use super::reconcile::Reconciler;

/// Replaces the device's key. `signed_with` is the key that the request was verified with. `None` if the key that is
/// offered is the device's already: the answer to an earlier request was lost.
///
/// That no other device has the new key is for the store to see.
///
/// # Errors
/// [`Refusal::Retired`], [`Refusal::KeyReplaced`] if another rotation came between, [`Refusal::KeyTaken`],
/// [`Refusal::KeyUnproven`].
pub fn rotate(
    mut case: Case,
    signed_with: &PublicKey,
    request: &RotateRequest,
    context: &Context<'_>,
    ids: &mut dyn NewIds,
) -> Result<Option<Decision>, Refusal> {
    refuse_retired(&case)?;
    let device = &mut case.device;
    if *signed_with != device.public_key {
        return Err(Refusal::KeyReplaced(device.key_since()));
    }
    // It signed the request, which is proof enough.
    if request.public_key == device.public_key {
        return Ok(None);
    }
    // Whoever took a copy of the old key must not bring it back.
    if device.replaced_key.as_ref().is_some_and(|replaced| replaced.public_key == request.public_key) {
        return Err(Refusal::KeyTaken);
    }
    if !request.proof.holds(&device.id, &device.public_key, &request.public_key) {
        return Err(Refusal::KeyUnproven);
    }
    let public_key = std::mem::replace(&mut device.public_key, request.public_key.clone());
    device.replaced_key = Some(ReplacedKey { public_key, at: context.now });
    device.last_seen = context.now;
    device.goodbye = None;
    evaluate(case, context, ids)
}

/// A request that the key before the device's present one signed, and that was not seen before.
#[derive(Debug, Clone)]
pub struct ReplacedKeyUse {
    /// The key.
    pub key: PublicKey,
    /// When it was signed, by the signer's clock.
    pub signed_at: Timestamp,
    /// When the device was last heard of, if that may not be on record yet.
    pub heard_at: Option<Timestamp>,
    /// The key that it offers, if that is what it is for.
    pub offer: Option<RotateRequest>,
}

/// Takes in that a replaced key was used. `None` if that says nothing, or has been told.
///
/// The device itself uses it honestly where it was not told that its new key was taken, because the answer was lost or it
/// was killed. So nothing is made of it
///
/// - until the new key has signed something else than its own offer, which the device does only when it knows;
/// - if it offers the present key with that key's proof: whoever has both is the device, or as good as it;
/// - if it was signed before the replacement, as what was under way then, or was recorded by somebody and is played again.
///
/// # Errors
/// [`Refusal::Retired`].
pub fn replaced_key_used(
    case: Case,
    used: &ReplacedKeyUse,
    context: &Context<'_>,
    ids: &mut dyn NewIds,
) -> Result<Option<Decision>, Refusal> {
    refuse_retired(&case)?;
    let device = &case.device;
    let Some(replaced) = device.replaced_key.as_ref().filter(|replaced| replaced.public_key == used.key)
    else {
        return Ok(None);
    };
    let at = replaced.at;
    let heard = used.heard_at.map_or(device.last_seen, |heard| heard.max(device.last_seen));
    let has_both = used.offer.as_ref().is_some_and(|offer| {
        offer.public_key == device.public_key
            && offer.proof.holds(&device.id, &replaced.public_key, &device.public_key)
    });
    let told = case.alerts.iter().any(|a| a.kind == AlertKind::DeviceCloned && a.is_active());
    if used.signed_at <= at || heard <= at || has_both || told {
        return Ok(None);
    }
    let why = format!(
        "a request was signed at {} with the key that was replaced at {at}: a copy of the device's disk or key is in \
         use, or the device was put back to a backup from before",
        used.signed_at
    );
    let mut work = Reconciler::new(case, context);
    work.device.last_seen = heard.min(context.now);
    let inventory = work.inventory();
    work.raise(AlertKind::DeviceCloned, &why, context.now, ids);
    work.judge(&inventory, context.now, ids);
    Ok(Some(work.finish()))
}
