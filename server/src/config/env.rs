//! The only reader of environment variables in the collector.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// First characters of every variable that is read.
pub const PREFIX: &str = "OFFCHANNEL_SERVER_";
/// The variable that names the configuration file; not a setting itself.
pub const CONFIG_FILE: &str = "OFFCHANNEL_SERVER_CONFIG";

/// The variable in which systemd names the folder of a service's credentials.
pub(super) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// All variables: settings have our prefix, secrets of channels have names that the configuration chooses. Values that
/// are not UTF-8 are taken with replacement characters, so that what reads them refuses them by name.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub(super) fn variables() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.to_string_lossy().into_owned()))
        })
        .filter(|(name, _)| name != CONFIG_FILE)
        .collect()
}

/// The configuration file that the environment names.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn config_file() -> Option<PathBuf> {
    std::env::var_os(CONFIG_FILE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The variable of a key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}
