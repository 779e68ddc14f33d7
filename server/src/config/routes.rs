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
use crate::channels::ChannelConfig;
use crate::domain::alert::{AlertAction, AlertKind};
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
        let route = |channel| Route {
            kinds: words(&mut section, problems, "kinds", &AlertKind::ALL, AlertKind::as_str),
            severity: severity(&mut section, problems, "severity").unwrap_or(Severity::Info),
            units: parsed(&mut section, problems, "units"),
            apps: parsed(&mut section, problems, "apps"),
            changes: changes(&mut section, problems),
            to: parsed(&mut section, problems, "to"),
            quiet: quiet(&mut section, problems),
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

/// `quiet = "20:00-07:00"` with its zone.
fn quiet(section: &mut Section, problems: &mut Vec<Problem>) -> Option<Quiet> {
    let hours = section.text(problems, "quiet");
    let zone = section.text(problems, "zone");
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
    match TimeZone::get(&zone) {
        Ok(zone) => Some(Quiet { zone, from, until, except }),
        Err(error) => {
            let message =
                format!("{error}; zones are read from the system's tzdata, and UTC is always there");
            section.problem(problems, "zone", &origin, message);
            None
        }
    }
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
