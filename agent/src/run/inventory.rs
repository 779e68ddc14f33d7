//! From everything that was found to what is reported.

use std::collections::BTreeSet;

use jiff::Timestamp;
use offchannel_shared::device::{DeviceFacts, Platform};
use offchannel_shared::inventory::{Health, Inventory, Sighting, SourceHealth, Unlisted};
use offchannel_shared::minimise::minimise;
use offchannel_shared::wire::{SIGHTINGS_MAX, TEXT_MAX};

use super::policy::InForce;
use crate::state::json_size as size;

/// Most bytes of an inventory's sightings as JSON.
///
/// Together with [`TRANSITIONS_BYTES`](crate::state::TRANSITIONS_BYTES) and the rest of a report they
/// stay below the collector's limit even where nothing can be compressed, so that nobody can blind the
/// agent with a folder full of long random names.
pub const SIGHTINGS_BYTES: usize = 128 * 1024;

/// Longest host name that a collector accepts, in bytes (RFC 1035 allows 253, Windows 255).
const HOSTNAME_MAX: usize = 255;

/// The health of the agent's own parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnHealth {
    /// Whether this device's clock agrees with the collector's.
    pub clock: Health,
    /// Whether the identity was made on this machine, and its key is for the agent alone.
    pub identity: Health,
    /// Whether the policy is the newest and in time.
    pub policy: Health,
    /// Whether what the agent remembers is whole.
    pub state: Health,
    /// Whether changes are noticed at once.
    pub watch: Health,
}

/// What is reported of what was found.
pub fn reportable(
    found: &Inventory,
    policy: &InForce,
    platform: Platform,
    own: OwnHealth,
    now: Timestamp,
) -> Inventory {
    let bundle = &policy.bundle;
    let mut least = minimise(found, &bundle.policy, &policy.catalogue, platform, &bundle.placement, now);
    let left_out = bound(&mut least, SIGHTINGS_BYTES, SIGHTINGS_MAX);
    let inventory = match left_out {
        0 => Health::Ok,
        // Without the number, which would make a new revision of every change beyond the limit.
        _ => Health::Partial(
            "more was found than a report can hold; every app is named at least once".to_owned(),
        ),
    };
    let entries = [
        ("clock", own.clock),
        ("identity", own.identity),
        ("inventory", inventory),
        ("policy", own.policy),
        ("state", own.state),
        ("watch", own.watch),
    ];
    least.sources.extend(entries.map(|(source, health)| SourceHealth { source: source.to_owned(), health }));
    for source in &mut least.sources {
        match &mut source.health {
            Health::Ok | Health::Absent => {}
            Health::Partial(why) | Health::Failed(why) => clip(why, TEXT_MAX),
        }
    }
    least.normalise();
    least
}

/// Those of these sightings that the policy asks about.
pub fn asked_about<'a>(
    sightings: impl Iterator<Item = &'a Sighting>,
    policy: &InForce,
    platform: Platform,
    now: Timestamp,
) -> BTreeSet<Sighting> {
    let bundle = &policy.bundle;
    let all = Inventory { sightings: sightings.cloned().collect(), ..Inventory::default() };
    let least = minimise(&all, &bundle.policy, &policy.catalogue, platform, &bundle.placement, now);
    least.sightings.into_iter().collect()
}

/// What the device says of itself, no longer than the collector accepts: a strange host name must
/// not silence the device.
pub fn bounded(mut facts: DeviceFacts) -> DeviceFacts {
    clip(&mut facts.hostname, HOSTNAME_MAX);
    for text in [&mut facts.os, &mut facts.arch, &mut facts.machine] {
        clip(text, TEXT_MAX);
    }
    facts
}

/// Cuts a text between characters.
fn clip(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
}

/// Leaves out what does not fit, but the first sighting of each app last. Returns how many went.
fn bound(inventory: &mut Inventory, most_bytes: usize, most: usize) -> usize {
    let (mut left, mut count) = (most_bytes, 0);
    let mut fits = |size: usize| {
        let fits = size <= left && count < most;
        if fits {
            left -= size;
            count += 1;
        }
        fits
    };
    let before = inventory.sightings.len() + inventory.unlisted.len();
    let mut named = BTreeSet::new();
    let (first, more): (Vec<Sighting>, Vec<Sighting>) =
        std::mem::take(&mut inventory.sightings).into_iter().partition(|s| named.insert(s.app.clone()));
    inventory.sightings.extend(first.into_iter().filter(|sighting| fits(size(sighting))));
    // Catalogue apps before messengers that only call themselves so: anyone can make up the latter.
    inventory.sightings.extend(more.into_iter().filter(|sighting| fits(size(sighting))));
    let unlisted: Vec<Unlisted> = std::mem::take(&mut inventory.unlisted);
    inventory.unlisted.extend(unlisted.into_iter().filter(|unlisted| fits(size(unlisted))));
    before - inventory.sightings.len() - inventory.unlisted.len()
}

#[cfg(test)]
mod tests {
    use offchannel_shared::ids::AppId;
    use offchannel_shared::inventory::{Grade, Scope};
    use offchannel_shared::namespace::Namespace;
    use proptest::prelude::*;

    use super::*;
    use crate::run::simulation::{bundle, key};

    fn sighting(app: u8, identifier: &str) -> Sighting {
        Sighting {
            app: AppId::new(format!("a{app}")).unwrap(),
            source: "desktop-entry".to_owned(),
            namespace: Namespace::DesktopEntry,
            identifier: identifier.to_owned(),
            scope: Scope::System,
            grade: Grade::Installed,
            version: None,
        }
    }

    #[test]
    fn no_more_sightings_go_than_the_collector_accepts() {
        let sightings = (0..1200).map(|n| sighting(0, &n.to_string())).collect();
        let mut inventory = Inventory { sightings, ..Inventory::default() };
        inventory.normalise();
        assert_eq!(bound(&mut inventory, usize::MAX, SIGHTINGS_MAX), 200);
        assert_eq!(inventory.sightings.len(), SIGHTINGS_MAX);
    }

    #[test]
    fn facts_and_health_are_no_longer_than_the_collector_accepts() {
        let long = "é".repeat(2000);
        let facts = bounded(DeviceFacts {
            hostname: format!("x{long}"),
            platform: Platform::Linux,
            os: long.clone(),
            arch: long.clone(),
            machine: long.clone(),
        });
        assert_eq!((facts.hostname.len(), facts.os.len()), (255, TEXT_MAX));
        assert!(facts.arch.len() <= TEXT_MAX && facts.machine.len() <= TEXT_MAX);
        let key = key(1);
        let policy = InForce::kept(&bundle(1, "", &key), &[key.public().clone()], 0).unwrap();
        let own = OwnHealth {
            clock: Health::Ok,
            identity: Health::Ok,
            policy: Health::Failed(long.clone()),
            state: Health::Partial(long),
            watch: Health::Ok,
        };
        let inventory =
            reportable(&Inventory::default(), &policy, Platform::Linux, own, Timestamp::UNIX_EPOCH);
        for source in &inventory.sources {
            if let Health::Partial(why) | Health::Failed(why) = &source.health {
                assert!(why.len() <= TEXT_MAX, "{}: {} bytes", source.source, why.len());
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_grows_beyond_the_limit_and_every_app_that_can_be_named_is(
            found in proptest::collection::vec((0u8..4, "[a-z\"é]{0,40}"), 0..60),
            most in 600usize..4000,
        ) {
            let sightings = found.iter().map(|(app, identifier)| sighting(*app, identifier)).collect();
            let mut inventory = Inventory { sightings, ..Inventory::default() };
            inventory.normalise();
            let apps = |inventory: &Inventory| -> BTreeSet<AppId> {
                inventory.sightings.iter().map(|s| s.app.clone()).collect()
            };
            let (all, count) = (apps(&inventory), inventory.sightings.len());
            let left_out = bound(&mut inventory, most, usize::MAX);
            prop_assert_eq!(inventory.sightings.len() + left_out, count);
            prop_assert!(inventory.sightings.iter().map(size).sum::<usize>() <= most);
            // Four apps need less than 4 times 300 bytes.
            prop_assert!(most < 1200 || apps(&inventory) == all);
        }
    }
}
