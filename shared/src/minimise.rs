//! What of an inventory leaves the device: only what the policy asks about.

use jiff::Timestamp;

use crate::catalogue::Catalogue;
use crate::device::{Placement, Platform};
use crate::ids::AppId;
use crate::inventory::{Grade, Inventory};
use crate::policy::{Policy, Rule, Unreviewed, Verdict};

/// The part of an inventory that the policy asks about, for a device of this platform and placement.
///
/// A sighting is asked about if the rule that decides it is a prohibited one, if it can meet a
/// required rule, or if the policy wants unreviewed apps and no rule names it. Allowed apps stay on
/// the device. Rules that are not in force yet do not ask.
pub fn minimise(
    inventory: &Inventory,
    policy: &Policy,
    catalogue: &Catalogue,
    platform: Platform,
    placement: &Placement,
    now: Timestamp,
) -> Inventory {
    let scoped: Vec<&Rule> =
        policy.rules.iter().filter(|rule| rule.scope.includes(platform, placement)).collect();
    let asked = |app: &AppId, grade: Grade| {
        let Some(app) = catalogue.app(app.as_str()) else { return false };
        let about: Vec<&Rule> = scoped.iter().filter(|rule| rule.names(app)).copied().collect();
        if about.is_empty() {
            return policy.unreviewed == Unreviewed::Report && grade != Grade::Residual;
        }
        let counts = |rule: &&Rule| rule.in_force(now) && rule.grades.contains(&grade);
        let (required, deciding): (Vec<&Rule>, Vec<&Rule>) =
            about.into_iter().filter(counts).partition(|rule| rule.verdict == Verdict::Required);
        !required.is_empty() || deciding.first().is_some_and(|rule| rule.verdict == Verdict::Prohibited)
    };
    let unlisted = match policy.unreviewed {
        // Leftovers are no reason to ask, as with the apps that no rule names.
        Unreviewed::Report => {
            inventory.unlisted.iter().filter(|found| found.grade != Grade::Residual).cloned().collect()
        }
        Unreviewed::Ignore => Vec::new(),
    };
    let mut least = Inventory {
        sightings: inventory.sightings.iter().filter(|s| asked(&s.app, s.grade)).cloned().collect(),
        unlisted,
        sources: inventory.sources.clone(),
    };
    least.normalise();
    least
}
