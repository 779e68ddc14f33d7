//! What travels between agent and collector.
//!
//! State, not events: a report is the whole minimised inventory at a revision. Every body has a
//! schema number; unknown fields from a newer peer are ignored, so a field may be added but never
//! change its meaning.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::device::DeviceFacts;
use crate::digest::Digest;
use crate::ids::{AppId, DeviceId, Epoch, ExceptionId, RuleId};
use crate::inventory::{Inventory, Transition};
use crate::signing::{Envelope, PublicKey, RotationProof};

/// The schema of every body so far.
pub const SCHEMA: u32 = 1;
/// Exchanges an enrolment token for a registered key.
pub const ENROL_PATH: &str = "/agent/v1/enrol";
/// Says that nothing changed.
pub const CHECK_IN_PATH: &str = "/agent/v1/check-in";
/// Carries the inventory.
pub const REPORT_PATH: &str = "/agent/v1/report";
/// Replaces the device's key.
pub const ROTATE_PATH: &str = "/agent/v1/rotate";
/// Says that the agent stops.
pub const GOODBYE_PATH: &str = "/agent/v1/goodbye";
/// Bodies from this size up, in bytes, are sent with `content-encoding: gzip`.
pub const COMPRESS_FROM: usize = 1024;
/// Most bytes of a request body as sent.
pub const BODY_MAX: usize = 256 * 1024;
/// Most bytes of a request body after decompression.
pub const BODY_DECOMPRESSED_MAX: usize = 2 * 1024 * 1024;
/// Most bytes of an answer that an agent reads.
pub const ANSWER_MAX: usize = 4 * 1024 * 1024;
/// Most sightings of an inventory; a device with more is not a device but an attack.
pub const SIGHTINGS_MAX: usize = 1_000;
/// Most transitions that a report carries; what is lost beyond is counted.
pub const TRANSITIONS_MAX: usize = 500;
/// Most exceptions that an agent is told of.
pub const ACCEPTED_MAX: usize = 100;
/// Most bytes of any single text that a device says of itself or of what was found on it.
pub const TEXT_MAX: usize = 1_024;

/// Asks for enrolment. Signed with the device's new key, whose base64 is the `keyid`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// The enrolment token.
    pub token: String,
    /// The device's public key.
    pub public_key: PublicKey,
    /// Version of the agent.
    pub agent_version: String,
    /// What the device says of itself.
    pub facts: DeviceFacts,
}

/// The answer to an enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolResponse {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// The device's id from now on.
    pub device_id: DeviceId,
    /// The keys that sign policy bundles.
    pub signing_keys: Vec<PublicKey>,
    /// The policy in force.
    pub bundle: Envelope,
    /// Seconds to the first check-in.
    pub next_check_in: u32,
    /// The collector's clock.
    pub server_time: Timestamp,
}

/// Says which state the device is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckInRequest {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// The life of the agent's state file.
    pub epoch: Epoch,
    /// The revision of the inventory that was last acknowledged; 0 for none.
    pub revision: u64,
    /// The digest of that inventory; not given with revision 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The policy version in force at the agent.
    pub policy_version: u64,
    /// When the bundle in force at the agent expires; the collector renews it in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_expires_at: Option<Timestamp>,
    /// Version of the agent.
    pub agent_version: String,
    /// The digest of what the agent knows to be accepted on the device; none if it knows of nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Digest>,
}

/// Something that the organisation accepts on a device for a time: an exception, without what is nobody's business
/// there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The exception.
    pub id: ExceptionId,
    /// The rule that it waives; every rule if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
    /// The app that it accepts; every app if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    /// From when on.
    pub start: Timestamp,
    /// Until when.
    pub end: Timestamp,
}

/// The answer to a check-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckInResponse {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// Seconds to the next check-in.
    pub next_check_in: u32,
    /// A new policy, if the agent does not have the latest, or the latest renewed before it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Envelope>,
    /// All that is accepted on the device, at most [`ACCEPTED_MAX`], if that is not what the agent knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Vec<Accepted>>,
    /// Whether the collector wants a full report, because it has another revision or digest.
    pub report_wanted: bool,
    /// The collector's clock.
    pub server_time: Timestamp,
}

/// The whole minimised inventory at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRequest {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// The life of the agent's state file.
    pub epoch: Epoch,
    /// Counts up with every change of the inventory, within an epoch.
    pub revision: u64,
    /// The digest of `inventory`.
    pub digest: Digest,
    /// When the inventory was true, by the device's clock.
    pub observed_at: Timestamp,
    /// The policy version by which the inventory was minimised.
    pub policy_version: u64,
    /// Version of the agent.
    pub agent_version: String,
    /// Version of the agent's built-in catalogue.
    pub catalogue_version: String,
    /// What the device says of itself.
    pub facts: DeviceFacts,
    /// What was found.
    pub inventory: Inventory,
    /// What came and went since the last acknowledged revision, oldest first.
    #[serde(default)]
    pub transitions: Vec<Transition>,
    /// How many transitions did not fit.
    #[serde(default)]
    pub transitions_lost: u64,
}

/// The answer to a report, given only after a durable commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportResponse {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// The revision that is now on the collector's disk.
    pub accepted_revision: u64,
    /// Seconds to the next check-in.
    pub next_check_in: u32,
    /// A new policy, as in [`CheckInResponse`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Envelope>,
    /// The collector's clock.
    pub server_time: Timestamp,
}

/// Asks to replace the device's key. Signed with the key in force: the old one, or the new one again where the
/// answer to an earlier attempt was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateRequest {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// The key from now on.
    pub public_key: PublicKey,
    /// Shows that the device has it.
    pub proof: RotationProof,
}

/// The answer to a rotation, given only after a durable commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateResponse {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// Since when the collector has had the key that was offered.
    pub key_since: Timestamp,
    /// The collector's clock.
    pub server_time: Timestamp,
}

/// Why an agent stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GoodbyeReason {
    /// The service was stopped.
    Stop,
    /// The agent is being removed.
    Uninstall,
    /// The device is shutting down.
    Shutdown,
}

impl GoodbyeReason {
    /// The name used on the wire and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Uninstall => "uninstall",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Says that the agent stops, and why. The answer has an empty body and status 204.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodbyeRequest {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// Why.
    pub reason: GoodbyeReason,
    /// With `stop`: whether the device is known to stay up, so that its silence means that somebody switched the agent off.
    /// Not given where that is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stays_up: bool,
}

/// The body of every refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// What was refused and why.
    pub error: ErrorDetail,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// For programs; see [`codes`].
    pub code: String,
    /// For people: what was wrong and what to do.
    pub message: String,
    /// The collector's clock, so that an agent can tell that its own is off.
    pub server_time: Timestamp,
}

/// The codes of refusals. An agent acts on those named here and treats any other by its status.
pub mod codes {
    /// 400: the body is not JSON of the form expected.
    pub const MALFORMED: &str = "malformed";
    /// 400: the body has a schema that this collector does not read.
    pub const SCHEMA_UNKNOWN: &str = "schema_unknown";
    /// 401: a signature header is missing or says something that is not accepted.
    pub const SIGNATURE_MISSING: &str = "signature_missing";
    /// 401: the signature is not valid.
    pub const SIGNATURE_INVALID: &str = "signature_invalid";
    /// 401: the clocks differ too much.
    pub const CLOCK_SKEW: &str = "clock_skew";
    /// 401: the request was seen before.
    pub const REPLAYED: &str = "replayed";
    /// 401: no such device, or it was retired; enrol again.
    pub const DEVICE_UNKNOWN: &str = "device_unknown";
    /// 401: the request is signed with the key that this device had before its rotation; it is never taken again.
    pub const KEY_REPLACED: &str = "key_replaced";
    /// 403: the token is unknown, spent, expired or revoked; the message says which.
    pub const TOKEN_REFUSED: &str = "token_refused";
    /// 409: the collector has a later revision of this epoch.
    pub const REVISION_STALE: &str = "revision_stale";
    /// 409: the key that is offered at a rotation was in use before, by this device or by another one.
    pub const KEY_TAKEN: &str = "key_taken";
    /// 413: the body is too large, as sent or after decompression.
    pub const TOO_LARGE: &str = "too_large";
    /// 415: a content encoding other than gzip.
    pub const ENCODING_UNKNOWN: &str = "encoding_unknown";
    /// 422: the report's digest is not that of its inventory.
    pub const DIGEST_MISMATCH: &str = "digest_mismatch";
    /// 422: the proof that comes with a new key is not that key's, or not for this rotation.
    pub const KEY_UNPROVEN: &str = "key_unproven";
    /// 404: no such route.
    pub const NOT_FOUND: &str = "not_found";
    /// 405: the route has other methods.
    pub const METHOD_NOT_ALLOWED: &str = "method_not_allowed";
    /// 500: a fault of the collector's own.
    pub const INTERNAL: &str = "internal";
    /// 503: try again after `Retry-After` seconds.
    pub const UNAVAILABLE: &str = "unavailable";
}
