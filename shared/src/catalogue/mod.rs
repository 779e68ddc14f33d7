//! The catalogue: which identifier on which platform is which app.
//!
//! The built-in part is made by `build.rs` from one TOML file per app under `catalogue/`. A policy
//! can add an organisation's own entries; they win over the built-in ones, so that a mistake in
//! ours can be put right without a new agent.

mod address;
mod app;
pub mod entry;
mod filter;
mod matcher;
mod recognise;
mod table;
mod version;

use std::collections::BTreeMap;

pub use app::App;
use app::OwnApp;
pub use entry::{AppKind, Entry, EntryError, Pattern, UNLISTED_PREFIX};
pub use recognise::Recognised;
use table::{OwnRow, Rows};

use crate::ids::AppId;
use crate::namespace;
use crate::namespace::Namespace;

/// One identifier of one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'c> {
    /// What kind of name this is.
    pub namespace: Namespace,
    /// The identifier.
    pub name: &'c str,
    /// In lower case: what the artefact's publisher must contain.
    pub publisher: Option<&'c str>,
    /// Whether a version may follow the name.
    pub versioned: bool,
    /// Index of the app.
    app: usize,
}

/// The tables that `build.rs` makes. They are constants without pointers where there are many of them: the loader
/// would have to write every pointer, and each page that it writes is memory of this process alone.
mod built_in {
    use super::AppKind;
    use super::app::PackedApp;
    use super::filter::Filter;
    use super::table::Packed;
    include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));
}

/// The built-in catalogue together with an organisation's own entries.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    overlay: Table,
}

#[derive(Debug, Clone, Default)]
struct Table {
    apps: Vec<OwnApp>,
    rows: Vec<OwnRow>,
}

impl Catalogue {
    /// The built-in catalogue.
    pub fn built_in() -> Self {
        Self::default()
    }

    /// The built-in catalogue with an organisation's own entries over it.
    ///
    /// # Errors
    /// Every rule that the entries break.
    pub fn with_overlay(entries: &BTreeMap<AppId, Entry>) -> Result<Self, Vec<EntryError>> {
        let all = || entries.iter().map(|(id, entry)| (id.as_str(), entry));
        let mut errors: Vec<_> = all().flat_map(|(id, entry)| entry::check(id, entry)).collect();
        errors.extend(entry::check_unique(all()));
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut overlay = Table::default();
        for (id, entry) in all() {
            overlay.push(id, entry);
        }
        overlay.rows.sort();
        Ok(Self { overlay })
    }

    /// The version of the built-in part: a digest of its files.
    pub fn version() -> &'static str {
        built_in::VERSION
    }

    /// The app with this id.
    pub fn app(&self, id: &str) -> Option<App<'_>> {
        let built_in = || App::built_in(App::place_of_built_in(id)?);
        self.overlay.apps.iter().map(OwnApp::view).find(|app| app.id == id).or_else(built_in)
    }

    /// All apps, sorted by id; an organisation's own entry stands for the built-in one of its name.
    pub fn apps(&self) -> Vec<App<'_>> {
        let own = self.overlay.apps.iter().map(OwnApp::view);
        let apps: BTreeMap<&str, App<'_>> = App::all_built_in().chain(own).map(|app| (app.id, app)).collect();
        apps.into_values().collect()
    }

    /// All identifiers of an app, sorted by namespace and name.
    pub fn identifiers(&self, id: &str) -> Vec<Row<'_>> {
        let own = self.overlay.apps.iter().position(|app| app.id == id);
        let app = own.or_else(|| App::place_of_built_in(id));
        let rows = |namespace: Namespace| match own {
            Some(_) => self.overlay.rows(namespace),
            None => Rows::built_in(namespace),
        };
        let all = Namespace::ALL.into_iter().flat_map(|namespace| rows(namespace).all());
        all.filter(|row| Some(row.app) == app).collect()
    }

    /// All networks that some app talks to, sorted.
    pub fn networks(&self) -> Vec<&str> {
        let apps = App::all_built_in().chain(self.overlay.apps.iter().map(OwnApp::view));
        let mut networks: Vec<&str> = apps.flat_map(|app| app.networks()).collect();
        networks.sort_unstable();
        networks.dedup();
        networks
    }
}

impl Table {
    /// The rows of a namespace.
    fn rows(&self, namespace: Namespace) -> Rows<'_> {
        let start = self.rows.partition_point(|row| row.namespace < namespace);
        let rows = self.rows.get(start..).unwrap_or_default();
        let end = rows.partition_point(|row| row.namespace == namespace);
        Rows::Own(rows.get(..end).unwrap_or_default())
    }

    fn push(&mut self, id: &str, entry: &Entry) {
        let app = self.apps.len();
        for (namespace, patterns) in &entry.matches {
            for pattern in patterns {
                self.rows.push(OwnRow {
                    namespace: *namespace,
                    name: entry::canonical(*namespace, pattern.name()).into_owned(),
                    publisher: pattern.publisher().map(str::to_lowercase),
                    versioned: pattern.versioned(),
                    app,
                });
                if *namespace == Namespace::WebApp && !pattern.name().starts_with('*') {
                    self.rows.push(OwnRow {
                        namespace: *namespace,
                        name: address::chromium_app_id(pattern.name()),
                        publisher: None,
                        versioned: false,
                        app,
                    });
                }
            }
        }
        self.apps.push(OwnApp::new(id, entry));
    }
}
