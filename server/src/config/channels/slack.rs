//! The keys of a channel of Slack.

use super::http;
use super::secret::Secrets;
use crate::channels::slack::Config;
use crate::config::layers::Section;
use crate::config::problem::Problem;

pub(super) fn read(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    secrets: &mut Secrets<'_>,
) -> Option<Config> {
    Some(Config { http: http::read(section, problems, secrets)? })
}
