//! Alerts that are about no device: about a unit, or about an exception. There is at most one for each of them.

use jiff::Timestamp;
use offchannel_shared::ids::{AlertId, UnitId};
use offchannel_shared::policy::{Severity, When};

use super::alert::{About, Act, ActError, Alert, AlertEvent, AlertKind, Cause, Terms};
use super::case::NewIds;
use super::delivery::{Delivery, DeliveryState};
use super::digest::InDigest;
use super::ingest::Context;
use super::notify::notification_of_subject;

/// Everything that a decision about one subject reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectCase {
    /// The unit or the exception.
    pub about: About,
    /// Its alert, if there ever was one.
    pub alert: Option<Alert>,
}

/// What a decision about a subject changes.
#[derive(Debug, Clone, PartialEq)]
pub struct SubjectDecision {
    /// The alert as it is now.
    pub alert: Alert,
    /// History entries.
    pub events: Vec<AlertEvent>,
    /// Notifications to be delivered.
    pub deliveries: Vec<Delivery>,
}

/// What is the case with a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What the alert is of.
    pub kind: AlertKind,
    /// How grave it is.
    pub severity: Severity,
    /// What is told with it.
    pub text: String,
}

/// Works on one subject's case.
struct Work<'a, 'i> {
    /// The unit that it belongs to, and those above it.
    units: &'a [UnitId],
    context: &'a Context<'a>,
    ids: &'i mut dyn NewIds,
    events: Vec<AlertEvent>,
    deliveries: Vec<Delivery>,
}

/// Puts a subject's alert right: `condition` is the case now, or nothing is. `units` are the unit that it belongs to and those
/// above it. Nothing if it is right already.
pub fn judge(
    case: SubjectCase,
    condition: Option<&Condition>,
    units: &[UnitId],
    context: &Context<'_>,
    ids: &mut dyn NewIds,
) -> Option<SubjectDecision> {
    let now = context.now;
    let mut work = Work { units, context, ids, events: Vec::new(), deliveries: Vec::new() };
    let before = case.alert.clone();
    let terms = |condition: &Condition| Terms { severity: condition.severity, records_needed: false };
    let alert = match (case.alert, condition) {
        (None, None) => return None,
        (None, Some(condition)) => {
            let key = (condition.kind, None, None);
            let (alert, event) = Alert::open(work.ids.alert(), case.about, key, terms(condition), now);
            work.tell(&alert, Some(event), Some(&condition.text));
            alert
        }
        (Some(mut alert), Some(condition)) => {
            let event = alert.hold(terms(condition), now);
            work.tell(&alert, event, Some(&condition.text));
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

/// Takes in what a person does to the alert of a subject.
///
/// # Errors
/// [`ActError`].
pub fn act(
    case: SubjectCase,
    id: &AlertId,
    act: &Act,
    (by, text): (&str, Option<&str>),
    units: &[UnitId],
    context: &Context<'_>,
    ids: &mut dyn NewIds,
) -> Result<Option<SubjectDecision>, ActError> {
    let mut alert = case.alert.filter(|alert| alert.id == *id).ok_or(ActError::Unknown)?;
    let mut work = Work { units, context, ids, events: Vec::new(), deliveries: Vec::new() };
    for event in alert.act(act, by, text, context.now)? {
        work.tell(&alert, Some(event), None);
    }
    Ok((!work.events.is_empty()).then(|| work.done(alert)))
}

impl Work<'_, '_> {
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
        for way in self.context.routes.of(&event, alert, self.units, false, self.context.now) {
            let notification = notification_of_subject(&event, alert, self.units, self.context);
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

    fn done(self, alert: Alert) -> SubjectDecision {
        SubjectDecision { alert, events: self.events, deliveries: self.deliveries }
    }
}
