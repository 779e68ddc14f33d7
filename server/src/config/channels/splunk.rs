//! The keys of a channel to Splunk.

use super::http;
use super::secret::{Secrets, secret};
use crate::channels::splunk::{Config, PATH, SOURCETYPE};
use crate::config::layers::Section;
use crate::config::problem::Problem;

pub(super) fn read(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    secrets: &mut Secrets<'_>,
) -> Option<Config> {
    let http = http::read(section, problems, secrets);
    let token = secret(section, problems, secrets, "token", "token_file, or token = \"...\"");
    let index = name(section, problems, "index");
    let sourcetype = name(section, problems, "sourcetype");
    let mut http = http?;
    http.target = http.target.or_path(PATH);
    let sourcetype = sourcetype.unwrap_or_else(|| SOURCETYPE.to_owned());
    Some(Config { http, token: token?.0, index, sourcetype })
}

/// A name of Splunk's; none if there is none, and if it cannot be one.
fn name(section: &mut Section, problems: &mut Vec<Problem>, key: &str) -> Option<String> {
    let (text, origin) = section.text(problems, key)?;
    let good =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-:.".contains(&byte));
    if !good {
        let message = format!("expected letters, digits, '_', '-', ':' and '.', found {text:?}");
        section.problem(problems, key, &origin, message);
        return None;
    }
    Some(text)
}
