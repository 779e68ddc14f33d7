//! Replacing a device's key: the old one signs for the new one, and is never accepted again.

use offchannel_shared::signing::PublicKey;
use offchannel_shared::wire::RotateRequest;

use super::case::{Case, Decision, NewIds};
use super::device::ReplacedKey;
use super::ingest::{Context, Refusal, evaluate, refuse_retired};

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
