//! Settings in real files, in all the places.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::config::{LogFormat, LogLevel};

/// A folder that stands for `/etc/offchannel`.
struct Etc {
    folder: TempDir,
    environment: Environment,
}

impl Etc {
    fn new() -> Self {
        let etc = Self { folder: tempfile::tempdir().unwrap(), environment: Environment::default() };
        fs::create_dir(etc.path("conf.d")).unwrap();
        for folder in ["", "conf.d"] {
            etc.mode(folder, 0o755);
        }
        etc
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.folder.path().to_path_buf() } else { self.folder.path().join(name) }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        self.mode(name, 0o644);
    }

    #[cfg(unix)]
    fn mode(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[cfg(not(unix))]
    fn mode(&self, _name: &str, _mode: u32) {}

    fn places(&self) -> Places {
        let owner = files::owner(&fs::metadata(self.folder.path()).unwrap()).unwrap_or_default();
        Places {
            file: self.path("agent.toml"),
            managed: self.path("managed.toml"),
            preferences: Some(self.path("preferences.plist")),
            policies: None,
            owner,
        }
    }

    fn load(&self, named: Option<&str>, flags: &[(&'static str, &str)]) -> Resolved {
        let named = named.map(|name| self.path(name));
        let flags = Layer::flags(flags.iter().map(|(key, value)| (*key, Some((*value).to_owned()))));
        self.places().load(named.as_deref(), &self.environment, flags)
    }

    /// The problems, with the folder's name taken out.
    fn problems(&self, resolved: &Resolved) -> Vec<String> {
        let folder = format!("{}{}", self.folder.path().display(), std::path::MAIN_SEPARATOR);
        let plain = |text: String| text.replace(&folder, "").replace('\\', "/");
        resolved.problems.iter().map(|problem| plain(problem.to_string())).collect()
    }
}

fn level(resolved: Resolved) -> LogLevel {
    resolved.config().unwrap().log.level
}

#[test]
fn the_managed_file_wins_over_flags_these_over_the_environment_and_that_over_drop_ins_and_file() {
    let mut etc = Etc::new();
    assert_eq!(level(etc.load(None, &[])), LogLevel::Info);
    etc.write("agent.toml", "log.level = \"error\"\nlog.format = \"json\"\n");
    assert_eq!(level(etc.load(None, &[])), LogLevel::Error);
    etc.write("conf.d/10.toml", "log.level = \"warn\"\n");
    assert_eq!(level(etc.load(None, &[])), LogLevel::Warn);
    etc.environment = [("OFFCHANNEL_AGENT_LOG_LEVEL".to_owned(), "info".to_owned())].into_iter().collect();
    assert_eq!(level(etc.load(None, &[])), LogLevel::Info);
    assert_eq!(level(etc.load(None, &[("log.level", "debug")])), LogLevel::Debug);
    etc.write("managed.toml", "log.level = \"trace\"\n");
    let resolved = etc.load(None, &[("log.level", "debug")]);
    let setting = resolved.settings.iter().find(|setting| setting.key == "log.level").unwrap();
    let lost: Vec<&str> = setting.overrides.iter().map(|written| written.value.as_str()).collect();
    assert_eq!(lost, ["debug", "info", "warn", "error"]);
    let log = resolved.config().unwrap().log;
    assert_eq!((log.level, log.format), (LogLevel::Trace, LogFormat::Json));
}

#[test]
fn drop_ins_are_read_in_the_order_of_their_names_and_nothing_else_is() {
    let etc = Etc::new();
    // By bytes: digits, capitals, small letters. No file `agent.toml` is needed.
    for (name, level) in [("z.toml", "error"), ("Z.toml", "warn"), ("9.toml", "info"), ("10.toml", "debug")] {
        etc.write(&format!("conf.d/{name}"), &format!("log.level = \"{level}\"\n"));
    }
    for name in
        [".a.toml", "#a.toml", "~a.toml", "a.toml~", "a.toml.bak", "a.toml.dpkg-old", "README", "a.TOML"]
    {
        etc.write(&format!("conf.d/{name}"), "this is not read");
    }
    let resolved = etc.load(None, &[]);
    assert_eq!(etc.problems(&resolved), [] as [&str; 0]);
    let setting = resolved.settings.iter().find(|setting| setting.key == "log.level").unwrap();
    let lost: Vec<&str> = setting.overrides.iter().map(|written| written.value.as_str()).collect();
    if cfg!(windows) {
        // There `Z.toml` and `z.toml` are one file.
        assert_eq!(lost, ["info", "debug"]);
    } else {
        assert_eq!(lost, ["warn", "info", "debug"]);
        assert_eq!(setting.origin, Origin::File { path: etc.path("conf.d/z.toml").into(), line: 1 });
        assert_eq!(level(resolved), LogLevel::Error);
    }
}

#[test]
fn a_file_that_is_named_stands_alone_unless_it_is_the_default_one() {
    let mut etc = Etc::new();
    etc.write("conf.d/10.toml", "log.level = \"warn\"\n");
    etc.write("agent.toml", "");
    etc.write("other.toml", "log.format = \"json\"\n");
    assert_eq!(level(etc.load(Some("other.toml"), &[])), LogLevel::Info);
    assert_eq!(level(etc.load(Some("agent.toml"), &[])), LogLevel::Warn);
    let named = etc.path("other.toml").display().to_string();
    etc.environment = [("OFFCHANNEL_AGENT_CONFIG".to_owned(), named)].into_iter().collect();
    let resolved = etc.load(None, &[]);
    assert_eq!(resolved.settings.iter().filter(|s| s.origin.source() == "file").count(), 1);
    assert_eq!(level(resolved), LogLevel::Info);
    let missing = etc.load(Some("missing.toml"), &[]);
    assert!(!missing.is_usable());
    assert!(etc.problems(&missing)[0].starts_with("error: missing.toml: cannot be read: "), "{missing:?}");
}

#[test]
fn what_cannot_be_read_is_told_with_everything_else() {
    let etc = Etc::new();
    etc.write("conf.d/1.toml", "state_dri = \"/x\"\n");
    fs::write(etc.path("conf.d/2.toml"), b"# \xff").unwrap();
    fs::create_dir(etc.path("conf.d/3.toml")).unwrap();
    etc.write("managed.toml", "log = [\n");
    let told = etc.problems(&etc.load(None, &[]));
    let expected = [
        "warning: conf.d/1.toml:1: state_dri: there is no such setting; did you mean state_dir?",
        "error: conf.d/2.toml: not UTF-8 from byte 2 on",
        "error: conf.d/3.toml: cannot be read: it is not a regular file",
    ];
    assert_eq!(told[..3], expected);
    assert!(told[3].starts_with("error: managed.toml:") && told[3].contains("not TOML"), "{told:?}");
    assert_eq!(told.len(), 4, "{told:?}");
}

#[test]
fn files_and_drop_ins_are_bounded() {
    let etc = Etc::new();
    let comment = |size: u64| "#".repeat(usize::try_from(size).unwrap());
    etc.write("agent.toml", &comment(FILE_MAX));
    for name in ["1", "2"] {
        etc.write(&format!("conf.d/{name}.toml"), &comment(FILE_MAX / 2));
    }
    assert_eq!(etc.problems(&etc.load(None, &[])), [] as [&str; 0]);
    etc.write("conf.d/3.toml", "#");
    etc.write("managed.toml", &comment(FILE_MAX + 1));
    let told = etc.problems(&etc.load(None, &[]));
    assert!(told[0].starts_with("error: conf.d/3.toml: too large: "), "{told:?}");
    assert!(told[1].starts_with("error: managed.toml: too large: "), "{told:?}");
    for number in 0..=DROP_INS_MAX {
        etc.write(&format!("conf.d/{number}.toml"), "");
    }
    let told = etc.problems(&etc.load(None, &[]));
    assert!(told[0].starts_with("error: conf.d: more than 64 files"), "{told:?}");
    for number in 0..=NAMES_MAX {
        fs::write(etc.path(&format!("conf.d/{number}")), "").unwrap();
    }
    let told = etc.problems(&etc.load(None, &[]));
    assert_eq!(told[0], "error: conf.d: cannot be read: more than 1024 names in it");
}

#[cfg(unix)]
#[test]
fn a_managed_file_that_others_may_change_is_refused_and_of_others_there_is_a_warning() {
    let etc = Etc::new();
    for name in ["agent.toml", "conf.d/1.toml", "managed.toml"] {
        etc.write(name, "log.level = \"debug\"\n");
    }
    assert_eq!(etc.problems(&etc.load(None, &[])), [] as [&str; 0]);
    etc.mode("agent.toml", 0o664);
    etc.mode("conf.d", 0o777);
    let resolved = etc.load(None, &[]);
    let told = etc.problems(&resolved);
    let expected = [
        "warning: agent.toml: its settings are not safe: the group of agent.toml may change it: chmod go-w 'agent.toml'",
        "warning: conf.d/1.toml: its settings are not safe: everybody may change conf.d: chmod go-w 'conf.d'",
    ];
    assert_eq!(told, expected);
    assert!(resolved.is_usable());

    etc.mode("managed.toml", 0o646);
    let resolved = etc.load(None, &[]);
    let expected = "error: managed.toml: it is refused, for it wins over all other settings: \
        everybody may change managed.toml: chmod go-w 'managed.toml'";
    assert_eq!(etc.problems(&resolved)[2], expected);
    assert!(!resolved.is_usable());
    let level = resolved.settings.iter().find(|setting| setting.key == "log.level").unwrap();
    assert_eq!(level.origin.source(), "file", "nothing of it counts");

    // In a folder of others it can be replaced.
    etc.mode("managed.toml", 0o644);
    etc.mode("", 0o775);
    let told = etc.problems(&etc.load(None, &[]));
    assert!(
        told.iter().any(|told| told.contains("managed.toml: it is refused") && told.contains("the group of")),
        "{told:?}"
    );
}

#[test]
fn managed_preferences_win_over_the_managed_file_and_are_held_to_the_same() {
    let etc = Etc::new();
    etc.write("managed.toml", "log.level = \"warn\"\nlog.format = \"json\"\n");
    etc.write("preferences.plist", "<plist><dict><key>log.level</key><string>trace</string></dict></plist>");
    let resolved = etc.load(None, &[("log.level", "error")]);
    let level = resolved.settings.iter().find(|setting| setting.key == "log.level").unwrap();
    assert_eq!(level.origin, Origin::Preferences(etc.path("preferences.plist").into()));
    let lost: Vec<&str> = level.overrides.iter().map(|written| written.value.as_str()).collect();
    assert_eq!(lost, ["warn", "error"]);
    let log = resolved.config().unwrap().log;
    assert_eq!((log.level, log.format), (LogLevel::Trace, LogFormat::Json));
    if cfg!(unix) {
        etc.mode("preferences.plist", 0o666);
        let told = etc.problems(&etc.load(None, &[]));
        assert!(told[0].starts_with("error: preferences.plist: it is refused"), "{told:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_named_file_that_everybody_may_change_is_a_warning() {
    let etc = Etc::new();
    etc.write("other.toml", "");
    for (mode, count) in [(0o664, 0), (0o646, 1)] {
        etc.mode("other.toml", mode);
        assert_eq!(etc.load(Some("other.toml"), &[]).problems.len(), count, "{mode:o}");
    }
    assert_eq!(etc.load(Some("/dev/null"), &[]).problems, []);
    let endless = etc.load(Some("/dev/zero"), &[]);
    assert!(etc.problems(&endless)[0].contains("too large"), "{endless:?}");
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_one_to_nowhere_is_told() {
    let etc = Etc::new();
    etc.write("real.toml", "log.level = \"debug\"\n");
    std::os::unix::fs::symlink(etc.path("real.toml"), etc.path("conf.d/1.toml")).unwrap();
    assert_eq!(level(etc.load(None, &[])), LogLevel::Debug);
    std::os::unix::fs::symlink(etc.path("nowhere"), etc.path("managed.toml")).unwrap();
    let told = etc.problems(&etc.load(None, &[]));
    assert!(told[0].starts_with("error: managed.toml: cannot be read: No such file"), "{told:?}");
}
