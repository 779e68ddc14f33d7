//! `catalogue`: which apps are known, by which identifiers, and what an identifier stands for.

use std::io;

use clap::{Args, Subcommand};
use offchannel_shared::catalogue::{App, AppKind, Catalogue};
use offchannel_shared::namespace::Namespace;
use serde::Serialize;

use super::columns::columns;
use super::options::{Format, json};
use super::{CliError, EXIT_CODES};

/// Arguments of `catalogue`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CatalogueArgs {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// List all apps.
    List {
        /// How to answer.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show one app with all its identifiers.
    Show {
        /// The app's id, as `catalogue list` shows it.
        app: String,
        /// How to answer.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print the id of the app that an identifier stands for; exit 1 if there is none.
    Match {
        /// What kind of name it is, e.g. dpkg or flatpak.
        namespace: Namespace,
        /// The name.
        identifier: String,
        /// Who says to have made it; some names mean an app only together with that.
        #[arg(long, value_name = "NAME")]
        publisher: Option<String>,
    },
}

/// A question without an answer.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// No app has this id.
    #[error("the catalogue has no app {0:?}: offchannel-agent catalogue list shows them all")]
    NoApp(String),
    /// The identifier is no app's.
    #[error("no app of the catalogue has the {0} identifier {1:?}")]
    NoMatch(Namespace, String),
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    app: &'a str,
    name: &'a str,
    vendor: &'a str,
    kind: AppKind,
    networks: Vec<&'a str>,
    official: bool,
    homepage: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    identifiers: Vec<Identifier<'a>>,
}

#[derive(Debug, Serialize)]
struct Identifier<'a> {
    namespace: Namespace,
    identifier: &'a str,
    publisher: Option<&'a str>,
    versioned: bool,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    schema: u32,
    catalogue: &'static str,
    apps: Vec<Row<'a>>,
}

/// Answers from the built-in catalogue.
pub fn run(args: &CatalogueArgs, out: &mut dyn io::Write) -> Result<u8, CliError> {
    let catalogue = Catalogue::built_in();
    match &args.question {
        Question::List { format } => {
            let apps = catalogue.apps();
            match format {
                Format::Json => {
                    let apps = apps.into_iter().map(|app| row(app, Vec::new())).collect();
                    json(out, &Answer { schema: 1, catalogue: Catalogue::version(), apps })?;
                }
                Format::Table => list(out, &apps).map_err(CliError::Output)?,
            }
        }
        Question::Show { app: id, format } => {
            let app = catalogue.app(id).ok_or_else(|| CatalogueError::NoApp(id.clone()))?;
            let row = row(app, identifiers(&catalogue, id));
            match format {
                Format::Json => {
                    json(out, &Answer { schema: 1, catalogue: Catalogue::version(), apps: vec![row] })?
                }
                Format::Table => show(out, &row).map_err(CliError::Output)?,
            }
        }
        Question::Match { namespace, identifier, publisher } => {
            let app = catalogue.find(*namespace, identifier, publisher.as_deref());
            let app = app.ok_or_else(|| CatalogueError::NoMatch(*namespace, identifier.clone()))?;
            writeln!(out, "{}", app.id).map_err(CliError::Output)?;
        }
    }
    Ok(0)
}

fn row<'a>(app: App<'a>, identifiers: Vec<Identifier<'a>>) -> Row<'a> {
    Row {
        app: app.id,
        name: app.name,
        vendor: app.vendor,
        kind: app.kind,
        networks: app.networks().collect(),
        official: app.official,
        homepage: app.homepage,
        identifiers,
    }
}

fn identifiers<'a>(catalogue: &'a Catalogue, id: &str) -> Vec<Identifier<'a>> {
    let rows = catalogue.identifiers(id).into_iter().map(|row| Identifier {
        namespace: row.namespace,
        identifier: row.name,
        publisher: row.publisher,
        versioned: row.versioned,
    });
    rows.collect()
}

fn list(out: &mut dyn io::Write, apps: &[App<'_>]) -> io::Result<()> {
    let mut rows = vec![["ID", "NAME", "KIND", "NETWORKS", "OFFICIAL"].map(str::to_owned)];
    for app in apps {
        let official = if app.official { "yes" } else { "no" };
        rows.push([
            app.id.to_string(),
            app.name.to_string(),
            app.kind.to_string(),
            app.networks().collect::<Vec<_>>().join(", "),
            official.to_owned(),
        ]);
    }
    columns(out, &rows)?;
    writeln!(out, "\n{} apps, catalogue {}", apps.len(), Catalogue::version())
}

fn show(out: &mut dyn io::Write, row: &Row<'_>) -> io::Result<()> {
    let by = if row.official {
        "by its network's own vendor"
    } else {
        "by somebody else than its network's vendor"
    };
    writeln!(out, "{} ({})\n  {}, {by}\n  {}", row.name, row.app, row.vendor, row.homepage)?;
    writeln!(out, "  kind {}, networks {}", row.kind, row.networks.join(", "))?;
    let rows: Vec<_> = row
        .identifiers
        .iter()
        .map(|identifier| {
            let publisher = identifier.publisher.map(|publisher| format!("made by *{publisher}*"));
            let versioned = identifier.versioned.then(|| "a version may follow".to_owned());
            let conditions: Vec<_> = publisher.into_iter().chain(versioned).collect();
            [format!("  {}", identifier.namespace), identifier.identifier.to_owned(), conditions.join(", ")]
        })
        .collect();
    columns(out, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(question: Question) -> (Result<u8, CliError>, String) {
        let mut out = Vec::new();
        let result = run(&CatalogueArgs { question }, &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn an_identifier_is_matched_or_refused() {
        let question = |identifier: &str| Question::Match {
            namespace: Namespace::Dpkg,
            identifier: identifier.to_owned(),
            publisher: None,
        };
        let (result, text) = ask(question("telegram-desktop"));
        assert_eq!((result.unwrap(), text.as_str()), (0, "telegram\n"));
        let (result, text) = ask(question("wireshark"));
        assert!(result.unwrap_err().to_string().contains("wireshark"));
        assert_eq!(text, "");
    }

    #[test]
    fn an_app_is_shown_with_its_identifiers() {
        for format in [Format::Table, Format::Json] {
            let (result, text) = ask(Question::Show { app: "telegram".to_owned(), format });
            assert_eq!(result.unwrap(), 0);
            assert!(text.contains("telegram-desktop"), "{text}");
            assert!(ask(Question::List { format }).1.contains("Telegram"));
        }
        assert!(ask(Question::Show { app: "no-such-app".to_owned(), format: Format::Table }).0.is_err());
    }
}
