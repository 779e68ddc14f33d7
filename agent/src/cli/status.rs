//! `status`: whom this device reports to, and what of it is not in order.

use std::io;

use clap::Args;
use jiff::Timestamp;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::Platform;
use offchannel_shared::ids::AppId;
use offchannel_shared::inventory::{Health, Sighting, SourceHealth};
use offchannel_shared::policy::{Breach, Judged, Rule, Subject, evaluate};
use serde::Serialize;

use super::options::{ConfigArgs, Format, host, json};
use super::view::View;
use super::{CliError, EXIT_CODES};
use crate::clock::Clock;
use crate::run::InForce;
use crate::state::{Record, Trouble};

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct StatusArgs {
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Serialize)]
struct Status {
    schema: u32,
    enrolled: bool,
    device_id: Option<String>,
    server: Option<String>,
    policy: Option<PolicyRow>,
    /// As of the last change that was saved: a running agent keeps the newest in memory.
    last_contact: Option<Timestamp>,
    revision: u64,
    acknowledged: bool,
    trouble: Option<Trouble>,
    findings: Vec<Finding>,
    sources: Vec<SourceHealth>,
}

#[derive(Debug, Serialize)]
struct PolicyRow {
    version: u64,
    name: String,
    expires_at: Timestamp,
    expired: bool,
    refused: Option<String>,
}

#[derive(Debug, Serialize)]
struct Finding {
    app: String,
    name: String,
    rule: String,
    breach: &'static str,
    severity: &'static str,
    grace: String,
    reason: String,
    /// Names, for people.
    alternatives: Vec<String>,
    since: Option<Timestamp>,
    sightings: Vec<Sighting>,
    what_to_do: String,
}

/// Shows the status.
pub fn run(args: &StatusArgs, out: &mut dyn io::Write, clock: &Clock) -> Result<u8, CliError> {
    let (config, _) = args.config.load()?;
    let view = View::of(&config)?;
    let status = status(&view, host(&config).platform(), clock.now());
    match args.format {
        Format::Json => json(out, &status)?,
        Format::Table => table(out, &status).map_err(CliError::Output)?,
    }
    Ok(0)
}

fn status(view: &View, platform: Platform, now: Timestamp) -> Status {
    let record = view.record.as_ref();
    let enrolment = record.and_then(|record| record.enrolment.as_ref());
    let findings = match (record, &view.policy) {
        (Some(record), Some(policy)) => findings(record, policy, platform, now),
        _ => Vec::new(),
    };
    Status {
        schema: 1,
        enrolled: enrolment.is_some(),
        device_id: enrolment.map(|enrolment| enrolment.device_id.to_string()),
        server: enrolment.map(|enrolment| enrolment.server.clone()),
        policy: view.policy.as_ref().map(|policy| PolicyRow {
            version: policy.bundle.version,
            name: policy.bundle.policy.name.clone(),
            expires_at: policy.bundle.expires_at,
            expired: policy.bundle.expires_at <= now,
            refused: record.and_then(|record| record.policy_refused.clone()),
        }),
        last_contact: record.and_then(|record| record.last_contact),
        revision: record.map_or(0, |record| record.revision),
        acknowledged: record.is_some_and(|record| record.revision > 0 && record.is_acknowledged()),
        trouble: record.and_then(|record| record.trouble.clone()),
        findings,
        sources: record.map(|record| record.inventory.sources.clone()).unwrap_or_default(),
    }
}

/// Judges what was found last by the policy in force. Exceptions are granted at the collector and not
/// known here.
fn findings(record: &Record, policy: &InForce, platform: Platform, now: Timestamp) -> Vec<Finding> {
    let bundle = &policy.bundle;
    let subject =
        Subject { platform, placement: &bundle.placement, inventory: &record.inventory, exceptions: &[] };
    let judged = evaluate(&bundle.policy, &policy.catalogue, &subject, now).judged;
    judged.into_iter().map(|judged| finding(record, policy, judged)).collect()
}

fn finding(record: &Record, policy: &InForce, judged: Judged) -> Finding {
    let catalogue: &Catalogue = &policy.catalogue;
    let rule = policy.bundle.policy.rule(&judged.rule);
    let named = |app: &AppId| catalogue.app(app.as_str()).map(|app| app.name.to_string());
    let own_name = |app: &AppId| {
        record.inventory.unlisted.iter().find(|unlisted| unlisted.app == *app).and_then(|u| u.name.clone())
    };
    let name = named(&judged.app).or_else(|| own_name(&judged.app)).unwrap_or_else(|| judged.app.to_string());
    let alternatives: Vec<String> = rule
        .map(|rule| {
            rule.alternatives.iter().map(|app| named(app).unwrap_or_else(|| app.to_string())).collect()
        })
        .unwrap_or_default();
    let what_to_do = what_to_do(judged.breach, &name, rule, &alternatives);
    Finding {
        app: judged.app.to_string(),
        name,
        rule: judged.rule.to_string(),
        breach: match judged.breach {
            Breach::Prohibited => "prohibited",
            Breach::Unreviewed => "unreviewed",
            Breach::RequiredMissing => "required-missing",
        },
        severity: judged.severity.as_str(),
        grace: judged.grace.to_string(),
        reason: rule.map(|rule| rule.reason.clone()).unwrap_or_default(),
        alternatives,
        since: record.first_seen.get(&judged.app).copied(),
        sightings: record.inventory.sightings.iter().filter(|s| s.app == judged.app).cloned().collect(),
        what_to_do,
    }
}

fn what_to_do(breach: Breach, name: &str, rule: Option<&Rule>, alternatives: &[String]) -> String {
    match breach {
        Breach::RequiredMissing => format!("Install {name}."),
        Breach::Unreviewed => {
            format!(
                "Nobody has decided about {name} yet. Ask those who look after this device whether you may use it."
            )
        }
        Breach::Prohibited => {
            let records = if rule.is_some_and(|rule| rule.records_step) {
                "First copy business records out of it into the records system. "
            } else {
                ""
            };
            let instead = if alternatives.is_empty() {
                String::new()
            } else {
                format!(" Use {} instead.", alternatives.join(" or "))
            };
            format!("{records}Remove {name}.{instead}")
        }
    }
}

fn table(out: &mut dyn io::Write, status: &Status) -> io::Result<()> {
    let (Some(device), Some(server)) = (&status.device_id, &status.server) else {
        return writeln!(
            out,
            "This device is not enrolled, and nothing is reported.\nEnrol it with: offchannel-agent enrol --token-file FILE"
        );
    };
    writeln!(out, "Device        {device}")?;
    writeln!(out, "Collector     {server}")?;
    match &status.policy {
        Some(policy) => {
            let expired = if policy.expired { ", expired and still in force" } else { "" };
            writeln!(out, "Policy        {}, version {}{expired}", policy.name, policy.version)?;
            if let Some(refused) = &policy.refused {
                writeln!(out, "              {refused}")?;
            }
        }
        None => writeln!(out, "Policy        none yet; nothing is reported before one comes")?,
    }
    match status.last_contact {
        Some(at) => writeln!(
            out,
            "Last contact  {at} (as of the last change; a running agent keeps the newest in memory)"
        )?,
        None => writeln!(out, "Last contact  none that was saved")?,
    }
    match (status.revision, status.acknowledged) {
        (0, _) => writeln!(out, "Reported      nothing yet")?,
        (_, true) => writeln!(out, "Reported      everything that was found")?,
        (_, false) => {
            writeln!(out, "Reported      not the newest state; it follows as soon as the collector answers")?
        }
    }
    if let Some(trouble) = &status.trouble {
        writeln!(out, "Trouble       since {}: {}", trouble.since, trouble.what)?;
    }
    for source in status.sources.iter().filter(|source| !matches!(source.health, Health::Ok | Health::Absent))
    {
        writeln!(out, "Source        {}: {}", source.source, source.health)?;
    }
    writeln!(out)?;
    if status.revision == 0 || status.policy.is_none() {
        return writeln!(out, "Nothing has been judged yet.");
    }
    if status.findings.is_empty() {
        return writeln!(out, "Nothing on this device is against the policy.");
    }
    writeln!(out, "Not in order: {}", status.findings.len())?;
    for finding in &status.findings {
        writeln!(out)?;
        let what = match finding.breach {
            "required-missing" => "is required and missing",
            "unreviewed" => "has not been reviewed",
            _ => "is prohibited",
        };
        writeln!(out, "{} {what} (rule {}, severity {})", finding.name, finding.rule, finding.severity)?;
        for sighting in &finding.sightings {
            let version = sighting.version.as_deref().unwrap_or("-");
            writeln!(
                out,
                "  found       {} {} {version} {} ({})",
                sighting.source, sighting.identifier, sighting.grade, sighting.scope
            )?;
        }
        if let Some(since) = finding.since {
            writeln!(out, "  since       {since}")?;
        }
        if !finding.reason.is_empty() {
            writeln!(out, "  why         {}", finding.reason)?;
        }
        writeln!(out, "  what to do  {}", finding.what_to_do)?;
    }
    Ok(())
}
