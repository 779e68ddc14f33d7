//! A collector that does with keys, revisions and epochs what the real one does.

use std::collections::BTreeMap;
use std::time::Duration;

use offchannel_shared::digest::Digest;
use offchannel_shared::ids::DeviceId;
use offchannel_shared::inventory::Transition;
use offchannel_shared::signing::{Envelope, PublicKey};
use offchannel_shared::wire::{
    CheckInResponse, ReportRequest, ReportResponse, RotateRequest, RotateResponse, SCHEMA, codes,
};

use super::moment;
use crate::client::{Answer, Outcome, Request};

/// The collector, as far as agents see it.
#[derive(Debug, Default)]
pub(in crate::run) struct Collector {
    pub(in crate::run) revisions: BTreeMap<(String, u64), Digest>,
    pub(in crate::run) current: Option<ReportRequest>,
    pub(in crate::run) transitions: Vec<Transition>,
    pub(in crate::run) bundle: Option<Envelope>,
    pub(in crate::run) refuse: Option<&'static str>,
    pub(in crate::run) clock_ahead: i64,
    pub(in crate::run) requests: Vec<&'static str>,
    /// The device's key, and those that it replaced, oldest first.
    pub(in crate::run) keys: Vec<PublicKey>,
    /// Requests signed with another key than the device's.
    pub(in crate::run) wrongly_signed: u32,
    /// What is altered on the way to it, so that its signature does not hold.
    pub(in crate::run) altered: Option<&'static str>,
    /// Whether it knows how to replace keys.
    pub(in crate::run) without_rotation: bool,
    /// Whether the device's memory was ever put back. Only then may a revision come twice with
    /// different content; the collector refuses it as stale.
    pub(in crate::run) restored: bool,
}

impl Collector {
    /// As the real one does it.
    fn rotate(&mut self, asked: &RotateRequest, signed_with: &PublicKey) -> Result<(), (u16, &'static str)> {
        if asked.public_key == *signed_with {
            return Ok(());
        }
        if self.keys.contains(&asked.public_key) {
            return Err((409, codes::KEY_TAKEN));
        }
        if !asked.proof.holds(&DeviceId::from_random([3; 16]), signed_with, &asked.public_key) {
            return Err((422, codes::KEY_UNPROVEN));
        }
        self.keys.push(asked.public_key.clone());
        Ok(())
    }

    pub(super) fn answer(&mut self, request: &Request, signed_with: &PublicKey, now: Duration) -> Outcome {
        let wall = moment(now).wall;
        let server_time = wall.checked_add(jiff::SignedDuration::from_secs(self.clock_ahead)).unwrap();
        self.requests.push(request.path());
        let refused = |status, code: &str| Outcome::Refused {
            status,
            code: code.to_owned(),
            message: "no".to_owned(),
            server_time,
        };
        if let Some(code) = self.refuse {
            return refused(401, code);
        }
        if self.altered == Some(request.path()) {
            return refused(401, codes::SIGNATURE_INVALID);
        }
        if self.keys.last() != Some(signed_with) {
            self.wrongly_signed += 1;
            // Only the last key that was replaced is remembered.
            let replaced = self.keys.iter().rev().nth(1) == Some(signed_with);
            return refused(401, if replaced { codes::KEY_REPLACED } else { codes::SIGNATURE_INVALID });
        }
        match request {
            Request::Rotate(_) if self.without_rotation => refused(404, codes::NOT_FOUND),
            Request::Rotate(asked) => match self.rotate(asked, signed_with) {
                Ok(()) => Outcome::Accepted(Answer::Rotate(RotateResponse {
                    schema: SCHEMA,
                    key_since: server_time,
                    server_time,
                })),
                Err((status, code)) => refused(status, code),
            },
            Request::CheckIn(asked) => {
                let same = self.current.as_ref().is_some_and(|known| {
                    known.epoch == asked.epoch
                        && known.revision == asked.revision
                        && Some(&known.digest) == asked.digest.as_ref()
                });
                Outcome::Accepted(Answer::CheckIn(CheckInResponse {
                    schema: SCHEMA,
                    next_check_in: 300,
                    bundle: self.bundle.clone(),
                    accepted: None,
                    report_wanted: !same,
                    server_time,
                }))
            }
            Request::Report(report) => {
                assert_eq!(report.digest, Digest::of(&report.inventory));
                let id = (report.epoch.to_string(), report.revision);
                let seen = self.revisions.entry(id.clone()).or_insert_with(|| report.digest.clone());
                let again = *seen != report.digest;
                assert!(!again || self.restored, "the revision {id:?} came twice with different content");
                let latest = self.current.as_ref().filter(|known| known.epoch == report.epoch);
                if again || latest.is_some_and(|known| known.revision > report.revision) {
                    return refused(409, codes::REVISION_STALE);
                }
                if latest.is_none_or(|known| known.revision < report.revision) {
                    // What an earlier revision brought has come, whether or not its answer arrived.
                    let known = latest.map_or(0, |known| known.revision);
                    let new = report.transitions.iter().filter(|transition| transition.revision > known);
                    self.transitions.extend(new.cloned());
                }
                self.current = Some((**report).clone());
                Outcome::Accepted(Answer::Report(ReportResponse {
                    schema: SCHEMA,
                    accepted_revision: report.revision,
                    next_check_in: 300,
                    bundle: self.bundle.clone(),
                    server_time,
                }))
            }
            Request::Enrol(_) | Request::Goodbye(_) => panic!("the core never sends {request:?}"),
        }
    }
}
