//! What is told of a change of an alert, whatever the channel.

use offchannel_shared::ids::{AppId, UnitId};
use offchannel_shared::inventory::Inventory;

use super::alert::{Alert, AlertEvent};
use super::delivery::{
    EVIDENCE_MAX, Evidence, Notification, NotifiedAlert, NotifiedApp, NotifiedDevice, NotifiedEscalation,
    NotifiedRule, NotifiedUnit,
};
use super::device::Device;
use super::ingest::Context;
use super::name::hidden;
use super::trouble::troubles;

/// The notification of what just happened to an alert.
pub(super) fn notification(
    event: &AlertEvent,
    alert: &Alert,
    device: &Device,
    present: &Inventory,
    context: &Context<'_>,
) -> Notification {
    let in_force = context.in_force;
    let concerns = |app: &AppId| alert.app.as_ref() == Some(app);
    // What no entry lists is called what it calls itself.
    let own_name = |id: &str| present.unlisted.iter().find(|u| u.app.as_str() == id)?.name.clone();
    let name = |id: &str| match in_force.catalogue.app(id) {
        Some(app) => app.name.to_string(),
        None => own_name(id).unwrap_or_else(|| id.to_owned()),
    };
    let listed = present.sightings.iter().filter(|s| concerns(&s.app)).map(|s| Evidence {
        source: s.source.clone(),
        identifier: s.identifier.clone(),
        version: s.version.clone(),
        scope: s.scope.to_string(),
        grade: s.grade.as_str().to_owned(),
    });
    let unlisted = present.unlisted.iter().filter(|u| concerns(&u.app)).map(|u| Evidence {
        source: u.source.clone(),
        identifier: u.identifier.clone(),
        version: u.version.clone(),
        scope: u.scope.to_string(),
        grade: u.grade.as_str().to_owned(),
    });
    let evidence = listed.chain(unlisted).take(EVIDENCE_MAX).collect();
    Notification {
        action: event.action,
        at: event.at,
        actor: event.actor.clone(),
        note: note(event),
        alert: notified(alert),
        device: Some(NotifiedDevice {
            id: device.id.to_string(),
            hostname: hostname(device),
            platform: device.facts.platform.to_string(),
            unit: device.placement.units.first().map(ToString::to_string),
        }),
        unit: device.placement.units.first().map(|id| unit(id, &device.placement.units, context)),
        escalation: escalation(event),
        app: alert.app.as_ref().map(|id| NotifiedApp { id: id.to_string(), name: name(id.as_str()) }),
        rule: alert.rule.as_ref().map(|id| {
            let rule = in_force.policy.rule(id);
            NotifiedRule {
                id: id.to_string(),
                reason: rule.map_or_else(String::new, |rule| rule.reason.clone()),
                alternatives: rule
                    .map(|rule| rule.alternatives.iter().map(|app| name(app.as_str())).collect())
                    .unwrap_or_default(),
                policy_version: in_force.version,
            }
        }),
        evidence,
        troubles: troubles(present, alert.kind, EVIDENCE_MAX),
        test: false,
    }
}

/// The notification of what just happened to an alert about no device. `units` are the unit that its subject belongs to, if
/// to any, and those above it.
pub(super) fn notification_of_subject(
    event: &AlertEvent,
    alert: &Alert,
    units: &[UnitId],
    context: &Context<'_>,
) -> Notification {
    Notification {
        action: event.action,
        at: event.at,
        actor: event.actor.clone(),
        note: note(event),
        alert: notified(alert),
        device: None,
        unit: units.first().map(|id| unit(id, units, context)),
        escalation: escalation(event),
        app: None,
        rule: None,
        evidence: Vec::new(),
        troubles: Vec::new(),
        test: false,
    }
}

fn note(event: &AlertEvent) -> Option<String> {
    // To whom it was carried stands elsewhere.
    if event.step.is_some() { event.why.clone() } else { event.text.clone() }
}

fn notified(alert: &Alert) -> NotifiedAlert {
    NotifiedAlert {
        id: alert.id.clone(),
        kind: alert.kind,
        severity: alert.severity,
        state: alert.state,
        opened_at: alert.opened_at,
        cause: alert.cause,
        reopened: alert.reopened,
        assignee: alert.assignee.clone(),
        snoozed_until: alert.snoozed_until,
    }
}

fn escalation(event: &AlertEvent) -> Option<NotifiedEscalation> {
    event
        .step
        .as_ref()
        .map(|step| NotifiedEscalation { step: step.to_string(), to: event.text.clone().unwrap_or_default() })
}

/// What a device is called: some have no name, or none that is seen, and receivers want one.
fn hostname(device: &Device) -> String {
    let name = &device.facts.hostname;
    let seen = name.chars().any(|c| !c.is_whitespace() && !hidden(c));
    if seen { name.clone() } else { device.id.to_string() }
}

/// The unit that a device is in, with whoever answers for it, as things are now.
fn unit(id: &UnitId, path: &[UnitId], context: &Context<'_>) -> NotifiedUnit {
    let name = context.units.get(id).map_or_else(|| id.to_string(), |unit| unit.name.clone());
    let owner = context.units.owner(path).and_then(|unit| unit.owner.as_ref());
    NotifiedUnit {
        id: id.to_string(),
        name,
        owner: owner.map(|owner| owner.name.clone()),
        owner_email: owner.and_then(|owner| owner.email.clone()),
    }
}
