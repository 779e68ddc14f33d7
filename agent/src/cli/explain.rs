//! `explain`: exactly what was last sent, what would be sent now, and what is never read.
//!
//! For whoever uses the device; no rights are needed.

use std::io;

use clap::Args;
use jiff::Timestamp;
use offchannel_shared::inventory::{Change, Sighting};
use offchannel_shared::wire::ReportRequest;
use serde::Serialize;

use super::options::{ConfigArgs, Format, host, json};
use super::view::View;
use super::viewer::Viewer;
use super::{CliError, EXIT_CODES};
use crate::clock::Clock;
use crate::config::Session;
use crate::run::{Scanned, preview};
use crate::scan::scanner::Scanner;

/// What the agent never reads, whatever a policy says: there is no code for it.
const NEVER_READ: [&str; 8] = [
    "messages, calls, voice or video",
    "contacts, accounts, phone numbers or nicknames of any app",
    "files that were sent, received or saved",
    "what is typed or shown on the screen",
    "browsing history, bookmarks, cookies or passwords",
    "network traffic or addresses that are visited",
    "where the device is",
    "how long or how often an app is used",
];

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct ExplainArgs {
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
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
    let host = host(&config);
    let viewer = Viewer::of(&host, &config.state_dir, &Session::read());
    let record = view.record.as_ref();
    let to = record.and_then(|record| record.enrolment.as_ref()).map(|enrolment| enrolment.server.as_str());
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
    let explanation = Explanation { schema: 1, last_sent, would_be_sent, never_read: NEVER_READ };
    match args.format {
        Format::Json => json(out, &explanation)?,
        Format::Table => table(out, &explanation)?,
    }
    Ok(0)
}

fn table(out: &mut dyn io::Write, explanation: &Explanation<'_>) -> Result<(), CliError> {
    let mut line = |text: &str| writeln!(out, "{text}").map_err(CliError::Output);
    line("This agent looks for installed messaging apps, and reports those that the policy asks about.")?;
    line("Users are told apart by references (u-...) that mean nothing off this device.\n")?;
    match &explanation.last_sent {
        Some(sent) => {
            let to = sent.to.unwrap_or("the collector");
            let but = match sent.of_others {
                0 => String::new(),
                others => format!(" but for {others} entries of other users, which are not shown to you"),
            };
            line(&format!("Last sent, at {} to {to}, exactly this{but}:\n", sent.at))?;
            json(out, &sent.report)?;
        }
        None => line("Nothing has been sent from this device yet.")?,
    }
    let mut line = |text: &str| writeln!(out, "{text}").map_err(CliError::Output);
    match &explanation.would_be_sent {
        Some(now) => {
            line("\nA report made now, by what this account can see, would carry:\n")?;
            json(out, now)?;
            let owed = now.transitions.len();
            let mut line = |text: &str| writeln!(out, "{text}").map_err(CliError::Output);
            line(&format!(
                "\nChanges that the collector has not confirmed yet, and that go with it: {owed}"
            ))?;
            for owed in &now.transitions {
                let what = match owed.change {
                    Change::Appeared => "appeared",
                    Change::Disappeared => "disappeared",
                };
                let Sighting { app, source, identifier, scope, .. } = &owed.sighting;
                line(&format!("  {} {app} {what} ({source} {identifier}, {scope})", owed.at))?;
            }
            if now.transitions_lost > 0 {
                line(&format!(
                    "Older changes that did not fit, of which only the number goes: {}",
                    now.transitions_lost
                ))?;
            }
        }
        None => line("\nNothing would be sent now: there is no policy that asks for anything.")?,
    }
    let mut line = |text: &str| writeln!(out, "{text}").map_err(CliError::Output);
    line("\nNever read, whatever the policy says:")?;
    for what in explanation.never_read {
        line(&format!("  - {what}"))?;
    }
    Ok(())
}
