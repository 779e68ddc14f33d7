//! `explain`: exactly what was last sent, what would be sent now, and what is never read.
//!
//! For whoever uses the device; no rights are needed.

use std::io;

use clap::Args;
use jiff::Timestamp;
use offchannel_shared::inventory::{Change, Sighting};
use offchannel_shared::wire::ReportRequest;
use serde::Serialize;

use super::options::{ConfigArgs, Format, LangArgs, host, json};
use super::view::View;
use super::viewer::Viewer;
use super::words::{Words, fill, one_line};
use super::{CliError, EXIT_CODES};
use crate::clock::Clock;
use crate::config::Session;
use crate::run::{Scanned, preview};
use crate::scan::scanner::Scanner;

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct ExplainArgs {
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    lang: LangArgs,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Serialize)]
struct Explanation<'a> {
    schema: u32,
    /// The last report as it was sent, to the letter, but for what belongs to other users.
    last_sent: Option<LastSent<'a>>,
    /// What a report would carry now, as far as this account can look, again without what belongs to others.
    would_be_sent: Option<ReportRequest>,
    never_read: [&'static str; 8],
}

#[derive(Debug, Serialize)]
struct LastSent<'a> {
    at: Timestamp,
    to: Option<&'a str>,
    report: ReportRequest,
    /// How many sightings and changes of other users were sent and are not shown to this one.
    of_others: usize,
}

/// Shows it.
pub fn run(args: &ExplainArgs, out: &mut dyn io::Write, clock: &Clock) -> Result<u8, CliError> {
    let (config, _) = args.config.load()?;
    let view = View::of(&config)?;
    let (session, host) = (Session::read(), host(&config));
    let viewer = Viewer::of(&host, &config.state_dir, &session);
    let words = Words::for_languages(&args.lang.or_of(&session));
    let record = view.record.as_ref();
    let to = view.sent_to();
    let last_sent = record.and_then(|record| record.sent.as_ref()).map(|sent| {
        let mut report = sent.report.clone();
        let of_others = viewer.narrow_report(&mut report);
        LastSent { at: sent.at, to, report, of_others }
    });
    let would_be_sent = view.record.clone().zip(view.policy.as_ref()).and_then(|(record, policy)| {
        let (platform, facts, at) = (host.platform(), host.facts(), clock.now());
        let inventory = Scanner::new(host).scan(&policy.catalogue, None, clock).inventory;
        let scanned = Scanned { inventory, facts, coverage: None, at };
        let mut report = preview(record, policy, platform, scanned, clock.now())?;
        viewer.narrow_report(&mut report);
        Some(report)
    });
    let explanation = Explanation { schema: 1, last_sent, would_be_sent, never_read: words.never_read() };
    match args.format {
        Format::Json => json(out, &explanation)?,
        Format::Table => table(out, &explanation, words)?,
    }
    Ok(0)
}

fn table(out: &mut dyn io::Write, explanation: &Explanation<'_>, words: &Words) -> Result<(), CliError> {
    line(out, words.agent_does)?;
    line(out, words.references)?;
    line(out, "")?;
    match &explanation.last_sent {
        Some(sent) => {
            let (at, to) = (sent.at.to_string(), sent.to.unwrap_or(words.the_collector));
            match sent.of_others {
                0 => line(out, &fill(words.sent, &[&at, to]))?,
                others => line(out, &fill(words.sent_without, &[&at, to, &others.to_string()]))?,
            }
            line(out, "")?;
            json(out, &sent.report)?;
        }
        None => line(out, words.sent_nothing)?,
    }
    line(out, "")?;
    match &explanation.would_be_sent {
        Some(now) => {
            line(out, words.would_carry)?;
            line(out, "")?;
            json(out, now)?;
            line(out, "")?;
            line(out, &fill(words.owed, &[&now.transitions.len().to_string()]))?;
            for owed in &now.transitions {
                let what = match owed.change {
                    Change::Appeared => words.appeared,
                    Change::Disappeared => words.disappeared,
                };
                let Sighting { app, source, identifier, scope, .. } = &owed.sighting;
                line(
                    out,
                    &one_line(&format!("  {} {app} {what} ({source} {identifier}, {scope})", owed.at)),
                )?;
            }
            if now.transitions_lost > 0 {
                line(out, &fill(words.lost, &[&now.transitions_lost.to_string()]))?;
            }
        }
        None => line(out, words.would_carry_nothing)?,
    }
    line(out, "")?;
    line(out, words.never)?;
    for what in explanation.never_read {
        line(out, &format!("  - {what}"))?;
    }
    Ok(())
}

fn line(out: &mut dyn io::Write, text: &str) -> Result<(), CliError> {
    writeln!(out, "{text}").map_err(CliError::Output)
}
