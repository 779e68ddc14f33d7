//! What the agent does next. Pure: takes events and the instant, says what to do, does nothing.
//!
//! Inputs are `handle_*`, outputs are `poll_*`; the loop in `mod.rs` carries them out. The order
//! that makes a kill at any moment harmless is enforced here: a revision goes out only when the
//! record that holds it is saved, a policy comes into force only when it is stored.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::{DeviceFacts, Platform};
use offchannel_shared::digest::Digest;
use offchannel_shared::inventory::{Health, Inventory, Transition};
use offchannel_shared::signing::Envelope;
use offchannel_shared::wire::{CheckInRequest, ReportRequest, SCHEMA};

use super::events::{Chance, InFlight, Moment, ScanOrder, Scanned, SentReport, Settings};
use super::inventory::{OwnHealth, asked_about, bounded, reportable};
use super::keys::Keys;
use super::policy::InForce;
use super::unread::LastWhole;
use crate::client::Request;
use crate::identity::Identity;
use crate::schedule::{self, Backoff, Debounce};
use crate::state::{Record, Sent, Trouble};
use crate::watch::{Hint, Sources};

/// Version of the agent, as it is told to the collector.
pub const AGENT_VERSION: &str = env!("CARGO_PKG_VERSION");
/// How often folders are looked at that cannot be watched.
const POLL_EVERY: Duration = Duration::from_secs(60);
/// Longest wait for a wall-clock instant: clocks are put right meanwhile.
const WALL_WAIT_MAX: Duration = Duration::from_secs(3600);

/// The state of the loop.
#[derive(Debug)]
pub struct Core {
    pub(super) settings: Settings,
    pub(super) keys: Keys,
    /// The collector has just said that it does not know this device.
    pub(super) unknown: bool,
    pub(super) record: Record,
    pub(super) policy: Option<InForce>,
    pub(super) policy_to_store: Option<(Envelope, InForce)>,
    pub(super) dirty: bool,
    pub(super) interval: Duration,
    pub(super) check_in_at: Duration,
    pub(super) not_before: Duration,
    pub(super) report_not_before: Duration,
    pub(super) backoff: Backoff,
    pub(super) report_wanted: bool,
    pub(super) in_flight: Option<InFlight>,
    /// What the collector's clock shows when ours shows zero, if they differ too much.
    pub(super) clock_offset: Option<SignedDuration>,
    /// Since when they do.
    pub(super) clock_off_since: Option<Duration>,
    /// Whether that has lasted long enough to be told.
    pub(super) clock_to_tell: bool,
    /// When what was found was last judged, by the collector's clock.
    judged_at: Timestamp,
    pub(super) staged: Option<Box<SentReport>>,
    save_backoff: Backoff,
    save_not_before: Duration,
    contact_saved: Option<Timestamp>,
    pub(super) found: Option<(Inventory, DeviceFacts, Timestamp)>,
    last_whole: LastWhole,
    watch: Health,
    scanning: bool,
    scan_is_full: bool,
    forget: bool,
    hints: Hint,
    debounce: Debounce,
    safety_at: Duration,
    polled: Sources,
    poll_at: Duration,
}

impl Core {
    /// Starts with what is remembered. The first thing it wants is a scan of everything.
    pub fn new(
        settings: Settings,
        identity: Identity,
        mut record: Record,
        policy: Option<InForce>,
        now: Moment,
        chance: Chance,
    ) -> Self {
        // The policy is stored before the record that counts it, and outlives a damaged record.
        let in_force = policy.as_ref().map_or(0, |policy| policy.bundle.version);
        let raised = in_force > record.policy_version;
        record.policy_version = record.policy_version.max(in_force);
        let from_policy = policy.as_ref().map(|p| p.bundle.policy.check_in_every.as_seconds());
        let seconds = settings.first_check_in.or(from_policy).unwrap_or(0);
        let interval = schedule::check_in_interval(seconds);
        let wait = match (&policy, settings.first_check_in) {
            // Without a policy nothing may be reported: ask for it.
            (None, _) => Duration::ZERO,
            (Some(_), Some(_)) => schedule::jitter(interval, chance.number),
            (Some(_), None) if settings.splay => schedule::splay(&identity.enrolment.device_id, interval),
            // Due once the first scan is done, so that what is told first is how things are now; this is for a
            // scan that hangs.
            (Some(_), None) => interval,
        };
        let last_whole = LastWhole::of(&record.inventory);
        let (every, notes) = (settings.rotate_every, settings.notes.clone());
        Self {
            keys: Keys::new(identity, every, settings.copied, notes, now),
            unknown: false,
            contact_saved: record.last_contact,
            dirty: settings.unsaved || raised,
            settings,
            record,
            policy,
            policy_to_store: None,
            interval,
            check_in_at: now.mono.saturating_add(wait),
            not_before: now.mono,
            report_not_before: now.mono,
            backoff: Backoff::default(),
            report_wanted: raised,
            in_flight: None,
            clock_offset: None,
            clock_off_since: None,
            clock_to_tell: false,
            judged_at: now.wall,
            staged: None,
            save_backoff: Backoff::default(),
            save_not_before: now.mono,
            found: None,
            last_whole,
            watch: Health::Ok,
            scanning: false,
            scan_is_full: false,
            forget: false,
            hints: Hint::default(),
            debounce: Debounce::default(),
            safety_at: now.mono,
            polled: Sources::new(),
            poll_at: now.mono,
        }
    }

    /// What is remembered now.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The instant by which requests are signed and policies judged: the collector's, where the
    /// device's clock is known to be off.
    ///
    /// The collector's time is taken from its answers only, which TLS protects. Whoever can forge those
    /// could hold back every report as well, so that believing them costs nothing; not believing them
    /// would silence every device with an empty clock battery.
    pub fn time(&self, wall: Timestamp) -> Timestamp {
        match self.clock_offset {
            Some(offset) => wall.checked_add(offset).unwrap_or(wall),
            None => wall,
        }
    }

    /// Time has passed: a rule may have come into force, or the policy expired.
    pub fn handle_timeout(&mut self, now: Moment) {
        let due = self.policy.as_ref().and_then(|policy| policy.next_change(self.judged_at));
        if due.is_some_and(|due| due <= self.time(now.wall)) {
            self.refresh(now);
        }
    }

    /// Something on disk changed, perhaps.
    pub fn handle_hint(&mut self, hint: Hint, now: Moment) {
        if !hint.is_empty() {
            self.hints.add(hint);
            self.debounce.hint(now.mono);
        }
    }

    /// A scan is done.
    pub fn handle_scanned(&mut self, scanned: Scanned, now: Moment, chance: Chance) {
        self.scanning = false;
        if self.scan_is_full {
            self.safety_at =
                now.mono.saturating_add(schedule::jitter(self.settings.safety_interval, chance.number));
        }
        if self.forget {
            self.safety_at = now.mono;
        }
        if let Some(coverage) = scanned.coverage {
            self.polled = coverage.polled;
            self.watch = coverage.health;
        }
        self.poll_at = now.mono.saturating_add(schedule::jitter(POLL_EVERY, chance.number));
        // While a new catalogue waits for its own scan, this one recognised too little.
        if self.forget {
            return;
        }
        let known = self.record.sent.as_ref().map(|sent| &sent.report.facts);
        self.report_wanted |=
            self.record.acknowledged > 0 && known.is_some_and(|known| *known != scanned.facts);
        if self.found.is_none() && self.policy.is_some() && !self.settings.splay {
            self.check_in_at = now.mono;
        }
        let mut inventory = scanned.inventory;
        self.last_whole.keep(&mut inventory);
        self.found = Some((inventory, scanned.facts, scanned.at));
        self.refresh(now);
    }

    /// Whether the record was saved.
    pub fn handle_saved(&mut self, saved: bool, now: Moment, chance: Chance) {
        if saved {
            self.dirty = false;
            self.contact_saved = self.record.last_contact;
            self.save_backoff.succeeded();
        } else {
            // A report that is not on our disk must not reach the collector's: after a crash its
            // revision would come again with another content.
            self.staged = None;
            self.save_not_before = now.mono.saturating_add(self.save_backoff.failed(chance.number));
        }
    }

    /// The loop ends: whatever is worth keeping is saved, and the collector gets a goodbye.
    pub fn handle_stop(&mut self) {
        self.dirty |= self.record.last_contact != self.contact_saved;
        self.in_flight = None;
    }

    /// Whether the record differs from what is on disk.
    pub fn is_unsaved(&self) -> bool {
        self.dirty
    }

    /// The record, if it must be saved now.
    pub fn poll_save(&mut self, now: Moment) -> Option<&Record> {
        self.stage(now);
        (self.dirty && now.mono >= self.save_not_before).then_some(&self.record)
    }

    /// What to send now. To be asked after [`Core::poll_save`].
    pub fn poll_send(&mut self, now: Moment) -> Option<Request> {
        if self.in_flight.is_some() || now.mono < self.not_before {
            return None;
        }
        if let Some(request) = self.poll_rotate(now) {
            self.in_flight = Some(InFlight::Rotate);
            return Some(request);
        }
        if !self.dirty
            && let Some(staged) = self.staged.take()
        {
            let request = Request::Report(Box::new(staged.request.clone()));
            self.in_flight = Some(InFlight::Report(staged));
            return Some(request);
        }
        if now.mono < self.check_in_at {
            return None;
        }
        self.in_flight = Some(InFlight::CheckIn);
        Some(Request::CheckIn(CheckInRequest {
            schema: SCHEMA,
            epoch: self.record.epoch.clone(),
            revision: self.record.acknowledged,
            digest: self.record.acknowledged_digest.clone(),
            policy_version: self.policy.as_ref().map_or(0, |policy| policy.bundle.version),
            policy_expires_at: self.policy.as_ref().map(|policy| policy.bundle.expires_at),
            agent_version: AGENT_VERSION.to_owned(),
            accepted: Digest::of_accepted(&self.record.accepted),
        }))
    }

    /// What to scan now.
    pub fn poll_scan(&mut self, now: Moment) -> Option<ScanOrder> {
        if self.scanning || self.scan_due()? > now.mono {
            return None;
        }
        let hints = std::mem::take(&mut self.hints);
        self.debounce.clear();
        self.scanning = true;
        self.scan_is_full = hints.everything || self.safety_at <= now.mono;
        let mut only = hints.sources;
        if self.poll_at <= now.mono {
            only.extend(&self.polled);
        }
        let catalogue = match &self.policy {
            Some(policy) => Arc::clone(&policy.catalogue),
            None => Arc::new(Catalogue::built_in()),
        };
        Some(ScanOrder {
            only: (!self.scan_is_full).then_some(only),
            replan: hints.replan || self.scan_is_full,
            forget: std::mem::take(&mut self.forget),
            catalogue,
        })
    }

    /// When to ask again, if nothing happens before.
    pub fn poll_timeout(&self, now: Moment) -> Duration {
        let scan = (!self.scanning).then(|| self.scan_due()).flatten();
        let send = self.in_flight.is_none().then(|| {
            let report =
                self.report_is_due().then(|| self.report_not_before.max(self.save_not_before_if_dirty()));
            report.unwrap_or(self.check_in_at).min(self.check_in_at).max(self.not_before)
        });
        let save = self.dirty.then_some(self.save_not_before);
        let policy = self.policy.as_ref().and_then(|policy| {
            let time = self.time(now.wall);
            let wait = Duration::try_from(policy.next_change(time)?.duration_since(time)).ok()?;
            Some(now.mono.saturating_add(wait.min(WALL_WAIT_MAX)))
        });
        let keys = self.keys_timeout(now);
        let next = [scan, send, save, policy, keys].into_iter().flatten().min();
        next.unwrap_or_else(|| now.mono.saturating_add(WALL_WAIT_MAX))
    }

    /// Judges what was found anew, because it, the policy, the health or the time has changed.
    pub fn refresh(&mut self, now: Moment) {
        let (Some((found, _, at)), Some(policy)) = (&self.found, &self.policy) else { return };
        let time = self.time(now.wall);
        let own = OwnHealth {
            clock: match self.clock_offset.filter(|_| self.clock_to_tell) {
                None => Health::Ok,
                Some(offset) => {
                    let direction = if offset.is_negative() { "ahead of" } else { "behind" };
                    Health::Partial(format!(
                        "this device's clock is more than {} {direction} the collector's; requests carry the collector's time",
                        offchannel_shared::signing::request::SKEW_MAX
                    ))
                }
            },
            identity: self.keys.health(),
            policy: policy.health(self.record.policy_refused.as_deref(), time),
            state: self.record.note.clone().map_or(Health::Ok, Health::Partial),
            watch: self.watch.clone(),
        };
        self.judged_at = time;
        let inventory = reportable(found, policy, self.settings.platform, own, time);
        let asked = asked_about(self.record.sightings(), policy, self.settings.platform, time);
        let observed = self.record.observe(inventory, &asked, *at);
        self.dirty |= observed.changed || observed.forgot;
        // A report that is under way may carry what fell off; it is lost only if that one is.
        let flying = match &mut self.in_flight {
            Some(InFlight::Report(sent)) => Some(sent),
            Some(InFlight::CheckIn | InFlight::Rotate | InFlight::Enrol) | None => None,
        };
        if let Some(sent) = flying {
            let carried = |owed: &&Transition| owed.revision <= sent.request.revision;
            let dropped = observed.dropped.iter().filter(carried).count();
            sent.dropped = sent.dropped.saturating_add(dropped as u64);
        }
        if observed.changed || observed.forgot {
            self.staged = None;
        }
    }

    /// Keeps why the collector does not hear of us; logs it when it is news.
    pub(super) fn trouble(&mut self, what: String, now: Moment) {
        let old = self.record.trouble.as_ref();
        if old.is_none_or(|trouble| trouble.what != what) {
            tracing::warn!("{what}");
            let since = old.map_or(now.wall, |trouble| trouble.since);
            self.record.trouble = Some(Trouble { since, what });
            self.dirty = true;
        }
    }

    /// The collector hears us again.
    pub(super) fn no_trouble(&mut self) {
        if self.record.trouble.take().is_some() {
            tracing::info!("the collector answers again");
            self.dirty = true;
        }
    }

    /// Another catalogue recognises other things: what was found before counts for nothing, and
    /// nothing is reported until everything was looked at again.
    pub(super) fn look_anew(&mut self, now: Moment) {
        self.found = None;
        self.staged = None;
        self.forget = true;
        self.safety_at = now.mono;
    }

    fn report_is_due(&self) -> bool {
        let complete = self.policy.is_some() && self.found.is_some() && self.record.revision > 0;
        complete && (self.report_wanted || !self.record.is_acknowledged())
    }

    fn save_not_before_if_dirty(&self) -> Duration {
        if self.dirty { self.save_not_before } else { Duration::ZERO }
    }

    fn scan_due(&self) -> Option<Duration> {
        let poll = (!self.polled.is_empty()).then_some(self.poll_at);
        [Some(self.safety_at), self.debounce.due(), poll].into_iter().flatten().min()
    }

    /// Makes the next report, so that it is saved before it is sent.
    fn stage(&mut self, now: Moment) {
        let may_go = self.in_flight.is_none() && now.mono >= self.not_before.max(self.report_not_before);
        if !may_go || !self.report_is_due() {
            return;
        }
        let (Some((_, facts, at)), Some(policy)) = (&self.found, &self.policy) else { return };
        let Some(request) = report(&self.record, policy, facts.clone(), *at) else { return };
        // The same report again, later, is no news: a collector that is away for a day must not cost
        // the disk a write for every attempt.
        let same = |sent: &Sent| ReportRequest { observed_at: *at, ..sent.report.clone() } == request;
        if !self.record.sent.as_ref().is_some_and(same) {
            self.record.sent = Some(Sent { at: now.wall, report: request.clone() });
            self.dirty = true;
        }
        self.staged = Some(Box::new(SentReport { request, dropped: 0 }));
    }
}

/// The report of what a record holds; `None` before there is an inventory.
fn report(record: &Record, policy: &InForce, facts: DeviceFacts, at: Timestamp) -> Option<ReportRequest> {
    Some(ReportRequest {
        schema: SCHEMA,
        epoch: record.epoch.clone(),
        revision: record.revision,
        digest: record.digest.clone()?,
        observed_at: at,
        policy_version: policy.bundle.version,
        agent_version: AGENT_VERSION.to_owned(),
        catalogue_version: Catalogue::version().to_owned(),
        facts,
        inventory: record.inventory.clone(),
        transitions: record.transitions.clone(),
        transitions_lost: record.transitions_lost,
    })
}

/// The report that an agent with this record would make of what was found now, for people to look
/// at. What only a running agent knows, of the clock and of watching, is as it was last told.
pub fn preview(
    mut record: Record,
    policy: &InForce,
    platform: Platform,
    scanned: Scanned,
    now: Timestamp,
) -> Option<ReportRequest> {
    let told = |name: &str| {
        let source = record.inventory.sources.iter().find(|source| source.source == name);
        source.map_or(Health::Ok, |source| source.health.clone())
    };
    let own = OwnHealth {
        clock: told("clock"),
        identity: told("identity"),
        policy: policy.health(record.policy_refused.as_deref(), now),
        state: record.note.clone().map_or(Health::Ok, Health::Partial),
        watch: told("watch"),
    };
    let mut found = scanned.inventory;
    LastWhole::of(&record.inventory).keep(&mut found);
    let inventory = reportable(&found, policy, platform, own, now);
    let asked = asked_about(record.sightings(), policy, platform, now);
    record.observe(inventory, &asked, scanned.at);
    report(&record, policy, bounded(scanned.facts), scanned.at)
}
