//! The whole package list of Debian as one package database: every messenger of it is named, nothing else is.
//!
//! Which packages are messengers was decided by reading the lists (docs/detection.md tells how); the decisions
//! stand in `fixtures/debian-messengers.tsv` and `fixtures/debian-not-messengers.tsv`. Packages that this machine's
//! release does not have are no failure.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use offchannel_tests::{Output, programs};

const MESSENGERS: &str = include_str!("../fixtures/debian-messengers.tsv");
const NOT_MESSENGERS: &str = include_str!("../fixtures/debian-not-messengers.tsv");

/// A list with fewer packages is none of a whole release: bullseye has 58,000, and each later one more.
const WHOLE: usize = 50_000;

/// Fewer messengers than this in a list mean that it was not read right; every release has more than 80.
const MESSENGERS_MIN: usize = 60;

/// The tags by which the archive itself calls a package a messenger.
const TAGS: [&str; 2] = ["use::chatting", "works-with::im"];

/// Key and second column of a fixture, sorted, without a package twice.
fn fixture(text: &'static str, columns: usize) -> BTreeMap<&'static str, &'static str> {
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        assert!(fields.len() == columns && fields.iter().all(|field| !field.is_empty()), "{line:?}");
        rows.push((fields[0], fields[1]));
    }
    assert!(rows.is_sorted_by(|(a, _), (b, _)| a < b), "packages are sorted and named once");
    rows.into_iter().collect()
}

fn messengers() -> BTreeMap<&'static str, &'static str> {
    fixture(MESSENGERS, 3)
}

fn not_messengers() -> BTreeMap<&'static str, &'static str> {
    fixture(NOT_MESSENGERS, 2)
}

/// Packages with all the text that belongs to them.
fn stanzas(list: &str) -> impl Iterator<Item = (&str, &str)> {
    list.split("\n\n").filter_map(|stanza| {
        let name = stanza.lines().find_map(|line| line.strip_prefix("Package: "))?;
        Some((name, stanza.trim_end()))
    })
}

/// What a program of apt says, if it is there and did not fail.
fn apt(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Packages that come from other archives than Debian's: nobody has judged those.
fn foreign() -> BTreeSet<String> {
    let format = "$(ORIGIN)\t$(FILENAME)";
    let lists =
        apt("apt-get", &["indextargets", "--format", format, "Created-By: Packages"]).unwrap_or_default();
    let foreign =
        lists.lines().filter_map(|line| line.split_once('\t')).filter(|(origin, _)| *origin != "Debian");
    let texts = foreign.filter_map(|(_, file)| apt("/usr/lib/apt/apt-helper", &["cat-file", file]));
    texts.flat_map(|text| stanzas(&text).map(|(name, _)| name.to_owned()).collect::<Vec<_>>()).collect()
}

/// Everything that Debian has for this machine, read once for all tests.
static PACKAGES: LazyLock<Option<BTreeMap<String, String>>> = LazyLock::new(package_list);

/// Everything that Debian has for this machine, or nothing, said aloud.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn package_list() -> Option<BTreeMap<String, String>> {
    let skip = |why: &str| println!("SKIPPED: {why}");
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !release.lines().any(|line| line == "ID=debian") {
        skip("this machine is no Debian, so it has no package list of Debian");
        return None;
    }
    let Some(list) = apt("apt-cache", &["dumpavail"]) else {
        skip("there is no apt-cache");
        return None;
    };
    let foreign = foreign();
    let own = stanzas(&list).filter(|(name, _)| !foreign.contains(*name));
    let packages: BTreeMap<String, String> =
        own.map(|(name, stanza)| (name.to_owned(), stanza.to_owned())).collect();
    if packages.len() < WHOLE {
        skip(&format!(
            "apt knows {} packages only; `apt-get update` as root reads the lists",
            packages.len()
        ));
        return None;
    }
    Some(packages)
}

/// Makes all of them installed packages.
fn install(packages: &BTreeMap<String, String>, root: &Path) {
    let dpkg = root.join("var/lib/dpkg");
    fs::create_dir_all(&dpkg).expect("the folder of the package database");
    let status: String = packages
        .values()
        .map(|stanza| stanza.replacen('\n', "\nStatus: install ok installed\n", 1) + "\n\n")
        .collect();
    fs::write(dpkg.join("status"), status).expect("the package database");
}

/// What the agent names in a tree, by package, and what it calls unreviewed.
fn scan(root: &Path, packages: usize) -> (BTreeMap<String, String>, serde_json::Value) {
    let arguments = ["scan", "--platform", "linux", "--format", "json", "--root"];
    let scan = Output::of(programs::agent().args(arguments).arg(root)).json();
    let dpkg = scan["sources"].as_array().expect("sources").iter().find(|source| source["source"] == "dpkg");
    let dpkg = dpkg.expect("a source for packages");
    assert_eq!((&dpkg["health"], &dpkg["artefacts"]), (&"ok".into(), &packages.into()), "{dpkg:#}");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let sightings = scan["sightings"].as_array().expect("sightings").iter();
    let named = sightings.map(|sighting| (text(&sighting["identifier"]), text(&sighting["app"])));
    (named.collect(), scan["unreviewed"].clone())
}

#[test]
fn no_package_is_on_both_lists() {
    let (messengers, not_messengers) = (messengers(), not_messengers());
    let both: Vec<_> = messengers.keys().filter(|package| not_messengers.contains_key(*package)).collect();
    assert_eq!(both, Vec::<&&str>::new());
}

#[test]
fn every_messenger_of_the_whole_of_debian_is_named_and_nothing_else_is() {
    let Some(packages) = &*PACKAGES else { return };
    let root = tempfile::tempdir().expect("a temporary folder");
    install(packages, root.path());
    let (named, unreviewed) = scan(root.path(), packages.len());
    let expected: BTreeMap<String, String> = messengers()
        .into_iter()
        .filter(|(package, _)| packages.contains_key(*package))
        .map(|(package, app)| (package.to_owned(), app.to_owned()))
        .collect();
    assert!(expected.len() >= MESSENGERS_MIN, "the list has {} messengers only", expected.len());
    let why = not_messengers();
    let extra: Vec<_> = named
        .iter()
        .filter(|(package, app)| expected.get(*package) != Some(app))
        .map(|(package, app)| {
            (package, app, why.get(package.as_str()).unwrap_or(&"decide it: a line in a fixture"))
        })
        .collect();
    let missed: Vec<_> = expected.keys().filter(|package| !named.contains_key(*package)).collect();
    assert!(
        extra.is_empty() && missed.is_empty(),
        "named and should not be: {extra:#?}\nmissed: {missed:#?}"
    );
    assert_eq!(
        unreviewed,
        serde_json::json!([]),
        "a package database says of nothing that it is a messenger"
    );
}

#[test]
fn every_package_that_debian_tags_as_a_messenger_was_decided() {
    let Some(packages) = &*PACKAGES else { return };
    let (messengers, not_messengers) = (messengers(), not_messengers());
    let tagged = packages.iter().filter(|(_, stanza)| {
        let tags = stanza.split_once("\nTag: ").map_or("", |(_, rest)| rest);
        let lines = tags.lines().enumerate().take_while(|(at, line)| *at == 0 || line.starts_with(' '));
        lines.flat_map(|(_, line)| line.split([',', ' '])).any(|tag| TAGS.contains(&tag))
    });
    let open: Vec<_> = tagged
        .map(|(package, _)| package.as_str())
        .filter(|package| !messengers.contains_key(package) && !not_messengers.contains_key(package))
        .collect();
    assert_eq!(open, Vec::<&str>::new(), "each needs a line in one of the two fixtures");
}
