//! Which notices a person has been shown: once for each finding and text of the policy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::platform::storage::Access;
use crate::state::{Folder, Loaded, StateError};

const FILE: &str = "notices.json";

/// What is remembered. Findings that have ended are forgotten: if one comes back, its notice is shown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    schema: u32,
    /// By rule and app.
    notices: BTreeMap<String, Entry>,
}

/// A notice that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Digest of what the policy says, in all its languages.
    digest: String,
    /// The service that showed it, and its number there; for nobody else does that number mean this notice.
    server: String,
    id: u32,
}

impl Default for Shown {
    fn default() -> Self {
        Self { schema: Self::SCHEMA, notices: BTreeMap::new() }
    }
}

impl Shown {
    /// The only form of the file so far.
    const SCHEMA: u32 = 1;

    /// What is remembered, and what became of a file that is damaged.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn load(folder: &Folder) -> Result<(Self, Option<String>), StateError> {
        Ok(match folder.load(FILE, |shown: &Self| shown.schema == Self::SCHEMA)? {
            Loaded::Found(shown) => (shown, None),
            Loaded::Absent => (Self::default(), None),
            Loaded::Damaged(kept) => (Self::default(), Some(kept)),
        })
    }

    /// Keeps it.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save(&self, folder: &Folder) -> Result<(), StateError> {
        folder.save(FILE, Access::Private, self)
    }

    /// Whether this finding's notice was shown with this text.
    pub fn has(&self, key: &str, digest: &str) -> bool {
        self.notices.get(key).is_some_and(|entry| entry.digest == digest)
    }

    /// The number of the notice that a new one takes the place of, if this service shows it; 0 if none is.
    pub fn replaced(&self, key: &str, server: &str) -> u32 {
        self.notices.get(key).filter(|entry| entry.server == server).map_or(0, |entry| entry.id)
    }

    /// Notes that a notice was shown.
    pub fn note(&mut self, key: &str, digest: String, server: &str, id: u32) {
        self.notices.insert(key.to_owned(), Entry { digest, server: server.to_owned(), id });
    }

    /// Forgets the findings that there are no more. Returns whether there were any.
    pub fn keep_only(&mut self, keys: &[&str]) -> bool {
        let before = self.notices.len();
        self.notices.retain(|key, _| keys.contains(&key.as_str()));
        self.notices.len() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_remembered_by_finding_and_text_until_its_finding_ends() {
        let mut shown = Shown::default();
        shown.note("r/a", "1".to_owned(), "bus/:1.2", 7);
        assert!(shown.has("r/a", "1") && !shown.has("r/a", "2") && !shown.has("r/b", "1"));
        assert_eq!((shown.replaced("r/a", "bus/:1.2"), shown.replaced("r/a", "bus/:1.3")), (7, 0));
        assert!(!shown.keep_only(&["r/a", "r/b"]));
        assert!(shown.keep_only(&["r/b"]) && !shown.has("r/a", "1"));
    }

    #[test]
    fn a_damaged_file_is_kept_aside_and_one_of_a_newer_agent_too() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path());
        let mut shown = Shown::default();
        shown.note("r/a", "1".to_owned(), "s", 7);
        shown.save(&folder).unwrap();
        assert_eq!(Shown::load(&folder).unwrap(), (shown, None));
        for (number, content) in
            [(1, "{\"schema\":1,\"notices\":{\"r/a\""), (2, "{\"schema\":2,\"notices\":{}}")]
        {
            std::fs::write(place.path().join(FILE), content).unwrap();
            let (fresh, kept) = Shown::load(&folder).unwrap();
            assert_eq!((fresh, kept), (Shown::default(), Some(format!("notices.json.damaged-{number}"))));
        }
    }
}
