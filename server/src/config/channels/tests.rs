//! What the tables of channels mean, and what becomes of their secrets.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::channels::{ChannelKind, build};
use crate::config::{Config, ConfigErrors, Loaded, Overrides};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn load_in(folder: &Path, channel: &str, environment: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    let path = folder.join("server.toml");
    std::fs::write(&path, format!("[[channel]]\nname = 'a'\n{channel}\n")).unwrap();
    let environment: BTreeMap<String, String> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load_from(Some(&path), environment, &Overrides::default())
}

fn load(channel: &str, environment: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    load_in(tempfile::tempdir().unwrap().path(), channel, environment)
}

/// The place of the only secret beside the address.
fn from(loaded: &Loaded) -> String {
    let [secret] = loaded.config.secrets.iter().filter(|secret| secret.key != "url").collect::<Vec<_>>()[..]
    else {
        panic!("{:?}", loaded.config.secrets)
    };
    secret.from.to_string()
}

const WEBHOOK: &str = "kind = 'webhook'\nurl = 'https://h/x'";

#[test]
fn a_secret_comes_from_a_file_a_credential_a_variable_or_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    crate::files::write_private(&folder.path().join("signing"), SECRET.as_bytes()).unwrap();
    let credentials = folder.path().display().to_string();
    for (given, place) in [
        (format!("secret = '{SECRET}'"), "server.toml:5"),
        ("secret_file = 'signing'".to_owned(), "the file "),
        ("secret_credential = 'signing'".to_owned(), "the systemd credential \"signing\""),
        ("secret_env = 'SIGNING'".to_owned(), "the environment variable \"SIGNING\""),
    ] {
        let environment = [("SIGNING", SECRET), ("CREDENTIALS_DIRECTORY", credentials.as_str())];
        let loaded = load_in(folder.path(), &format!("{WEBHOOK}\n{given}"), &environment).unwrap();
        assert_eq!(loaded.warnings, [], "{given}");
        assert!(from(&loaded).contains(place), "{given}: {}", from(&loaded));
        assert!(build(&loaded.config.channels[0]).is_ok(), "{given}");
        let shown = format!("{loaded:?}");
        assert!(!shown.contains("MDEyMz"), "the secret is printed: {shown}");
    }
}

#[test]
fn a_file_of_a_secret_that_others_can_use_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing");
    std::fs::write(&path, SECRET).unwrap();
    for (mode, whom) in [
        (0o600, None),
        (0o400, None),
        (0o640, None),
        (0o660, Some("its whole group")),
        (0o644, Some("everybody")),
        (0o602, Some("everybody")),
    ] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let loaded = load_in(folder.path(), &format!("{WEBHOOK}\nsecret_file = 'signing'"), &[]).unwrap();
        let told: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), usize::from(whom.is_some()), "{mode:o}: {told:?}");
        if let (Some(told), Some(whom)) = (told.first(), whom) {
            assert!(
                told.contains("server.toml:5: channel[1].secret_file: ") && told.contains(whom),
                "{told}"
            );
            assert!(told.contains(&format!("mode {mode:04o}")) && !told.contains("MDEyMz"), "{told}");
        }
        assert!(build(&loaded.config.channels[0]).is_ok(), "containers mount secrets so");
    }
}

#[test]
fn what_only_the_service_is_given_keeps_no_admin_command_from_its_work() {
    for given in ["secret_credential = 'signing'", "secret_env = 'SIGNING'"] {
        let loaded = load(&format!("{WEBHOOK}\n{given}"), &[]).unwrap();
        assert!(matches!(loaded.config.channels[0].kind, ChannelKind::WithoutSecret(_)), "{given}");
        let error = build(&loaded.config.channels[0]).unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.starts_with("secret is the "), "{why}");
    }
    // Other mistakes are found nevertheless.
    let error = load(&format!("{WEBHOOK}\nsecret_env = 'SIGNING'\ntimeout = '1h'"), &[]).unwrap_err();
    assert!(error.to_string().contains("channel[1].timeout: "), "{error}");
}

#[test]
fn a_secret_that_cannot_be_used_is_a_problem_that_does_not_repeat_it() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().display().to_string();
    for (given, problem) in [
        ("secret = 'hunter2'", "channel[1].secret: not the secret of a webhook"),
        ("secret = 4711", "channel[1].secret: expected a text"),
        ("secret_file = 'nowhere'", "channel[1].secret_file: "),
        ("secret_file = ''", "channel[1].secret_file: expected a name, found an empty text"),
        ("secret_credential = '../x'", "channel[1].secret_credential: expected the name of a credential"),
        ("secret_credential = 'nowhere'", "channel[1].secret_credential: "),
        ("secret_env = 'HUNTER'", "channel[1].secret_env: not the secret of a webhook"),
        (
            "secret_env = 'OFFCHANNEL_SERVER_X'",
            "channel[1].secret_env: variables that begin with OFFCHANNEL_SERVER_",
        ),
        ("secret = 'hunter2'\nsecret_env = 'HUNTER'", "both secret and secret_env are given"),
        ("", "channel[1].secret_file: missing: expected secret_file"),
    ] {
        let environment = [("HUNTER", "hunter2"), ("CREDENTIALS_DIRECTORY", credentials.as_str())];
        let error = load_in(folder.path(), &format!("{WEBHOOK}\n{given}"), &environment).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(problem), "expected {problem:?} in:\n{text}");
        assert!(!text.contains("hunter2") && !text.contains("4711"), "a secret was repeated:\n{text}");
    }
}

#[test]
fn an_address_can_be_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("address"), "https://h/token\n").unwrap();
    let channel = format!("kind = 'webhook'\nurl_file = 'address'\nsecret = '{SECRET}'");
    let loaded = load_in(folder.path(), &channel, &[]).unwrap();
    assert_eq!(loaded.config.secrets.len(), 2);
    assert!(!format!("{loaded:?}").contains("token"));
    let error = load(&format!("kind = 'webhook'\nsecret = '{SECRET}'"), &[]).unwrap_err().to_string();
    assert!(error.contains("channel[1].url: missing: expected the address to send to"), "{error}");
}

/// The blocks of a language in a page.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

#[test]
fn every_example_in_the_documentation_is_a_configuration() {
    let page = include_str!("../../../../docs/channels.md");
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("webhook.secret", SECRET),
        ("teams.url", "https://prod-1.westeurope.logic.azure.com/workflows/1/triggers/manual?sig=2"),
        ("slack.url", "https://hooks.slack.com/services/T1/B2/3"),
        ("splunk.token", "12345678-1234-1234-1234-123456789012"),
        ("pagerduty.key", "R0123456789abcdef0123456789ABCDE"),
        ("smtp.password", "pass word"),
    ] {
        crate::files::write_private(&folder.path().join(name), content.as_bytes()).unwrap();
    }
    let path = folder.path().join("server.toml");
    let mut kinds = std::collections::BTreeSet::new();
    for example in blocks(page, "toml") {
        // What is commented out is an alternative that can be used, too.
        for text in [example.to_owned(), example.replace("\n# ", "\n")] {
            std::fs::write(&path, &text).unwrap();
            let loaded = Config::load_from(Some(&path), BTreeMap::new(), &Overrides::default())
                .unwrap_or_else(|errors| panic!("{errors}\n{text}"));
            assert_eq!(loaded.warnings, [], "{text}");
            let [channel] = &loaded.config.channels[..] else { panic!("one channel in {text}") };
            build(channel).unwrap();
            kinds.insert(channel.kind.as_str());
        }
    }
    for kind in super::KINDS {
        assert!(kinds.contains(kind), "docs/channels.md has no example of {kind}");
    }
}
