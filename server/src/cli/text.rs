//! What people read about a device: found where, which rule it breaks and why, the open alerts.

use std::collections::BTreeMap;
use std::io::{self, Write};

use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::Ownership;
use offchannel_shared::inventory::{Grade, Health, Inventory};
use offchannel_shared::label::Label;

use super::output::{Table, counted, in_brackets, instant, printable};
use super::unit::owner_of;
use super::view::status_word;
use crate::domain::device::Status;
use crate::domain::finding::{Finding, FindingKind};
use crate::domain::placement::PlacedBy;
use crate::domain::published::InForce;
use crate::domain::trouble;
use crate::service::DeviceView;

/// Prints everything about one device.
///
/// # Errors
/// Those of the output.
pub fn device(out: &mut dyn Write, view: &DeviceView, in_force: &InForce) -> io::Result<()> {
    let device = &view.device;
    // An image may have none of them.
    let name = match printable(&device.facts.hostname) {
        name if name.is_empty() => "-".to_owned(),
        name => name,
    };
    let facts = [printable(&device.facts.os), printable(&device.facts.arch)];
    let known: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
    writeln!(out, "Device   {name}{}", in_brackets(&known.join(", ")))?;
    writeln!(out, "Id       {}", device.id)?;
    writeln!(out, "Key      {}, since {}", device.public_key.id(), instant(device.key_since()))?;
    writeln!(out, "Status   {} as of {}", status_word(view), instant(view.as_of))?;
    placement(out, view)?;
    writeln!(out, "Policy   {:?}, version {}", printable(&in_force.policy.name), in_force.version)?;
    if let Some(at) = device.retired_at {
        writeln!(out, "Retired  {}", instant(at))?;
    }
    writeln!(out)?;
    match &device.report {
        None => writeln!(out, "Nothing reported yet.")?,
        Some(report) => found(out, &report.inventory, &in_force.catalogue)?,
    }
    findings(out, view, in_force)?;
    alerts(out, view, &in_force.catalogue)
}

/// Where the device belongs, as far as that is known.
fn placement(out: &mut dyn Write, view: &DeviceView) -> io::Result<()> {
    let (device, units) = (&view.device, &view.units);
    if let Some(unit) = units.first() {
        let above: Vec<&str> = units.iter().skip(1).map(|unit| unit.id.as_str()).collect();
        let above = if above.is_empty() { String::new() } else { format!(", part of {}", above.join(", ")) };
        let by = match device.placed_by {
            None | Some(PlacedBy::Assigned) => "",
            Some(PlacedBy::Token) => ", by its token",
            Some(PlacedBy::Label) => ", by its labels",
        };
        let name = printable(&unit.name);
        writeln!(out, "Unit     {} ({name}){above}{by}", unit.id)?;
        let answering = units.iter().find(|unit| unit.owner.is_some());
        writeln!(out, "Owner    {}", owner_of(answering, &unit.id))?;
    }
    let labels: Vec<&str> = device.placement.labels.iter().map(Label::as_str).collect();
    if !labels.is_empty() {
        writeln!(out, "Labels   {}", labels.join(" "))?;
    }
    if let Some(person) = &device.person {
        writeln!(out, "Person   {}", printable(person.as_str()))?;
    }
    if device.placement.ownership == Ownership::Personal {
        writeln!(out, "Owned    by the person who uses it")?;
    }
    Ok(())
}

/// The name of an app for people.
pub fn app_name(catalogue: &Catalogue, id: &str) -> String {
    catalogue.app(id).map_or_else(|| id.to_owned(), |app| app.name.to_string())
}

fn found(out: &mut dyn Write, inventory: &Inventory, catalogue: &Catalogue) -> io::Result<()> {
    if inventory.sightings.is_empty() && inventory.unlisted.is_empty() {
        writeln!(out, "Found: no messaging app that the policy asks about.")?;
    } else {
        writeln!(out, "Found")?;
        let mut table = Table::new(&["app", "grade", "where", "identifier", "version", "scope"]);
        for s in &inventory.sightings {
            let grade = if s.grade == Grade::Residual { "leftovers" } else { s.grade.as_str() };
            let version = s.version.clone().unwrap_or_else(|| "-".to_owned());
            let name = app_name(catalogue, s.app.as_str());
            table.row([
                name,
                grade.to_owned(),
                s.source.clone(),
                s.identifier.clone(),
                version,
                s.scope.to_string(),
            ]);
        }
        for u in &inventory.unlisted {
            let name = u.name.clone().unwrap_or_else(|| u.identifier.clone());
            let version = u.version.clone().unwrap_or_else(|| "-".to_owned());
            let grade = format!("{}, not in the catalogue", u.grade);
            table.row([name, grade, u.source.clone(), u.identifier.clone(), version, u.scope.to_string()]);
        }
        table.print(out, 2)?;
    }
    for source in &inventory.sources {
        match &source.health {
            Health::Ok | Health::Absent => {}
            health @ (Health::Partial(_) | Health::Failed(_)) => {
                let what = if trouble::is_own(&source.source) {
                    "Not in order"
                } else {
                    "Not everything could be read"
                };
                let (source, health) = (printable(&source.source), printable(&health.to_string()));
                writeln!(out, "  {what}: {source} {health}")?;
            }
        }
    }
    writeln!(out)
}

/// The findings, those of one rule and kind together: the reason is read once.
fn findings(out: &mut dyn Write, view: &DeviceView, in_force: &InForce) -> io::Result<()> {
    if view.findings.is_empty() {
        return writeln!(out, "Findings: {}\n", without_findings(view));
    }
    let mut groups: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    for finding in &view.findings {
        let gravest_first = std::cmp::Reverse(finding.severity);
        groups.entry((gravest_first, finding.kind, &finding.rule)).or_default().push(finding);
    }
    writeln!(out, "Findings")?;
    for ((severity, kind, rule_id), group) in groups {
        let rule = in_force.policy.rule(rule_id);
        match kind {
            FindingKind::ProhibitedApp => writeln!(out, "  Prohibited by rule {rule_id} ({})", severity.0)?,
            FindingKind::UnreviewedApp => {
                writeln!(out, "  Messaging apps that no rule names ({})", severity.0)?;
            }
            FindingKind::RequiredAppMissing => {
                writeln!(out, "  Missing, required by rule {rule_id} ({})", severity.0)?;
            }
        }
        let named = |finding: &&Finding| {
            let app = std::slice::from_ref(&finding.app);
            // A required rule is met by any one of its apps.
            let missing = kind == FindingKind::RequiredAppMissing;
            let apps = rule.filter(|_| missing).map_or(app, |rule| &rule.apps);
            let names: Vec<String> =
                apps.iter().map(|app| app_name(&in_force.catalogue, app.as_str())).collect();
            let when = if let Some(exception) = &finding.exception {
                format!(" (accepted by exception {exception})")
            } else if finding.breach_at > view.as_of {
                format!(" (counts from {})", instant(finding.breach_at))
            } else {
                String::new()
            };
            printable(&format!("{}{when}", names.join(" or ")))
        };
        writeln!(out, "    {}", group.iter().map(named).collect::<Vec<_>>().join(", "))?;
        let Some(rule) = rule else { continue };
        if !rule.reason.is_empty() {
            writeln!(out, "    Why: {}", printable(&rule.reason))?;
        }
        let alternatives: Vec<String> =
            rule.alternatives.iter().map(|app| app_name(&in_force.catalogue, app.as_str())).collect();
        if !alternatives.is_empty() {
            writeln!(out, "    Use instead: {}", printable(&alternatives.join(", ")))?;
        }
    }
    writeln!(out)
}

/// What may be said of a device without findings: only a report that is recent says that the policy is met.
fn without_findings(view: &DeviceView) -> String {
    let device = &view.device;
    let Some(report) = &device.report else { return "not known, nothing was reported.".to_owned() };
    let reported = instant(report.received_at);
    if let Some(at) = device.retired_at {
        format!("none as of the last report ({reported}); the device was retired {}.", instant(at))
    } else if view.status == Status::Stale {
        let seen = instant(device.last_seen);
        format!("none as of the last report ({reported}); not heard of since {seen}, so it is not known now.")
    } else {
        "none. The policy is met.".to_owned()
    }
}

fn alerts(out: &mut dyn Write, view: &DeviceView, catalogue: &Catalogue) -> io::Result<()> {
    let active: Vec<_> = view.alerts.iter().filter(|alert| alert.is_active()).collect();
    let over = view.alerts.len() - active.len();
    if active.is_empty() {
        write!(out, "Alerts: none open")?;
        if over > 0 {
            write!(out, ", {over} resolved")?;
        }
        return writeln!(out, ".");
    }
    writeln!(out, "Alerts ({} open, {over} resolved)", active.len())?;
    let mut table = Table::new(&["severity", "kind", "app", "rule", "state", "since", "id"]);
    for alert in active {
        let app = alert.app.as_ref().map_or_else(|| "-".to_owned(), |app| app_name(catalogue, app.as_str()));
        let rule = alert.rule.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let mut state = alert.state.to_string();
        if alert.reopened > 0 {
            state = format!("{state}, back {}", counted(alert.reopened as usize, "time"));
        }
        let since = instant(alert.changed_at);
        table.row([
            alert.severity.to_string(),
            alert.kind.to_string(),
            app,
            rule,
            state,
            since,
            alert.id.to_string(),
        ]);
    }
    table.print(out, 2)
}
