//! The places that settings stand in: which there are, in which order they win, and reading them with bounds.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use offchannel_shared::error_chain::error_chain;

use super::env::Environment;
use super::file::Rank;
use super::layer::{Layer, Origin, Severity};
use super::resolve::{Resolved, resolve};
use super::{policies, preferences};
use crate::platform::files::{self, Exposed, Exposure};

/// The file that is read when nothing names another one.
#[cfg(not(windows))]
pub const DEFAULT_PATH: &str = "/etc/offchannel/agent.toml";
/// The file that is read when nothing names another one. In `ProgramData` everybody could have put it there.
#[cfg(windows)]
pub const DEFAULT_PATH: &str = "C:\\Program Files\\Offchannel\\agent.toml";
/// The file whose settings win over everything local; written by device management.
#[cfg(not(windows))]
pub const MANAGED_PATH: &str = "/etc/offchannel/managed.toml";
/// The file whose settings win over everything local; written by device management.
#[cfg(windows)]
pub const MANAGED_PATH: &str = "C:\\Program Files\\Offchannel\\managed.toml";
/// The folder beside the default file whose files are read behind it.
const DROP_INS: &str = "conf.d";
/// Largest settings file that is read, and most that the drop-ins may have together, in bytes.
const FILE_MAX: u64 = 256 * 1024;
/// Most drop-ins. There are fewer settings.
const DROP_INS_MAX: usize = 64;
/// Most names in the folder of drop-ins that are looked at.
const NAMES_MAX: usize = 1024;

/// Where settings stand, besides the environment and the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The file that is read when nothing names another one.
    pub file: PathBuf,
    /// The file of device management.
    pub managed: PathBuf,
    /// The managed preferences, where the system has them.
    pub preferences: Option<PathBuf>,
    /// The key of policies in the registry of the machine, where the system has one.
    pub policies: Option<String>,
    /// Number of the user who owns the files besides root. Outside of tests that is root.
    pub owner: u32,
}

impl Places {
    /// Those of this system.
    pub fn system() -> Self {
        Self {
            file: DEFAULT_PATH.into(),
            managed: MANAGED_PATH.into(),
            preferences: cfg!(target_os = "macos").then(|| preferences::PATH.into()),
            policies: cfg!(windows).then(|| policies::KEY.to_owned()),
            owner: 0,
        }
    }

    /// Reads and joins all settings. `named` is the file that the command line names.
    ///
    /// A file that is named stands alone. The drop-ins belong to the default file: a folder that happens to be beside some
    /// other one is nobody's decision.
    ///
    /// What cannot be read is a problem in the result, so that a check can show it with everything else.
    pub fn load(&self, named: Option<&Path>, environment: &Environment, flags: Layer) -> Resolved {
        // Relative paths in the file start at its folder, which must not depend on where we are.
        let named = named.map(Path::to_path_buf).or_else(|| environment.config_file());
        let named = named.map(|path| std::path::absolute(&path).unwrap_or(path));
        let mut layers = Vec::new();
        match named.filter(|named| *named != self.file) {
            Some(named) => layers.push(named_file(&named)),
            None => {
                layers.extend(self.local(&self.file, FILE_MAX).map(|(layer, _)| layer));
                layers.extend(self.drop_ins());
            }
        }
        layers.push(environment.layer());
        layers.push(flags);
        layers.extend(self.managed(&self.managed, Rank::Managed));
        // A profile or a policy comes from whom the device obeys; a file, from anybody who is root for a minute.
        layers.extend(self.preferences.as_ref().and_then(|path| self.managed(path, Rank::Preferences)));
        layers.extend(self.policies.as_ref().and_then(|key| Layer::policies(key)));
        resolve(&layers)
    }

    /// A file in a place of ours, with its size; `None` if it is not there.
    fn local(&self, path: &Path, limit: u64) -> Option<(Layer, u64)> {
        let (file, meta) = match open(path) {
            Ok(opened) => opened?,
            Err(error) => return Some((unreadable(path, Rank::Local, &error), 0)),
        };
        let mut layer = read(path, Rank::Local, file, limit);
        if let Some(problem) = self.exposure(path, &meta) {
            let message = format!("its settings are not safe: {problem}");
            layer.problem(Severity::Warning, &whole(path, Rank::Local), "", message);
        }
        Some((layer, meta.len()))
    }

    fn managed(&self, path: &Path, rank: Rank) -> Option<Layer> {
        let (file, meta) = match open(path) {
            Ok(opened) => opened?,
            Err(error) => return Some(unreadable(path, rank, &error)),
        };
        // Not read at all: nobody knows whose words these are.
        if let Some(problem) = self.exposure(path, &meta) {
            let message = format!("it is refused, for it wins over all other settings: {problem}");
            return Some(failed(path, rank, message));
        }
        Some(read(path, rank, file, FILE_MAX))
    }

    /// The drop-ins in the order of their names, byte by byte; later ones win.
    fn drop_ins(&self) -> Vec<Layer> {
        let Some(folder) = self.file.parent().map(|folder| folder.join(DROP_INS)) else { return Vec::new() };
        let failed = |message: String| vec![failed(&folder, Rank::Local, message)];
        let names = match names(&folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => return failed(format!("cannot be read: {error}")),
        };
        if names.len() > DROP_INS_MAX {
            return failed(format!("more than {DROP_INS_MAX} files of settings: remove what is not needed"));
        }
        let mut layers = Vec::new();
        let mut left = FILE_MAX;
        for name in names {
            if let Some((layer, size)) = self.local(&folder.join(name), left) {
                layers.push(layer);
                left = left.saturating_sub(size);
            }
        }
        layers
    }

    /// What is wrong with the rights of a file, and what to do.
    fn exposure(&self, path: &Path, meta: &Metadata) -> Option<String> {
        match files::exposure(path, meta, self.owner) {
            Ok(found) => found.map(|found| advice(&found)),
            Err(error) => Some(format!("cannot find out who may change it: {error}")),
        }
    }
}

fn advice(Exposure { path, to }: &Exposure) -> String {
    let path = path.display();
    // As a shell takes it: there is a space in the path of macOS.
    let quoted = path.to_string().replace('\'', "'\\''");
    match to {
        Exposed::User(user) => {
            format!("{path} belongs to user {user}, who may change it: chown root '{quoted}'")
        }
        Exposed::Group => format!("the group of {path} may change it: chmod go-w '{quoted}'"),
        Exposed::Everybody => format!("everybody may change {path}: chmod go-w '{quoted}'"),
    }
}

/// A file that somebody names on the command line or in the environment: whatever it is, also a pipe.
fn named_file(path: &Path) -> Layer {
    let opened = File::open(path).and_then(|file| file.metadata().map(|meta| (file, meta)));
    let (file, meta) = match opened {
        Ok(opened) => opened,
        Err(error) => return unreadable(path, Rank::Local, &error),
    };
    let mut layer = read(path, Rank::Local, file, FILE_MAX);
    // Whose it is and what its group may is for those to know who name it. Devices are everybody's.
    let owner = files::owner(&meta).unwrap_or_default();
    let exposure = if meta.is_file() { files::exposure(path, &meta, owner) } else { Ok(None) };
    if let Ok(Some(found @ Exposure { to: Exposed::Everybody, .. })) = exposure {
        let message = format!("its settings are not safe: {}", advice(&found));
        layer.problem(Severity::Warning, &whole(path, Rank::Local), "", message);
    }
    layer
}

/// Opens a regular file; `None` if nothing is there.
fn open(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    match files::open_regular(path) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A link to nowhere was meant to lead somewhere.
            if std::fs::symlink_metadata(path).is_ok() { Err(error) } else { Ok(None) }
        }
        Err(error) => Err(error),
    }
}

fn read(path: &Path, rank: Rank, file: File, limit: u64) -> Layer {
    let mut bytes = Vec::new();
    if let Err(error) = file.take(limit.saturating_add(1)).read_to_end(&mut bytes) {
        return unreadable(path, rank, &error);
    }
    if bytes.len() as u64 > limit {
        let message =
            format!("too large: files of settings have at most {FILE_MAX} bytes, all of {DROP_INS} together");
        return failed(path, rank, message);
    }
    if rank == Rank::Preferences {
        return Layer::of_preferences(path, &bytes);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Layer::of_file(path, rank, &text),
        Err(error) => {
            failed(path, rank, format!("not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
        }
    }
}

fn unreadable(path: &Path, rank: Rank, error: &io::Error) -> Layer {
    let why = match error.kind() {
        io::ErrorKind::InvalidInput => "it is not a regular file".to_owned(),
        io::ErrorKind::PermissionDenied => {
            format!("{error}; the agent's user and whoever asks for its status must be able to (mode 0644)")
        }
        _ => error_chain(error).to_string(),
    };
    failed(path, rank, format!("cannot be read: {why}"))
}

/// Nothing but an error.
fn failed(path: &Path, rank: Rank, message: String) -> Layer {
    let mut layer = Layer::default();
    layer.problem(Severity::Error, &whole(path, rank), "", message);
    layer
}

fn whole(path: &Path, rank: Rank) -> Origin {
    rank.origin(path.into(), 0)
}

/// The names of drop-ins in a folder, sorted. Hidden files and what editors and package managers leave behind are
/// none: their names begin with a dot, `#` or `~`, or do not end in `.toml`.
fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut found = Vec::new();
    for (count, entry) in std::fs::read_dir(folder)?.enumerate() {
        if count >= NAMES_MAX {
            return Err(io::Error::other(format!("more than {NAMES_MAX} names in it")));
        }
        let name = entry?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.ends_with(b".toml") && !bytes.starts_with(b".") && !matches!(bytes, [b'#' | b'~', ..]) {
            found.push(name);
        }
    }
    found.sort_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    Ok(found)
}

#[cfg(test)]
mod tests;
