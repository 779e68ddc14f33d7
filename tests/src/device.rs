//! A device without an agent: a key, and requests that are signed with it as the test wants.

use jiff::Timestamp;
use offchannel_shared::device::{DeviceFacts, Platform};
use offchannel_shared::digest::Digest;
use offchannel_shared::ids::{AppId, DeviceId, Epoch};
use offchannel_shared::inventory::{Grade, Health, Inventory, Scope, Sighting, SourceHealth};
use offchannel_shared::namespace::Namespace;
use offchannel_shared::signing::request::sign;
use offchannel_shared::signing::{PublicKey, RotationProof, SigningKey};
use offchannel_shared::wire::{
    CHECK_IN_PATH, CheckInRequest, CheckInResponse, ENROL_PATH, EnrolRequest, EnrolResponse, REPORT_PATH,
    ReportRequest, ReportResponse, RotateRequest, SCHEMA,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;

use crate::client::{Answer, Client};
use crate::clock::now;

/// The version that a device without an agent says it has.
const VERSION: &str = "0.0.0-tests";

/// Random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("random bytes");
    bytes
}

/// Who signs, and when.
#[derive(Debug)]
pub struct Signer {
    key: SigningKey,
    key_id: String,
}

impl Signer {
    /// A new key that signs under its own base64, as for an enrolment.
    pub fn unknown() -> Self {
        Self::with_seed(&random())
    }

    /// The key of a seed, under its own base64.
    pub fn with_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_seed(seed).expect("a key");
        let key_id = key.public().to_string();
        Self { key, key_id }
    }

    /// The same, under another name.
    #[must_use]
    pub fn named(mut self, key_id: &str) -> Self {
        self.key_id = key_id.to_owned();
        self
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        self.key.public().clone()
    }

    /// The header fields that sign a body which is sent to a path by POST.
    pub fn sign(&self, path: &str, body: &[u8], at: Timestamp) -> Vec<(&'static str, String)> {
        sign(&self.key, &self.key_id, "POST", path, body, at, random())
    }

    /// Sends a body, signed now.
    #[track_caller]
    pub fn post(&self, client: &Client, path: &str, body: &[u8]) -> Answer {
        client.post(path, &self.sign(path, body, now()), body)
    }
}

/// What a device without an agent says of itself.
pub fn facts() -> DeviceFacts {
    DeviceFacts {
        hostname: "bare".to_owned(),
        platform: Platform::Linux,
        os: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        arch: "x86_64".to_owned(),
        machine: "00".repeat(32),
    }
}

/// The request that enrols a key.
pub fn enrolment(signer: &Signer, token: &str) -> EnrolRequest {
    EnrolRequest {
        schema: SCHEMA,
        token: token.to_owned(),
        public_key: signer.public_key(),
        agent_version: VERSION.to_owned(),
        facts: facts(),
    }
}

/// The request that replaces a device's key by a new one.
pub fn rotation(device: &DeviceId, old: &Signer, new: &Signer) -> RotateRequest {
    let proof = RotationProof::make(&new.key, device, &old.public_key()).expect("a proof");
    RotateRequest { schema: SCHEMA, public_key: new.public_key(), proof }
}

/// JSON bytes.
pub fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON")
}

/// A sighting of a Debian package.
pub fn dpkg(app: &str, package: &str, version: &str) -> Sighting {
    Sighting {
        app: AppId::new(app).expect("an app id"),
        source: "dpkg".to_owned(),
        namespace: Namespace::Dpkg,
        identifier: package.to_owned(),
        scope: Scope::System,
        grade: Grade::Installed,
        version: Some(version.to_owned()),
    }
}

/// An enrolled device.
#[derive(Debug)]
pub struct Device {
    /// Its key, under its id.
    pub signer: Signer,
    /// Its id.
    pub id: DeviceId,
    /// The life of its state file, which it does not have.
    pub epoch: Epoch,
}

impl Device {
    /// Enrols a new key.
    #[track_caller]
    pub fn enrol(client: &Client, token: &str) -> Self {
        let signer = Signer::unknown();
        let response: EnrolResponse = signer.post(client, ENROL_PATH, &json(&enrolment(&signer, token))).ok();
        let id = response.device_id;
        Self { signer: signer.named(id.as_str()), id, epoch: Epoch::from_random(random()) }
    }

    /// A report of what is there, with all sources well.
    pub fn report(&self, revision: u64, sightings: Vec<Sighting>) -> ReportRequest {
        self.report_with(revision, sightings, Vec::new())
    }

    /// A report of what is there; the health of these parts replaces that of the well ones.
    pub fn report_with(
        &self,
        revision: u64,
        sightings: Vec<Sighting>,
        ill: Vec<SourceHealth>,
    ) -> ReportRequest {
        let well = ["clock", "dpkg", "policy", "state", "watch"]
            .into_iter()
            .filter(|part| ill.iter().all(|i| i.source != *part));
        let well = well.map(|part| SourceHealth { source: part.to_owned(), health: Health::Ok });
        let sources = well.chain(ill.iter().cloned()).collect();
        let mut inventory = Inventory { sightings, unlisted: Vec::new(), sources };
        inventory.normalise();
        ReportRequest {
            schema: SCHEMA,
            epoch: self.epoch.clone(),
            revision,
            digest: Digest::of(&inventory),
            observed_at: now(),
            policy_version: 1,
            agent_version: VERSION.to_owned(),
            catalogue_version: "tests".to_owned(),
            facts: facts(),
            inventory,
            transitions: Vec::new(),
            transitions_lost: 0,
        }
    }

    /// Sends a report that must be taken.
    #[track_caller]
    pub fn send(&self, client: &Client, report: &ReportRequest) -> ReportResponse {
        self.signer.post(client, REPORT_PATH, &json(report)).ok()
    }

    /// A check-in of a device that has reported nothing.
    pub fn check_in(&self) -> CheckInRequest {
        CheckInRequest {
            schema: SCHEMA,
            epoch: self.epoch.clone(),
            revision: 0,
            digest: None,
            policy_version: 1,
            policy_expires_at: None,
            agent_version: VERSION.to_owned(),
            accepted: None,
        }
    }

    /// Checks in.
    #[track_caller]
    pub fn send_check_in(&self, client: &Client) -> CheckInResponse {
        self.signer.post(client, CHECK_IN_PATH, &json(&self.check_in())).ok()
    }
}
