//! Which alerts go to which channel.

use std::fmt::Display;
use std::str::FromStr;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use offchannel_shared::ids::ChannelName;
use offchannel_shared::policy::Severity;

use super::layers::{Raw, Section};
use super::problem::{Origin, Problem};
use super::section::describe;
use crate::channels::email::Recipient;
use crate::channels::{ChannelConfig, ChannelKind};
use crate::domain::alert::{AlertAction, AlertKind};
use crate::domain::digest::{Every, Schedule};
use crate::domain::route::{Quiet, Route, USUAL};

/// Reads all routes; each is left out if it has a problem.
pub(super) fn routes(
    sections: Vec<Section>,
    channels: &[ChannelConfig],
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Vec<Route> {
    let mut routes = Vec::new();
    for mut section in sections {
        let before = problems.len();
        let channel = channel(&mut section, channels, problems);
        let kind = channel.as_ref().and_then(|name| channels.iter().find(|known| known.name == *name));
        let times = times(&mut section, kind.map(|channel| &channel.kind), problems);
        let route = |channel| Route {
            kinds: words(&mut section, problems, "kinds", &AlertKind::ALL, AlertKind::as_str),
            severity: severity(&mut section, problems, "severity").unwrap_or(Severity::Info),
            units: parsed(&mut section, problems, "units"),
            apps: parsed(&mut section, problems, "apps"),
            changes: changes(&mut section, problems),
            to: parsed(&mut section, problems, "to"),
            quiet: times.0,
            digest: times.1,
            folds: folds(&mut section, kind.map(|channel| &channel.kind), problems),
            channel,
        };
        let route = channel.map(route);
        if route.is_some() {
            section.warn_of_the_rest(warnings);
        }
        routes.extend(route.filter(|_| problems.len() == before));
    }
    routes
}

fn channel(
    section: &mut Section,
    channels: &[ChannelConfig],
    problems: &mut Vec<Problem>,
) -> Option<ChannelName> {
    let Some(origin) = section.settings.get("channel").map(|setting| setting.origin.clone()) else {
        section.problem(problems, "channel", &section.origin, "missing: a route leads to a channel");
        return None;
    };
    let name: ChannelName = section.parsed(problems, "channel")?;
    if channels.iter().all(|channel| channel.name != name) {
        section.problem(problems, "channel", &origin, format!("there is no channel {name} that can be used"));
        return None;
    }
    Some(name)
}

fn changes(section: &mut Section, problems: &mut Vec<Problem>) -> Vec<AlertAction> {
    let changes = words(section, problems, "changes", &AlertAction::ALL, AlertAction::as_str);
    if changes.is_empty() { USUAL.to_vec() } else { changes }
}

fn severity(section: &mut Section, problems: &mut Vec<Problem>, key: &str) -> Option<Severity> {
    section.word(problems, key, &Severity::ALL, Severity::as_str)
}

/// What becomes of single breaches while their unit has a surge.
#[derive(Clone, Copy)]
enum InSurge {
    Fold,
    Each,
}

/// `surge = "fold"` or `"each"`. If not given, people are told of the surge and programs of each breach.
fn folds(section: &mut Section, kind: Option<&ChannelKind>, problems: &mut Vec<Problem>) -> bool {
    let all = [InSurge::Fold, InSurge::Each];
    let name = |one| match one {
        InSurge::Fold => "fold",
        InSurge::Each => "each",
    };
    match section.word(problems, "surge", &all, name) {
        Some(InSurge::Fold) => true,
        Some(InSurge::Each) => false,
        None => kind.is_some_and(ChannelKind::is_read_by_people),
    }
}

/// When nobody is disturbed, and when what was gathered is told; both by the clocks of one zone.
fn times(
    section: &mut Section,
    kind: Option<&ChannelKind>,
    problems: &mut Vec<Problem>,
) -> (Option<Quiet>, Option<Schedule>) {
    let zone = section.text(problems, "zone");
    (quiet(section, zone.clone(), problems), digest(section, zone, kind, problems))
}

/// `digest = "daily"` with `at = "08:00"` and its zone, or `digest = "hourly"`.
fn digest(
    section: &mut Section,
    zone: Option<(String, Origin)>,
    kind: Option<&ChannelKind>,
    problems: &mut Vec<Problem>,
) -> Option<Schedule> {
    let how = section.text(problems, "digest");
    let at = section.text(problems, "at");
    let Some((how, origin)) = how else {
        if let Some((_, origin)) = at {
            section.problem(
                problems,
                "at",
                &origin,
                "is the time of a daily digest: digest = \"daily\" is missing",
            );
        }
        return None;
    };
    let every = match (how.as_str(), at) {
        ("hourly", None) => Every::Hour,
        ("hourly", Some((_, origin))) => {
            section.problem(
                problems,
                "at",
                &origin,
                "an hourly digest is told at every full hour: leave this out",
            );
            return None;
        }
        ("daily", Some((text, origin))) => match time(&text) {
            Some(time) => Every::Day(time),
            None => {
                let message = format!("expected a time such as \"08:00\", found {text:?}");
                section.problem(problems, "at", &origin, message);
                return None;
            }
        },
        ("daily", None) => {
            section.problem(problems, "at", &origin, "missing: a daily digest has a time, such as \"08:00\"");
            return None;
        }
        (other, _) => {
            let message = format!("expected one of hourly, daily, found {other:?}");
            section.problem(problems, "digest", &origin, message);
            return None;
        }
    };
    let kind = kind?;
    if !kind.has_digests() {
        let message = format!(
            "a channel of kind {} is read by programs, which take what happens as it happens: it has no digests",
            kind.as_str()
        );
        section.problem(problems, "digest", &origin, message);
        return None;
    }
    let to = match kind {
        ChannelKind::Email(config) => config.to.as_slice(),
        _ => &[],
    };
    if to.contains(&Recipient::Assignee) {
        let message =
            "the alerts of a digest are not all with one person: leave {assignee} out of the channel's to";
        section.problem(problems, "digest", &origin, message);
        return None;
    }
    let per_owner = to.contains(&Recipient::Owner);
    let (zone, zone_name) = match (zone, every) {
        (None, Every::Hour) => (TimeZone::UTC, "UTC".to_owned()),
        (None, Every::Day(_)) => {
            let message = "missing: a daily digest needs a zone, such as \"Europe/London\"";
            section.problem(problems, "zone", &origin, message);
            return None;
        }
        (Some((name, origin)), _) => (zone_of(section, &name, &origin, problems)?, name),
    };
    Some(Schedule { every, zone, zone_name, per_owner })
}

fn zone_of(section: &Section, name: &str, origin: &Origin, problems: &mut Vec<Problem>) -> Option<TimeZone> {
    let wrong = |error: jiff::Error| {
        let message = format!("{error}; zones are read from the system's tzdata, and UTC is always there");
        section.problem(problems, "zone", origin, message);
    };
    TimeZone::get(name).map_err(wrong).ok()
}

/// `quiet = "20:00-07:00"` with its zone.
fn quiet(
    section: &mut Section,
    zone: Option<(String, Origin)>,
    problems: &mut Vec<Problem>,
) -> Option<Quiet> {
    let hours = section.text(problems, "quiet");
    let except = severity(section, problems, "quiet_except").unwrap_or(Severity::Critical);
    let (hours, origin) = hours?;
    let times = hours.split_once('-').and_then(|(from, until)| Some((time(from)?, time(until)?)));
    let Some((from, until)) = times.filter(|(from, until)| from != until) else {
        let message = format!("expected two times such as \"20:00-07:00\", found {hours:?}");
        section.problem(problems, "quiet", &origin, message);
        return None;
    };
    let Some((zone, origin)) = zone else {
        section.problem(
            problems,
            "zone",
            &origin,
            "missing: quiet hours need a zone, such as \"Europe/London\"",
        );
        return None;
    };
    let zone = zone_of(section, &zone, &origin, problems)?;
    Some(Quiet { zone, from, until, except })
}

/// Hours and minutes.
fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !two(hour) || !two(minute) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

/// The texts of a list, with where it was given.
fn texts(section: &mut Section, problems: &mut Vec<Problem>, key: &str) -> (Vec<String>, Origin) {
    let Some(setting) = section.take(key) else { return (Vec::new(), section.origin.clone()) };
    let Raw::List(list) = &setting.raw else {
        let message = format!("expected a list of texts, found {}", describe(&setting.raw));
        section.problem(problems, key, &setting.origin, message);
        return (Vec::new(), setting.origin);
    };
    if list.is_empty() {
        section.problem(problems, key, &setting.origin, "the list is empty: leave the key out instead");
    }
    let mut texts = Vec::new();
    for element in list {
        match element {
            Raw::Text(text) => texts.push(text.clone()),
            other @ (Raw::Integer(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Other(_)) => {
                let message = format!("expected texts in the list, found {}", describe(other));
                section.problem(problems, key, &setting.origin, message);
            }
        }
    }
    (texts, setting.origin)
}

fn parsed<T: FromStr<Err: Display>>(section: &mut Section, problems: &mut Vec<Problem>, key: &str) -> Vec<T> {
    let (texts, origin) = texts(section, problems, key);
    let mut all = Vec::new();
    for text in texts {
        match text.parse() {
            Ok(value) => all.push(value),
            Err(error) => section.problem(problems, key, &origin, error),
        }
    }
    all
}

fn words<T: Copy>(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    key: &str,
    known: &[T],
    name: impl Fn(T) -> &'static str,
) -> Vec<T> {
    let (texts, origin) = texts(section, problems, key);
    let mut words = Vec::new();
    for text in texts {
        match known.iter().copied().find(|word| name(*word) == text) {
            Some(word) => words.push(word),
            None => {
                let names: Vec<&str> = known.iter().copied().map(&name).collect();
                let message = format!("expected some of {}, found {text:?}", names.join(", "));
                section.problem(problems, key, &origin, message);
            }
        }
    }
    words
}
