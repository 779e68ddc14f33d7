//! The keys of a channel by e-mail.

use lettre::message::Mailbox;
use offchannel_shared::span::Span;

use super::net;
use super::secret::{Found, Secrets, maybe_secret};
use crate::channels::email::{Config, Login, Password, Recipient, Secured, address};
use crate::channels::net::AllowPrivate;
use crate::config::layers::{Raw, Section};
use crate::config::problem::{Origin, Problem};
use crate::config::section::describe;

/// Time for one attempt: many servers look through a mail before they take it. With the goodbye it stays below a minute.
const TIMEOUT: Span = Span::seconds(45);
const TIMEOUT_MAX: Span = Span::seconds(55);
/// Most recipients of a channel; for more there are lists of the mail server.
const RECIPIENTS_MAX: usize = 50;

pub(super) fn read(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    secrets: &mut Secrets<'_>,
) -> Option<Config> {
    let before = problems.len();
    let tls_at = section.settings.get("tls").map(|setting| setting.origin.clone());
    let secured = match &tls_at {
        Some(_) => section.word(problems, "tls", &Secured::ALL, Secured::as_str),
        None => Some(Secured::StartTls),
    };
    let host = net::host(section, problems);
    let port = net::port(section, problems, secured.map_or(0, Secured::port));
    let login = login(section, problems, secrets);
    let from = from(section, problems);
    let to = to(section, problems);
    let hostname = net::hostname(section, problems);
    let ca_pem = net::ca_pem(section, problems);
    let timeout = net::timeout_within(section, problems, TIMEOUT, TIMEOUT_MAX);
    let allow_private = net::allow_private(section, problems);
    if let (Some(Secured::Never), Some(at)) = (secured, &tls_at) {
        if let Some(Some(_)) = login {
            let message =
                "a password is sent over TLS only: use \"starttls\" or \"implicit\", or leave username out";
            section.problem(problems, "tls", at, message);
        }
        if allow_private == AllowPrivate::None {
            let message =
                "\"none\" is accepted for private addresses only: use \"starttls\", or set allow_private";
            section.problem(problems, "tls", at, message);
        }
    }
    if problems.len() > before {
        return None;
    }
    Some(Config {
        host: host?,
        port: port?,
        secured: secured?,
        login: login?,
        from: from?,
        to: to?,
        hostname: hostname?,
        ca_pem,
        timeout: timeout?,
        allow_private,
    })
}

/// User name and password: both, or none. Nothing if they cannot be used, or this process was not given the password.
#[expect(clippy::option_option, reason = "that there is no login is not that it cannot be used")]
fn login(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    secrets: &mut Secrets<'_>,
) -> Option<Option<Login>> {
    let username = section.text(problems, "username");
    match (username, maybe_secret::<Password>(section, problems, secrets, "password")) {
        (None, Found::Nothing) => Some(None),
        (Some((username, at)), _) if username.is_empty() || username.contains(char::is_control) => {
            section.problem(problems, "username", &at, "expected a name in one line");
            None
        }
        (Some((username, _)), Found::Secret(password, _)) => Some(Some(Login { username, password })),
        (Some((_, at)), Found::Nothing) => {
            section.problem(problems, "username", &at, "there is no password for it: expected password_file");
            None
        }
        (None, Found::Secret(_, at)) => {
            section.problem(
                problems,
                "username",
                &at,
                "missing: there is a password, but no username for it",
            );
            None
        }
        (_, Found::Unusable) => None,
    }
}

fn from(section: &mut Section, problems: &mut Vec<Problem>) -> Option<Mailbox> {
    let Some((text, at)) = section.text(problems, "from") else {
        return missing(section, problems, "from", "the address that mails come from");
    };
    let mailbox = text.parse::<Mailbox>().ok().filter(|mailbox| {
        let one_line = !text.contains(char::is_control);
        one_line && address(mailbox.email.as_ref()).is_some()
    });
    if mailbox.is_none() {
        let message =
            format!("expected an address such as \"Offchannel <offchannel@example.org>\", found {text:?}");
        section.problem(problems, "from", &at, message);
    }
    mailbox
}

fn to(section: &mut Section, problems: &mut Vec<Problem>) -> Option<Vec<Recipient>> {
    let Some(setting) = section.take("to") else {
        return missing(section, problems, "to", "a list of addresses, {owner} or {assignee}");
    };
    let texts = match &setting.raw {
        Raw::List(list) if (1..=RECIPIENTS_MAX).contains(&list.len()) => list,
        other @ (Raw::List(_) | Raw::Text(_) | Raw::Integer(_) | Raw::Boolean(_) | Raw::Other(_)) => {
            let found = match other {
                Raw::List(list) => format!("a list of {}", list.len()),
                _ => describe(other),
            };
            let message = format!("expected a list of 1 to {RECIPIENTS_MAX} addresses, found {found}");
            section.problem(problems, "to", &setting.origin, message);
            return None;
        }
    };
    let recipients: Vec<Recipient> =
        texts.iter().filter_map(|raw| recipient(section, problems, raw, &setting.origin)).collect();
    (recipients.len() == texts.len()).then_some(recipients)
}

fn recipient(section: &Section, problems: &mut Vec<Problem>, raw: &Raw, at: &Origin) -> Option<Recipient> {
    let Raw::Text(text) = raw else {
        let message = format!("expected texts in the list, found {}", describe(raw));
        section.problem(problems, "to", at, message);
        return None;
    };
    text.trim().parse().map_err(|error| section.problem(problems, "to", at, error)).ok()
}

fn missing<T>(section: &Section, problems: &mut Vec<Problem>, key: &str, expected: &str) -> Option<T> {
    // What is given and is no text was told already.
    if !problems.iter().any(|problem| problem.key == format!("{}{key}", section.prefix)) {
        section.problem(problems, key, &section.origin, format!("missing: expected {expected}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::channels::ChannelKind;
    use crate::channels::email::{Config as Email, Secured};
    use crate::config::{Config, ConfigErrors, Overrides};

    const USUAL: &str = "host = 'mail.example.org'\nfrom = 'a@example.org'\nto = ['b@example.org']";

    fn load(keys: &str) -> Result<Email, ConfigErrors> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.toml");
        std::fs::write(&path, format!("[[channel]]\nname = 'mail'\nkind = 'email'\n{keys}\n")).unwrap();
        let mut loaded = Config::load_from(Some(&path), BTreeMap::new(), &Overrides::default())?;
        assert_eq!(loaded.warnings, []);
        assert!(!format!("{loaded:?}").contains("hunter2"));
        let ChannelKind::Email(email) = loaded.config.channels.remove(0).kind else { panic!("{loaded:?}") };
        Ok(email)
    }

    #[test]
    fn tls_is_required_unless_it_is_given_up_by_name() {
        let usual = load(USUAL).unwrap();
        assert_eq!((usual.secured, usual.port, usual.login), (Secured::StartTls, 587, None));
        let implicit = load(&format!("{USUAL}\ntls = 'implicit'")).unwrap();
        assert_eq!((implicit.secured, implicit.port), (Secured::Implicit, 465));
        let none = load(&format!("{USUAL}\ntls = 'none'\nallow_private = ['10.0.0.0/8']")).unwrap();
        assert_eq!((none.secured, none.port), (Secured::Never, 25));
    }

    #[test]
    fn slips_are_told_without_the_password() {
        for (keys, problem) in [
            ("tls = 'opportunistic'", "channel[1].tls: expected one of starttls, implicit, none"),
            ("tls = 'none'", "channel[1].tls: \"none\" is accepted for private addresses only"),
            (
                "tls = 'none'\nallow_private = true\nusername = 'a'\npassword = 'hunter2'",
                "channel[1].tls: a password is sent over TLS only",
            ),
            ("username = 'a'", "channel[1].username: there is no password for it"),
            ("password = 'hunter2'", "channel[1].username: missing"),
            ("username = \"a\\u0007\"\npassword = 'hunter2'", "channel[1].username: expected"),
            ("username = 'a'\npassword = \"hunter2\\u0007\"", "channel[1].password: not a password"),
            ("port = 0", "channel[1].port: "),
            ("timeout = '56s'", "channel[1].timeout: expected 1s to 55s"),
            ("hostname = 'a b'", "channel[1].hostname: "),
        ] {
            let error = load(&format!("{USUAL}\n{keys}")).unwrap_err().to_string();
            assert!(error.contains(problem), "expected {problem:?} in:\n{error}");
            assert!(!error.contains("hunter2"), "a password was repeated:\n{error}");
        }
    }

    #[test]
    fn sender_and_recipients_are_addresses() {
        for (keys, problem) in [
            (
                "from = 'a@b.org'\nto = []",
                "channel[1].to: expected a list of 1 to 50 addresses, found a list of 0",
            ),
            ("from = 'a@b.org'\nto = 'c@d.org'", "channel[1].to: expected a list of 1 to 50 addresses"),
            (
                "from = 'a@b.org'\nto = ['c@d.org', 'nobody']",
                "channel[1].to: \"nobody\" is neither an address",
            ),
            ("from = 'a@b.org'", "channel[1].to: missing"),
            ("to = ['c@d.org']", "channel[1].from: missing"),
            ("from = 'a'\nto = ['c@d.org']", "channel[1].from: expected an address such as"),
            (
                "from = \"A <a@b.org>\\r\\nBcc: c@d.org\"\nto = ['c@d.org']",
                "channel[1].from: expected an address",
            ),
        ] {
            let error = load(&format!("host = 'mail.example.org'\n{keys}")).unwrap_err().to_string();
            assert!(error.contains(problem), "expected {problem:?} in:\n{error}");
        }
    }
}
