//! Which code may use what. Reads the sources and fails on a forbidden import; docs/architecture.md says why.
//!
//! Comments and the text of literals do not count, `#[cfg(test)]` items do not count, and `use` trees are
//! spelled out, so that `use std::{fs, io}` is seen as `std::fs`. Every rule carries an example that it
//! must refuse, and must look at some file.

mod rules;
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rules::{RULES, Refuse};
use source::{Source, uses};

/// Lines that a file may have at most, tests included.
const LINES_MAX: usize = 500;
/// Files that may have more, each with its reason.
const LONGER: &[(&str, &str)] = &[];

/// Dependencies that a package must not have, in any table of its manifest.
const FORBIDDEN_DEPENDENCIES: &[(&str, &[&str])] = &[
    ("agent", &["axum", "offchannel-server", "offchannel-tests", "rusqlite"]),
    ("server", &["notify", "offchannel-agent", "offchannel-tests", "sysinfo"]),
    (
        "shared",
        &[
            "getrandom",
            "hyper",
            "notify",
            "offchannel-agent",
            "offchannel-server",
            "offchannel-tests",
            "rusqlite",
            "rustix",
            "tokio",
        ],
    ),
];

#[test]
fn no_source_uses_what_it_must_not() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        for rule in RULES {
            broken.extend(rule.check(&path, &text));
        }
    }
    assert!(broken.is_empty(), "{} forbidden uses:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn every_rule_refuses_its_bad_example_but_not_in_comments_literals_or_tests() {
    for rule in RULES {
        let (path, bad) = rule.bad;
        assert!(!rule.check(path, bad).is_empty(), "{}: {bad} was not refused", rule.about);
        let hidden = [
            format!("// {bad}\n/* a /* nested */ {bad} */\n"),
            format!("#[cfg(test)]\nmod tests {{\n    use super::*;\n    {bad}\n}}\n"),
            "#[cfg(test)]\nuse crate::later::{One, Two};\nconst QUOTE: char = '\"';\n".to_owned(),
        ];
        for text in hidden {
            assert_eq!(rule.check(path, &text), Vec::<String>::new(), "{}", rule.about);
        }
        if !matches!(rule.refuse, Refuse::Texts(_)) {
            let literal =
                format!("const A: &str = r##\"{bad}\"##; fn f<'a>(c: &'a str) {{ let q = '\\''; }}");
            assert_eq!(rule.check(path, &literal), Vec::<String>::new(), "{}", rule.about);
        }
    }
}

#[test]
fn every_rule_looks_at_some_file() {
    let paths: Vec<String> = sources().into_iter().map(|(path, _)| path).collect();
    for rule in RULES {
        for prefix in rule.within.iter().chain(rule.except) {
            let seen = paths.iter().any(|path| path.starts_with(prefix));
            assert!(seen, "{prefix} of the rule \"{}\" is no file: was it renamed?", rule.about);
        }
    }
}

#[test]
fn no_package_depends_on_what_it_must_not() {
    for (package, forbidden) in FORBIDDEN_DEPENDENCIES {
        let found = dependencies(&read(&format!("{package}/Cargo.toml")));
        assert!(!found.is_empty(), "{package} has no dependencies: is its manifest read as it should be?");
        for name in *forbidden {
            assert!(!found.contains(*name), "{package}/Cargo.toml depends on {name}");
        }
    }
    let planted = "[target.'cfg(windows)'.dependencies]\nx = { package = \"offchannel-server\", path = \"../server\" }\n";
    assert!(dependencies(planted).contains("offchannel-server"));
}

#[test]
fn files_are_short_enough_to_be_read() {
    let mut files: Vec<(usize, String)> =
        sources().into_iter().map(|(path, text)| (text.lines().count(), path)).collect();
    files.sort_by(|a, b| b.cmp(a));
    let longest: Vec<String> =
        files.iter().take(20).map(|(lines, path)| format!("{lines:>6} {path}")).collect();
    println!("the longest files:\n{}", longest.join("\n"));
    let excused = |path: &str| LONGER.iter().any(|(name, _)| *name == path);
    let too_long: Vec<&String> = files
        .iter()
        .filter(|(lines, path)| *lines > LINES_MAX && !excused(path))
        .map(|(_, path)| path)
        .collect();
    assert!(
        too_long.is_empty(),
        "over {LINES_MAX} lines: {too_long:?}; split them, or give a reason in LONGER"
    );
    for (name, reason) in LONGER {
        let needed = files.iter().any(|(lines, path)| path == name && *lines > LINES_MAX);
        assert!(needed && !reason.is_empty(), "{name} needs no line in LONGER");
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "these do not begin with //! and what they are for: {silent:?}");
}

#[test]
fn paths_are_spelled_out_and_resolved() {
    let code = Source::read(
        "use std::{fmt::{self, Write as _}, fs};\nuse super::other::Thing;\nfn f() { hyper::body::Incoming; u8::MAX }",
    );
    let found: Vec<String> = uses(&code.tokens).map(|used| used.resolve("server/src/http/auth.rs")).collect();
    let expected = [
        "std::fmt",
        "std::fmt::Write",
        "std::fs",
        "crate::http::other::Thing",
        "hyper::body::Incoming",
        "u8::MAX",
    ];
    assert_eq!(found, expected);
}

/// The packages that a manifest names in any table of dependencies.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    fn collect(table: &toml::Table, found: &mut BTreeSet<String>) {
        for (name, value) in table {
            let Some(inner) = value.as_table() else { continue };
            if name.ends_with("dependencies") {
                for (name, dependency) in inner {
                    let renamed = dependency.get("package").and_then(toml::Value::as_str);
                    found.insert(renamed.unwrap_or(name).to_owned());
                }
            } else {
                collect(inner, found);
            }
        }
    }
    let mut found = BTreeSet::new();
    collect(&manifest.parse().expect("a manifest is TOML"), &mut found);
    found
}

/// Every Rust file of the project with its path from the root, except those that are for tests only by
/// their place in a `src` folder.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for package in ["agent", "packaging", "server", "shared", "tests"] {
        walk(package, &mut found);
    }
    assert!(found.len() > 50, "only {} sources were found: is this the root of the project?", found.len());
    found
}

fn walk(folder: &str, found: &mut Vec<(String, String)>) {
    let mut entries: Vec<(String, bool)> = fs::read_dir(root().join(folder))
        .expect("a folder of the project can be read")
        .map(|entry| entry.expect("a folder of the project can be listed"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path().is_dir()))
        .collect();
    entries.sort();
    for (name, is_folder) in entries {
        let path = format!("{folder}/{name}");
        if is_folder && name != "fixtures" && name != "target" {
            walk(&path, found);
        } else if name.ends_with(".rs") {
            let text = read(&path);
            found.push((path, text));
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("a file of the project can be read")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the root of the project")
}
