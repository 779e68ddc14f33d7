//! When many breaches in one unit are a matter of the unit, and no longer of each device.
//!
//! Only the collector has to do with it; it is left out of what agents get.

use super::Severity;
use super::read::{Keys, Report};
use crate::span::Span;

/// Fewest and most breaches that make a surge.
const BREACHES_BOUNDS: [u32; 2] = [2, 100_000];
/// Shortest and longest time in which they are counted.
const WITHIN_BOUNDS: [Span; 2] = [Span::minutes(10), Span::seconds(31 * 86_400)];

/// When a unit has a surge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitSurge {
    /// So many apps on devices, or more, newly in breach.
    pub breaches: u32,
    /// Within this time.
    pub within: Span,
    /// How grave that is.
    pub severity: Severity,
}

pub(super) fn read_surge(report: &mut Report<'_>, keys: &mut Keys<'_, '_>) -> Option<UnitSurge> {
    let mut table = keys.table(report, "unit_surge")?;
    let at = table.at.clone();
    let breaches = table.number(report, "breaches", BREACHES_BOUNDS);
    let within = table.parsed::<Span>(report, "within");
    let severity = table.word(report, "severity", &Severity::ALL, Severity::as_str).unwrap_or(Severity::High);
    for (key, why) in [
        ("breaches", "missing; expected how many breaches in a unit are a surge, such as 10"),
        ("within", "missing; expected the time in which they are counted, such as 24h"),
    ] {
        if table.take(key).is_none() {
            report.error(at.clone(), table.name(key), why);
        }
    }
    let [least, most] = WITHIN_BOUNDS;
    if let Some(within) = within.as_ref().filter(|within| !(least..=most).contains(within.get_ref())) {
        let message = format!("must be from {least} to {most}, is {}", within.get_ref());
        report.error(within.span(), table.name("within"), message);
    }
    table.finish(report);
    Some(UnitSurge { breaches: breaches?, within: within?.into_inner(), severity })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::parse;

    const RULE: &str = "schema = 1\nname = \"x\"\n[[rule]]\nid = \"chat\"\nverdict = \"prohibited\"\nkinds = [\"consumer\"]\n";

    #[test]
    fn every_mistake_is_named() {
        let policy = parse(&format!("{RULE}[unit_surge]\nbreaches = 10\nwithin = \"24h\"\n")).unwrap().policy;
        let surge = UnitSurge { breaches: 10, within: Span::minutes(24 * 60), severity: Severity::High };
        assert_eq!(policy.unit_surge, Some(surge));
        assert!(!serde_json::to_string(&policy).unwrap().contains("surge"), "no business of the agents");
        for (keys, part) in [
            ("", "unit_surge.breaches: missing"),
            ("breaches = 10", "unit_surge.within: missing"),
            (
                "breaches = 1\nwithin = \"24h\"",
                "8:12: error: unit_surge.breaches: must be from 2 to 100000, is 1",
            ),
            (
                "breaches = 10\nwithin = \"1m\"",
                "9:10: error: unit_surge.within: must be from 10m to 31d, is 1m",
            ),
            ("breaches = 10\nwithin = \"1d\"\nsevere = \"x\"", "unit_surge.severe: unknown key"),
        ] {
            let problems = parse(&format!("{RULE}[unit_surge]\n{keys}\n")).unwrap_err().to_string();
            assert!(problems.contains(part), "{part:?} is not in {problems}");
        }
    }
}
