//! The only reader of the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::keys::{KEYS, no_such};
use super::layer::{Layer, Origin, Severity};

/// What the names of all our variables begin with.
pub const PREFIX: &str = "OFFCHANNEL_AGENT_";
/// The variable that names the configuration file.
const CONFIG: &str = "OFFCHANNEL_AGENT_CONFIG";

/// The variables of ours that are set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads the environment of this process.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn read() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
            })
            .collect()
    }

    /// The configuration file that it names.
    pub fn config_file(&self) -> Option<PathBuf> {
        self.0.get(CONFIG).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// The settings in it. A variable that is set to nothing counts as not set, as in a shell.
    pub fn layer(&self) -> Layer {
        let mut layer = Layer::default();
        let mut known = vec![CONFIG.to_owned()];
        for key in KEYS {
            let variable = key.variable();
            if let Some(value) = self.0.get(&variable).filter(|value| !value.is_empty()) {
                layer.settings.insert(key.name, (value.clone(), Origin::Environment(variable.clone())));
            }
            known.push(variable);
        }
        for name in self.0.keys().filter(|name| !known.contains(name)) {
            let message = no_such(name, &known, '.');
            layer.problem(Severity::Warning, &Origin::Environment(name.clone()), "", message);
        }
        layer
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(all: I) -> Self {
        Self(all.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect())
    }
}

/// A variable that is set to something, if it is text.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(all: &[(&str, &str)]) -> Environment {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_our_own_variables_count_and_unknown_ones_are_named() {
        let all = [
            ("PATH", "/bin"),
            ("OFFCHANNEL_AGENT_CONFIG", "/x.toml"),
            ("OFFCHANNEL_AGENT_SERVER_URL", "https://a"),
            ("OFFCHANNEL_AGENT_STATE_DIR", ""),
            ("OFFCHANNEL_AGENT_SERVER_ULR", "https://b"),
        ];
        let environment = environment(&all);
        assert_eq!(environment.config_file(), Some(PathBuf::from("/x.toml")));
        let layer = environment.layer();
        assert_eq!(layer.settings.keys().copied().collect::<Vec<_>>(), ["server.url"]);
        let problems: Vec<String> = layer.problems.iter().map(ToString::to_string).collect();
        let expected = "warning: OFFCHANNEL_AGENT_SERVER_ULR: there is no such setting; \
            did you mean OFFCHANNEL_AGENT_SERVER_URL?";
        assert_eq!(problems, [expected]);
    }
}
