//! Unit files of systemd, as far as the tests look at them.

use std::fs;
use std::path::Path;

/// A unit file.
#[derive(Debug)]
pub struct Unit {
    text: String,
}

impl Unit {
    /// Reads a file.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path);
        Self { text: text.unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display())) }
    }

    /// The last value of a setting.
    #[track_caller]
    pub fn value(&self, name: &str) -> &str {
        let found = self.text.lines().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default().trim()
    }
}
