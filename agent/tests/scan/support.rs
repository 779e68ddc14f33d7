//! What the tests of scanning share.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use offchannel_agent::clock::Clock;
use offchannel_agent::scan::host::Host;
use offchannel_agent::scan::scanner::{Scan, Scanner};
use offchannel_shared::catalogue::{Catalogue, Entry};
use offchannel_shared::device::Platform;
use offchannel_shared::ids::AppId;
use offchannel_shared::inventory::Scope;
use tempfile::TempDir;

/// A tree of `tests/fixtures/homes`.
pub fn fixture(tree: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/homes").join(tree)
}

/// The device that a tree of `tests/fixtures/homes` stands for: its name begins with its platform.
pub fn host(tree: &str) -> Host {
    let platform = tree.split('-').next().unwrap().parse().unwrap();
    Host::at(fixture(tree), platform)
}

/// One scan of a Linux tree with all sources.
pub fn scan(root: &Path, catalogue: &Catalogue) -> Scan {
    scan_of(Host::at(root.to_owned(), Platform::Linux), catalogue)
}

/// One scan of a device with all sources.
pub fn scan_of(host: Host, catalogue: &Catalogue) -> Scan {
    Scanner::new(host).scan(catalogue, None, &Clock::system())
}

/// What a source found in a fixture: app, identifier, grade, version, and the user's name, sorted.
pub fn found_in(tree: &str, source: &str, catalogue: &Catalogue) -> Vec<[String; 5]> {
    let users = host(tree).users();
    let name = |scope: &Scope| match users.iter().find(|user| user.scope == *scope) {
        Some(user) => user.name.clone(),
        None => "-".to_owned(),
    };
    let scan = scan_of(host(tree), catalogue);
    let sightings = scan.inventory.sightings.iter().filter(|sighting| sighting.source == source);
    let mut rows: Vec<_> = sightings
        .map(|sighting| {
            [
                sighting.app.to_string(),
                sighting.identifier.clone(),
                sighting.grade.to_string(),
                sighting.version.clone().unwrap_or_default(),
                name(&sighting.scope),
            ]
        })
        .collect();
    rows.sort();
    rows
}

/// The catalogue with an entry of an organisation's own that has a Firefox extension.
pub fn catalogue_with_acme() -> Catalogue {
    let entry: Entry = toml::from_str(
        r#"
        name = "Acme Chat"
        vendor = "Acme"
        kind = "workplace"
        networks = ["acme"]
        official = true
        homepage = "https://acme.example"
        [match]
        firefox-extension = ["chat@acme.example"]
        homebrew = ["acme-call", "acme-chat", "acme-talk"]
        "#,
    )
    .unwrap();
    Catalogue::with_overlay(&BTreeMap::from([(AppId::new("acme-chat").unwrap(), entry)])).unwrap()
}

/// An empty tree with one user, alice.
pub fn tree() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    write(tree.path(), "etc/passwd", "alice:x:1000:1000::/home/alice:/bin/sh\n");
    tree
}

/// Writes a file and the folders that it is in.
pub fn write(root: &Path, path: &str, text: &str) {
    write_bytes(root, path, text.as_bytes());
}

/// The same, of bytes that are no text.
pub fn write_bytes(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A copy of a tree to change.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Makes a link to `target`.
#[cfg(unix)]
pub fn link(root: &Path, target: impl AsRef<Path>, path: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(target, path).unwrap();
}

/// The identifiers of all sightings, in the order of reports.
pub fn identifiers(scan: &Scan) -> Vec<&str> {
    scan.inventory.sightings.iter().map(|sighting| sighting.identifier.as_str()).collect()
}

/// How a source fared, without the references to those whose homes it could not look at.
pub fn health(scan: &Scan, source: &str) -> String {
    let mut said = whole_health(scan, source);
    while let Some((before, after)) = said.split_once(" (user:u-") {
        said = format!("{before}{}", after.split_once(')').unwrap().1);
    }
    said
}

/// How a source fared, to the letter.
pub fn whole_health(scan: &Scan, source: &str) -> String {
    scan.runs.iter().find(|run| run.source == source).unwrap().health.to_string()
}
