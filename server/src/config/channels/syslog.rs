//! The keys of a channel to a syslog receiver.

use offchannel_shared::span::Span;

use super::net;
use crate::channels::net::AllowPrivate;
use crate::channels::syslog::{
    Body, Config, ENTERPRISE_DEFAULT, Facility, OCTETS_DEFAULT, OCTETS_RANGE, PORT_TCP, PORT_TLS, Shape,
};
use crate::config::layers::Section;
use crate::config::problem::Problem;

/// Time for one attempt if nothing is said, and the longest that it can be.
const TIMEOUT: Span = Span::seconds(20);
const TIMEOUT_MAX: Span = Span::seconds(55);
/// Words for `tls`.
const TLS: [bool; 2] = [true, false];

pub(super) fn read(section: &mut Section, problems: &mut Vec<Problem>) -> Option<Config> {
    let before = problems.len();
    let tls_at = section.settings.get("tls").map(|setting| setting.origin.clone());
    let tls = match &tls_at {
        Some(_) => section.word(problems, "tls", &TLS, |tls| if tls { "implicit" } else { "none" }),
        None => Some(true),
    };
    let host = net::host(section, problems);
    let port = net::port(section, problems, if tls == Some(false) { PORT_TCP } else { PORT_TLS });
    let shape = shape(section, problems);
    let ca_pem = net::ca_pem(section, problems);
    let timeout = net::timeout_within(section, problems, TIMEOUT, TIMEOUT_MAX);
    let allow_private = net::allow_private(section, problems);
    if let (Some(false), Some(at), AllowPrivate::None) = (tls, &tls_at, &allow_private) {
        let message =
            "\"none\" is accepted for private addresses only: use \"implicit\", or set allow_private";
        section.problem(problems, "tls", at, message);
    }
    if problems.len() > before {
        return None;
    }
    Some(Config {
        host: host?,
        port: port?,
        tls: tls?,
        shape: shape?,
        ca_pem,
        timeout: timeout?,
        allow_private,
    })
}

fn shape(section: &mut Section, problems: &mut Vec<Problem>) -> Option<Shape> {
    let given = |section: &Section, key: &str| section.settings.contains_key(key);
    let body = match given(section, "body") {
        true => section.word(problems, "body", &Body::ALL, Body::as_str),
        false => Some(Body::Json),
    };
    let facility = match given(section, "facility") {
        true => section.word(problems, "facility", &Facility::ALL, Facility::as_str),
        false => Some(Facility::DEFAULT),
    };
    let enterprise = match given(section, "enterprise_number") {
        true => section.whole(problems, "enterprise_number", 1, u32::MAX),
        false => Some(ENTERPRISE_DEFAULT),
    };
    let octets = match given(section, "octets_max") {
        true => section.whole(problems, "octets_max", OCTETS_RANGE.0, OCTETS_RANGE.1),
        false => Some(OCTETS_DEFAULT),
    };
    let hostname = net::hostname(section, problems);
    Some(Shape {
        body: body?,
        facility: facility?,
        hostname: hostname?,
        enterprise: enterprise?,
        octets: usize::try_from(octets?).ok()?,
    })
}
