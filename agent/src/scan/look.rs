//! The only way to a device's files for a source.
//!
//! Notes every file and folder that was asked for, so that an unchanged place is not read again, and
//! everything that could not be read. Never follows a link out of an image, never opens anything but
//! regular files, and reads nothing without a limit.

mod any_case;
mod list;
mod peek;
mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf, is_separator};

use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::inventory::{Health, Scope};

use super::host::{Host, User, is_absence};
use super::seekable::Seekable;
use super::seen::Seen;
use super::trouble::{Place, Trouble, Troubles};
use super::users::first_person;
pub use list::{Entry, Kind};

use crate::platform::files::{Spot, Stamp, open_regular};
use crate::platform::processes::Known;

/// How many parents of a missing path are asked whether they are missing too.
const PARENTS_MAX: usize = 8;

/// How deep a path is followed folder by folder; deeper ones are followed as a whole.
const DEPTH_MAX: usize = 32;

/// One look at a device by one source.
#[derive(Debug)]
pub struct Look<'a> {
    host: &'a Host,
    users: &'a [User],
    user_troubles: Option<&'a Troubles>,
    place: Place,
    asked: BTreeMap<OsString, Option<Stamp>>,
    missing: Option<PathBuf>,
    existing: Option<PathBuf>,
    links: BTreeSet<PathBuf>,
    folders: BTreeMap<OsString, PathBuf>,
    parent: Option<(PathBuf, PathBuf)>,
    located: Option<(PathBuf, PathBuf)>,
    troubles: Troubles,
    present: bool,
    answered: bool,
    fleeting: bool,
    catalogue: Option<&'a Catalogue>,
    processes: Known,
    passed_over: u64,
}

impl<'a> Look<'a> {
    /// A look at this host.
    pub(super) fn new(host: &'a Host, users: &'a [User]) -> Self {
        // Each look has its own bound.
        host.forget_names();
        Self {
            host,
            users,
            user_troubles: None,
            place: Place::System(String::new()),
            asked: BTreeMap::new(),
            missing: None,
            existing: None,
            links: BTreeSet::new(),
            folders: BTreeMap::new(),
            parent: None,
            located: None,
            troubles: Troubles::default(),
            present: false,
            answered: false,
            fleeting: false,
            catalogue: None,
            processes: Known::default(),
            passed_over: 0,
        }
    }

    /// The same, where finding the users had these troubles.
    pub(super) fn with_user_troubles(mut self, troubles: &'a Troubles) -> Self {
        self.user_troubles = Some(troubles);
        self
    }

    /// The device.
    pub fn host(&self) -> &'a Host {
        self.host
    }

    /// All users of the device.
    pub fn users(&mut self) -> &'a [User] {
        if let Some(troubles) = self.user_troubles {
            self.troubles.add_all(troubles);
        }
        self.users
    }

    /// Turns to a place of the system. What cannot be read from now on is told under this name.
    pub fn system(&mut self, absolute: &str) -> PathBuf {
        self.place = Place::System(absolute.to_owned());
        self.host.lexical(absolute)
    }

    /// Turns to something of the system that has no path.
    pub fn elsewhere(&mut self, name: &str) {
        self.place = Place::System(name.to_owned());
    }

    /// Turns to a place in a user's home folder; `""` is the folder itself.
    pub fn home(&mut self, user: &User, relative: &str) -> PathBuf {
        if !matches!(&self.place, Place::Home(scope) if *scope == user.scope) {
            self.place = Place::Home(user.scope.clone());
        }
        user.folder(relative)
    }

    /// Notes that something at the current place could not be read.
    pub fn trouble(&mut self, trouble: Trouble) {
        self.troubles.add(&self.place, trouble);
    }

    /// Notes that this source has something to look at.
    pub fn is_present(&mut self) {
        self.present = true;
    }

    /// Notes that what was found changes without any file changing.
    pub fn is_fleeting(&mut self) {
        self.fleeting = true;
    }

    /// What is there, links followed. `None` if nothing is, or it cannot be known.
    pub fn stat(&mut self, path: &Path) -> Option<Metadata> {
        match self.try_stat(path) {
            Ok(meta) => meta,
            Err(error) => {
                self.trouble(Trouble::of(&error));
                None
            }
        }
    }

    /// Whether a folder is there, links followed.
    pub fn is_dir(&mut self, path: &Path) -> bool {
        self.stat(path).is_some_and(|meta| meta.is_dir())
    }

    /// The whole content of a regular file of at most `limit` bytes.
    pub fn read(&mut self, path: &Path, limit: u64) -> Option<Vec<u8>> {
        let meta = self.stat(path).filter(Metadata::is_file)?;
        self.present = true;
        self.read_whole(path, &meta, limit)
    }

    /// The same for a file that is no place of this source and only says where its places are.
    pub fn read_aside(&mut self, path: &Path, limit: u64) -> Option<Vec<u8>> {
        let meta = self.stat(path).filter(Metadata::is_file)?;
        self.read_whole(path, &meta, limit)
    }

    fn read_whole(&mut self, path: &Path, meta: &Metadata, limit: u64) -> Option<Vec<u8>> {
        let result = if meta.len() > limit {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            self.real(path).and_then(|real| read_at_most(&real, limit))
        };
        result.map_err(|error| self.trouble(Trouble::of(&error))).ok()
    }

    /// A regular file of at most `limit` bytes, to be read piece by piece.
    pub fn open(&mut self, path: &Path, limit: u64) -> Option<impl Read + use<>> {
        self.open_file(path, limit).map(|(file, _)| file.take(limit))
    }

    /// A regular file of at most `limit` bytes, to be read at any place of it.
    pub fn open_seekable(&mut self, path: &Path, limit: u64) -> Option<Seekable> {
        self.open_file(path, limit).map(|(file, meta)| Seekable::new(file, &meta, limit))
    }

    fn open_file(&mut self, path: &Path, limit: u64) -> Option<(File, Metadata)> {
        let meta = self.stat(path)?;
        self.present = true;
        if !meta.is_file() {
            // Something stands where a database should be: it cannot be said to be absent.
            self.trouble(Trouble::Malformed);
            return None;
        }
        let result = if meta.len() > limit {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            self.real(path).and_then(|real| open_regular(&real))
        };
        result.map_err(|error| self.trouble(Trouble::of(&error))).ok()
    }

    /// Whether a folder holds something of this name that is not a broken link; `true` also if that
    /// is closed to us. The folder is noted, which changes when an entry comes or goes; what a link leads
    /// to is noted as well, for that can go without the folder changing.
    pub fn has(&mut self, dir: &Path, name: &str) -> bool {
        let known = matches!(self.asked.get(dir.as_os_str()), Some(Some(_)));
        let there = if known { Ok(true) } else { self.try_stat(dir).map(|there| there.is_some()) };
        let asked = there.and_then(|there| match there {
            true => self.has_entry(dir, name),
            false => Ok(false),
        });
        asked.unwrap_or_else(|error| {
            if error.kind() == io::ErrorKind::QuotaExceeded {
                self.trouble(Trouble::of(&error));
            }
            !is_absence(&error)
        })
    }

    fn has_entry(&mut self, dir: &Path, name: &str) -> io::Result<bool> {
        let place = self.real(dir)?.join(name);
        let mut there = std::fs::symlink_metadata(&place);
        if there.as_ref().is_err_and(is_absence)
            && let Some(name) = self.host.name_in_any_case(&place)?
        {
            there = std::fs::symlink_metadata(place.with_file_name(name));
        }
        if !there?.is_symlink() {
            return Ok(true);
        }
        let (real, there) = self.locate(&dir.join(name))?;
        self.asked.insert(real.into_os_string(), there.as_ref().ok().map(Stamp::of));
        there.map(|_| true)
    }

    /// The first bytes of a regular file, fewer if it is shorter.
    pub fn read_head(&mut self, path: &Path, count: u64) -> Option<Vec<u8>> {
        if !self.stat(path)?.is_file() {
            return None;
        }
        self.present = true;
        let read = |real: PathBuf| -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            open_regular(&real)?.0.take(count).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        self.real(path).and_then(read).map_err(|error| self.trouble(Trouble::of(&error))).ok()
    }

    /// The scope of the user with this number; that of the system for services.
    pub fn scope_of(&self, uid: u32) -> Scope {
        if uid < first_person(self.host.platform()) {
            return Scope::System;
        }
        let user = self.users.iter().find(|user| user.uid == Some(uid));
        user.map_or_else(|| self.host.scope_of(uid.to_string().as_bytes()), |user| user.scope.clone())
    }

    /// The scope of the user with this security identifier; that of the system for services, whose
    /// identifiers do not begin as those of a domain's or a machine's accounts do (`S-1-5-21-`, and
    /// `S-1-12-1-` for Entra ID).
    pub fn scope_of_sid(&self, sid: &str) -> Scope {
        if !sid.starts_with("S-1-5-21-") && !sid.starts_with("S-1-12-1-") {
            return Scope::System;
        }
        let user = self.users.iter().find(|user| user.sid.as_deref() == Some(sid));
        user.map_or_else(|| self.host.scope_of(sid.as_bytes()), |user| user.scope.clone())
    }

    /// The health of the source after this look.
    pub(super) fn health(&self) -> Health {
        self.troubles.health(self.present, self.answered)
    }

    /// What was asked for, and what could not be read.
    pub(super) fn into_parts(self) -> (Seen, Troubles) {
        let mut asked: Vec<_> =
            self.asked.into_iter().filter_map(|(path, stamp)| Some((Spot::new(path)?, stamp))).collect();
        // It is kept for as long as nothing changes.
        asked.shrink_to_fit();
        let link = |path: PathBuf| {
            let spot = Spot::new(path.into_os_string())?;
            let stamp = spot.stamp(false);
            Some((spot, stamp))
        };
        let links = self.links.into_iter().filter_map(link).collect();
        (Seen { asked, links, fleeting: self.fleeting }, self.troubles)
    }

    fn try_stat(&mut self, path: &Path) -> io::Result<Option<Metadata>> {
        // Sound for a path with links too: what is noted as missing is a true place.
        if self.missing.as_ref().is_some_and(|missing| lies_in(path, missing)) {
            return Ok(None);
        }
        let (real, there) = self.locate(path)?;
        if self.missing.as_ref().is_some_and(|missing| lies_in(&real, missing)) {
            return Ok(None);
        }
        match there {
            Ok(meta) => {
                self.asked.insert(real.into_os_string(), Some(Stamp::of(&meta)));
                Ok(Some(meta))
            }
            Err(error) if is_absence(&error) => {
                // A home without browsers has hundreds of missing paths and one missing folder:
                // only that one is asked for again.
                let mut missing = real.as_path();
                for _ in 0..PARENTS_MAX {
                    let Some(parent) = parent_of(missing) else { break };
                    if self
                        .existing
                        .as_ref()
                        .is_some_and(|existing| existing.as_os_str() == parent.as_os_str())
                    {
                        break;
                    }
                    if !std::fs::metadata(parent).is_err_and(|error| is_absence(&error)) {
                        self.existing = Some(parent.to_owned());
                        break;
                    }
                    missing = parent;
                }
                let missing = missing.to_owned();
                self.asked.insert(missing.clone().into_os_string(), None);
                self.missing = Some(missing);
                self.answered |= matches!(self.place, Place::Home(_));
                Ok(None)
            }
            Err(error) => {
                self.asked.insert(real.into_os_string(), None);
                Err(error)
            }
        }
    }

    /// Where a path under the root really is.
    fn real(&mut self, path: &Path) -> io::Result<PathBuf> {
        if self.host.is_live() {
            return Ok(path.to_owned());
        }
        match &self.located {
            Some((asked, real)) if asked.as_os_str() == path.as_os_str() => Ok(real.clone()),
            _ => self.resolve(path, DEPTH_MAX).map(|(real, _)| real),
        }
    }

    /// The same, and what is there.
    fn locate(&mut self, path: &Path) -> io::Result<(PathBuf, io::Result<Metadata>)> {
        if self.host.is_live() {
            return Ok((path.to_owned(), std::fs::metadata(path)));
        }
        let (real, there) = self.resolve(path, DEPTH_MAX)?;
        self.located = Some((path.to_owned(), real.clone()));
        Ok((real, there))
    }

    /// Follows a path of an image. Paths come in runs from few folders, so the places of folders are
    /// kept.
    fn resolve(&mut self, path: &Path, depth: usize) -> io::Result<(PathBuf, io::Result<Metadata>)> {
        if path.as_os_str() == self.host.root().as_os_str() {
            return Ok((path.to_owned(), std::fs::metadata(path)));
        }
        let (Some(parent), Some(name), 1..) = (path.parent(), path.file_name(), depth) else {
            return self.follow(path);
        };
        let last = self.parent.as_ref().filter(|(lexical, _)| lexical.as_os_str() == parent.as_os_str());
        let is_new = last.is_none();
        let kept = last.map(|(_, real)| real).or_else(|| self.folders.get(parent.as_os_str())).cloned();
        let folder = match kept {
            Some(real) => real,
            None => {
                let (real, _) = self.resolve(parent, depth - 1)?;
                self.folders.insert(parent.as_os_str().to_owned(), real.clone());
                real
            }
        };
        let mut real = PathBuf::with_capacity(folder.as_os_str().len() + name.len() + 1);
        real.push(&folder);
        real.push(name);
        if is_new {
            self.parent = Some((parent.to_owned(), folder));
        }
        let mut there = std::fs::symlink_metadata(&real);
        if there.as_ref().is_err_and(is_absence)
            && let Some(name) = self.host.name_in_any_case(&real)?
        {
            real.set_file_name(name);
            there = std::fs::symlink_metadata(&real);
        }
        match there {
            Ok(meta) if meta.is_symlink() => self.follow(&real),
            there => Ok((real, there)),
        }
    }

    fn follow(&mut self, path: &Path) -> io::Result<(PathBuf, io::Result<Metadata>)> {
        let mut links = Vec::new();
        let real = self.host.resolve(path, &mut links)?;
        self.links.extend(links);
        let there = std::fs::metadata(&real);
        Ok((real, there))
    }
}

/// Whether a path is this folder or lies in it; a comparison of bytes, for it is asked for often.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let (path, folder) = (path.as_os_str().as_encoded_bytes(), folder.as_os_str().as_encoded_bytes());
    let ends = |rest: &[u8]| rest.first().is_none_or(|byte| is_separator(char::from(*byte)));
    path.strip_prefix(folder).is_some_and(ends)
}

/// The folder that holds this; the same as [`Path::parent`] of a path without needless separators, for
/// less work: it is asked of every place that is not there.
#[cfg(unix)]
fn parent_of(path: &Path) -> Option<&Path> {
    use std::os::unix::ffi::OsStrExt;

    let bytes = path.as_os_str().as_bytes();
    let last = bytes.iter().rposition(|byte| *byte != b'/')?;
    let end = memchr::memrchr(b'/', bytes.get(..last)?)?;
    bytes.get(..end.max(1)).map(|parent| Path::new(std::ffi::OsStr::from_bytes(parent)))
}

/// The folder that holds this.
#[cfg(not(unix))]
fn parent_of(path: &Path) -> Option<&Path> {
    path.parent()
}

fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, meta) = open_regular(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len().min(limit)).unwrap_or_default());
    // One more than the limit, to tell a file that has grown meanwhile.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_parent_of_a_path_is_that_of_the_standard_library(path in "(/[a-z.]{1,3}[a-z]){0,5}/?") {
            let path = Path::new(&path);
            let expected = path.parent().filter(|_| path.has_root());
            prop_assert_eq!(parent_of(path), expected);
        }
    }
}
