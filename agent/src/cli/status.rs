//! `status`: whom this device reports to, what of it is not in order, and what its user can do.

use std::io;

use clap::Args;
use jiff::Timestamp;
use offchannel_shared::inventory::{Health, Scope, SourceHealth};
use offchannel_shared::policy::{Breach, Texts};
use serde::Serialize;

use super::columns::labelled;
use super::findings::{Asked, Finding, Told, findings, told};
use super::options::{ConfigArgs, Format, LangArgs, host, json};
use super::view::View;
use super::viewer::Viewer;
use super::words::{Words, fill, one_line};
use super::{CliError, EXIT_CODES};
use crate::clock::Clock;
use crate::config::Session;
use crate::state::Trouble;

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct StatusArgs {
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    lang: LangArgs,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Serialize)]
struct Status {
    schema: u32,
    /// Of what is not the policy's own words.
    language: &'static str,
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
    /// How many findings are in the accounts of others, who are not the business of whoever asks.
    findings_elsewhere: usize,
    sources: Vec<SourceHealth>,
}

#[derive(Debug, Serialize)]
struct PolicyRow {
    version: u64,
    name: String,
    /// When the collector signed it, in this form.
    issued_at: Timestamp,
    expires_at: Timestamp,
    expired: bool,
    refused: Option<String>,
    /// What the policy tells users: heading, what goes for every finding, how to ask for an exception.
    title: Vec<Told>,
    text: Vec<Told>,
    exceptions: Vec<Told>,
}

/// Shows the status.
pub fn run(args: &StatusArgs, out: &mut dyn io::Write, clock: &Clock) -> Result<u8, CliError> {
    let (config, _) = args.config.load()?;
    let view = View::of(&config)?;
    let (session, host) = (Session::read(), host(&config));
    let languages = args.lang.or_of(&session);
    let viewer = Viewer::of(&host, &config.state_dir, &session);
    let asked = Asked {
        viewer: &viewer,
        languages: &languages,
        words: Words::for_languages(&languages),
        platform: host.platform(),
        now: clock.now(),
    };
    let status = status(&view, &asked);
    match args.format {
        Format::Json => json(out, &status)?,
        Format::Table => table(out, &status, &asked).map_err(CliError::Output)?,
    }
    Ok(0)
}

fn status(view: &View, asked: &Asked<'_>) -> Status {
    let record = view.record.as_ref();
    let enrolment = record.and_then(|record| record.enrolment.as_ref());
    let (findings, findings_elsewhere) = match (record, &view.policy) {
        (Some(record), Some(policy)) => findings(record, policy, asked),
        _ => (Vec::new(), 0),
    };
    let policy = view.policy.as_ref().map(|policy| {
        let (bundle, notice) = (&policy.bundle, &policy.bundle.policy.notice);
        let told = |texts: &Texts| told(policy, texts, asked.languages);
        PolicyRow {
            version: bundle.version,
            name: bundle.policy.name.clone(),
            issued_at: bundle.issued_at,
            expires_at: bundle.expires_at,
            expired: bundle.expires_at <= asked.now,
            refused: record.and_then(|record| record.policy_refused.clone()),
            title: told(&notice.title),
            text: told(&notice.text),
            exceptions: told(&notice.exceptions),
        }
    });
    let mut sources = record.map(|record| record.inventory.sources.clone()).unwrap_or_default();
    asked.viewer.narrow_health(&mut sources);
    Status {
        schema: 1,
        language: asked.words.tag,
        enrolled: enrolment.is_some(),
        device_id: enrolment.map(|enrolment| enrolment.device_id.to_string()),
        server: view.collector().map(str::to_owned),
        policy,
        last_contact: record.and_then(|record| record.last_contact),
        revision: record.map_or(0, |record| record.revision),
        acknowledged: record.is_some_and(|record| record.revision > 0 && record.is_acknowledged()),
        trouble: record.and_then(|record| record.trouble.clone()),
        findings,
        findings_elsewhere,
        sources,
    }
}

fn table(out: &mut dyn io::Write, status: &Status, asked: &Asked<'_>) -> io::Result<()> {
    let words = asked.words;
    let (Some(device), Some(server)) = (&status.device_id, &status.server) else {
        let enrol = fill(words.enrol_with, &["offchannel-agent enrol --token-file FILE"]);
        return writeln!(out, "{}\n{enrol}", words.not_enrolled);
    };
    let mut rows = vec![(words.device, device.clone()), (words.collector, server.clone())];
    rows.push((words.policy, policy(words, status.policy.as_ref())));
    let contact = status.last_contact.map(|at| fill(words.contact_saved, &[&at.to_string()]));
    rows.push((words.last_contact, contact.unwrap_or_else(|| words.contact_none.to_owned())));
    let reported = match (status.revision, status.acknowledged) {
        (0, _) => words.reported_nothing,
        (_, true) => words.reported_all,
        (_, false) => words.reported_part,
    };
    rows.push((words.reported, reported.to_owned()));
    if let Some(trouble) = &status.trouble {
        rows.push((
            words.trouble,
            fill(words.trouble_since, &[&trouble.since.to_string(), &one_line(&trouble.what)]),
        ));
    }
    for source in status.sources.iter().filter(|source| !matches!(source.health, Health::Ok | Health::Absent))
    {
        rows.push((words.source, one_line(&format!("{}: {}", source.source, source.health))));
    }
    labelled(out, "", &rows)?;
    writeln!(out)?;
    let Some(policy) = status.policy.as_ref().filter(|_| status.revision > 0) else {
        return writeln!(out, "{}", words.nothing_judged);
    };
    let (accepted, wrong): (Vec<_>, Vec<_>) = status.findings.iter().partition(|one| one.accepted.is_some());
    match (wrong.len(), status.findings_elsewhere, accepted.len()) {
        (0, 0, 0) => writeln!(out, "{}", words.all_in_order)?,
        (0, _, 0) => writeln!(out, "{}", words.own_in_order)?,
        (0, ..) => writeln!(out, "{}", words.rest_in_order)?,
        (count, ..) => {
            writeln!(out, "{}", fill(words.not_in_order, &[&count.to_string()]))?;
            texts(out, "", &policy.text)?;
        }
    }
    for found in wrong.iter().chain(&accepted) {
        finding(out, found, asked)?;
    }
    if status.findings_elsewhere > 0 {
        writeln!(out, "\n{}", fill(words.elsewhere, &[&status.findings_elsewhere.to_string()]))?;
    }
    if !wrong.is_empty() {
        writeln!(out, "\n{}", words.ask)?;
        match policy.exceptions.is_empty() {
            true => writeln!(out, "  {}", words.ask_keepers)?,
            false => texts(out, "  ", &policy.exceptions)?,
        }
        writeln!(out, "  {}", words.exceptions_follow)?;
    }
    writeln!(out, "\n{}", fill(words.explain, &["offchannel-agent explain"]))
}

fn policy(words: &Words, policy: Option<&PolicyRow>) -> String {
    let Some(policy) = policy else { return words.policy_none.to_owned() };
    let template = if policy.expired { words.policy_expired } else { words.policy_is };
    let (version, expires) = (policy.version.to_string(), policy.expires_at.to_string());
    let mut text = fill(template, &[&one_line(&policy.name), &version, &expires]);
    if let Some(refused) = &policy.refused {
        text.push('\n');
        text.push_str(&one_line(refused));
    }
    text
}

fn finding(out: &mut dyn io::Write, finding: &Finding, asked: &Asked<'_>) -> io::Result<()> {
    let words = asked.words;
    let what = heading(words, finding);
    let rule = fill(words.rule_is, &[finding.rule.as_str(), words.severity(finding.severity)]);
    writeln!(out, "\n{what} {rule}")?;
    let mut rows = Vec::new();
    let sightings =
        finding.sightings.iter().map(|s| (s.grade, &s.identifier, &s.version, &s.scope, &s.source));
    let unlisted = finding.unlisted.iter().map(|u| (u.grade, &u.identifier, &u.version, &u.scope, &u.source));
    for (grade, identifier, version, scope, source) in sightings.chain(unlisted) {
        let version = version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let place = match (scope, asked.viewer) {
            (Scope::System, _) => words.for_everybody.to_owned(),
            (Scope::User(_), Viewer::User(_)) => words.own_account.to_owned(),
            (Scope::User(user), Viewer::Keeper) => fill(words.other_account, &[user]),
        };
        let grade = words.grade(grade);
        rows.push((words.found, one_line(&format!("{grade}: {source} {identifier}{version}, {place}"))));
    }
    if let Some(since) = finding.since {
        rows.push((words.since, since.to_string()));
    }
    if let Some(accepted) = &finding.accepted {
        let until = [&accepted.until.to_string(), accepted.exception.as_str()];
        rows.push((words.accepted, fill(words.accepted_until, &until)));
    } else if let Some(end) = finding.grace_ends {
        rows.push((words.grace, fill(words.grace_until, &[&end.to_string()])));
    }
    rows.extend(finding.why().map(|why| (words.why, why.to_owned())));
    rows.push((words.to_do, one_line(&finding.what_to_do(words))));
    if let Some(code) = finding.code.as_ref().filter(|_| finding.accepted.is_none()) {
        rows.push((words.code, code.clone()));
    }
    labelled(out, "  ", &rows)
}

/// What a finding is, in a few words.
pub fn heading(words: &Words, finding: &Finding) -> String {
    let what = match finding.kind {
        Breach::Prohibited => words.prohibited,
        Breach::Unreviewed => words.unreviewed,
        Breach::RequiredMissing => words.missing,
    };
    fill(what, &[&one_line(&finding.name)])
}

fn texts(out: &mut dyn io::Write, indent: &str, texts: &[Told]) -> io::Result<()> {
    for line in texts.iter().flat_map(|told| told.text.lines()) {
        writeln!(out, "{indent}{}", one_line(line))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
