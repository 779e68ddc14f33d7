//! What is told of a change of an alert, whatever the channel.

use offchannel_shared::inventory::Sighting;

use super::alert::{Alert, AlertEvent};
use super::delivery::{
    EVIDENCE_MAX, Evidence, Notification, NotifiedAlert, NotifiedApp, NotifiedDevice, NotifiedRule,
};
use super::device::Device;
use super::published::InForce;

/// The notification of what just happened to an alert.
pub(super) fn notification(
    event: &AlertEvent,
    alert: &Alert,
    device: &Device,
    sightings: &[Sighting],
    in_force: &InForce,
) -> Notification {
    let name = |id: &str| in_force.catalogue.app(id).map_or(id.to_owned(), |app| app.name.to_string());
    let of_app = |sighting: &&Sighting| alert.app.as_ref() == Some(&sighting.app);
    Notification {
        action: event.action,
        at: event.at,
        alert: NotifiedAlert {
            id: alert.id.clone(),
            kind: alert.kind,
            severity: alert.severity,
            state: alert.state,
            opened_at: alert.opened_at,
            cause: alert.cause,
            reopened: alert.reopened,
        },
        device: NotifiedDevice {
            id: device.id.to_string(),
            hostname: device.facts.hostname.clone(),
            platform: device.facts.platform.to_string(),
            unit: device.placement.units.first().map(ToString::to_string),
        },
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
        evidence: sightings
            .iter()
            .filter(of_app)
            .take(EVIDENCE_MAX)
            .map(|sighting| Evidence {
                source: sighting.source.clone(),
                identifier: sighting.identifier.clone(),
                version: sighting.version.clone(),
                scope: sighting.scope.to_string(),
                grade: sighting.grade.as_str().to_owned(),
            })
            .collect(),
    }
}
