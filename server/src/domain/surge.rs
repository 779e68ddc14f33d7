//! Surges: many new breaches in one unit are one alert about the unit, to whoever answers for it.
//!
//! A surge belongs to the lowest unit in which there are enough breaches. A unit above it has one of its own only if
//! there are enough without those.

use std::collections::BTreeMap;

use offchannel_shared::ids::UnitId;
use offchannel_shared::policy::UnitSurge;
use offchannel_shared::span::Span;

/// New breaches on the devices of one unit, without those of the units below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The unit, and those above it, as they were when the breaches happened.
    pub units: Vec<UnitId>,
    /// How many apps on how many devices: each app counts once on each device.
    pub breaches: u64,
}

/// The units that have a surge, with how many breaches make it.
pub fn surging(groups: &[Group], surge: &UnitSurge) -> BTreeMap<UnitId, u64> {
    let deepest = groups.iter().map(|group| group.units.len()).max().unwrap_or_default();
    let mut left: Vec<(&[UnitId], u64)> =
        groups.iter().map(|group| (group.units.as_slice(), group.breaches)).collect();
    let mut found = BTreeMap::new();
    // From the lowest level to the highest; what makes a surge is taken, and counts no more further up.
    for level in (1..=deepest).rev() {
        let mut counts: BTreeMap<&UnitId, u64> = BTreeMap::new();
        for (units, breaches) in &left {
            if let Some(unit) = at_level(units, level) {
                *counts.entry(unit).or_default() += breaches;
            }
        }
        counts.retain(|_, count| *count >= u64::from(surge.breaches));
        left.retain(|(units, _)| at_level(units, level).is_none_or(|unit| !counts.contains_key(unit)));
        for (unit, count) in counts {
            *found.entry(unit.clone()).or_default() += count;
        }
    }
    found
}

/// The unit at a level of a path, which begins with the lowest; 1 is the top.
fn at_level(units: &[UnitId], level: usize) -> Option<&UnitId> {
    units.len().checked_sub(level).and_then(|place| units.get(place))
}

/// What is told of a surge.
pub fn said(breaches: u64, within: Span) -> String {
    format!("{breaches} new breaches within {within}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use offchannel_shared::policy::Severity;

    use super::*;

    fn unit(name: &str) -> UnitId {
        UnitId::new(name).unwrap()
    }

    fn group(path: &str, breaches: u64) -> Group {
        Group { units: path.split(' ').filter(|name| !name.is_empty()).map(unit).collect(), breaches }
    }

    fn found(groups: &[Group]) -> Vec<(String, u64)> {
        let surge = UnitSurge { breaches: 10, within: Span::minutes(60), severity: Severity::High };
        surging(groups, &surge).into_iter().map(|(unit, count)| (unit.to_string(), count)).collect()
    }

    #[test]
    fn a_surge_belongs_to_the_lowest_unit_that_has_enough() {
        for (groups, expected) in [
            (vec![group("payroll finance company", 10)], vec![("payroll", 10)]),
            (vec![group("payroll finance company", 9)], vec![]),
            (
                vec![group("payroll finance company", 6), group("audit finance company", 4)],
                vec![("finance", 10)],
            ),
            // What is below it is taken care of there.
            (
                vec![group("payroll finance company", 12), group("audit finance company", 9)],
                vec![("payroll", 12)],
            ),
            (
                vec![
                    group("payroll finance company", 12),
                    group("finance company", 5),
                    group("legal company", 5),
                ],
                vec![("company", 10), ("payroll", 12)],
            ),
            // Nobody answers for devices in no unit.
            (vec![group("", 100)], vec![]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(unit, count)| (unit.to_owned(), count)).collect();
            assert_eq!(found(&groups), expected, "{groups:?}");
        }
    }

    proptest! {
        #[test]
        fn no_breach_counts_twice_and_none_is_left_that_would_make_one_more(
            groups in prop::collection::vec((0_usize..3, 0_usize..3, 0_usize..3, 0_u64..12), 0..12)
        ) {
            let name = |level: &str, number: usize| format!("{level}{number}");
            let groups: Vec<Group> = groups
                .into_iter()
                .map(|(top, middle, low, count)| {
                    let (middle, low) = (format!("{}-{middle}", name("t", top)), format!("{}-{middle}-{low}", name("t", top)));
                    group(&format!("{low} {middle} {}", name("t", top)), count)
                })
                .collect();
            let total: u64 = groups.iter().map(|group| group.breaches).sum();
            let found = found(&groups);
            let taken: u64 = found.iter().map(|(_, count)| count).sum();
            prop_assert!(taken <= total && found.iter().all(|(_, count)| *count >= 10));
            // Of what no surge has taken, no unit has enough.
            let surges = |units: &[UnitId]| units.iter().any(|unit| found.iter().any(|(name, _)| *name == unit.as_str()));
            for level in 0..3 {
                let mut left = BTreeMap::new();
                for group in groups.iter().filter(|group| !surges(&group.units)) {
                    *left.entry(&group.units[level]).or_insert(0) += group.breaches;
                }
                prop_assert!(left.values().all(|count| *count < 10), "{left:?}");
            }
        }
    }
}
