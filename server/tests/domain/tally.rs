//! What a policy would change about many devices is counted in parts: however they are cut, the sums are the same.

use offchannel_server::domain::finding::FindingKind;
use offchannel_server::domain::policy_whatif::{Effect, FindingChange, Outcome, Tally, Weight};
use offchannel_shared::ids::{AppId, DeviceId, RuleId, UnitId};
use proptest::prelude::*;

fn effect() -> impl Strategy<Value = (Effect, bool)> {
    let outcome = prop::sample::select(vec![
        Outcome::NewlyInBreach,
        Outcome::NewlyInGrace,
        Outcome::NewlyExempt,
        Outcome::Cleared,
        Outcome::OtherFindings,
        Outcome::Unchanged,
    ]);
    let weight = prop::option::of(prop::sample::select(vec![Weight::Breach, Weight::Grace, Weight::Exempt]));
    let change = (0..3_usize, 0..2_usize, weight.clone(), weight);
    let units = prop::sample::subsequence(vec!["leeds", "north", "top"], 0..=3);
    (outcome, prop::collection::vec(change, 0..3), units, any::<bool>()).prop_map(
        |(outcome, changes, units, reported)| {
            let changes = changes.into_iter().map(|(rule, app, before, after)| FindingChange {
                rule: RuleId::new(["a", "b", "c"][rule]).unwrap(),
                app: AppId::new(["signal", "telegram"][app]).unwrap(),
                kind: FindingKind::ProhibitedApp,
                before,
                after,
            });
            let effect = Effect {
                device: DeviceId::from_random([0; 16]),
                hostname: "host".to_owned(),
                units: units.into_iter().map(|unit| UnitId::new(unit).unwrap()).collect(),
                outcome,
                before: None,
                after: None,
                changes: changes.collect(),
            };
            (effect, reported)
        },
    )
}

proptest! {
    #[test]
    fn parts_add_up_to_the_whole_and_the_gravest_are_kept(
        effects in prop::collection::vec(effect(), 0..30), cut in 0..30_usize, limit in 0..12_usize,
    ) {
        let effects: Vec<(Effect, bool)> = effects
            .into_iter()
            .enumerate()
            .map(|(at, (effect, reported))| {
                let device = DeviceId::from_random([u8::try_from(at).unwrap(); 16]);
                (Effect { device, ..effect }, reported)
            })
            .collect();
        let count = |effects: &[(Effect, bool)]| {
            let mut tally = Tally::new(limit);
            for (effect, reported) in effects {
                tally.count(effect.clone(), *reported);
            }
            tally
        };
        let (first, second) = effects.split_at(cut.min(effects.len()));
        let mut tally = count(first);
        tally.add(count(second));

        let whole = count(&effects);
        prop_assert_eq!(tally.totals, whole.totals);
        prop_assert_eq!(&tally.units, &whole.units);
        prop_assert_eq!(&tally.rules, &whole.rules);
        prop_assert_eq!(&tally.effects, &whole.effects);
        let silent = effects.iter().filter(|(_, reported)| !reported).count() as u64;
        prop_assert_eq!((tally.not_reported, tally.totals.devices), (silent, effects.len() as u64));

        for unit in ["leeds", "north", "top"] {
            let unit = UnitId::new(unit).unwrap();
            let within = effects.iter().filter(|(effect, _)| effect.units.contains(&unit)).count() as u64;
            prop_assert_eq!(tally.units.get(&unit).map_or(0, |totals| totals.devices), within);
        }
        let all: Vec<&FindingChange> = effects.iter().flat_map(|(effect, _)| &effect.changes).collect();
        for ((rule, app), totals) in &tally.rules {
            let of = |hit: fn(&FindingChange) -> bool| {
                all.iter().filter(|c| c.rule == *rule && c.app == *app && hit(c)).count() as u64
            };
            prop_assert_eq!(totals.devices, of(|_| true));
            prop_assert_eq!(totals.newly_a_breach, of(|c| c.after == Some(Weight::Breach)));
            prop_assert_eq!(totals.gone, of(|c| c.after.is_none()));
        }
        let mut gravest: Vec<(Outcome, DeviceId)> = effects
            .iter()
            .filter(|(effect, _)| effect.outcome != Outcome::Unchanged)
            .map(|(effect, _)| (effect.outcome, effect.device.clone()))
            .collect();
        gravest.sort();
        gravest.truncate(limit);
        prop_assert_eq!(tally.effects.into_keys().collect::<Vec<_>>(), gravest);
    }
}
