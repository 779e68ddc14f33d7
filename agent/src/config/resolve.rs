//! Joins the places that settings come from into one configuration. Pure; collects all problems.

use std::path::PathBuf;

use offchannel_shared::span::Span;

use super::keys::KEYS;
use super::layer::{Layer, Origin, Problem, Severity};
use super::{Config, ConfigError, Log, LogFormat, LogLevel, OnClone};

/// Shortest time between two safety scans: less would make the agent a load.
const SAFETY_MIN: Span = Span::minutes(1);
/// Longest time between two safety scans: more would let a missed change stand for too long.
const SAFETY_MAX: Span = Span::minutes(24 * 60);
/// Shortest life of a key: each replacement is a durable write of the collector's.
const ROTATE_MIN: Span = Span::minutes(24 * 60);
/// Longest life of a key.
const ROTATE_MAX: Span = Span::minutes(365 * 24 * 60);

/// A setting with its value in force, for `check-config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// Its value as written; `None` if there is none and no default.
    pub value: Option<String>,
    /// Where it is written.
    pub origin: Origin,
    /// What it wins over, the strongest first; the default is not counted.
    pub overrides: Vec<Written>,
}

/// A value that stands somewhere and is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The value as written.
    pub value: String,
    /// Where it is written.
    pub origin: Origin,
}

/// The outcome of joining all settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Every setting, sorted by key.
    pub settings: Vec<Setting>,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
    config: Option<Config>,
}

impl Resolved {
    /// The configuration, if it can be used.
    ///
    /// # Errors
    /// [`ConfigError::Problems`] with every problem if one of them is an error.
    pub fn config(self) -> Result<Config, ConfigError> {
        self.config.ok_or(ConfigError::Problems(self.problems))
    }

    /// Whether the agent can run with it.
    pub fn is_usable(&self) -> bool {
        self.config.is_some()
    }
}

/// Joins the layers, weakest first.
pub fn resolve(layers: &[Layer]) -> Resolved {
    let mut settings: Vec<Setting> = KEYS
        .iter()
        .map(|key| {
            let value = key.default.map(str::to_owned);
            Setting { key: key.name, value, origin: Origin::Default, overrides: Vec::new() }
        })
        .collect();
    for setting in &mut settings {
        for layer in layers {
            if let Some((value, origin)) = layer.settings.get(setting.key) {
                let value = setting.value.replace(value.clone());
                let origin = std::mem::replace(&mut setting.origin, origin.clone());
                let written = value.filter(|_| origin != Origin::Default);
                setting.overrides.extend(written.map(|value| Written { value, origin }));
            }
        }
        setting.overrides.reverse();
    }
    let problems = layers.iter().flat_map(|layer| layer.problems.iter().cloned()).collect();
    let mut reader = Reader { settings: &settings, problems };
    let config = Config {
        server: reader.read("server.url", |text| text.parse().map_err(|error| format!("{error}"))),
        ca_file: reader.read("server.ca_file", path),
        token_file: reader.read("enrolment.token_file", path),
        on_clone: reader.read("identity.on_clone", on_clone).unwrap_or_default(),
        rotate_every: reader.read("identity.rotate_every", rotate_every).unwrap_or_default(),
        state_dir: reader.read("state_dir", path).unwrap_or_default(),
        scan_root: reader.read("scan.root", root).unwrap_or_default(),
        splay: reader.read("check_in.splay", flag).unwrap_or(true),
        safety_interval: reader.read("scan.safety_interval", safety_interval).unwrap_or_default(),
        log: Log {
            level: reader.read("log.level", level).unwrap_or(LogLevel::Info),
            format: reader.read("log.format", format).unwrap_or(LogFormat::Text),
        },
    };
    let problems = reader.problems;
    // A value that could not be read stands in `config` as a filler; it must not get out.
    let usable = problems.iter().all(|problem| problem.severity != Severity::Error);
    Resolved { settings, problems, config: usable.then_some(config) }
}

struct Reader<'a> {
    settings: &'a [Setting],
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn read<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let setting = self.settings.iter().find(|setting| setting.key == key)?;
        match parse(setting.value.as_deref()?) {
            Ok(value) => Some(value),
            Err(message) => {
                let origin = setting.origin.clone();
                self.problems.push(Problem {
                    severity: Severity::Error,
                    origin,
                    key: key.to_owned(),
                    message,
                });
                None
            }
        }
    }
}

fn path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    // A daemon's working directory is not where its administrator typed the path.
    if path.is_absolute() { Ok(path) } else { Err(format!("{text:?} is not an absolute path")) }
}

/// `/` stands for this machine, also where paths begin with a drive.
fn root(text: &str) -> Result<PathBuf, String> {
    if text == "/" { Ok(PathBuf::from(text)) } else { path(text) }
}

fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("{text:?} is neither true nor false"))
}

fn on_clone(text: &str) -> Result<OnClone, String> {
    match text {
        "alert" => Ok(OnClone::Alert),
        "re-enrol" => Ok(OnClone::ReEnrol),
        _ => Err(format!("{text:?} is neither alert nor re-enrol")),
    }
}

fn rotate_every(text: &str) -> Result<Option<Span>, String> {
    if text == "never" {
        return Ok(None);
    }
    let span: Span = text.parse().map_err(|error| format!("{error}; or never"))?;
    if (ROTATE_MIN..=ROTATE_MAX).contains(&span) {
        Ok(Some(span))
    } else {
        Err(format!("{span} is out of bounds: expected {ROTATE_MIN} to {ROTATE_MAX}, or never"))
    }
}

fn safety_interval(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error| format!("{error}"))?;
    if (SAFETY_MIN..=SAFETY_MAX).contains(&span) {
        Ok(span)
    } else {
        Err(format!("{span} is out of bounds: expected {SAFETY_MIN} to {SAFETY_MAX}"))
    }
}

fn level(text: &str) -> Result<LogLevel, String> {
    match text {
        "error" => Ok(LogLevel::Error),
        "warn" => Ok(LogLevel::Warn),
        "info" => Ok(LogLevel::Info),
        "debug" => Ok(LogLevel::Debug),
        "trace" => Ok(LogLevel::Trace),
        _ => Err(format!("unknown level {text:?}: expected error, warn, info, debug or trace")),
    }
}

fn format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("unknown format {text:?}: expected text or json")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Environment, Kind, Rank};

    /// What an absolute path begins with.
    const ROOT: &str = if cfg!(windows) { "C:/" } else { "/" };

    fn file(name: &str, text: &str) -> Layer {
        let rank = if name == "/managed.toml" { Rank::Managed } else { Rank::Local };
        Layer::of_file(Path::new(name), rank, text)
    }

    #[test]
    fn the_defaults_are_valid() {
        let config = resolve(&[]).config().unwrap();
        let windows = Path::new("C:\\ProgramData\\Offchannel\\Agent");
        let state_dir = if cfg!(windows) { windows } else { Path::new("/var/lib/offchannel-agent") };
        assert_eq!(config.state_dir, state_dir);
        assert_eq!(config.scan_root, Path::new("/"));
        assert_eq!(config.safety_interval, Span::minutes(15));
        assert_eq!(
            (config.on_clone, config.rotate_every),
            (OnClone::Alert, Some(Span::minutes(30 * 24 * 60)))
        );
        assert_eq!((config.server, config.ca_file), (None, None));
    }

    #[test]
    fn later_layers_win_key_by_key() {
        let environment: Environment = [
            ("OFFCHANNEL_AGENT_SCAN_ROOT", format!("{ROOT}env")),
            ("OFFCHANNEL_AGENT_LOG_LEVEL", "warn".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect();
        let layers = [
            file(
                "/a.toml",
                &format!(
                    "state_dir = \"{ROOT}file\"\n[check_in]\nsplay = false\n[scan]\nroot = \"{ROOT}file\"\n\
                     [log]\nlevel = \"debug\"\nformat = \"json\"\n"
                ),
            ),
            environment.layer(),
            Layer::flags([("log.level", Some("trace".to_owned())), ("state_dir", None)]),
            file("/managed.toml", "[server]\nurl = \"https://managed\"\n"),
        ];
        let resolved = resolve(&layers);
        let origins: Vec<String> =
            resolved.settings.iter().map(|s| format!("{}={}", s.key, s.origin)).collect();
        assert!(origins.contains(&"scan.root=OFFCHANNEL_AGENT_SCAN_ROOT".to_owned()), "{origins:?}");
        assert!(origins.contains(&"server.url=/managed.toml:2".to_owned()), "{origins:?}");
        let config = resolved.config().unwrap();
        assert_eq!(config.state_dir, Path::new(&format!("{ROOT}file")));
        assert_eq!(config.scan_root, Path::new(&format!("{ROOT}env")));
        assert!(!config.splay);
        assert_eq!(config.log, Log { level: LogLevel::Trace, format: LogFormat::Json });
        assert_eq!(config.server.unwrap().to_string(), "https://managed");
    }

    #[test]
    fn values_that_lost_are_kept_the_strongest_first() {
        let layers = [
            file("/a.toml", "[log]\nlevel = \"debug\"\n"),
            file("/b.toml", "[log]\nlevel = \"warn\"\n"),
            Layer::flags([("log.level", Some("trace".to_owned()))]),
            file("/managed.toml", "log.level = \"error\"\n"),
        ];
        let resolved = resolve(&layers);
        let level = resolved.settings.iter().find(|setting| setting.key == "log.level").unwrap();
        let all: Vec<String> = level.overrides.iter().map(|w| format!("{} {}", w.value, w.origin)).collect();
        assert_eq!(all, ["trace command line", "warn /b.toml:2", "debug /a.toml:2"]);
        assert_eq!((level.value.as_deref(), level.origin.source()), (Some("error"), "managed-file"));
    }

    #[test]
    fn every_word_of_a_choice_is_read_and_no_other() {
        for key in KEYS {
            let Kind::Choice(words) = key.kind else { continue };
            let is_read = |word: &str| {
                let flags = Layer::flags([(key.name, Some(word.to_owned()))]);
                resolve(&[flags]).is_usable()
            };
            assert!(words.iter().all(|word| is_read(word)), "{}", key.name);
            assert!(!is_read("other") && !is_read(""), "{}", key.name);
        }
    }

    #[test]
    fn all_problems_are_collected() {
        let text = "state_dir = \"\"\nx = 1\n[server]\nurl = \"http://a\"\n[scan]\nsafety_interval = \"5s\"\n\
                    [identity]\non_clone = \"panic\"\nrotate_every = \"2h\"\n[log]\nlevel = \"loud\"\nformat = \"xml\"\n";
        let error = resolve(&[file("/a.toml", text)]).config().unwrap_err().to_string();
        for key in [
            "state_dir: ",
            "x: there is no",
            "server.url: ",
            "safety_interval: 5s",
            "on_clone: \"panic\" is neither alert nor re-enrol",
            "rotate_every: 2h is out of bounds: expected 1d to 365d, or never",
            "log.level: ",
            "log.format: ",
        ] {
            assert!(error.contains(key), "{key:?} not in {error}");
        }
        assert!(error.contains("never speak plain http"), "{error}");
    }

    #[test]
    fn a_warning_does_not_stop_the_agent() {
        let resolved = resolve(&[file("/a.toml", "later = true\n")]);
        assert_eq!(resolved.problems.len(), 1);
        assert!(resolved.is_usable());
    }
}
