//! The lists: `identities.tsv` and `lookalikes.tsv` in `tests/fixtures`.

use std::fmt;

use offchannel_shared::namespace::Namespace;

const IDENTITIES: &str = include_str!("../../fixtures/identities.tsv");
const LOOKALIKES: &str = include_str!("../../fixtures/lookalikes.tsv");

/// A name by which something is known on a platform.
#[derive(Debug)]
pub struct Identity {
    /// The app that it is; empty for a lookalike.
    pub app: String,
    /// What kind of name it is.
    pub namespace: Namespace,
    /// The name.
    pub identifier: String,
    /// Who made it, where the place says so.
    pub publisher: String,
    /// Why this one alone is not enough to name the app; empty if it is.
    pub doubt: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = if self.app.is_empty() { "no app" } else { &self.app };
        write!(f, "{app}, {} {:?} by {:?}", self.namespace, self.identifier, self.publisher)
    }
}

/// Everything on the list of apps.
pub fn identities() -> Vec<Identity> {
    rows(IDENTITIES, |cells| Identity {
        app: cells[0].to_owned(),
        namespace: cells[1].parse().expect("a namespace"),
        identifier: cells[2].to_owned(),
        publisher: cells.get(3).copied().unwrap_or_default().to_owned(),
        doubt: cells.get(4).copied().unwrap_or_default().to_owned(),
    })
}

/// Everything on the list of lookalikes.
pub fn lookalikes() -> Vec<Identity> {
    rows(LOOKALIKES, |cells| Identity {
        app: String::new(),
        namespace: cells[0].parse().expect("a namespace"),
        identifier: cells[1].trim_start_matches("https://").to_owned(),
        publisher: cells[2].to_owned(),
        doubt: String::new(),
    })
}

/// The rows under the heading.
fn rows(text: &str, read: impl Fn(&[&str]) -> Identity) -> Vec<Identity> {
    let rows = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).skip(1);
    rows.map(|row| read(&row.split('\t').collect::<Vec<_>>())).collect()
}
