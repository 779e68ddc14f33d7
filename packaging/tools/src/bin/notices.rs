//! Gathers the notices of the crates that are linked into a program, which their licences want passed on with it.
//!
//! Which crates these are, cargo says: those that the package needs on the target, with the features that it is built with, without
//! what only runs while it is built. The texts are the files that each crate brings. A crate without one is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use serde::Deserialize;

/// How names of files with licences and notices begin, in capitals.
const BEGINNINGS: [&str; 6] = ["COPYING", "COPYRIGHT", "LICENCE", "LICENSE", "NOTICE", "UNLICENSE"];
/// How names of files end that begin like that and are no texts.
const CODE: [&str; 4] = [".c", ".h", ".py", ".rs"];

/// Writes to standard output what must come with a program of this project.
#[derive(Debug, Parser)]
struct Arguments {
    /// The package of the program, e.g. offchannel-agent.
    package: String,
    /// What it is built for, e.g. x86_64-unknown-linux-gnu.
    target: String,
}

#[derive(Debug, thiserror::Error)]
enum NoticesError {
    #[error("cannot start {0}")]
    Start(String, #[source] io::Error),
    #[error("{0} failed: {1}")]
    Failed(String, String),
    #[error("cannot read what cargo metadata says")]
    Metadata(#[source] serde_json::Error),
    #[error("cargo tree says {0:?}, which is no crate with its version")]
    Line(String),
    #[error("cargo metadata does not know {0} {1}")]
    Unknown(String, String),
    #[error("cannot read {0}")]
    Read(String, #[source] io::Error),
    #[error(
        "{name} {version} ({license}) has no file with its licence in {folder}: take a version that has one, or another crate"
    )]
    None { name: String, version: String, license: String, folder: String },
    #[error("cannot write the notices")]
    Write(#[source] io::Error),
}

/// What `cargo metadata` says, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    /// `None` for the packages of this project.
    source: Option<String>,
    license: Option<String>,
    license_file: Option<PathBuf>,
    repository: Option<String>,
    manifest_path: PathBuf,
}

/// Name and version.
type Id = (String, String);

#[expect(clippy::print_stderr, reason = "this is where errors are shown")]
fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("notices: {error}{cause}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), NoticesError> {
    let Arguments { package, target } = arguments;
    let tree = cargo(&[
        "tree",
        "--locked",
        "--package",
        package,
        "--target",
        target,
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ])?;
    let linked = linked(&tree)?;
    let metadata = cargo(&["metadata", "--locked", "--format-version", "1", "--filter-platform", target])?;
    let metadata: Metadata = serde_json::from_str(&metadata).map_err(NoticesError::Metadata)?;
    let known: BTreeMap<Id, &Package> = metadata
        .packages
        .iter()
        .map(|package| ((package.name.clone(), package.version.clone()), package))
        .collect();
    let mut crates = Vec::new();
    for id in linked {
        let package = known.get(&id).ok_or_else(|| NoticesError::Unknown(id.0.clone(), id.1.clone()))?;
        if package.source.is_some() {
            crates.push((*package, texts(package)?));
        }
    }
    io::Write::write_all(&mut io::stdout().lock(), notices(package, &crates).as_bytes())
        .map_err(NoticesError::Write)
}

/// What cargo, the one that started this or the usual one, says.
fn cargo(arguments: &[&str]) -> Result<String, NoticesError> {
    let program = option_env!("CARGO").unwrap_or("cargo");
    let called = format!("cargo {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| NoticesError::Start(called.clone(), error))?;
    if !output.status.success() {
        return Err(NoticesError::Failed(called, String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    String::from_utf8(output.stdout).map_err(|error| NoticesError::Failed(called, error.to_string()))
}

/// The crates in the lines of `cargo tree`: `name v1.2.3 (where it is from)`.
fn linked(tree: &str) -> Result<BTreeSet<Id>, NoticesError> {
    let id = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        Some((name, words.next()?.strip_prefix('v')?.to_owned()))
    };
    let lines = tree.lines().filter(|line| !line.is_empty());
    lines.map(|line| id(line).ok_or_else(|| NoticesError::Line(line.to_owned()))).collect()
}

/// The texts that a crate brings, in the order of their paths.
fn texts(package: &Package) -> Result<Vec<String>, NoticesError> {
    let folder = package.manifest_path.parent().unwrap_or(&package.manifest_path);
    let mut files = BTreeSet::new();
    gather(folder, &mut files)?;
    files.extend(package.license_file.as_ref().map(|file| folder.join(file)));
    if files.is_empty() {
        return Err(NoticesError::None {
            name: package.name.clone(),
            version: package.version.clone(),
            license: package.license.clone().unwrap_or_default(),
            folder: folder.display().to_string(),
        });
    }
    let read = |file: PathBuf| fs::read_to_string(&file).map_err(|error| failed(&file, error));
    files.into_iter().map(read).collect()
}

/// All files below a folder that by their names are licences or notices: code that came from elsewhere has its own.
fn gather(folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), NoticesError> {
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let entry = entry.map_err(|error| failed(folder, error))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| failed(&path, error))?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if kind.is_dir() {
            gather(&path, files)?;
        } else if BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
            && !CODE.iter().any(|ending| name.ends_with(&ending.to_uppercase()))
        {
            files.insert(path);
        }
    }
    Ok(())
}

fn failed(path: &Path, error: io::Error) -> NoticesError {
    NoticesError::Read(path.display().to_string(), error)
}

/// The file: which crates there are, then each text once, with those that brought it.
fn notices(program: &str, crates: &[(&Package, Vec<String>)]) -> String {
    let mut out = format!(
        "{program} has these works of others in it. Their licences want what stands below passed on with it.\n\
         The standard library of Rust, which is in it too, has a file of its own beside this one.\n\n"
    );
    for (package, _) in crates {
        let license = package.license.as_deref().unwrap_or("see below");
        let from = package.repository.as_deref().unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = writeln!(out, "{} {} ({license}) {from}", package.name, package.version);
    }
    let mut kinds: Vec<(String, &str, Vec<String>)> = Vec::new();
    for (package, texts) in crates {
        let name = format!("{} {}", package.name, package.version);
        for text in texts {
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            match kinds.iter_mut().find(|(known, ..)| *known == words) {
                Some((.., names)) if names.contains(&name) => {}
                Some((.., names)) => names.push(name.clone()),
                None => kinds.push((words, text, vec![name.clone()])),
            }
        }
    }
    for (_, text, names) in kinds {
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let _ = write!(
            out,
            "\n{}\nOf {}:\n\n{}\n",
            "=".repeat(80),
            names.join(", "),
            lines.join("\n").trim_matches('\n')
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, folder: &Path) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            source: Some("registry".to_owned()),
            license: Some("MIT".to_owned()),
            license_file: None,
            repository: None,
            manifest_path: folder.join("Cargo.toml"),
        }
    }

    #[test]
    fn a_crate_without_a_licence_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("license.rs"), "// code").unwrap();
        let error = texts(&package("bare", folder.path())).unwrap_err();
        assert!(error.to_string().starts_with("bare 1.0.0 (MIT) has no file"), "{error}");
    }

    #[test]
    fn texts_are_found_in_all_folders_and_shown_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("third_party")).unwrap();
        fs::write(folder.path().join("LICENSE-MIT"), "Copyright One\r\nas is").unwrap();
        fs::write(folder.path().join("third_party/Copying"), "Copyright Two").unwrap();
        let (one, two) = (package("one", folder.path()), package("two", folder.path()));
        let crates = [(&one, texts(&one).unwrap()), (&two, vec!["Copyright One as is\n".to_owned()])];
        let text = notices("program", &crates);
        assert!(text.contains("\nOf one 1.0.0, two 1.0.0:\n\nCopyright One\nas is\n"), "{text}");
        assert!(text.contains("\nOf one 1.0.0:\n\nCopyright Two\n"), "{text}");
        assert_eq!(text.matches("Copyright One").count(), 1, "{text}");
    }

    #[test]
    fn lines_of_cargo_tree_are_crates_and_anything_else_is_an_error() {
        let tree = "a v0.1.0 (/x)\nb v1.2.3\n\nb v1.2.3 (*)\n";
        let id = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        assert_eq!(linked(tree).unwrap(), BTreeSet::from([id("a", "0.1.0"), id("b", "1.2.3")]));
        assert!(linked("[dev-dependencies]\n").is_err());
    }
}
