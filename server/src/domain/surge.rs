//! Surges: many new breaches in one unit are one alert about the unit, to whoever answers for it.
//!
//! A surge belongs to the lowest unit in which there are enough breaches. A unit above it has one of its own only if
//! there are enough without those.

use std::collections::BTreeMap;

use jiff::Timestamp;
use offchannel_shared::ids::{AlertId, UnitId};
use offchannel_shared::policy::{Severity, UnitSurge, When};
use offchannel_shared::span::Span;

use super::alert::{About, Act, ActError, Alert, AlertEvent, AlertKind, Cause, Terms};
use super::case::NewIds;
use super::delivery::{Delivery, DeliveryState};
use super::digest::InDigest;
use super::ingest::Context;
use super::notify::notification_of_unit;

/// New breaches on the devices of one unit, without those of the units below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The unit, and those above it, as they were when the breaches happened.
    pub units: Vec<UnitId>,
    /// How many apps on how many devices: each app counts once on each device.
    pub breaches: u64,
}

/// The units that have a surge, with how many breaches make it.
pub fn surging(groups: &[Group], surge: &UnitSurge) -> BTreeMap<UnitId, u64> {
    let deepest = groups.iter().map(|group| group.units.len()).max().unwrap_or_default();
    let mut left: Vec<(&[UnitId], u64)> =
        groups.iter().map(|group| (group.units.as_slice(), group.breaches)).collect();
    let mut found = BTreeMap::new();
    // From the lowest level to the highest; what makes a surge is taken, and counts no more further up.
    for level in (1..=deepest).rev() {
        let mut counts: BTreeMap<&UnitId, u64> = BTreeMap::new();
        for (units, breaches) in &left {
            if let Some(unit) = at_level(units, level) {
                *counts.entry(unit).or_default() += breaches;
            }
        }
        counts.retain(|_, count| *count >= u64::from(surge.breaches));
        left.retain(|(units, _)| at_level(units, level).is_none_or(|unit| !counts.contains_key(unit)));
        for (unit, count) in counts {
            *found.entry(unit.clone()).or_default() += count;
        }
    }
    found
}

/// The unit at a level of a path, which begins with the lowest; 1 is the top.
fn at_level(units: &[UnitId], level: usize) -> Option<&UnitId> {
    units.len().checked_sub(level).and_then(|place| units.get(place))
}

/// Everything that a decision about one unit reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitCase {
    /// The unit.
    pub unit: UnitId,
    /// Its alert, if there ever was one.
    pub alert: Option<Alert>,
}

/// What a decision about a unit changes.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitDecision {
    /// The alert as it is now.
    pub alert: Alert,
    /// History entries.
    pub events: Vec<AlertEvent>,
    /// Notifications to be delivered.
    pub deliveries: Vec<Delivery>,
}

/// Works on one unit's case.
struct Work<'a, 'i> {
    unit: UnitId,
    context: &'a Context<'a>,
    ids: &'i mut dyn NewIds,
    events: Vec<AlertEvent>,
    deliveries: Vec<Delivery>,
}

/// Puts a unit's alert right: `breaches` make a surge now, or nothing does. Nothing if it is right already.
pub fn judge(
    case: UnitCase,
    breaches: Option<u64>,
    within: Span,
    context: &Context<'_>,
    ids: &mut dyn NewIds,
) -> Option<UnitDecision> {
    let now = context.now;
    let severity = context.in_force.policy.unit_surge.as_ref().map_or(Severity::High, |surge| surge.severity);
    let terms = Terms { severity, records_needed: false };
    let mut work = Work::new(case.unit, context, ids);
    let before = case.alert.clone();
    let alert = match (case.alert, breaches) {
        (None, None) => return None,
        (None, Some(count)) => {
            let key = (AlertKind::UnitSurge, None, None);
            let about = About::Unit(work.unit.clone());
            let (alert, event) = Alert::open(work.ids.alert(), about, key, terms, now);
            work.tell(&alert, Some(event), Some(&said(count, within)));
            alert
        }
        (Some(mut alert), Some(count)) => {
            let event = alert.hold(terms, now);
            work.tell(&alert, event, Some(&said(count, within)));
            alert
        }
        (Some(mut alert), None) => {
            let event = alert.cease(Cause::Removed, now);
            work.tell(&alert, event, None);
            alert
        }
    };
    let alert = work.pass_time(alert);
    (before.as_ref() != Some(&alert) || !work.events.is_empty()).then(|| work.done(alert))
}

/// Takes in what a person does to the alert of a unit.
///
/// # Errors
/// [`ActError`].
pub fn act(
    case: UnitCase,
    id: &AlertId,
    act: &Act,
    (by, text): (&str, Option<&str>),
    context: &Context<'_>,
    ids: &mut dyn NewIds,
) -> Result<Option<UnitDecision>, ActError> {
    let mut alert = case.alert.filter(|alert| alert.id == *id).ok_or(ActError::Unknown)?;
    let mut work = Work::new(case.unit, context, ids);
    for event in alert.act(act, by, text, context.now)? {
        work.tell(&alert, Some(event), None);
    }
    Ok((!work.events.is_empty()).then(|| work.done(alert)))
}

fn said(breaches: u64, within: Span) -> String {
    format!("{breaches} new breaches within {within}")
}

impl<'a, 'i> Work<'a, 'i> {
    fn new(unit: UnitId, context: &'a Context<'a>, ids: &'i mut dyn NewIds) -> Self {
        Self { unit, context, ids, events: Vec::new(), deliveries: Vec::new() }
    }

    fn pass_time(&mut self, mut alert: Alert) -> Alert {
        let (context, now): (_, Timestamp) = (self.context, self.context.now);
        let woken = alert.wake(now);
        self.tell(&alert, woken, None);
        for step in &context.in_force.policy.escalation {
            let When::Age { after, .. } = step.when else { continue };
            if alert.escalates_at(step).is_some_and(|due| due <= now) {
                let event = alert.escalate(step, format!("still there {after} after it opened"), now);
                self.tell(&alert, event, None);
            }
        }
        alert
    }

    fn tell(&mut self, alert: &Alert, event: Option<AlertEvent>, text: Option<&str>) {
        let Some(mut event) = event else { return };
        event.text = event.text.or_else(|| text.map(str::to_owned));
        let units = self.context.units.path(&self.unit);
        for way in self.context.routes.of(&event, alert, &units, false, self.context.now) {
            let notification = notification_of_unit(&event, alert, &self.unit, self.context);
            let group = way.digest.map(|schedule| schedule.group(&notification));
            self.deliveries.push(Delivery {
                id: self.ids.delivery(),
                channel: way.channel.clone(),
                alert: alert.id.clone(),
                notification,
                digest: group.map(|group| InDigest { group, message: None }),
                created_at: self.context.now,
                due_at: way.due,
                attempts: 0,
                state: DeliveryState::Pending,
                last_error: None,
            });
        }
        self.events.push(event);
    }

    fn done(self, alert: Alert) -> UnitDecision {
        UnitDecision { alert, events: self.events, deliveries: self.deliveries }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(name: &str) -> UnitId {
        UnitId::new(name).unwrap()
    }

    fn group(path: &str, breaches: u64) -> Group {
        Group { units: path.split(' ').filter(|name| !name.is_empty()).map(unit).collect(), breaches }
    }

    fn found(groups: &[Group]) -> Vec<(String, u64)> {
        let surge = UnitSurge { breaches: 10, within: Span::minutes(60), severity: Severity::High };
        surging(groups, &surge).into_iter().map(|(unit, count)| (unit.to_string(), count)).collect()
    }

    #[test]
    fn a_surge_belongs_to_the_lowest_unit_that_has_enough() {
        for (groups, expected) in [
            (vec![group("payroll finance company", 10)], vec![("payroll", 10)]),
            (vec![group("payroll finance company", 9)], vec![]),
            (
                vec![group("payroll finance company", 6), group("audit finance company", 4)],
                vec![("finance", 10)],
            ),
            // What is below it is taken care of there.
            (
                vec![group("payroll finance company", 12), group("audit finance company", 9)],
                vec![("payroll", 12)],
            ),
            (
                vec![
                    group("payroll finance company", 12),
                    group("finance company", 5),
                    group("legal company", 5),
                ],
                vec![("company", 10), ("payroll", 12)],
            ),
            // Nobody answers for devices in no unit.
            (vec![group("", 100)], vec![]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(unit, count)| (unit.to_owned(), count)).collect();
            assert_eq!(found(&groups), expected, "{groups:?}");
        }
    }

    proptest! {
        #[test]
        fn no_breach_counts_twice_and_none_is_left_that_would_make_one_more(
            groups in prop::collection::vec((0_usize..3, 0_usize..3, 0_usize..3, 0_u64..12), 0..12)
        ) {
            let name = |level: &str, number: usize| format!("{level}{number}");
            let groups: Vec<Group> = groups
                .into_iter()
                .map(|(top, middle, low, count)| {
                    let (middle, low) = (format!("{}-{middle}", name("t", top)), format!("{}-{middle}-{low}", name("t", top)));
                    group(&format!("{low} {middle} {}", name("t", top)), count)
                })
                .collect();
            let total: u64 = groups.iter().map(|group| group.breaches).sum();
            let found = found(&groups);
            let taken: u64 = found.iter().map(|(_, count)| count).sum();
            prop_assert!(taken <= total && found.iter().all(|(_, count)| *count >= 10));
            // Of what no surge has taken, no unit has enough.
            let surges = |units: &[UnitId]| units.iter().any(|unit| found.iter().any(|(name, _)| *name == unit.as_str()));
            for level in 0..3 {
                let mut left = BTreeMap::new();
                for group in groups.iter().filter(|group| !surges(&group.units)) {
                    *left.entry(&group.units[level]).or_insert(0) += group.breaches;
                }
                prop_assert!(left.values().all(|count| *count < 10), "{left:?}");
            }
        }
    }
}
