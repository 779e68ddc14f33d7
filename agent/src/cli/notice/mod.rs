//! `notice`: shows the user, on their desktop, what the policy tells them of findings, once for each finding and text.
//!
//! It runs as the user, in their session, and ends when it has shown what there is: the daemon has no rights in sessions and
//! gets none for this. systemd starts it when the agent's state changes, see `packaging/linux/user`.

mod desktop;
mod shown;

use std::io;

use clap::Args;
use offchannel_shared::policy::{Rule, Texts};
use ring::digest::{SHA256, digest};
use serde::Serialize;

use super::findings::{Asked, Finding, findings, told};
use super::options::{ConfigArgs, Format, LangArgs, host, json};
use super::status::heading;
use super::view::View;
use super::viewer::Viewer;
use super::words::{Words, fill, one_line};
use super::{CliError, EXIT_CODES};
use crate::clock::Clock;
use crate::config::Session;
use crate::platform::message_bus::MessageBus;
use crate::platform::processes;
use crate::run::InForce;
use crate::state::{Folder, StateError};
use desktop::{Desktop, urgency};
use shown::Shown;

pub use desktop::DesktopError;

/// Most notices of one run: a screen full of them is read by nobody. The others follow at the next run.
const NOTICES_MAX: usize = 10;

/// Arguments of `notice`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct NoticeArgs {
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    lang: LangArgs,
    #[command(flatten)]
    config: ConfigArgs,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    schema: u32,
    /// Why there is nothing to show to anybody; `null` where that does not go for all.
    nothing: Option<&'static str>,
    /// Names of the apps whose notices were shown now.
    shown: Vec<String>,
    /// How many had been shown before.
    before: usize,
    /// How many are left for the next run.
    left: usize,
    /// What became of a damaged memory.
    damaged: Option<String>,
}

/// A notice that is due.
#[derive(Debug)]
struct Notice {
    key: String,
    digest: String,
    name: String,
    summary: String,
    body: String,
    urgency: u8,
}

/// Shows what was not shown yet.
pub fn run(args: &NoticeArgs, out: &mut dyn io::Write, clock: &Clock) -> Result<u8, CliError> {
    let (config, _) = args.config.load()?;
    let view = View::of(&config)?;
    let (session, host) = (Session::read(), host(&config));
    let languages = args.lang.or_of(&session);
    let outcome = match (&view.record, &view.policy) {
        (Some(_), Some(policy)) if !policy.bundle.policy.notice.desktop => {
            Outcome { nothing: Some("the policy wants no notices on the desktop"), ..Outcome::default() }
        }
        (Some(record), Some(policy)) => {
            // Root has a desktop too, but not everybody's.
            let viewer = Viewer::user(&host, &session);
            let words = Words::for_languages(&languages);
            let asked = Asked {
                viewer: &viewer,
                languages: &languages,
                words,
                platform: host.platform(),
                now: clock.now(),
            };
            let (found, _) = findings(record, policy, &asked);
            show(&notices(&found, policy, &asked), &session)?
        }
        _ => Outcome { nothing: Some("no policy is in force on this device yet"), ..Outcome::default() },
    };
    match args.format {
        Format::Json => json(out, &Outcome { schema: 1, ..outcome })?,
        Format::Table => table(out, &outcome).map_err(CliError::Output)?,
    }
    Ok(0)
}

/// The notices of all findings whose rules have one. Of what is accepted nobody is reminded.
fn notices(findings: &[Finding], policy: &InForce, asked: &Asked<'_>) -> Vec<Notice> {
    let all = &policy.bundle.policy;
    let counting = findings.iter().filter(|finding| finding.accepted.is_none());
    let with_notice = counting.filter_map(|finding| {
        let rule = all.rule(&finding.rule).filter(|rule| !rule.notice.is_empty())?;
        Some((finding, rule))
    });
    with_notice.map(|(finding, rule)| notice(finding, rule, policy, asked)).collect()
}

fn notice(finding: &Finding, rule: &Rule, policy: &InForce, asked: &Asked<'_>) -> Notice {
    let all = &policy.bundle.policy;
    let titles = told(policy, &all.notice.title, asked.languages);
    let titles: Vec<String> = titles.iter().map(|title| one_line(&title.text)).collect();
    let summary = if titles.is_empty() { one_line(&all.name) } else { titles.join(" / ") };
    // Each text with what was found and what to do in its own language, where we have words in it.
    let blocks = finding.notice.iter().map(|told| {
        let words = Words::in_language(&told.language).unwrap_or(asked.words);
        let mut what_to_do = one_line(&finding.what_to_do(words));
        if let Some(code) = &finding.code {
            what_to_do.push_str(&format!("\n{}: {} {code}", words.ask, words.code));
        }
        fill("{}.\n{}\n{}", &[&heading(words, finding), &lines(&told.text), &what_to_do])
    });
    Notice {
        key: format!("{}/{}", finding.rule, finding.app),
        digest: digest_of(&all.notice.title, rule),
        name: finding.name.clone(),
        summary,
        body: blocks.collect::<Vec<_>>().join("\n\n"),
        urgency: urgency(finding.severity),
    }
}

/// A text without what could be taken for more than text.
fn lines(text: &str) -> String {
    text.lines().map(one_line).collect::<Vec<_>>().join("\n")
}

/// Of what the policy says in all its languages: to change one's own language makes no new text.
fn digest_of(title: &Texts, rule: &Rule) -> String {
    // Maps of texts can always be written.
    let all = serde_json::to_vec(&(title, &rule.notice, &rule.alternatives)).unwrap_or_default();
    digest(&SHA256, &all).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn show(notices: &[Notice], session: &Session) -> Result<Outcome, CliError> {
    let state = session.state_home.as_ref().ok_or(CliError::NoHome)?;
    let folder = Folder::at(&state.join("offchannel"));
    folder.create()?;
    let _lock = match folder.lock(std::process::id()) {
        Ok(lock) => lock,
        Err(StateError::Locked { .. }) => {
            return Ok(Outcome {
                nothing: Some("another run shows the notices just now"),
                ..Outcome::default()
            });
        }
        Err(error) => return Err(error.into()),
    };
    let (mut shown, damaged) = Shown::load(&folder)?;
    let mut outcome = Outcome { damaged, ..Outcome::default() };
    let keys: Vec<&str> = notices.iter().map(|notice| notice.key.as_str()).collect();
    let mut dirty = shown.keep_only(&keys);
    let (before, due): (Vec<&Notice>, Vec<&Notice>) =
        notices.iter().partition(|notice| shown.has(&notice.key, &notice.digest));
    outcome.before = before.len();
    outcome.left = due.len().saturating_sub(NOTICES_MAX);
    let mut failed = None;
    if let Some(uid) = processes::own_uid().filter(|_| !due.is_empty()) {
        let bus = MessageBus::session(session.bus.as_deref(), session.runtime_dir.as_deref(), uid);
        let mut desktop = Desktop::new(bus.map_err(DesktopError::from)?)?;
        for notice in due.into_iter().take(NOTICES_MAX) {
            let replaces = shown.replaced(&notice.key, desktop.server());
            match desktop.show(replaces, &notice.summary, &notice.body, notice.urgency) {
                Ok(id) => {
                    shown.note(&notice.key, notice.digest.clone(), desktop.server(), id);
                    outcome.shown.push(notice.name.clone());
                    dirty = true;
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
    }
    if dirty {
        shown.save(&folder)?;
    }
    failed.map_or(Ok(outcome), |error| Err(error.into()))
}

fn table(out: &mut dyn io::Write, outcome: &Outcome) -> io::Result<()> {
    if let Some(kept) = &outcome.damaged {
        writeln!(
            out,
            "What had been shown before was damaged and is kept as {kept}; everything is shown again."
        )?;
    }
    if let Some(nothing) = outcome.nothing {
        return writeln!(out, "Nothing is shown: {nothing}.");
    }
    for name in &outcome.shown {
        writeln!(out, "Shown: {}", one_line(name))?;
    }
    if outcome.shown.is_empty() {
        writeln!(out, "Nothing new to show; shown before: {}.", outcome.before)?;
    }
    if outcome.left > 0 {
        writeln!(out, "Left for the next run: {}.", outcome.left)?;
    }
    Ok(())
}
