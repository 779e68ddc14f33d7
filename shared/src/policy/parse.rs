//! From a TOML document to a policy, with every problem named by line, column and key.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::Date;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::doubts::{Doubt, doubts};
use super::escalation::read_steps;
use super::known::{Known, Occasion};
use super::notice::{NOTICE_MAX, Notice};
use super::parse_notice::{read_notice, read_texts};
use super::problem::{Problem, Problems};
use super::read::{Keys, Report, describe};
use super::surge::read_surge;
use super::{Exceptions, POLICY_SCHEMA, Policy, Rule, Severity, UNREVIEWED_RULE, Unreviewed, Verdict, Where};
use crate::catalogue::{AppKind, Catalogue, Entry};
use crate::device::{Ownership, Platform};
use crate::ids::{AppId, NetworkId, RuleId};
use crate::inventory::Grade;
use crate::nearest::nearest;
use crate::span::Span;

/// Shortest and longest time between check-ins that a policy may ask for.
const CHECK_IN_BOUNDS: [Span; 2] = [Span::seconds(5), Span::seconds(86_400)];
/// Shortest and longest silence that a policy may accept.
const STALE_BOUNDS: [Span; 2] = [Span::seconds(60), Span::seconds(366 * 86_400)];
/// Shortest and longest time that a policy may allow exceptions to last.
const EXCEPTION_BOUNDS: [Span; 2] = [Span::seconds(3_600), Span::seconds(2 * 366 * 86_400)];
/// Shortest and longest time before their end at which exceptions are looked at again.
const REVIEW_BOUNDS: [Span; 2] = [Span::minutes(1), Span::seconds(90 * 86_400)];
/// Longest policy file that is read, in bytes.
const TEXT_MAX: usize = 1 << 20;

/// A policy that can be used, and what is odd about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The policy.
    pub policy: Policy,
    /// Warnings, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// Reads a policy file.
///
/// # Errors
/// Everything that is wrong with it, at least one error among it.
pub fn parse(text: &str) -> Result<Parsed, Problems> {
    read(text, None)
}

/// Reads a policy file that somebody wants to use now: as [`parse`], with warnings of dates that are past.
///
/// # Errors
/// As [`parse`].
pub fn check(text: &str, now: Timestamp) -> Result<Parsed, Problems> {
    read(text, Some(Occasion { now, known: None }))
}

/// Reads a policy file that somebody wants to use now in an organisation: as [`check`], with warnings of units and labels
/// that are not there.
///
/// # Errors
/// As [`parse`].
pub fn check_where(text: &str, now: Timestamp, known: &Known) -> Result<Parsed, Problems> {
    read(text, Some(Occasion { now, known: Some(known) }))
}

fn read(text: &str, occasion: Option<Occasion<'_>>) -> Result<Parsed, Problems> {
    let mut report = Report::new(text);
    if text.len() > TEXT_MAX {
        report.error(
            0..0,
            "",
            format!("the file has more than {TEXT_MAX} bytes, which is the most that is read"),
        );
        return Err(Problems(report.told()));
    }
    let policy = match DeTable::parse(text) {
        Ok(document) => read_policy(&mut report, &document, occasion),
        Err(error) => {
            report.error(error.span().unwrap_or_default(), "", error.message());
            None
        }
    };
    match policy {
        Some(policy) if !report.failed() => Ok(Parsed { policy, warnings: report.told() }),
        _ => Err(Problems(report.told())),
    }
}

fn read_policy(
    report: &mut Report<'_>,
    document: &Spanned<DeTable<'_>>,
    occasion: Option<Occasion<'_>>,
) -> Option<Policy> {
    let mut keys = Keys::new(document.get_ref(), 0..0, "");
    read_schema(report, &mut keys);
    let name = read_name(report, &mut keys);
    let stale_after = bounded(report, &mut keys, "stale_after", Span::seconds(7 * 86_400), STALE_BOUNDS);
    let check_in_every = bounded(report, &mut keys, "check_in_every", Span::minutes(5), CHECK_IN_BOUNDS);
    if stale_after < check_in_every {
        let at = keys.take("stale_after").map_or(0..0, Spanned::span);
        report.error(at, "stale_after", format!("must not be shorter than check_in_every, {check_in_every}"));
    }
    let unreviewed =
        keys.word(report, "unreviewed", &Unreviewed::ALL, Unreviewed::as_str).unwrap_or_default();
    let apps = read_apps(report, &mut keys);
    let catalogue = Catalogue::with_overlay(&apps).unwrap_or_default();
    let notice = read_notice(report, &mut keys);
    let (mut rules, mut places): (Vec<Rule>, Vec<Places>) = (Vec::new(), Vec::new());
    let mut ids: BTreeSet<RuleId> = BTreeSet::new();
    let known = occasion.and_then(|occasion| occasion.known);
    for mut table in keys.tables(report, "rule") {
        let rule = read_rule(report, &mut table, &catalogue, &notice, known);
        if let Some(rule) = rule {
            if !ids.insert(rule.id.clone()) {
                let at = table.take("id").map_or(table.at.clone(), Spanned::span);
                report.error(
                    at,
                    table.name("id"),
                    format!("another rule has the id {:?} already", rule.id.as_str()),
                );
            }
            warn_of_the_past(report, &mut table, &rule, occasion.map(|occasion| occasion.now));
            rules.push(rule);
            places.push(Places::of(&mut table));
        }
        table.finish(report);
    }
    if rules.is_empty() && report.problems.is_empty() {
        report.warning(0..0, "rule", "the policy has no rules: every device complies with it");
    }
    // What is wrong is to be put right first: it would make for doubts of its own.
    if !report.failed() {
        for doubt in doubts(&rules, &catalogue) {
            warn_of(report, &doubt, &places);
        }
    }
    let escalation = read_steps(report, &mut keys, &rules);
    let exceptions = read_exceptions(report, &mut keys);
    let unit_surge = read_surge(report, &mut keys);
    keys.finish(report);
    Some(Policy {
        schema: POLICY_SCHEMA,
        name: name?,
        stale_after,
        check_in_every,
        unreviewed,
        notice,
        rules,
        exceptions,
        escalation,
        unit_surge,
        apps,
    })
}

fn read_schema(report: &mut Report<'_>, keys: &mut Keys<'_, '_>) {
    let wanted = POLICY_SCHEMA.to_string();
    match keys.take("schema") {
        Some(value) if matches!(value.get_ref(), DeValue::Integer(n) if n.to_string() == wanted) => {}
        Some(value) => {
            let found = describe(value.get_ref());
            report.error(value.span(), "schema", format!("expected {wanted}, found {found}"));
        }
        None => report.error(0..0, "schema", format!("missing; write schema = {wanted}")),
    }
}

fn read_exceptions(report: &mut Report<'_>, keys: &mut Keys<'_, '_>) -> Exceptions {
    let Some(mut table) = keys.table(report, "exceptions") else { return Exceptions::default() };
    let usual = Exceptions::default();
    let longest = bounded(report, &mut table, "longest", usual.longest, EXCEPTION_BOUNDS);
    let review_before = bounded(report, &mut table, "review_before", usual.review_before, REVIEW_BOUNDS);
    table.finish(report);
    Exceptions { longest, review_before }
}

fn read_rule(
    report: &mut Report<'_>,
    keys: &mut Keys<'_, '_>,
    catalogue: &Catalogue,
    all: &Notice,
    known: Option<&Known>,
) -> Option<Rule> {
    let at = keys.at.clone();
    let id = keys.parsed::<RuleId>(report, "id");
    let id_at = id.as_ref().map_or(at.clone(), Spanned::span);
    if keys.take("id").is_none() {
        report.error(at.clone(), keys.name("id"), "missing; every rule needs an id that findings can carry");
    }
    let id = id.map(Spanned::into_inner);
    if id.as_ref().is_some_and(|id| id.as_str() == UNREVIEWED_RULE) {
        report.error(
            id_at,
            keys.name("id"),
            format!("{UNREVIEWED_RULE:?} is kept for apps that no rule names"),
        );
    }
    let verdict = keys.word(report, "verdict", &Verdict::ALL, Verdict::as_str);
    if keys.take("verdict").is_none() {
        report.error(at.clone(), keys.name("verdict"), "missing; expected prohibited, allowed or required");
    }
    let apps = known_apps(report, keys, "apps", catalogue);
    let networks = known_networks(report, keys, catalogue);
    let kinds = keys.words(report, "kinds", &AppKind::ALL, AppKind::as_str);
    let selects = ["apps", "networks", "kinds"].into_iter().any(|key| keys.take(key).is_some());
    if verdict == Some(Verdict::Required) && keys.take("apps").is_none() {
        report.error(
            at.clone(),
            keys.name("apps"),
            "missing; a required rule names the apps of which one must be there",
        );
    } else if !selects {
        report.error(at.clone(), keys.name("apps"), "missing; a rule names apps, networks or kinds");
    }
    let scope = read_where(report, keys, known);
    let grades = keys.words(report, "grades", &Grade::ALL, Grade::as_str);
    let effective_from = read_instant(report, keys, "effective_from");
    let severity = keys.word(report, "severity", &Severity::ALL, Severity::as_str).unwrap_or_default();
    let grace = keys.parsed(report, "grace").map(Spanned::into_inner).unwrap_or_default();
    let reason = keys.text(report, "reason").map(Spanned::into_inner).unwrap_or_default();
    let notice = read_texts(report, keys, "notice", NOTICE_MAX, &all.languages);
    if verdict == Some(Verdict::Allowed) && !notice.is_empty() {
        let at = keys.take("notice").map_or(at.clone(), Spanned::span);
        report.warning(at, keys.name("notice"), "nobody is shown it: what is allowed is no finding");
    }
    let alternatives = known_apps(report, keys, "alternatives", catalogue);
    let records_step = keys.boolean(report, "records_step").unwrap_or_default();
    let verdict = verdict?;
    let grades = if grades.is_empty() { default_grades(verdict) } else { grades };
    Some(Rule {
        id: id?,
        verdict,
        apps,
        networks,
        kinds,
        scope,
        grades,
        effective_from,
        severity,
        grace,
        reason,
        notice,
        alternatives,
        records_step,
    })
}

/// What counts where a rule does not say: leftovers prove no installation, and an extension that
/// decorates an app is not that app.
fn default_grades(verdict: Verdict) -> Vec<Grade> {
    match verdict {
        Verdict::Prohibited | Verdict::Allowed => {
            vec![Grade::Running, Grade::Installed, Grade::WebApp, Grade::Extension]
        }
        Verdict::Required => vec![Grade::Running, Grade::Installed, Grade::WebApp],
    }
}

fn read_where(report: &mut Report<'_>, keys: &mut Keys<'_, '_>, known: Option<&Known>) -> Where {
    let Some(mut table) = keys.table(report, "where") else { return Where::default() };
    let platform = table.words(report, "platform", &Platform::ALL, Platform::as_str);
    let ownership = table.words(report, "ownership", &Ownership::ALL, Ownership::as_str);
    let (unit, label) = (table.list(report, "unit"), table.list(report, "label"));
    if let Some(known) = known {
        known.warn_of_units(report, &table.name("unit"), &unit);
        known.warn_of_labels(report, &table.name("label"), &label);
    }
    let scope = Where {
        platform,
        ownership,
        unit: unit.into_iter().map(Spanned::into_inner).collect(),
        label: label.into_iter().map(Spanned::into_inner).collect(),
    };
    table.finish(report);
    scope
}

/// A date, which means its first instant in UTC, or a date and time with offset.
fn read_instant(report: &mut Report<'_>, keys: &mut Keys<'_, '_>, key: &'static str) -> Option<Timestamp> {
    let value = keys.take(key)?;
    let text = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        other => describe(other),
    };
    let midnight = |date: Date| jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0));
    let instant = text.parse::<Timestamp>().or_else(|_| text.parse::<Date>().and_then(midnight));
    if instant.is_err() {
        let expected =
            "a date such as 2026-12-01 (from 00:00 UTC) or a time such as 2026-12-01T09:00:00+01:00";
        report.error(value.span(), keys.name(key), format!("expected {expected}, found {text:?}"));
    }
    instant.ok()
}

fn known_apps(
    report: &mut Report<'_>,
    keys: &mut Keys<'_, '_>,
    key: &'static str,
    catalogue: &Catalogue,
) -> Vec<AppId> {
    let mut apps = Vec::new();
    for app in keys.list::<AppId>(report, key) {
        let id = app.get_ref().as_str();
        if catalogue.app(id).is_none() {
            let all = if report.full() { Vec::new() } else { catalogue.apps() };
            let near = nearest(id, all.iter().map(|app| app.id));
            let hint = near.map_or("`offchannel-agent catalogue list` shows all".to_owned(), |near| {
                format!("did you mean {near:?}?")
            });
            report.error(app.span(), keys.name(key), format!("no app {id:?} in the catalogue; {hint}"));
        }
        apps.push(app.into_inner());
    }
    apps
}

fn known_networks(report: &mut Report<'_>, keys: &mut Keys<'_, '_>, catalogue: &Catalogue) -> Vec<NetworkId> {
    let mut networks = Vec::new();
    let named = keys.list::<NetworkId>(report, "networks");
    // Collected from all apps: only for rules that name any.
    let known = if named.is_empty() { Vec::new() } else { catalogue.networks() };
    for network in named {
        let id = network.get_ref().as_str();
        if !known.contains(&id) {
            let near = nearest(id, known.iter().copied().filter(|_| !report.full()));
            let hint = near.map_or(String::new(), |near| format!("; did you mean {near:?}?"));
            let message = format!("no app in the catalogue talks to {id:?}{hint}");
            report.error(network.span(), keys.name("networks"), message);
        }
        networks.push(network.into_inner());
    }
    networks
}

/// The organisation's own catalogue entries, `[[app]]`.
fn read_apps(report: &mut Report<'_>, keys: &mut Keys<'_, '_>) -> BTreeMap<AppId, Entry> {
    let mut apps = BTreeMap::new();
    let Some(value) = keys.take("app") else { return apps };
    let DeValue::Array(list) = value.get_ref() else {
        report.error(value.span(), "app", "expected tables written as [[app]]");
        return apps;
    };
    for (index, element) in list.iter().enumerate() {
        let key = format!("app[{}]", index + 1);
        match OwnApp::read(element) {
            Ok(OwnApp { id, entry }) => {
                for error in crate::catalogue::entry::check(id.as_str(), &entry) {
                    report.error(element.span(), &key, error.problem);
                }
                if apps.insert(id.clone(), entry).is_some() {
                    report.error(
                        element.span(),
                        key,
                        format!("another [[app]] has the id {:?}", id.as_str()),
                    );
                }
            }
            Err((at, message)) => report.error(at, key, message),
        }
    }
    let all = apps.iter().map(|(id, entry)| (id.as_str(), entry));
    for error in crate::catalogue::entry::check_unique(all) {
        report.error(value.span(), "app", error);
    }
    apps
}

struct OwnApp {
    id: AppId,
    entry: Entry,
}

impl OwnApp {
    fn read(element: &Spanned<DeValue<'_>>) -> Result<Self, (Range<usize>, String)> {
        use serde::Deserialize as _;
        let DeValue::Table(table) = element.get_ref() else {
            return Err((element.span(), "expected a table".to_owned()));
        };
        let mut table = table.clone();
        let id = table.remove("id").ok_or((element.span(), "id is missing".to_owned()))?;
        let DeValue::String(text) = id.get_ref() else {
            return Err((id.span(), "id: expected a text".to_owned()));
        };
        let id = AppId::new(text.to_string()).map_err(|error| (id.span(), error.to_string()))?;
        let at = element.span();
        let deserializer = toml::de::ValueDeserializer::from(Spanned::new(at.clone(), DeValue::Table(table)));
        let table = toml::Table::deserialize(deserializer)
            .map_err(|error| (error.span().unwrap_or(at.clone()), error.message().to_owned()))?;
        let entry = Entry::from_toml(table).map_err(|message| (at, message))?;
        Ok(Self { id, entry })
    }
}

/// Where a rule stands, and the elements of its lists.
struct Places {
    /// `rule[2]`
    name: String,
    at: Range<usize>,
    elements: BTreeMap<&'static str, Vec<Range<usize>>>,
}

impl Places {
    fn of(keys: &mut Keys<'_, '_>) -> Self {
        let elements = ["apps", "networks", "kinds", "alternatives"].into_iter().map(|key| {
            let list = keys.take(key).and_then(|value| value.get_ref().as_array());
            let spans = list.map(|list| list.iter().map(Spanned::span).collect());
            (key, spans.unwrap_or_default())
        });
        let elements = elements.collect();
        Self { name: keys.name("").trim_end_matches('.').to_owned(), at: keys.at.clone(), elements }
    }
}

fn warn_of(report: &mut Report<'_>, doubt: &Doubt, places: &[Places]) {
    let Some(rule) = doubt.rule.and_then(|rule| places.get(rule)) else {
        report.warning(0..0, "rule", &doubt.message);
        return;
    };
    let element = doubt.at.and_then(|(key, at)| Some((key, rule.elements.get(key)?.get(at)?.clone())));
    match element {
        Some((key, at)) => report.warning(at, format!("{}.{key}", rule.name), &doubt.message),
        None => report.warning(rule.at.clone(), &rule.name, &doubt.message),
    }
}

/// A date that is past when a policy is checked does nothing, and hints at a wrong year.
fn warn_of_the_past(report: &mut Report<'_>, keys: &mut Keys<'_, '_>, rule: &Rule, now: Option<Timestamp>) {
    let Some((from, now)) = rule.effective_from.zip(now) else { return };
    if from < now {
        let at = keys.take("effective_from").map_or(keys.at.clone(), Spanned::span);
        let message = format!("{from} is past: the rule is in force with the policy");
        report.warning(at, keys.name("effective_from"), message);
    }
}

fn read_name(report: &mut Report<'_>, keys: &mut Keys<'_, '_>) -> Option<String> {
    match keys.text(report, "name") {
        Some(text) if !text.get_ref().trim().is_empty() => Some(text.into_inner()),
        Some(text) => {
            report.error(text.span(), "name", "must not be empty");
            None
        }
        None => {
            if keys.take("name").is_none() {
                report.error(0..0, "name", "missing; expected a text");
            }
            None
        }
    }
}

fn bounded(
    report: &mut Report<'_>,
    keys: &mut Keys<'_, '_>,
    key: &'static str,
    default: Span,
    [least, most]: [Span; 2],
) -> Span {
    let Some(span) = keys.parsed::<Span>(report, key) else { return default };
    let value = *span.get_ref();
    if value < least || value > most {
        report.error(span.span(), keys.name(key), format!("must be from {least} to {most}, is {value}"));
    }
    value
}
