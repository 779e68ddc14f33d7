//! Where the policy is not met on this device, as far as the person who asks may see it, in words for people.

use jiff::Timestamp;
use offchannel_shared::device::Platform;
use offchannel_shared::exception_code::ExceptionCode;
use offchannel_shared::ids::{AppId, ExceptionId, RuleId};
use offchannel_shared::inventory::{Grade, Inventory, Sighting, Unlisted};
use offchannel_shared::language::Language;
use offchannel_shared::policy::{Breach, Evaluation, Exception, Judged, Severity, Subject, Texts, evaluate};
use offchannel_shared::wire::Accepted;
use serde::Serialize;

use super::viewer::Viewer;
use super::words::{Words, fill};
use crate::run::InForce;
use crate::state::Record;

/// A text of the policy with its language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    pub language: Language,
    pub text: String,
}

/// One way in which the policy is not met.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub app: AppId,
    /// The app's name in the catalogue, or the one that it gives itself.
    pub name: String,
    pub rule: RuleId,
    pub breach: &'static str,
    #[serde(skip)]
    pub kind: Breach,
    pub severity: Severity,
    /// The strongest grade of what this person may see. `None` where something is missing.
    pub grade: Option<Grade>,
    /// Time between the start of the finding and the moment it counts as a breach.
    grace: String,
    /// When the finding starts to count as a breach, if that is yet to come, by this device's clock. The collector's decides.
    pub grace_ends: Option<Timestamp>,
    pub reason: String,
    /// What the policy tells the user of it, in the languages that are to be shown.
    pub notice: Vec<Told>,
    /// Names, for people.
    pub alternatives: Vec<String>,
    pub since: Option<Timestamp>,
    pub sightings: Vec<Sighting>,
    /// The same for an app that no entry of the catalogue lists.
    pub unlisted: Vec<Unlisted>,
    /// What accepts it now, if anything does.
    pub accepted: Option<AcceptedRow>,
    /// By which an exception is asked for; none on a device that is not enrolled.
    pub code: Option<String>,
    what_to_do: String,
    /// Whether business records must be copied first.
    records_step: bool,
}

/// An exception.
#[derive(Debug, Serialize)]
pub struct AcceptedRow {
    pub exception: ExceptionId,
    /// By this device's clock. The collector's decides.
    pub until: Timestamp,
}

/// Who asks, how, and when.
#[derive(Debug)]
pub struct Asked<'a> {
    pub viewer: &'a Viewer,
    pub languages: &'a [Language],
    pub words: &'static Words,
    pub platform: Platform,
    pub now: Timestamp,
}

/// Judges what was found last by the policy in force. Returns the findings that this person may see, and how many others
/// there are. Exceptions are those that the collector told of.
pub fn findings(record: &Record, policy: &InForce, asked: &Asked<'_>) -> (Vec<Finding>, usize) {
    let exceptions: Vec<Exception> = record.accepted.iter().map(exception).collect();
    let judge = |inventory: &Inventory| -> Evaluation {
        let bundle = &policy.bundle;
        let subject = Subject {
            platform: asked.platform,
            placement: &bundle.placement,
            inventory,
            exceptions: &exceptions,
        };
        evaluate(&bundle.policy, &policy.catalogue, &subject, asked.now)
    };
    let mut seen = record.inventory.clone();
    asked.viewer.narrow(&mut seen);
    let all = judge(&record.inventory).judged;
    // What is missing is missing for the whole device: an app that meets the duty may be another person's.
    let missing = all.iter().filter(|judged| judged.breach == Breach::RequiredMissing).cloned();
    let mut shown: Vec<Judged> =
        judge(&seen).judged.into_iter().filter(|judged| judged.breach != Breach::RequiredMissing).collect();
    shown.extend(missing);
    shown.sort_by(|a, b| (&a.rule, &a.app).cmp(&(&b.rule, &b.app)));
    let elsewhere = all.len().saturating_sub(shown.len());
    (shown.into_iter().map(|judged| finding(record, &seen, policy, asked, judged)).collect(), elsewhere)
}

fn exception(told: &Accepted) -> Exception {
    let Accepted { id, rule, app, start, end } = told.clone();
    Exception { id, rule, app, start, end }
}

fn finding(
    record: &Record,
    seen: &Inventory,
    policy: &InForce,
    asked: &Asked<'_>,
    judged: Judged,
) -> Finding {
    let rule = policy.bundle.policy.rule(&judged.rule);
    let named = |app: &AppId| policy.catalogue.app(app.as_str()).map(|app| app.name.to_string());
    let unlisted: Vec<Unlisted> = seen.unlisted.iter().filter(|u| u.app == judged.app).cloned().collect();
    let name = named(&judged.app)
        .or_else(|| unlisted.iter().find_map(|unlisted| unlisted.name.clone()))
        .unwrap_or_else(|| judged.app.to_string());
    let alternatives: Vec<String> = rule
        .map(|rule| {
            rule.alternatives.iter().map(|app| named(app).unwrap_or_else(|| app.to_string())).collect()
        })
        .unwrap_or_default();
    let since = record.first_seen.get(&judged.app).copied();
    let grace_ends = since.map(|since| judged.grace.after(since)).filter(|end| *end > asked.now);
    let notice = rule.map(|rule| told(policy, &rule.notice, asked.languages)).unwrap_or_default();
    let accepting = judged.exception.as_ref().and_then(|id| record.accepted.iter().find(|one| one.id == *id));
    let device = record.enrolment.as_ref().map(|enrolment| &enrolment.device_id);
    let code = device.map(|device| ExceptionCode::of(device, &judged.rule, &judged.app).to_string());
    let mut finding = Finding {
        accepted: accepting.map(|one| AcceptedRow { exception: one.id.clone(), until: one.end }),
        code,
        what_to_do: String::new(),
        records_step: rule.is_some_and(|rule| rule.records_step),
        name,
        rule: judged.rule,
        breach: match judged.breach {
            Breach::Prohibited => "prohibited",
            Breach::Unreviewed => "unreviewed",
            Breach::RequiredMissing => "required-missing",
        },
        kind: judged.breach,
        severity: judged.severity,
        grade: judged.grade,
        grace: judged.grace.to_string(),
        grace_ends,
        reason: rule.map(|rule| rule.reason.clone()).unwrap_or_default(),
        notice,
        alternatives,
        since,
        sightings: seen.sightings.iter().filter(|s| s.app == judged.app).cloned().collect(),
        unlisted,
        app: judged.app,
    };
    finding.what_to_do = finding.what_to_do(asked.words);
    finding
}

/// A text of the policy for somebody who wants these languages.
pub fn told(policy: &InForce, texts: &Texts, wanted: &[Language]) -> Vec<Told> {
    let chosen = policy.bundle.policy.notice.choose(texts, wanted);
    chosen
        .into_iter()
        .map(|(language, text)| Told { language: language.clone(), text: text.to_owned() })
        .collect()
}

impl Finding {
    /// What the policy says of it: the notice, or the reason where there is none.
    pub fn why(&self) -> impl Iterator<Item = &str> {
        let reason = Some(self.reason.as_str()).filter(|reason| self.notice.is_empty() && !reason.is_empty());
        self.notice.iter().map(|told| told.text.as_str()).chain(reason)
    }

    /// What the user can do, in these words.
    pub fn what_to_do(&self, words: &Words) -> String {
        if self.accepted.is_some() {
            return words.do_nothing.to_owned();
        }
        match self.kind {
            Breach::RequiredMissing => fill(words.do_install, &[&self.name]),
            Breach::Unreviewed => fill(words.do_ask, &[&self.name]),
            Breach::Prohibited => {
                let mut steps = Vec::new();
                if self.records_step {
                    steps.push(words.do_records.to_owned());
                }
                steps.push(fill(words.do_remove, &[&self.name]));
                if !self.alternatives.is_empty() {
                    steps.push(fill(words.do_instead, &[&self.alternatives.join(words.or)]));
                }
                steps.join(" ")
            }
        }
    }
}
