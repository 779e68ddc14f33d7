//! What the health of a device's sources is a sign of.
//!
//! A report carries the health of every source and of the agent's own parts. Most of it is for people who look at the
//! device; some of it must not wait until somebody looks.

use offchannel_shared::inventory::{Health, Inventory, SourceHealth};

use super::alert::AlertKind;
use super::delivery::Trouble;

/// The part of the agent that compares clocks.
const CLOCK: &str = "clock";
/// The part of the agent that concerns policy bundles.
const POLICY: &str = "policy";
/// The part of the agent that concerns its own files.
const STATE: &str = "state";
/// Parts of the agent whose trouble leaves nothing unseen: whose identity it is, is for the alert about copied devices;
/// what is beyond the room of a report is named by app at least once; what cannot be watched is looked at every minute.
const HARMLESS: [&str; 3] = ["identity", "inventory", "watch"];

/// Whether this is a part of the agent, and no source.
pub fn is_own(source: &str) -> bool {
    [CLOCK, POLICY, STATE].contains(&source) || HARMLESS.contains(&source)
}

/// Whether an alert of this kind stands for this health.
///
/// Of a source only `failed` counts, which means that nothing of it could be looked at. `partial` is what one broken
/// file in one home folder makes; whoever has to act on that sees it at the device.
pub(super) fn is_sign_of(source: &SourceHealth, kind: AlertKind) -> bool {
    let (partial, failed) = match &source.health {
        Health::Ok | Health::Absent => (false, false),
        Health::Partial(_) => (true, false),
        Health::Failed(_) => (false, true),
    };
    match (kind, source.source.as_str()) {
        (AlertKind::PolicyRefused, POLICY) => failed,
        (AlertKind::AgentTampered, STATE) | (AlertKind::ClockOff, CLOCK) => partial || failed,
        (AlertKind::SourceUnreadable, POLICY | STATE | CLOCK) => false,
        (AlertKind::SourceUnreadable, source) => failed && !HARMLESS.contains(&source),
        _ => false,
    }
}

/// What an alert of this kind stands for, for the notification about it; at most `most` entries.
pub(super) fn troubles(inventory: &Inventory, kind: AlertKind, most: usize) -> Vec<Trouble> {
    let signs = inventory.sources.iter().filter(|source| is_sign_of(source, kind)).take(most);
    let told = |source: &SourceHealth| {
        let (health, why) = match &source.health {
            Health::Ok => ("ok", String::new()),
            Health::Absent => ("absent", String::new()),
            Health::Partial(why) => ("partial", why.clone()),
            Health::Failed(why) => ("failed", why.clone()),
        };
        Trouble { source: source.source.clone(), health: health.to_owned(), why }
    };
    signs.map(told).collect()
}
