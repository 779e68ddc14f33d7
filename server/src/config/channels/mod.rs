//! Where alerts are delivered: one file for each kind of channel, and what they share.
//!
//! A kind reads its keys with one function, `read`, which takes all of them before it gives up, so that every
//! problem is told at once.

mod email;
mod http;
mod net;
mod ocsf;
mod pagerduty;
mod secret;
mod slack;
mod splunk;
mod syslog;
mod teams;
mod webhook;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use offchannel_shared::ids::ChannelName;

pub use secret::{SecretFrom, SecretUse};

use self::secret::Secrets;
use super::layers::Section;
use super::problem::Problem;
use crate::channels::{ChannelConfig, ChannelKind};

/// Words for `kind`; one for each kind of channel.
const KINDS: [&str; 8] = ["webhook", "teams", "slack", "splunk", "pagerduty", "ocsf", "email", "syslog"];

/// All channels, and where their secrets come from.
#[derive(Debug, Default)]
pub(super) struct Channels {
    pub(super) channels: Vec<ChannelConfig>,
    pub(super) secrets: Vec<SecretUse>,
}

/// Reads all channels; each is left out if it has a problem.
pub(super) fn channels(
    sections: Vec<Section>,
    environment: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Channels {
    let mut names = BTreeSet::new();
    let mut all = Channels::default();
    for mut section in sections {
        let before = problems.len();
        let name = name(&mut section, problems, &mut names);
        let enabled = boolean_or(&mut section, problems, "enabled", true);
        let mut secrets = Secrets::new(environment);
        let word = required(&mut section, problems);
        let (keys, given) = (&mut section, &mut secrets);
        let kind = match word {
            Some("webhook") => webhook::read(keys, problems, given).map(ChannelKind::Webhook),
            Some("teams") => teams::read(keys, problems, given).map(ChannelKind::Teams),
            Some("slack") => slack::read(keys, problems, given).map(ChannelKind::Slack),
            Some("splunk") => splunk::read(keys, problems, given).map(ChannelKind::Splunk),
            Some("pagerduty") => pagerduty::read(keys, problems, given).map(ChannelKind::PagerDuty),
            Some("ocsf") => ocsf::read(keys, problems, given).map(ChannelKind::Ocsf),
            Some("email") => email::read(keys, problems, given).map(ChannelKind::Email),
            Some("syslog") => syslog::read(keys, problems).map(ChannelKind::Syslog),
            _ => None,
        };
        // A channel of an unknown kind has keys that nobody took.
        if word.is_some() {
            section.warn_of_the_rest(warnings);
        }
        for (key, origin, odd) in std::mem::take(&mut secrets.odd) {
            section.problem(warnings, &key, &origin, odd);
        }
        // What only the service is given is no problem of an admin command: whoever builds the channel is told.
        let kind = match (kind, secrets.missing) {
            (_, Some(missing)) if problems.len() == before => Some(ChannelKind::WithoutSecret(missing)),
            (kind, _) => kind,
        };
        if let (Some(name), Some(kind)) = (name, kind) {
            let used = secrets.used.into_iter();
            all.secrets.extend(used.map(|(key, from)| SecretUse { channel: name.clone(), key, from }));
            all.channels.push(ChannelConfig { name, enabled, kind });
        }
    }
    all
}

fn name(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    names: &mut BTreeSet<ChannelName>,
) -> Option<ChannelName> {
    let origin = section.settings.get("name").map(|setting| setting.origin.clone());
    let Some(origin) = origin else {
        section.problem(problems, "name", &section.origin, "missing: a channel needs a name");
        return None;
    };
    let name: ChannelName = section.parsed(problems, "name")?;
    if !names.insert(name.clone()) {
        section.problem(problems, "name", &origin, format!("another channel has the name {name}"));
        return None;
    }
    Some(name)
}

/// The kind, as the word that stands in [`KINDS`].
fn required(section: &mut Section, problems: &mut Vec<Problem>) -> Option<&'static str> {
    if section.settings.contains_key("kind") {
        return section.word(problems, "kind", &KINDS, |word| word);
    }
    let message = format!("missing: expected one of {}", KINDS.join(", "));
    section.problem(problems, "kind", &section.origin, message);
    None
}

fn boolean_or(section: &mut Section, problems: &mut Vec<Problem>, key: &str, default: bool) -> bool {
    if section.settings.contains_key(key) {
        section.boolean(problems, key).unwrap_or(default)
    } else {
        default
    }
}
