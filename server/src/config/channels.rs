//! Where alerts are delivered.

use std::collections::BTreeSet;

use offchannel_shared::ids::ChannelName;
use offchannel_shared::span::Span;

use super::layers::{Raw, Section};
use super::problem::Problem;
use super::section::describe;
use crate::channels::http::{HttpConfig, Target};
use crate::channels::net::AllowPrivate;
use crate::channels::webhook::{self, Secret};
use crate::channels::{ChannelConfig, ChannelKind};

/// Words for `kind`; one for each variant of [`ChannelKind`].
const KINDS: [&str; 1] = ["webhook"];
/// Time for one attempt if nothing is said; Standard Webhooks recommends 15 to 30 s.
const TIMEOUT: Span = Span::seconds(20);
/// Largest file of a secret or of CAs that is read, in bytes.
const FILE_MAX: u64 = 1024 * 1024;

/// Reads all channels; each is left out if it has a problem.
pub(super) fn channels(
    sections: Vec<Section>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Vec<ChannelConfig> {
    let mut names = BTreeSet::new();
    let mut channels = Vec::new();
    for mut section in sections {
        let name = name(&mut section, problems, &mut names);
        let enabled = boolean_or(&mut section, problems, "enabled", true);
        let kind = match required(&mut section, problems, "kind", "one of webhook") {
            Some("webhook") => webhook(&mut section, problems).map(ChannelKind::Webhook),
            _ => None,
        };
        // A channel of an unknown kind has keys that nobody took.
        if kind.is_some() {
            section.warn_of_the_rest(warnings);
        }
        if let (Some(name), Some(kind)) = (name, kind) {
            channels.push(ChannelConfig { name, enabled, kind });
        }
    }
    channels
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
fn required(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    key: &'static str,
    expected: &str,
) -> Option<&'static str> {
    if section.settings.contains_key(key) {
        return section.word(problems, key, &KINDS, |word| word);
    }
    section.problem(problems, key, &section.origin, format!("missing: expected {expected}"));
    None
}

fn boolean_or(section: &mut Section, problems: &mut Vec<Problem>, key: &str, default: bool) -> bool {
    if section.settings.contains_key(key) {
        section.boolean(problems, key).unwrap_or(default)
    } else {
        default
    }
}

fn webhook(section: &mut Section, problems: &mut Vec<Problem>) -> Option<webhook::Config> {
    let http = http(section, problems);
    let secret = secret(section, problems);
    Some(webhook::Config { http: http?, secret: secret? })
}

/// What all channels over HTTP have.
fn http(section: &mut Section, problems: &mut Vec<Problem>) -> Option<HttpConfig> {
    let before = problems.len();
    let url_origin = section.settings.get("url").map(|setting| setting.origin.clone());
    let target: Option<Target> = section.parsed(problems, "url");
    if url_origin.is_none() {
        section.problem(problems, "url", &section.origin, "missing: expected the address to send to");
    }
    let ca_pem =
        if section.settings.contains_key("ca_file") { file(section, problems, "ca_file") } else { None };
    let timeout = if section.settings.contains_key("timeout") {
        section.span(problems, "timeout", Span::seconds(1), Span::seconds(60))
    } else {
        Some(TIMEOUT.as_duration())
    };
    let allow_private = allow_private(section, problems);
    if let (Some(target), Some(origin)) = (&target, url_origin)
        && !target.tls()
        && allow_private == AllowPrivate::None
    {
        let message = "http:// is accepted for private addresses only: use https://, or set allow_private";
        section.problem(problems, "url", &origin, message);
    }
    if problems.len() > before {
        return None;
    }
    Some(HttpConfig { target: target?, ca_pem, timeout: timeout?, allow_private })
}

fn secret(section: &mut Section, problems: &mut Vec<Problem>) -> Option<Secret> {
    let inline = section.settings.contains_key("secret");
    let in_file = section.settings.contains_key("secret_file");
    match (inline, in_file) {
        (true, true) => {
            section.take("secret");
            section.take("secret_file");
            section.problem(
                problems,
                "secret",
                &section.origin,
                "both secret and secret_file are given: keep one",
            );
            None
        }
        (true, false) => section.parsed(problems, "secret"),
        (false, true) => {
            let origin = section.settings.get("secret_file").map(|setting| setting.origin.clone())?;
            let text = file(section, problems, "secret_file")?;
            let secret = text.trim().parse();
            secret.map_err(|error| section.problem(problems, "secret_file", &origin, error)).ok()
        }
        (false, false) => {
            let message = "missing: expected secret_file, or secret = \"whsec_...\"";
            section.problem(problems, "secret_file", &section.origin, message);
            None
        }
    }
}

/// The content of a file.
fn file(section: &mut Section, problems: &mut Vec<Problem>, key: &str) -> Option<String> {
    let origin = section.settings.get(key).map(|setting| setting.origin.clone())?;
    let path = section.path(problems, key)?;
    let content = std::fs::metadata(&path).and_then(|metadata| {
        if metadata.len() > FILE_MAX {
            return Err(std::io::Error::other(format!("it has more than {FILE_MAX} bytes")));
        }
        std::fs::read_to_string(&path)
    });
    let refuse = |error| {
        section.problem(problems, key, &origin, format!("{} cannot be read: {error}", path.display()))
    };
    content.map_err(refuse).ok()
}

fn allow_private(section: &mut Section, problems: &mut Vec<Problem>) -> AllowPrivate {
    let Some(setting) = section.take("allow_private") else { return AllowPrivate::None };
    let mut refuse = |found: &str| {
        let message = format!("expected true, false, or a list of networks and hosts, found {found}");
        section.problem(problems, "allow_private", &setting.origin, message);
    };
    match &setting.raw {
        Raw::Boolean(false) => return AllowPrivate::None,
        Raw::Boolean(true) => return AllowPrivate::Any,
        Raw::List(list) => {
            let mut only = Vec::new();
            for element in list {
                match element {
                    Raw::Text(text) => match text.parse() {
                        Ok(place) => only.push(place),
                        Err(error) => {
                            section.problem(problems, "allow_private", &setting.origin, error);
                        }
                    },
                    other @ (Raw::Integer(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Other(_)) => {
                        let message = format!("expected texts in the list, found {}", describe(other));
                        section.problem(problems, "allow_private", &setting.origin, message);
                    }
                }
            }
            return if only.is_empty() { AllowPrivate::None } else { AllowPrivate::Only(only) };
        }
        other @ (Raw::Text(_) | Raw::Integer(_) | Raw::Other(_)) => refuse(&describe(other)),
    }
    AllowPrivate::None
}
