//! Showing alerts as they open and resolve.

use std::io::Write;
use std::time::Duration;

use serde::Serialize;

use super::QuickstartError;
use crate::cli::output::{self, Format, counted, instant, printable};
use crate::cli::text::app_name;
use crate::cli::view::{EventJson, ListedAlertJson, SCHEMA};
use crate::domain::alert::{About, AlertAction};
use crate::service::{AlertView, Service, ServiceError};
use crate::store::RecordedEvent;

/// History entries read at a time.
const PAGE: u32 = 200;
/// A change that another process made is seen at the latest after this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The place of the last entry of the history.
pub(super) async fn last_sequence(service: &Service) -> Result<u64, ServiceError> {
    let mut last = 0;
    loop {
        let page = service.events(last, PAGE).await?;
        match page.last() {
            Some(event) => last = event.sequence,
            None => return Ok(last),
        }
    }
}

/// Prints every entry of the history after `sequence` as it comes, for ever.
pub(super) async fn show(
    service: &Service,
    mut sequence: u64,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<(), QuickstartError> {
    let mut changed = service.changed();
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        for recorded in service.events(sequence, PAGE).await? {
            sequence = recorded.sequence;
            let (alert, _) = service.alert(&recorded.event.alert).await?;
            print(service, &recorded, &alert, format, out).await?;
        }
        out.flush()?;
        tokio::select! {
            // The service lives as long as this loop; a closed channel would only mean polling.
            _ = changed.changed() => {}
            _ = every.tick() => {}
        }
    }
}

async fn print(
    service: &Service,
    recorded: &RecordedEvent,
    view: &AlertView,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<(), QuickstartError> {
    let (event, alert) = (&recorded.event, &view.alert);
    if format == Format::Json {
        #[derive(Serialize)]
        struct Change<'a> {
            schema: u32,
            event: EventJson<'a>,
            alert: ListedAlertJson<'a>,
        }
        output::json(out, &Change { schema: SCHEMA, event: event.into(), alert: view.into() })?;
        return Ok(());
    }
    let what = match event.action {
        AlertAction::Opened => "ALERT   ",
        AlertAction::Reopened => "REOPENED",
        AlertAction::Ceased => "CEASED  ",
        AlertAction::Resolved => "RESOLVED",
        AlertAction::Acknowledged => "TAKEN UP",
        AlertAction::Snoozed => "SNOOZED ",
        AlertAction::Woke => "WOKE    ",
        AlertAction::Assigned => "ASSIGNED",
        AlertAction::Noted => "NOTED   ",
        AlertAction::Recorded => "RECORDED",
        AlertAction::Escalated => "CARRIED ",
    };
    let in_force = service.in_force()?;
    let app = alert.app.as_ref().map(|app| app_name(&in_force.catalogue, app.as_str()));
    let mut line = format!("{}  {what}  {}  {}", instant(event.at), alert.severity, alert.kind);
    if let Some(app) = app {
        line += &format!("  {}", printable(&app));
    }
    if let Some(rule) = &alert.rule {
        line += &format!("  (rule {rule})");
    }
    let device = match &alert.about {
        About::Device(id) => Some(service.device(id).await?.device),
        About::Unit(_) | About::Exception(_) => None,
    };
    let report = device.as_ref().and_then(|device| device.report.as_ref());
    let sightings = report.map(|report| report.inventory.sightings.as_slice()).unwrap_or_default();
    let places: Vec<String> = sightings
        .iter()
        .filter(|sighting| Some(&sighting.app) == alert.app.as_ref())
        .map(|s| format!("{} {} {}", s.source, s.identifier, s.version.as_deref().unwrap_or("")))
        .map(|place| printable(place.trim_end()))
        .collect();
    if matches!(event.action, AlertAction::Opened | AlertAction::Reopened) && !places.is_empty() {
        line += &format!(": {}", places.join(", "));
    }
    if alert.reopened > 0 && event.action == AlertAction::Reopened {
        line += &format!(", back {}", counted(alert.reopened as usize, "time"));
    }
    writeln!(out, "{line}")?;
    Ok(())
}
