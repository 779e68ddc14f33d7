//! The keys of a webhook.

use super::http;
use super::secret::{Secrets, secret};
use crate::channels::webhook::Config;
use crate::config::layers::Section;
use crate::config::problem::Problem;

pub(super) fn read(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    secrets: &mut Secrets<'_>,
) -> Option<Config> {
    let http = http::read(section, problems, secrets);
    let signing = secret(section, problems, secrets, "secret", "secret_file, or secret = \"whsec_...\"");
    Some(Config { http: http?, secret: signing?.0 })
}
