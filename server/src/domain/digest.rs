//! Digests: changes of alerts that are told together, every hour or once a day, and not one by one.
//!
//! Each change is queued with what it belongs to; when the time comes, all that is due is one message. What one message
//! holds is settled at its first attempt, so that a repetition is the same message under the same id.

use std::collections::BTreeMap;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use offchannel_shared::ids::DeliveryId;

use super::alert::AlertAction;
use super::delivery::{Delivery, Notification};

/// Most changes that are told in one message; the others follow in the next.
pub const CHANGES_MAX: u32 = 500;

/// When a route tells what it has gathered, and with what.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// How often.
    pub every: Every,
    /// Whose clock tells the time of day.
    pub zone: TimeZone,
    /// How the zone was named.
    pub zone_name: String,
    /// Whether each unit's owner gets a message of their own.
    pub per_owner: bool,
}

/// How often a digest is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// At every full hour.
    Hour,
    /// Every day at this time.
    Day(Time),
}

impl Schedule {
    /// The first time to tell after an instant. Where a change of the clock leaves the time of day out it is told as much
    /// later; where it comes twice, at the first.
    pub fn next(&self, now: Timestamp) -> Timestamp {
        match self.every {
            Every::Hour => self.next_hour(now),
            Every::Day(time) => self.next_day(now, time),
        }
        // At the end of time: rather at once than never.
        .unwrap_or(now)
    }

    fn next_hour(&self, now: Timestamp) -> Option<Timestamp> {
        // Clocks that are changed keep the minute, but not every zone has whole hours.
        let minute = now.to_zoned_datetime(self.zone.clone()).minute();
        let start = now.as_second() - now.as_second().rem_euclid(60) - i64::from(minute) * 60;
        Timestamp::from_second(start + 3_600).ok()
    }

    fn next_day(&self, now: Timestamp, time: Time) -> Option<Timestamp> {
        let today = now.to_zoned_datetime(self.zone.clone()).date();
        (0..3).find_map(|days| {
            let day = today.checked_add(days.days()).ok()?;
            let at = self.zone.to_timestamp(day.to_datetime(time)).ok()?;
            (at > now).then_some(at)
        })
    }

    /// What is told together: everything of this schedule, or everything of it that one owner is to read.
    pub fn group(&self, notification: &Notification) -> String {
        let mut group = match self.every {
            Every::Hour => format!("hourly, {}", self.zone_name),
            Every::Day(time) => format!("daily at {}, {}", time.strftime("%H:%M"), self.zone_name),
        };
        if let Some(owner) = notification.unit.as_ref().and_then(|unit| unit.owner_email.as_ref())
            && self.per_owner
        {
            group += &format!(", for {owner}");
        }
        group
    }
}

/// To what a delivery belongs that is not told alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InDigest {
    /// What is told together.
    pub group: String,
    /// The id of the message that it goes in, once that is settled.
    pub message: Option<DeliveryId>,
}

/// A message of several changes.
#[derive(Debug, Clone, Copy)]
pub struct Digest<'a> {
    /// The id of the message, the same at every attempt.
    pub id: &'a DeliveryId,
    /// What is told together.
    pub group: &'a str,
    /// The changes, oldest first; not empty.
    pub parts: &'a [Delivery],
}

/// What became of one alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Told<'a> {
    /// Everything that happened to it, oldest first.
    pub changes: Vec<AlertAction>,
    /// How it stood at the last of them.
    pub last: &'a Notification,
}

impl<'a> Digest<'a> {
    /// The message that these are the parts of; none if they are none.
    pub fn of(parts: &'a [Delivery]) -> Option<Self> {
        let in_digest = parts.first()?.digest.as_ref()?;
        Some(Self { id: in_digest.message.as_ref()?, group: &in_digest.group, parts })
    }

    /// From when to when it happened.
    pub fn between(&self) -> Option<(Timestamp, Timestamp)> {
        let all = || self.parts.iter().map(|part| part.notification.at);
        Some((all().min()?, all().max()?))
    }

    /// The alerts, each once: the gravest first, of those what is still open, and of those what happened first.
    pub fn alerts(&self) -> Vec<Told<'a>> {
        let mut told: BTreeMap<_, Told<'a>> = BTreeMap::new();
        let mut order = Vec::new();
        for part in self.parts {
            let notification = &part.notification;
            let of_alert = told.entry(&part.alert).or_insert_with(|| {
                order.push(&part.alert);
                Told { changes: Vec::new(), last: notification }
            });
            of_alert.changes.push(notification.action);
            of_alert.last = notification;
        }
        let mut all: Vec<Told<'a>> = order.into_iter().filter_map(|alert| told.remove(alert)).collect();
        // Stable: what happened first stays first.
        all.sort_by_key(|told| {
            let alert = &told.last.alert;
            (std::cmp::Reverse(alert.severity), alert.state == super::alert::AlertState::Resolved)
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(every: Every) -> Schedule {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        Schedule { every, zone, zone_name: "Europe/Berlin".to_owned(), per_owner: false }
    }

    #[test]
    fn a_day_has_one_digest_also_when_the_clock_is_changed() {
        let half_past_two = schedule(Every::Day(Time::new(2, 30, 0, 0).unwrap()));
        for (now, next) in [
            ("2026-03-28T01:29:59Z", "2026-03-28T01:30:00Z"),
            ("2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z"),
            // From 2 to 3 there is nothing; an hour later it is half past three.
            ("2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"),
            // Half past two comes twice.
            ("2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
            ("2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ] {
            assert_eq!(half_past_two.next(now.parse().unwrap()), next.parse().unwrap(), "{now}");
        }
        let hourly = schedule(Every::Hour);
        assert_eq!(
            hourly.next("2026-10-25T00:00:00Z".parse().unwrap()),
            "2026-10-25T01:00:00Z".parse().unwrap()
        );
        let half = Schedule { zone: TimeZone::posix("IST-5:30").unwrap(), ..schedule(Every::Hour) };
        assert_eq!(
            half.next("2026-10-25T00:00:00Z".parse().unwrap()),
            "2026-10-25T00:30:00Z".parse().unwrap()
        );
    }

    proptest! {
        #[test]
        fn digests_follow_one_another_without_a_gap_or_a_repetition(
            second in 1_700_000_000_i64..1_900_000_000, hour in 0_i8..24, minute in 0_i8..60,
        ) {
            let now = Timestamp::from_second(second).unwrap();
            for (every, least, most) in
                [(Every::Hour, 3_600, 3_600), (Every::Day(Time::new(hour, minute, 0, 0).unwrap()), 22 * 3_600, 26 * 3_600)]
            {
                let schedule = schedule(every);
                let first = schedule.next(now);
                let second = schedule.next(first);
                prop_assert!(first > now && first.as_second() - now.as_second() <= most);
                let between = second.as_second() - first.as_second();
                prop_assert!((least..=most).contains(&between), "{every:?}: {first} and {second}");
            }
        }
    }
}
