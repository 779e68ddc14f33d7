//! Which channel is told of which change of an alert, and when: at once, after the quiet hours, or together with others.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use offchannel_shared::ids::{AppId, AudienceId, ChannelName, UnitId};
use offchannel_shared::policy::Severity;

use super::alert::{Alert, AlertAction, AlertEvent, AlertKind};
use super::digest::Schedule;

/// What is told where nothing else is said: what changes how an alert stands by the facts and time. What people do to it
/// they know.
pub const USUAL: [AlertAction; 5] = [
    AlertAction::Opened,
    AlertAction::Reopened,
    AlertAction::Ceased,
    AlertAction::Resolved,
    AlertAction::Escalated,
];

/// One way from alerts to a channel. An empty list means no restriction.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The channel.
    pub channel: ChannelName,
    /// Only alerts of these kinds.
    pub kinds: Vec<AlertKind>,
    /// Only alerts that are at least so grave.
    pub severity: Severity,
    /// Only devices in these units, or below them.
    pub units: Vec<UnitId>,
    /// Only alerts about these apps.
    pub apps: Vec<AppId>,
    /// Only these changes.
    pub changes: Vec<AlertAction>,
    /// Only what is carried to these; other changes are not restricted by it.
    pub to: Vec<AudienceId>,
    /// When nobody is to be disturbed.
    pub quiet: Option<Quiet>,
    /// When what it takes is told together; at once, each for itself, if not given.
    pub digest: Option<Schedule>,
    /// Whether breaches in a unit are not told one by one while the unit has a surge. What is carried to others is.
    pub folds: bool,
}

/// How a channel is told of a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Way<'r> {
    /// The channel.
    pub channel: &'r ChannelName,
    /// From when on it may be told.
    pub due: Timestamp,
    /// With what it is told together, if not alone.
    pub digest: Option<&'r Schedule>,
}

/// Hours of each day in which nothing is told but what is very grave; the rest waits for their end.
#[derive(Debug, Clone, PartialEq)]
pub struct Quiet {
    /// Whose clock tells them.
    pub zone: TimeZone,
    /// When they begin.
    pub from: Time,
    /// When they end; on the next day if that is before they begin.
    pub until: Time,
    /// What is at least so grave does not wait.
    pub except: Severity,
}

/// All routes. A channel that none leads to gets what is [`USUAL`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// The routes that are given, and the usual one to each channel that none of them leads to.
    pub fn new(channels: &[ChannelName], given: Vec<Route>) -> Self {
        Self::with_usual(channels.iter().map(|channel| Route::usual(channel.clone())), given)
    }

    /// The routes that are given, and of the usual ones those to channels that none of them leads to.
    pub fn with_usual(usual: impl IntoIterator<Item = Route>, given: Vec<Route>) -> Self {
        let missing = |usual: &Route| given.iter().all(|route| route.channel != usual.channel);
        let usual: Vec<Route> = usual.into_iter().filter(missing).collect();
        Self(given.into_iter().chain(usual).collect())
    }

    /// The channels that are told of a change, each once: by the way that tells it first.
    /// `units` are the unit that the alert is in and those above it; `in_surge` says whether it is one of many that are told
    /// together.
    pub fn of(
        &self,
        event: &AlertEvent,
        alert: &Alert,
        units: &[UnitId],
        in_surge: bool,
        now: Timestamp,
    ) -> Vec<Way<'_>> {
        let mut told: Vec<Way<'_>> = Vec::new();
        let folded = in_surge && event.action != AlertAction::Escalated;
        let taking =
            self.0.iter().filter(|route| route.takes(event, alert, units) && !(folded && route.folds));
        for route in taking {
            let from = route.digest.as_ref().map_or(now, |digest| digest.next(now));
            let quiet = route.quiet.as_ref().filter(|quiet| alert.severity < quiet.except);
            let due = quiet.map_or(from, |quiet| quiet.end(from));
            let way = Way { channel: &route.channel, due, digest: route.digest.as_ref() };
            match told.iter_mut().find(|known| *known.channel == route.channel) {
                // What is told alone is told first, however late.
                Some(known) if (way.digest.is_some(), way.due) < (known.digest.is_some(), known.due) => {
                    *known = way;
                }
                Some(_) => {}
                None => told.push(way),
            }
        }
        told
    }
}

impl Route {
    /// Everything that is usual.
    pub fn usual(channel: ChannelName) -> Self {
        Self {
            channel,
            kinds: Vec::new(),
            severity: Severity::Info,
            units: Vec::new(),
            apps: Vec::new(),
            changes: USUAL.to_vec(),
            to: Vec::new(),
            quiet: None,
            digest: None,
            folds: false,
        }
    }

    fn takes(&self, event: &AlertEvent, alert: &Alert, units: &[UnitId]) -> bool {
        fn any<T>(list: &[T], hit: impl Fn(&T) -> bool) -> bool {
            list.is_empty() || list.iter().any(hit)
        }
        let carried = event.action == AlertAction::Escalated;
        any(&self.kinds, |kind| *kind == alert.kind)
            && alert.severity >= self.severity
            && any(&self.units, |unit| units.contains(unit))
            && any(&self.apps, |app| alert.app.as_ref() == Some(app))
            && any(&self.changes, |change| *change == event.action)
            && (!carried || any(&self.to, |to| event.text.as_deref() == Some(to.as_str())))
    }
}

impl Quiet {
    /// `now`, or the end of the quiet hours if it lies in them.
    fn end(&self, now: Timestamp) -> Timestamp {
        let local = now.to_zoned_datetime(self.zone.clone());
        let time = local.time();
        let over_night = self.until <= self.from;
        let within = if over_night {
            time >= self.from || time < self.until
        } else {
            (self.from..self.until).contains(&time)
        };
        if !within {
            return now;
        }
        let days = if over_night && time >= self.from { 1 } else { 0 };
        // The end of time, or an end that a change of the clock leaves out: rather at once than never.
        let day = local.date().checked_add(days.days());
        let end = day.and_then(|day| self.zone.to_timestamp(day.to_datetime(self.until)));
        end.map_or(now, |end| end.max(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quiet(from: &str, until: &str, zone: TimeZone) -> Quiet {
        Quiet { zone, from: from.parse().unwrap(), until: until.parse().unwrap(), except: Severity::Critical }
    }

    #[test]
    fn what_comes_at_night_waits_for_the_morning_of_the_zone() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let night = quiet("20:00", "07:00", berlin.clone());
        for (now, end) in [
            ("2026-12-01T18:59:59Z", "2026-12-01T18:59:59Z"),
            ("2026-12-01T19:00:00Z", "2026-12-02T06:00:00Z"),
            ("2026-12-02T05:59:59Z", "2026-12-02T06:00:00Z"),
            ("2026-12-02T06:00:00Z", "2026-12-02T06:00:00Z"),
            // In summer the clock is two hours ahead.
            ("2026-07-01T18:30:00Z", "2026-07-02T05:00:00Z"),
        ] {
            assert_eq!(night.end(now.parse().unwrap()), end.parse().unwrap(), "{now}");
        }
        let noon = quiet("12:00", "13:00", berlin);
        assert_eq!(
            noon.end("2026-12-01T11:30:00Z".parse().unwrap()),
            "2026-12-01T12:00:00Z".parse().unwrap()
        );
    }

    proptest! {
        #[test]
        fn nothing_waits_longer_than_a_day_and_an_hour_and_nothing_is_told_before_it_happened(
            second in 1_700_000_000_i64..1_900_000_000, from in 0_i8..24, until in 0_i8..24,
        ) {
            prop_assume!(from != until);
            let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
            let hour = |hour| Time::new(hour, 0, 0, 0).unwrap();
            let quiet = Quiet { zone, from: hour(from), until: hour(until), except: Severity::Critical };
            let now = Timestamp::from_second(second).unwrap();
            let end = quiet.end(now);
            prop_assert!(end >= now && end.as_second() - second <= 25 * 3_600);
            prop_assert_eq!(quiet.end(end), end, "the end is within the quiet hours");
        }
    }
}
