//! Who sent a request: RFC 9421 signatures of devices.
//!
//! Checks come in the order of their cost: headers, then whether the device is known, then the body is read,
//! then signature and digest, then whether the request is new. Nothing of a body is unpacked or understood
//! before its signature holds.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::request::Parts;
use offchannel_shared::ids::DeviceId;
use offchannel_shared::signing::PublicKey;
use offchannel_shared::signing::request::{Claim, RequestError};
use offchannel_shared::wire::{EnrolRequest, ROTATE_PATH, RotateRequest};
use serde::de::DeserializeOwned;

use super::agent::finished;
use super::body::{self, Encoding};
use super::refusal::Refusal;
use super::replay::Memory;
use super::router::Shared;
use crate::domain::ingest;
use crate::service::{DeviceKey, ServiceError};

/// A request that a device signed.
#[derive(Debug)]
pub(super) struct Signed<T> {
    pub(super) device: DeviceId,
    /// The key that it was verified with.
    pub(super) key: PublicKey,
    pub(super) body: T,
}

/// A request for enrolment, signed with the key that it wants to register.
#[derive(Debug)]
pub(super) struct Enrolling {
    pub(super) body: EnrolRequest,
    pub(super) claim: Claim,
}

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for Signed<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Refusal> {
        let encoding = body::announced(request.headers(), &shared.limits)?;
        let claim = Claim::read(request.headers())?;
        let unknown = || Refusal::from(ServiceError::DeviceUnknown);
        let device = DeviceId::new(claim.key_id.as_str()).map_err(|_| unknown())?;
        let key = shared.service.device_key(&device).await?.ok_or_else(unknown)?;
        let sent = verified(request, encoding, &claim, &device, &key, shared).await?;
        if let Some(at) = key.retired_at {
            return Err(Refusal::device_unknown(format!(
                "the device was retired at {at}: enrol it again if it is in use"
            )));
        }
        match shared.replays.remember(&claim, shared.service.now()) {
            Memory::New => {}
            Memory::Seen => return Err(Refusal::replayed()),
            Memory::Full => {
                return Err(Refusal::unavailable("too many requests in a short time: come back later"));
            }
        }
        let body = decoded(sent, encoding, shared)?;
        Ok(Self { device, key: key.public_key, body })
    }
}

impl FromRequest<Arc<Shared>> for Enrolling {
    type Rejection = Refusal;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Refusal> {
        let encoding = body::announced(request.headers(), &shared.limits)?;
        let claim = Claim::read(request.headers())?;
        let key = PublicKey::try_from(claim.key_id.clone())
            .map_err(|_| Refusal::signature_invalid("expected the device's public key as keyid"))?;
        let (head, sent) = received(request, shared).await?;
        head.check(&claim, &key, &sent, shared)?;
        // Anybody can make keys and sign: only what a token was accepted for is remembered, by the handler.
        if shared.replays.seen(&claim, shared.service.now()) {
            return Err(Refusal::replayed());
        }
        let body: EnrolRequest = decoded(sent, encoding, shared)?;
        if body.public_key != key {
            return Err(Refusal::signature_invalid(
                "the request is signed with another key than the one to register",
            ));
        }
        Ok(Self { body, claim })
    }
}

/// What a signature covers beside the body.
struct Head(Parts);

impl Head {
    /// Whether this key signed it.
    fn check(
        &self,
        claim: &Claim,
        key: &PublicKey,
        sent: &[u8],
        shared: &Shared,
    ) -> Result<(), RequestError> {
        claim.verify(key, self.0.method.as_str(), self.0.uri.path(), sent, shared.service.now())
    }
}

async fn received(request: Request, shared: &Shared) -> Result<(Head, Bytes), Refusal> {
    let (head, body) = request.into_parts();
    Ok((Head(head), body::receive(body, &shared.limits).await?))
}

/// The body as sent, if the device signed it.
async fn verified(
    request: Request,
    encoding: Encoding,
    claim: &Claim,
    device: &DeviceId,
    key: &DeviceKey,
    shared: &Shared,
) -> Result<Bytes, Refusal> {
    let (head, sent) = received(request, shared).await?;
    let refused = match head.check(claim, &key.public_key, &sent, shared) {
        Ok(()) => return Ok(sent),
        Err(refused) => refused,
    };
    // Whoever has the key from before a rotation is told so, and nobody else: an agent that missed the answer to
    // its rotation goes on with its new key, and a copy of a device learns what it is.
    if refused == RequestError::Signature
        && let Some(replaced) = &key.replaced
        && head.check(claim, replaced, &sent, shared).is_ok()
    {
        tracing::warn!(%device, key = %replaced.id(), "a request is signed with a key that was replaced");
        // One that was recorded and is sent once more gives nobody away.
        if key.retired_at.is_none() && shared.replays.remember(claim, shared.service.now()) == Memory::New {
            let asks_for_another = head.0.uri.path() == ROTATE_PATH;
            let offer = asks_for_another.then(|| decoded::<RotateRequest>(sent, encoding, shared).ok());
            let (service, device, signed_at) = (shared.service.clone(), device.clone(), claim.created);
            let (replaced, offer) = (replaced.clone(), offer.flatten());
            finished(
                shared,
                async move { service.replaced_key_used(&device, replaced, signed_at, offer).await },
            )
            .await?;
        }
        return Err(ServiceError::Refused(ingest::Refusal::KeyReplaced(key.since)).into());
    }
    Err(refused.into())
}

fn decoded<T: DeserializeOwned>(sent: Bytes, encoding: Encoding, shared: &Shared) -> Result<T, Refusal> {
    body::decode(sent, encoding, &shared.limits)
}
