//! The keys of a channel of OCSF findings: to a file, or to a receiver that is told by signature or token who asks.

use super::http;
use super::secret::{Found, Secrets, maybe_secret};
use crate::channels::ocsf::{Config, Proof};
use crate::config::layers::Section;
use crate::config::problem::Problem;

pub(super) fn read(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    secrets: &mut Secrets<'_>,
) -> Option<Config> {
    if section.settings.contains_key("file") {
        let posts = section.settings.keys().find(|key| key.starts_with("url")).cloned();
        if let Some(key) = posts {
            section.problem(problems, &key, &section.origin, "both file and url are given: keep one");
            return None;
        }
        return section.path(problems, "file").map(Config::File);
    }
    let http = http::read(section, problems, secrets);
    let secret = maybe_secret(section, problems, secrets, "secret");
    let token = maybe_secret(section, problems, secrets, "token");
    let proof = match (secret, token) {
        (Found::Secret(secret, _), Found::Nothing) => Some(Proof::Signature(secret)),
        (Found::Nothing, Found::Secret(token, _)) => Some(Proof::Bearer(token)),
        (Found::Nothing, Found::Nothing) => {
            let message =
                "missing: expected secret_file (signed like a webhook), token_file (bearer), or file";
            section.problem(problems, "secret_file", &section.origin, message);
            None
        }
        (Found::Unusable, _) | (_, Found::Unusable) => None,
        (Found::Secret(..), Found::Secret(..)) => {
            section.problem(
                problems,
                "token",
                &section.origin,
                "both a secret and a token are given: keep one",
            );
            None
        }
    };
    Some(Config::Post { http: Box::new(http?), proof: proof? })
}
