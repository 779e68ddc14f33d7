//! Counters since the start, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::alert::{AlertAction, AlertEvent};
use crate::domain::case::Decision;

/// Counters since the start of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceStats {
    /// Devices enrolled.
    pub enrolments: u64,
    /// Check-ins answered.
    pub check_ins: u64,
    /// Reports committed.
    pub reports: u64,
    /// Reports that were on record already.
    pub reports_repeated: u64,
    /// Keys of devices that were replaced by new ones.
    pub rotations: u64,
    /// Devices judged again because time passed or the policy changed.
    pub evaluations: u64,
    /// Alerts opened or reopened.
    pub alerts_opened: u64,
    /// Alerts resolved.
    pub alerts_resolved: u64,
    /// Devices held in memory at this moment.
    pub devices_cached: u64,
    /// Exceptions that accept something at this moment.
    pub exceptions_in_force: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) enrolments: AtomicU64,
    pub(super) check_ins: AtomicU64,
    pub(super) reports: AtomicU64,
    pub(super) reports_repeated: AtomicU64,
    pub(super) rotations: AtomicU64,
    pub(super) evaluations: AtomicU64,
    alerts_opened: AtomicU64,
    alerts_resolved: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn decided(&self, decision: &Decision) {
        self.happened(&decision.events);
    }

    pub(super) fn happened(&self, events: &[AlertEvent]) {
        for event in events {
            match event.action {
                AlertAction::Opened | AlertAction::Reopened => count(&self.alerts_opened),
                AlertAction::Resolved => count(&self.alerts_resolved),
                AlertAction::Ceased
                | AlertAction::Acknowledged
                | AlertAction::Snoozed
                | AlertAction::Woke
                | AlertAction::Assigned
                | AlertAction::Noted
                | AlertAction::Recorded
                | AlertAction::Escalated => {}
            }
        }
    }

    pub(super) fn read(&self, devices_cached: usize, exceptions_in_force: usize) -> ServiceStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServiceStats {
            enrolments: of(&self.enrolments),
            check_ins: of(&self.check_ins),
            reports: of(&self.reports),
            reports_repeated: of(&self.reports_repeated),
            rotations: of(&self.rotations),
            evaluations: of(&self.evaluations),
            alerts_opened: of(&self.alerts_opened),
            alerts_resolved: of(&self.alerts_resolved),
            devices_cached: devices_cached as u64,
            exceptions_in_force: exceptions_in_force as u64,
        }
    }
}
