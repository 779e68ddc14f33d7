//! What all channels over HTTP have.

use super::net;
use super::secret::{Secrets, secret};
use crate::channels::http::{HttpConfig, Target};
use crate::channels::net::AllowPrivate;
use crate::config::layers::Section;
use crate::config::problem::Problem;

/// Reads `url`, `ca_file`, `timeout` and `allow_private`. The address may hold a secret, and is read like one.
pub(super) fn read(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    secrets: &mut Secrets<'_>,
) -> Option<HttpConfig> {
    let before = problems.len();
    let target =
        secret::<Target>(section, problems, secrets, "url", "the address to send to, as url or url_file");
    let ca_pem = net::ca_pem(section, problems);
    let timeout = net::timeout(section, problems);
    let allow_private = net::allow_private(section, problems);
    if let Some((target, origin)) = &target
        && !target.tls()
        && allow_private == AllowPrivate::None
    {
        let message = "http:// is accepted for private addresses only: use https://, or set allow_private";
        section.problem(problems, "url", origin, message);
    }
    if problems.len() > before {
        return None;
    }
    Some(HttpConfig { target: target?.0, ca_pem, timeout: timeout?, allow_private })
}
