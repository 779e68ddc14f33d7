//! Where the collector keeps what it knows.

use std::path::{Path, PathBuf};

use super::layers::{self, Section};
use super::problem::Problem;

/// File of the default database in the data folder.
const SQLITE_FILE: &str = "offchannel.db";

/// Which database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// An SQLite file.
    Sqlite(PathBuf),
}

pub(super) fn data_dir(main: &mut Section, problems: &mut Vec<Problem>) -> Option<PathBuf> {
    main.path(problems, "data_dir")
}

pub(super) fn database(
    main: &mut Section,
    problems: &mut Vec<Problem>,
    data_dir: Option<&Path>,
) -> Option<Database> {
    let (text, origin) = main.text(problems, "database")?;
    if text == "sqlite" {
        return data_dir.map(|folder| Database::Sqlite(folder.join(SQLITE_FILE)));
    }
    match text.split_once("://") {
        Some(("sqlite", path)) if !path.is_empty() => {
            return Some(Database::Sqlite(layers::path(path, &origin)));
        }
        // The address may hold a password: it is not repeated.
        Some(("postgres" | "postgresql", _)) => {
            main.problem(problems, "database", &origin, "PostgreSQL is not in this version: use \"sqlite\"");
        }
        _ => {
            let message = "expected \"sqlite\" or \"sqlite:///path/to/file\"";
            main.problem(problems, "database", &origin, message);
        }
    }
    None
}
