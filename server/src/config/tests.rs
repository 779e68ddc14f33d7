//! What a configuration means: every layer, every key, every mistake named with its place.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn load(text: &str) -> Result<Loaded, ConfigErrors> {
    let (_folder, path) = file(text);
    Config::load_from(Some(&path), BTreeMap::new(), &Overrides::default())
}

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_defaults_stand_alone() {
    let loaded = Config::load_from(None, BTreeMap::new(), &Overrides::default()).unwrap();
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    assert_eq!(config.listen.to_string(), "0.0.0.0:8443");
    assert_eq!(config.database, Database::Sqlite("/var/lib/offchannel/offchannel.db".into()));
    assert_eq!(config.tls, TlsConfig::Own("/var/lib/offchannel/tls".into()));
    assert_eq!(config.metrics, None);
    assert!(config.public_url.as_str().ends_with(":8443"), "{}", config.public_url);
}

#[test]
fn every_setting_that_is_commented_out_in_the_defaults_exists() {
    let (folder, path) =
        file(&DEFAULTS.replace("\n# public_url", "\npublic_url").replace("\n# listen", "\nlisten"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (main, tables) = text.split_once("# [[channel]]").unwrap();
    // Settings and headings, not the sentences between them.
    let setting = |line: &&str| {
        let key = |c: char| c.is_ascii_lowercase() || c == '_';
        line.starts_with("[[") || line.split_once(" = ").is_some_and(|(name, _)| name.chars().all(key))
    };
    let tables: Vec<&str> =
        tables.lines().map(|line| line.trim_start_matches("# ")).filter(setting).collect();
    let main = main.replace("# cert_file", "cert_file").replace("# key_file", "key_file");
    std::fs::write(&path, format!("{main}[[channel]]\n{}", tables.join("\n"))).unwrap();
    for (name, content) in [
        ("webhook.secret", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"),
        ("internal-ca.pem", ""),
        ("teams.url", "https://example.webhook.office.com/workflows/1/triggers/manual?sig=2\n"),
        ("slack.url", "https://hooks.slack.com/services/T1/B2/3\n"),
        ("splunk.token", "12345678-1234-1234-1234-123456789012\n"),
        ("pagerduty.key", "R0123456789abcdef0123456789ABCDE\n"),
        ("smtp.password", "pass word\n"),
    ] {
        crate::files::write_private(&folder.path().join(name), content.as_bytes()).unwrap();
    }
    let loaded = Config::load_from(Some(&path), BTreeMap::new(), &Overrides::default()).unwrap();
    assert_eq!(loaded.warnings, []);
    let kinds: Vec<&str> = loaded.config.channels.iter().map(|channel| channel.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["webhook", "teams", "slack", "splunk", "pagerduty", "ocsf", "ocsf", "email", "syslog"]
    );
    assert_eq!(loaded.config.routes.len(), 1);
    assert!(loaded.config.routes[0].quiet.is_some());
    assert!(matches!(loaded.config.tls, TlsConfig::Files { .. }));
    assert!(loaded.config.metrics.is_some());
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let (folder, path) =
        file("listen = '127.0.0.1:1'\ndata_dir = 'data'\n[limits]\nconnections = 1\n[log]\nlevel = 'warn'\n");
    let environment = environment(&[
        ("OFFCHANNEL_SERVER_LISTEN", "127.0.0.1:2"),
        ("OFFCHANNEL_SERVER_LIMITS_CONNECTIONS", "2"),
    ]);
    let overrides = Overrides { listen: Some("127.0.0.1:3".to_owned()), ..Overrides::default() };
    let config = Config::load_from(Some(&path), environment, &overrides).unwrap().config;
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.limits.connections, 2);
    assert_eq!(config.log.level, LogLevel::Warn);
    assert_eq!(config.data_dir, folder.path().join("data"), "a path in a file starts at its folder");
    assert_eq!(config.public_url.as_str(), "https://127.0.0.1:3");
}

#[test]
fn all_problems_are_told_at_once_each_with_its_place() {
    let (_folder, path) = file(
        "listen = 'nowhere'\ndatabase = 'postgres://user:hunter2@db/x'\n[limits]\nconnections = 0\n\
         request_timeout = 30\n[tls]\ncert_file = 'a.pem'\n[log]\nlevel = 'loud'\n\
         [[channel]]\nkind = 'pigeon'\n[[channel]]\nname = 'A'\nkind = 'webhook'\nurl = 'ftp://x'\n",
    );
    let environment = environment(&[("OFFCHANNEL_SERVER_METRICS_LISTEN", "here")]);
    let errors = Config::load_from(Some(&path), environment, &Overrides::default()).unwrap_err();
    let text = errors.to_string();
    let at = |line: usize| format!("{}:{line}: ", path.display());
    for expected in [
        format!("{}listen: \"nowhere\" is not an address", at(1)),
        format!("{}database: PostgreSQL is not in this version", at(2)),
        format!("{}limits.connections: expected a whole number from 1", at(4)),
        format!("{}limits.request_timeout: expected a text, found 30", at(5)),
        format!("{}tls.key_file: missing", at(7)),
        format!("{}log.level: expected one of error, warn, info, debug, trace, found \"loud\"", at(9)),
        format!("{}channel[1].name: missing", at(10)),
        format!(
            "{}channel[1].kind: expected one of webhook, teams, slack, splunk, pagerduty, ocsf, email, syslog, found \"pigeon\"",
            at(11)
        ),
        format!("{}channel[2].name: \"A\" is not a valid channel name", at(13)),
        format!("{}channel[2].url: ", at(15)),
        format!("{}channel[2].secret_file: missing", at(12)),
        "environment variable OFFCHANNEL_SERVER_METRICS_LISTEN: metrics.listen: ".to_owned(),
    ] {
        assert!(text.contains(&expected), "expected {expected:?} in:\n{text}");
    }
    assert!(!text.contains("hunter2"), "a password was repeated:\n{text}");
}

#[test]
fn keys_that_do_not_exist_are_warnings_with_their_place() {
    let (_folder, path) = file("listne = '127.0.0.1:1'\n[limits]\nconnection = 5\n[webhook]\nurl = 'x'\n");
    let environment = environment(&[("OFFCHANNEL_SERVER_LISTNE", "x")]);
    let loaded = Config::load_from(Some(&path), environment, &Overrides::default()).unwrap();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    let text = warnings.join("\n");
    for expected in
        [":1: listne: ", ":3: limits.connection: ", ":5: webhook.url: ", "OFFCHANNEL_SERVER_LISTNE: "]
    {
        assert!(text.contains(expected), "expected {expected:?} in:\n{text}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_named_with_its_line() {
    let error = load("listen = '127.0.0.1:1'\nlimits = [\n").unwrap_err().to_string();
    assert!(
        error.contains("server.toml:2: not TOML") || error.contains("server.toml:3: not TOML"),
        "{error}"
    );
    let missing = Config::load_from(
        Some(Path::new("/nonexistent/server.toml")),
        BTreeMap::new(),
        &Overrides::default(),
    );
    assert!(missing.unwrap_err().to_string().contains("/nonexistent/server.toml: the file cannot be read"));
}

#[test]
fn a_plain_webhook_needs_leave_to_reach_private_addresses() {
    let channel = "[[channel]]\nname = 'a'\nkind = 'webhook'\nurl = 'http://10.0.0.1/x'\n\
                   secret = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY='\n";
    let error = load(channel).unwrap_err().to_string();
    assert!(error.contains("channel[1].url: http:// is accepted for private addresses only"), "{error}");
    for allowed in ["true", "['10.0.0.0/8', 'siem.internal']"] {
        let config = load(&format!("{channel}allow_private = {allowed}\n")).unwrap().config;
        assert_eq!(config.channels.len(), 1);
    }
    assert!(load(&format!("{channel}allow_private = ['10.0.0.0/33']\n")).is_err());
    let shown = format!("{:?}", load(&format!("{channel}allow_private = true\n")).unwrap().config);
    assert!(!shown.contains("MDEyMzQ1"), "the secret is printed: {shown}");
}

/// Something that a setting may have as its value, or a person may write there by mistake.
fn literal() -> impl Strategy<Value = String> {
    const WORDS: [&str; 10] = [
        "sqlite",
        "sqlite://x",
        "postgres://x",
        "https://h",
        "info",
        "text",
        "5m",
        "127.0.0.1:1",
        "webhook",
        "a",
    ];
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|boolean| boolean.to_string()),
        prop::sample::select(&WORDS[..]).prop_map(|word| format!("'{word}'")),
        "[a-z0-9:/.@\\[\\]]{0,20}".prop_map(|text| format!("'{text}'")),
        Just("['10.0.0.0/8', 5]".to_owned()),
        Just("{ a = 1 }".to_owned()),
        Just("2026-01-01".to_owned()),
        Just("1.5".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_values_make_a_configuration_or_problems_each_with_its_line(
        values in prop::collection::vec(literal(), 20),
    ) {
        let keys = [
            "listen", "data_dir", "public_url", "database", "limits.connections", "limits.body_max",
            "limits.request_timeout", "metrics.listen", "tls.cert_file", "tls.key_file", "log.level", "log.format",
        ];
        let channel = ["name", "kind", "enabled", "url", "secret", "timeout", "allow_private", "other"];
        let mut text = String::new();
        for (key, value) in keys.iter().zip(&values) {
            text += &format!("{key} = {value}\n");
        }
        text += "[[channel]]\n";
        for (key, value) in channel.iter().zip(values.iter().skip(keys.len())) {
            text += &format!("{key} = {value}\n");
        }
        if let Err(errors) = load(&text) {
            prop_assert!(!errors.0.is_empty());
            for problem in errors.0 {
                let placed = matches!(problem.origin, Origin::File { line: 1.., .. });
                prop_assert!(placed && !problem.key.is_empty(), "{}", problem);
            }
        }
    }

    #[test]
    fn any_file_is_read_or_refused_without_panic(text in "\\PC{0,200}") {
        let _ = load(&text);
    }

    #[test]
    fn an_address_of_the_collector_reads_as_itself(text in "(https://)?[a-z0-9.:\\[\\]/-]{0,30}") {
        if let Ok(url) = text.parse::<PublicUrl>() {
            prop_assert_eq!(url.as_str().parse::<PublicUrl>().unwrap(), url);
        }
    }
}

#[test]
fn every_mistake_in_a_route_is_named() {
    let text = r#"
[[route]]
kinds = ["prohibited"]
severity = "grave"
[[route]]
channel = "nowhere"
[[channel]]
name = "hook"
kind = "webhook"
url = "https://hooks.example.org/"
secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
[[route]]
channel = "hook"
changes = []
units = ["Sales"]
quiet = "8-9"
[[route]]
channel = "hook"
quiet = "20:00-07:00"
[[route]]
channel = "hook"
quiet = "20:00-07:00"
zone = "Europe/Lundon"
[[route]]
channel = "hook"
digest = "weekly"
[[route]]
channel = "hook"
digest = "daily"
[[route]]
channel = "hook"
digest = "daily"
at = "8"
[[route]]
channel = "hook"
digest = "daily"
at = "08:00"
[[route]]
channel = "hook"
digest = "hourly"
at = "08:00"
[[route]]
channel = "hook"
at = "08:00"
[[channel]]
name = "siem"
kind = "syslog"
host = "siem.example.org"
[[route]]
channel = "siem"
digest = "hourly"
"#;
    let said = load(text).unwrap_err().to_string();
    for part in [
        "route[1].channel: missing: a route leads to a channel",
        "route[2].channel: there is no channel nowhere that can be used",
        "route[3].changes: the list is empty: leave the key out instead",
        "route[3].units: \"Sales\" is not a valid unit id",
        "route[3].quiet: expected two times such as \"20:00-07:00\", found \"8-9\"",
        "route[4].zone: missing: quiet hours need a zone",
        "route[5].zone: ",
        "route[6].digest: expected one of hourly, daily, found \"weekly\"",
        "route[7].at: missing: a daily digest has a time",
        "route[8].at: expected a time such as \"08:00\", found \"8\"",
        "route[9].zone: missing: a daily digest needs a zone",
        "route[10].at: an hourly digest is told at every full hour",
        "route[11].at: is the time of a daily digest",
        "route[12].digest: a channel of kind syslog is read by programs",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}
