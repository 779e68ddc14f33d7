//! The keys of a channel to PagerDuty.

use super::http;
use super::secret::{Secrets, secret};
use crate::channels::pagerduty::{Config, URL};
use crate::config::layers::{Raw, Section, Setting};
use crate::config::problem::{Origin, Problem};

pub(super) fn read(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    secrets: &mut Secrets<'_>,
) -> Option<Config> {
    if !section.settings.keys().any(|key| key.starts_with("url")) {
        let setting = Setting { raw: Raw::Text(URL.to_owned()), origin: Origin::Default };
        section.settings.insert("url".to_owned(), setting);
    }
    let http = http::read(section, problems, secrets);
    let key = secret(section, problems, secrets, "routing_key", "routing_key_file, or routing_key = \"...\"");
    Some(Config { http: http?, routing_key: key?.0 })
}
