//! What people read of a digest: how much happened, and one line for each alert.

use super::{clean, happened, instant, subject};
use crate::domain::alert::AlertState;
use crate::domain::digest::{Digest, Told};

/// Most characters of a line's parts that others have chosen.
const TEXT_MAX: usize = 120;

/// What is told of a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// How much happened, in a few words.
    pub title: String,
    /// From when to when, and of what schedule.
    pub when: String,
    /// What became of the alerts, the gravest first.
    pub lines: Vec<Line>,
    /// How many alerts have no line here, for want of room.
    pub more: usize,
}

/// What became of one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How grave it is.
    pub severity: &'static str,
    /// What it is about.
    pub about: String,
    /// What happened, one thing after the other.
    pub what: String,
    /// The alert's id.
    pub alert: String,
}

/// Where the alerts are that a message has no room for.
pub const REST: &str = "and more: see `offchannel-server alert list`";

impl Summary {
    /// The whole digest.
    pub fn of(digest: &Digest<'_>) -> Self {
        let alerts = digest.alerts();
        let over = alerts.iter().filter(|told| told.last.alert.state == AlertState::Resolved).count();
        let title = format!("{} alerts: {} open, {over} resolved", alerts.len(), alerts.len() - over);
        let title = if alerts.len() == 1 { title.replacen("alerts", "alert", 1) } else { title };
        let when = match digest.between() {
            Some((from, to)) => {
                format!("{} to {} ({})", instant(from), instant(to), clean(digest.group, TEXT_MAX))
            }
            None => clean(digest.group, TEXT_MAX),
        };
        Self { title, when, lines: alerts.iter().map(line).collect(), more: 0 }
    }

    /// Has it written by `write`, with fewer and fewer lines until what is written has at most `most` bytes.
    ///
    /// # Errors
    /// The first error of `write`.
    pub fn fitted<E>(
        mut self,
        lines: usize,
        most: usize,
        write: impl Fn(&Self) -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let all = self.lines.len();
        self.lines.truncate(lines);
        loop {
            self.more = all - self.lines.len();
            let written = write(&self)?;
            if written.len() <= most || self.lines.is_empty() {
                return Ok(written);
            }
            self.lines.truncate(self.lines.len() * 3 / 4);
        }
    }

    /// What stands for the alerts without a line, if there are any.
    pub fn rest(&self) -> Option<String> {
        (self.more > 0).then(|| format!("{} more {REST}", self.more))
    }
}

fn line(told: &Told<'_>) -> Line {
    let last = told.last;
    let mut what = Vec::new();
    for action in &told.changes {
        let word = happened(*action).to_lowercase();
        // The same again says nothing new.
        if what.last() != Some(&word) {
            what.push(word);
        }
    }
    let mut what = what.join(", ");
    if let Some(cause) = last.alert.cause.filter(|_| last.alert.state == AlertState::Resolved) {
        what += &format!(" ({})", cause.as_str());
    }
    let unit = last.unit.as_ref().filter(|_| last.device.is_some());
    let unit = unit.map(|unit| format!(" in {}", clean(&unit.name, TEXT_MAX))).unwrap_or_default();
    Line {
        severity: last.alert.severity.as_str(),
        about: format!("{}{unit}", subject(last)),
        what,
        alert: last.alert.id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::samples;
    use crate::domain::alert::{AlertAction, Cause};

    #[test]
    fn a_line_says_what_became_of_an_alert() {
        let parts = samples::digested();
        let summary = Summary::of(&samples::digest(&parts));
        assert_eq!(summary.title, "3 alerts: 2 open, 1 resolved");
        assert_eq!(
            summary.when,
            "2026-03-04 10:00 UTC to 2026-03-04 11:00 UTC (daily at 08:00, Europe/London)"
        );
        let lines: Vec<String> = summary
            .lines
            .iter()
            .map(|line| format!("{}: {}: {}", line.severity, line.about, line.what))
            .collect();
        assert_eq!(
            lines,
            [
                "critical: prohibited app Signal on kim-laptop in Finance: new alert",
                "high: silent device in Finance: new alert, escalated",
                "high: prohibited app Telegram on sam-laptop in Finance: new alert, resolved, back again, resolved (removed)",
            ]
        );
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let mut parts = Vec::new();
        for number in 0..60 {
            parts.extend(samples::part(
                number,
                AlertAction::Opened,
                None::<Cause>,
                samples::prohibited("h", "Telegram"),
            ));
        }
        let summary = Summary::of(&samples::digest(&parts));
        let written = summary.fitted(50, 200, |summary| {
            Ok::<_, ()>(format!("{}{}", "x".repeat(summary.lines.len() * 10), summary.more).into_bytes())
        });
        let written = String::from_utf8(written.unwrap()).unwrap();
        assert!(
            written.len() <= 200 && written.trim_start_matches('x').parse::<usize>().unwrap() >= 41,
            "{written}"
        );
    }
}
