//! A notification that tries out a channel: marked as such, and about nothing that is.

use jiff::Timestamp;
use offchannel_shared::ids::{AlertId, ChannelName, DeliveryId};
use offchannel_shared::policy::Severity;

use super::alert::{AlertAction, AlertKind, AlertState, COLLECTOR};
use super::delivery::{
    Delivery, DeliveryState, Evidence, Notification, NotifiedAlert, NotifiedApp, NotifiedDevice, NotifiedRule,
};

/// A delivery to a channel that is stored nowhere. The ids are new.
pub fn delivery(id: DeliveryId, alert: AlertId, channel: ChannelName, now: Timestamp) -> Delivery {
    Delivery {
        id,
        channel,
        alert: alert.clone(),
        notification: notification(alert, now),
        digest: None,
        created_at: now,
        due_at: now,
        attempts: 0,
        state: DeliveryState::Pending,
        last_error: None,
    }
}

fn notification(alert: AlertId, now: Timestamp) -> Notification {
    Notification {
        action: AlertAction::Opened,
        at: now,
        actor: COLLECTOR.to_owned(),
        note: Some("Sent by `offchannel-server channel test`.".to_owned()),
        alert: NotifiedAlert {
            id: alert,
            kind: AlertKind::ProhibitedApp,
            severity: Severity::Info,
            state: AlertState::Open,
            opened_at: now,
            cause: None,
            reopened: 0,
            assignee: None,
            snoozed_until: None,
        },
        device: Some(NotifiedDevice {
            id: "test".to_owned(),
            hostname: "test-device".to_owned(),
            platform: "linux".to_owned(),
            unit: None,
        }),
        unit: None,
        escalation: None,
        app: Some(NotifiedApp { id: "test".to_owned(), name: "Test Messenger".to_owned() }),
        rule: Some(NotifiedRule {
            id: "test".to_owned(),
            reason: "This is a test message: no such app was found.".to_owned(),
            alternatives: Vec::new(),
            policy_version: 0,
        }),
        evidence: vec![Evidence {
            source: "test".to_owned(),
            identifier: "test".to_owned(),
            version: None,
            scope: "system".to_owned(),
            grade: "installed".to_owned(),
        }],
        troubles: Vec::new(),
        test: true,
    }
}
