//! What a policy would change if it were published now: every device is judged as it would be then, nothing is written.
//!
//! Devices are read in slices and judged beside the reading, on as many threads as there are processors; what is kept
//! of them is bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::{Placement, Platform};
use offchannel_shared::ids::{AppId, UnitId};
use offchannel_shared::inventory::{Grade, Inventory, Scope, Sighting};
use offchannel_shared::minimise::minimise;
use offchannel_shared::namespace::Namespace;
use offchannel_shared::policy::{Problem, Unreviewed};
use tokio::task::JoinSet;

use super::{Service, ServiceError};
use crate::domain::case::Case;
use crate::domain::in_force_exceptions::InForceExceptions;
use crate::domain::ingest::Context;
use crate::domain::policy_whatif::{Effect, RuleTotals, Tally, Totals, effect};
use crate::domain::published::InForce;
use crate::domain::route::Routes;
use crate::domain::tree::Tree;

/// Devices that are read at a time.
const SLICE: u32 = 1_000;
/// Most effects that are told one by one.
pub const EFFECTS_MAX: usize = 10_000;

/// What a policy would change.
#[derive(Debug, Clone)]
pub struct WhatIf {
    /// The version in force, with which it is compared; 0 for none.
    pub in_force: u64,
    /// When.
    pub as_of: Timestamp,
    /// How many devices have which outcome.
    pub totals: Totals,
    /// Of all devices, those that have reported nothing yet.
    pub not_reported: u64,
    /// Units in which something changes, those with the most new breaches first.
    pub units: Vec<(UnitId, Totals)>,
    /// What changes by rule and app, what is newly a breach on most devices first.
    pub rules: Vec<(offchannel_shared::ids::RuleId, AppId, RuleTotals)>,
    /// The devices about which something changes, the gravest first, at most as many as were asked for.
    pub effects: Vec<Effect>,
    /// What devices do not report now and would be asked for: it cannot be known beforehand where that is.
    pub unseen: Unseen,
    /// What is odd about the policy.
    pub warnings: Vec<Problem>,
}

/// What cannot be known beforehand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unseen {
    /// Apps that some devices would newly be asked for.
    pub apps: BTreeSet<AppId>,
    /// How many devices.
    pub devices: u64,
    /// Whether messaging apps outside the catalogue would newly be asked for.
    pub unlisted: bool,
}

/// Devices that are asked for the same: their platform, and their placement as JSON.
type Alike = (Platform, String);

/// What both policies ask devices for, by what devices differ in.
struct Asked {
    known: Mutex<BTreeMap<Alike, Arc<BTreeSet<AppId>>>>,
    everything: Inventory,
}

struct Question {
    before: Option<Arc<InForce>>,
    after: InForce,
    exceptions: Arc<InForceExceptions>,
    now: Timestamp,
    serving_since: Timestamp,
    limit: usize,
    asked: Asked,
}

/// What was counted of a slice.
struct Part {
    tally: Tally,
    unseen: Unseen,
}

impl Service {
    /// What would change if this policy were published now, with at most `limit` devices one by one.
    ///
    /// # Errors
    /// [`ServiceError::Policy`], [`ServiceError::Store`].
    pub async fn what_if(&self, source: &str, limit: usize) -> Result<WhatIf, ServiceError> {
        let parsed = self.check_here(source).await?;
        self.load_policy().await?;
        self.load_exceptions().await?;
        // Silence and the like are judged by when devices were heard of.
        self.flush_seen().await?;
        let before = self.in_force().ok();
        let in_force = before.as_ref().map_or(0, |before| before.version);
        // Parsing has checked the policy's own entries.
        let catalogue = Catalogue::with_overlay(&parsed.policy.apps).unwrap_or_default();
        let asked = Asked::new(before.as_deref().map(|before| &before.catalogue), &catalogue);
        let after = InForce { version: in_force.saturating_add(1), policy: parsed.policy, catalogue };
        let question = Arc::new(Question {
            before,
            after,
            exceptions: self.exceptions_in_force(),
            now: self.now(),
            serving_since: self.0.started_at,
            limit: limit.min(EFFECTS_MAX),
            asked,
        });
        let mut whole = Part { tally: Tally::new(question.limit), unseen: Unseen::default() };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (mut judging, mut after) = (JoinSet::new(), None);
        loop {
            let cases = self.0.store.cases(after.as_ref(), SLICE).await?;
            let Some(last) = cases.last() else { break };
            after = Some(last.device.id.clone());
            if judging.len() >= threads
                && let Some(part) = judging.join_next().await
            {
                whole.add(part.map_err(ServiceError::Judging)?);
            }
            let question = Arc::clone(&question);
            judging.spawn_blocking(move || question.judge(&cases));
        }
        while let Some(part) = judging.join_next().await {
            whole.add(part.map_err(ServiceError::Judging)?);
        }
        Ok(whole.told(&question, in_force, parsed.warnings))
    }
}

impl Question {
    fn judge(&self, cases: &[Case]) -> Part {
        // What is judged here is told nobody: neither routes nor who answers for a unit matter.
        let (routes, units) = (Routes::default(), Tree::default());
        // Nothing is told.
        let surging = BTreeSet::new();
        let context = Context {
            surging: &surging,
            in_force: &self.after,
            units: &units,
            exceptions: &self.exceptions,
            routes: &routes,
            now: self.now,
            serving_since: self.serving_since,
        };
        let mut part = Part { tally: Tally::new(self.limit), unseen: Unseen::default() };
        for case in cases {
            // A device that was retired meanwhile is judged no more.
            let Ok(effect) = effect(case, &context) else { continue };
            let reported = case.device.report.is_some();
            part.tally.count(effect, reported);
            let apps = self.newly_asked(case.device.facts.platform, &case.device.placement);
            if !apps.is_empty() {
                part.unseen.devices += 1;
                if !apps.is_subset(&part.unseen.apps) {
                    part.unseen.apps.extend(apps.iter().cloned());
                }
            }
        }
        part
    }

    /// The apps that such devices do not report now, and would have to.
    fn newly_asked(&self, platform: Platform, placement: &Placement) -> Arc<BTreeSet<AppId>> {
        let Some(before) = &self.before else { return Arc::default() };
        // A placement is always written.
        let key = (platform, serde_json::to_string(placement).unwrap_or_default());
        let known = || self.asked.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(apps) = known().get(&key) {
            return Arc::clone(apps);
        }
        let of = |policy: &InForce| {
            let everything = &self.asked.everything;
            let asked =
                minimise(everything, &policy.policy, &policy.catalogue, platform, placement, self.now);
            asked.sightings.into_iter().map(|sighting| sighting.app).collect::<BTreeSet<AppId>>()
        };
        let apps: BTreeSet<AppId> = of(&self.after).difference(&of(before)).cloned().collect();
        let apps = Arc::new(apps);
        known().insert(key, Arc::clone(&apps));
        apps
    }
}

impl Asked {
    fn new(before: Option<&Catalogue>, after: &Catalogue) -> Self {
        let ids = |catalogue: &Catalogue| {
            catalogue
                .apps()
                .into_iter()
                .filter_map(|app| AppId::new(app.id).ok())
                .collect::<BTreeSet<AppId>>()
        };
        let all: BTreeSet<AppId> =
            ids(after).into_iter().chain(before.map(ids).unwrap_or_default()).collect();
        let sighting = |app: &AppId| Sighting {
            app: app.clone(),
            source: "what-if".to_owned(),
            namespace: Namespace::Executable,
            identifier: String::new(),
            scope: Scope::System,
            grade: Grade::Installed,
            version: None,
        };
        let mut everything = Inventory {
            sightings: all
                .iter()
                .flat_map(|app| Grade::ALL.map(|grade| Sighting { grade, ..sighting(app) }))
                .collect(),
            ..Inventory::default()
        };
        everything.normalise();
        Self { known: Mutex::default(), everything }
    }
}

impl Part {
    fn add(&mut self, other: Self) {
        self.tally.add(other.tally);
        self.unseen.devices += other.unseen.devices;
        self.unseen.apps.extend(other.unseen.apps);
    }

    fn told(self, question: &Question, in_force: u64, warnings: Vec<Problem>) -> WhatIf {
        let Self { tally, mut unseen } = self;
        let mut units: Vec<_> =
            tally.units.into_iter().filter(|(_, totals)| totals.unchanged < totals.devices).collect();
        units.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.newly_in_breach));
        let mut rules: Vec<_> =
            tally.rules.into_iter().map(|((rule, app), totals)| (rule, app, totals)).collect();
        rules.sort_by_key(|(_, _, totals)| std::cmp::Reverse(totals.newly_a_breach));
        let reports = |policy: &InForce| policy.policy.unreviewed == Unreviewed::Report;
        unseen.unlisted =
            reports(&question.after) && question.before.as_deref().is_some_and(|before| !reports(before));
        WhatIf {
            in_force,
            as_of: question.now,
            totals: tally.totals,
            not_reported: tally.not_reported,
            units,
            rules,
            effects: tally.effects.into_values().collect(),
            unseen,
            warnings,
        }
    }
}
