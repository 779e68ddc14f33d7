//! Checks the built-in catalogue and turns it into tables that cost nothing to load.
//!
//! The tables are constants in the read-only part of the program: an agent that idles for years
//! must not keep a parsed copy of the catalogue on its heap.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

#[path = "src/namespace.rs"]
mod namespace;

mod catalogue {
    pub(super) use super::namespace;
    #[path = "../src/catalogue/entry.rs"]
    #[expect(dead_code, reason = "the crate uses what the build does not")]
    pub mod entry;
    #[path = "../src/catalogue/filter.rs"]
    #[expect(dead_code, reason = "the crate uses what the build does not")]
    pub mod filter;
}

use catalogue::entry::{self, Entry};
use catalogue::filter;
use namespace::Namespace;

fn main() {
    println!("cargo::rerun-if-changed=catalogue");
    println!("cargo::rerun-if-changed=src/catalogue/entry.rs");
    println!("cargo::rerun-if-changed=src/catalogue/filter.rs");
    println!("cargo::rerun-if-changed=src/namespace.rs");
    let (entries, version, errors) = load(Path::new("catalogue"));
    if !errors.is_empty() {
        for error in &errors {
            println!("cargo::error=catalogue/{error}");
        }
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "cargo talks to build scripts through the environment")]
    let Some(out) = std::env::var_os("OUT_DIR").map(PathBuf::from) else {
        println!("cargo::error=OUT_DIR is not set: run this through cargo");
        return;
    };
    if let Err(error) = fs::write(out.join("catalogue.rs"), tables(&entries, &version)) {
        println!("cargo::error=cannot write the catalogue's tables: {error}");
    }
}

/// All entries by id, the catalogue's version, and everything that is wrong.
fn load(dir: &Path) -> (BTreeMap<String, Entry>, String, Vec<String>) {
    let mut entries = BTreeMap::new();
    let mut errors = Vec::new();
    let mut files: Vec<PathBuf> = match fs::read_dir(dir) {
        Ok(list) => list.filter_map(|item| item.ok().map(|item| item.path())).collect(),
        Err(error) => return (entries, String::new(), vec![format!("{}: {error}", dir.display())]),
    };
    files.sort();
    let mut hash = Sha256::new();
    for path in files {
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(id) = file.strip_suffix(".toml") else {
            errors.push(format!("{file}: only .toml files belong here"));
            continue;
        };
        let parsed = fs::read_to_string(&path).map_err(|error| error.to_string()).and_then(|text| {
            hash.update(id);
            hash.update(&text);
            let table = text.parse::<toml::Table>().map_err(|error| error.to_string())?;
            Entry::from_toml(table)
        });
        match parsed {
            Ok(entry) => {
                errors.extend(entry::check(id, &entry).iter().map(ToString::to_string));
                entries.insert(id.to_owned(), entry);
            }
            Err(error) => errors.push(format!("{file}: {error}")),
        }
    }
    let all = entries.iter().map(|(id, entry)| (id.as_str(), entry));
    errors.extend(entry::check_unique(all).iter().map(ToString::to_string));
    let version = hex(&hash.finalize())[..12].to_owned();
    (entries, version, errors)
}

fn tables(entries: &BTreeMap<String, Entry>, version: &str) -> String {
    let mut rows: Vec<(Namespace, String, Option<String>, bool, usize)> = Vec::new();
    let mut out = String::new();
    let _ = writeln!(out, "pub(super) static VERSION: &str = {version:?};");
    let (mut texts, mut apps) = (String::new(), String::new());
    for (index, (id, entry)) in entries.iter().enumerate() {
        let of_app =
            [id, &entry.name, &entry.vendor, &entry.homepage, &entry.networks.join(" ")].map(String::clone);
        // A text of more than 255 bytes does not compile.
        let lengths = of_app.each_ref().map(String::len);
        let _ = writeln!(
            apps,
            "    PackedApp {{ start: {}, lengths: {lengths:?}, kind: AppKind::{:?}, official: {} }},",
            texts.len(),
            entry.kind,
            entry.official
        );
        texts.extend(of_app);
        for (namespace, patterns) in &entry.matches {
            for pattern in patterns {
                let publisher = pattern.publisher().map(str::to_lowercase);
                let name = entry::canonical(*namespace, pattern.name()).into_owned();
                rows.push((*namespace, name, publisher, pattern.versioned(), index));
                if *namespace == Namespace::WebApp && !pattern.name().starts_with('*') {
                    rows.push((*namespace, app_id(pattern.name()), None, false, index));
                }
            }
        }
    }
    let _ = writeln!(out, "pub(super) static APPS: &[PackedApp] = &[\n{apps}];");
    let _ = writeln!(out, "pub(super) static APP_TEXTS: &str = {texts:?};");
    rows.sort();
    rows.dedup();
    // Where the rows of each namespace begin; the last one is where all end.
    let starts = Namespace::ALL.map(|namespace| rows.partition_point(|row| row.0 < namespace));
    let _ = writeln!(out, "pub(super) static STARTS: [usize; {}] = [", starts.len() + 1);
    for start in starts.into_iter().chain([rows.len()]) {
        let _ = writeln!(out, "    {start},");
    }
    let mut publishers: Vec<&str> = rows.iter().filter_map(|row| row.2.as_deref()).collect();
    publishers.sort_unstable();
    publishers.dedup();
    let (mut names, mut packed) = (String::new(), String::new());
    let mut bits: filter::Filter = [0; filter::WORDS];
    for (_, name, publisher, versioned, app) in &rows {
        // 0 stands for none.
        let publisher = publisher.as_deref().and_then(|text| publishers.binary_search(&text).ok());
        let publisher = publisher.map_or(0, |index| index + 1);
        let _ = writeln!(
            packed,
            "    Packed {{ start: {}, length: {}, publisher: {publisher}, app: {app}, versioned: {versioned} }},",
            names.len(),
            name.len()
        );
        names.push_str(name);
        let (word, bit) = filter::place(name);
        bits[word] |= bit;
    }
    let _ = write!(
        out,
        "];\npub(super) static PUBLISHERS: &[&str] = &{publishers:?};\n\
         pub(super) static NAMES: &str = {names:?};\n\
         pub(super) static FILTER: Filter = {bits:?};\n\
         pub(super) static ROWS: &[Packed] = &[\n{packed}];\n"
    );
    out
}

/// The id that Chromium gives to a web app whose manifest id is `https://` and this address.
///
/// SHA-256 twice, the first 16 bytes in hexadecimal with `a` to `p` for the digits
/// (Chromium: `components/crx_file/id_util.cc` and `chrome/browser/web_applications`).
fn app_id(address: &str) -> String {
    let slash = if address.contains('/') { "" } else { "/" };
    let once = Sha256::digest(format!("https://{address}{slash}"));
    let letters = hex(&Sha256::digest(once)[..16]);
    let letters = letters.chars().filter_map(|c| c.to_digit(16)).map(|digit| char::from(b'a' + digit as u8));
    format!("app-id:{}", letters.collect::<String>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
