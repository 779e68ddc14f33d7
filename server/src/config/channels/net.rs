//! What all channels over a network have: the receiver's CAs, a time limit, which addresses may be reached.

use std::time::Duration;

use offchannel_shared::span::Span;

use super::secret::content;
use crate::channels::net::{AllowPrivate, Host};
use crate::config::layers::{Raw, Section};
use crate::config::listen;
use crate::config::problem::Problem;
use crate::config::section::describe;

/// Time for one attempt if nothing is said; Standard Webhooks recommends 15 to 30 s.
const TIMEOUT: Span = Span::seconds(20);

/// `ca_file`: the CAs of the receiver in PEM; none if it is not given, and if it cannot be read.
pub(super) fn ca_pem(section: &mut Section, problems: &mut Vec<Problem>) -> Option<String> {
    let origin = section.settings.get("ca_file").map(|setting| setting.origin.clone())?;
    let path = section.path(problems, "ca_file")?;
    let refuse = |error| section.problem(problems, "ca_file", &origin, error);
    content(&path).map_err(refuse).ok()
}

/// `timeout`: the longest time for one attempt.
pub(super) fn timeout(section: &mut Section, problems: &mut Vec<Problem>) -> Option<Duration> {
    timeout_within(section, problems, TIMEOUT, Span::seconds(60))
}

/// As [`timeout`], with other bounds.
pub(super) fn timeout_within(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    usual: Span,
    most: Span,
) -> Option<Duration> {
    if section.settings.contains_key("timeout") {
        section.span(problems, "timeout", Span::seconds(1), most)
    } else {
        Some(usual.as_duration())
    }
}

/// `host`: the receiver of a channel that has no address of the web.
pub(super) fn host(section: &mut Section, problems: &mut Vec<Problem>) -> Option<Host> {
    if section.settings.contains_key("host") {
        return section.parsed(problems, "host");
    }
    section.problem(problems, "host", &section.origin, "missing: expected the host to connect to");
    None
}

/// `port`, or the usual one.
pub(super) fn port(section: &mut Section, problems: &mut Vec<Problem>, usual: u16) -> Option<u16> {
    if !section.settings.contains_key("port") {
        return Some(usual);
    }
    let port = section.whole(problems, "port", 1, u32::from(u16::MAX))?;
    u16::try_from(port).ok()
}

/// `hostname`: what this collector calls itself, or this machine's name.
pub(super) fn hostname(section: &mut Section, problems: &mut Vec<Problem>) -> Option<Host> {
    if section.settings.contains_key("hostname") {
        return section.parsed(problems, "hostname");
    }
    let own = listen::host_name().and_then(|name| name.parse().ok());
    Some(own.unwrap_or_else(Host::localhost))
}

/// `allow_private`: true, false, or a list of networks and hosts.
pub(super) fn allow_private(section: &mut Section, problems: &mut Vec<Problem>) -> AllowPrivate {
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
