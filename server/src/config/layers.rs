//! Defaults, file, environment and flags laid over one another, before anything is understood of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::env;
use super::problem::{Origin, Problem};

/// The defaults, built in.
pub const DEFAULTS: &str = include_str!("default.toml");

/// The settings that have no default, or one that is not a constant; commented out in [`DEFAULTS`].
const WITHOUT_DEFAULT: [&str; 4] = ["public_url", "tls.cert_file", "tls.key_file", "metrics.listen"];

/// The tables of which there may be several.
const CHANNEL: &str = "channel";
const LISTS: [&str; 2] = [CHANNEL, "route"];

/// A value as it was given.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Raw>),
    /// Something that no setting takes; the word for it.
    Other(&'static str),
}

/// A value with where it was given.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// The settings of the whole program, or of one channel or route, by key.
#[derive(Debug, Clone)]
pub(super) struct Section {
    /// `channel[2].` or empty.
    pub(super) prefix: String,
    /// Where the section stands.
    pub(super) origin: Origin,
    pub(super) settings: BTreeMap<String, Setting>,
}

/// The settings that `quickstart` takes from the command line; they win over everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<String>,
    /// `--data`.
    pub data_dir: Option<String>,
}

impl Overrides {
    /// Key, flag and value of each setting.
    fn given(&self) -> impl Iterator<Item = (&'static str, &'static str, &String)> {
        let all = [("listen", "--listen", &self.listen), ("data_dir", "--data", &self.data_dir)];
        all.into_iter().filter_map(|(key, flag, value)| Some((key, flag, value.as_ref()?)))
    }
}

/// Everything that was given, the strongest on top.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) main: Section,
    pub(super) channels: Vec<Section>,
    pub(super) routes: Vec<Section>,
}

/// Lays everything over one another. Problems are a file that cannot be read or is not TOML.
pub(super) fn collect(
    file: Option<&Path>,
    environment: BTreeMap<String, String>,
    overrides: &Overrides,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Layers {
    let main = Section { prefix: String::new(), origin: Origin::Default, settings: BTreeMap::new() };
    let mut layers = Layers { main, channels: Vec::new(), routes: Vec::new() };
    read(DEFAULTS, &|_| Origin::Default, &mut layers, problems);
    let known: Vec<String> =
        layers.main.settings.keys().cloned().chain(WITHOUT_DEFAULT.map(str::to_owned)).collect();
    if let Some(path) = file {
        let shared = Arc::new(path.to_owned());
        let origin = |line| Origin::File { path: Arc::clone(&shared), line };
        layers.main.origin = origin(0);
        match std::fs::read_to_string(path) {
            Ok(text) => read(&text, &origin, &mut layers, problems),
            Err(error) => problems.push(Problem {
                origin: origin(0),
                key: String::new(),
                message: format!("the file cannot be read: {error}"),
            }),
        }
    }
    for (name, value) in environment {
        let origin = Origin::Environment(name.clone());
        match known.iter().find(|key| env::variable(key) == name) {
            Some(key) => {
                layers.main.settings.insert(key.clone(), Setting { raw: Raw::Text(value), origin });
            }
            None => {
                let message = "there is no such setting; it is ignored".to_owned();
                warnings.push(Problem { origin, key: String::new(), message });
            }
        }
    }
    for (key, flag, value) in overrides.given() {
        let setting = Setting { raw: Raw::Text(value.clone()), origin: Origin::Flag(flag) };
        layers.main.settings.insert(key.to_owned(), setting);
    }
    layers
}

/// Reads one TOML text into the layers. `origin` makes an origin of a line.
fn read(text: &str, origin: &dyn Fn(usize) -> Origin, layers: &mut Layers, problems: &mut Vec<Problem>) {
    let line =
        |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count().saturating_add(1);
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let at = error.span().map_or(0, |span| line(span.start));
            let message = format!("not TOML: {}", error.message());
            problems.push(Problem { origin: origin(at), key: String::new(), message });
            return;
        }
    };
    for (name, value) in document.get_ref() {
        let at = origin(line(name.span().start));
        match value.get_ref() {
            value if LISTS.contains(&name.get_ref().as_ref()) => {
                sections(name.get_ref(), value, at, &|offset| origin(line(offset)), layers, problems);
            }
            DeValue::Table(table) => {
                let prefix = format!("{}.", name.get_ref());
                flatten(table, &prefix, &|offset| origin(line(offset)), &mut layers.main.settings);
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                let setting = Setting { raw: raw(value.get_ref()), origin: at };
                layers.main.settings.insert(name.get_ref().to_string(), setting);
            }
        }
    }
}

/// Reads tables of which there may be several.
fn sections(
    name: &str,
    value: &DeValue<'_>,
    at: Origin,
    origin: &dyn Fn(usize) -> Origin,
    layers: &mut Layers,
    problems: &mut Vec<Problem>,
) {
    let wrong = |origin| {
        let message = format!("expected tables, each written as [[{name}]]");
        Problem { origin, key: name.to_owned(), message }
    };
    let DeValue::Array(list) = value else { return problems.push(wrong(at)) };
    let into = if name == CHANNEL { &mut layers.channels } else { &mut layers.routes };
    for element in list.iter() {
        let at = origin(element.span().start);
        let prefix = format!("{name}[{}].", into.len() + 1);
        let mut section = Section { prefix, origin: at.clone(), settings: BTreeMap::new() };
        match element.get_ref() {
            DeValue::Table(table) => {
                flatten(table, "", origin, &mut section.settings);
                into.push(section);
            }
            _ => problems.push(wrong(at)),
        }
    }
}

/// The keys of a table under their full names.
fn flatten(
    table: &DeTable<'_>,
    prefix: &str,
    origin: &dyn Fn(usize) -> Origin,
    into: &mut BTreeMap<String, Setting>,
) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        let setting = Setting { raw: raw(value.get_ref()), origin: origin(name.span().start) };
        into.insert(key, setting);
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_or(Raw::Other("a number that is too large"), Raw::Integer),
        DeValue::Boolean(boolean) => Raw::Boolean(*boolean),
        DeValue::Array(list) => Raw::List(list.iter().map(|element| raw(element.get_ref())).collect()),
        DeValue::Float(_) => Raw::Other("a number with a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}

/// A path as it was given; one in a file starts at the folder of that file.
pub(super) fn path(text: &str, origin: &Origin) -> PathBuf {
    match origin {
        Origin::File { path, .. } => path.parent().unwrap_or(Path::new("")).join(text),
        Origin::Default | Origin::Environment(_) | Origin::Flag(_) => PathBuf::from(text),
    }
}
