//! RPM packages, from rpm's own database: SQLite on Fedora, RHEL 9, Amazon Linux 2023 and their relatives,
//! rpm's own format on SUSE, Berkeley DB on older systems.
//!
//! rpm is not run and no library is used. Without a lock, a file that changes while it is read is read again.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use crate::platform::files::Stamp;
use crate::scan::formats::sqlite::Database;
use crate::scan::formats::sqlite_wal::Wal;
use crate::scan::formats::{rpm_bdb, rpm_header, rpm_ndb};
use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;

/// Where the database is: on Fedora and SUSE today, in the trees of ostree, and everywhere before that. The
/// other names are links to the right one (`%_dbpath`; rpm-ostree's `RPMOSTREE_RPMDB_LOCATION`). What
/// rpm-ostree keeps in `/usr/lib/sysimage/rpm-ostree-base-db` is the tree before an administrator changed
/// it: no statement of what is installed.
const FOLDERS: [&str; 3] = ["/usr/lib/sysimage/rpm", "/usr/share/rpm", "/var/lib/rpm"];

/// Largest database that is read. One of 3,000 packages has 300 MB, most of which is passed over.
const DATABASE_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Largest log beside a database. rpm empties it at 10,000 pages, which are 40 MB, and when it ends; a large
/// transaction holds that off.
const WAL_MAX: u64 = 256 * 1024 * 1024;

/// Most text of all packages together, in bytes; a package has about a hundred.
const TEXTS_MAX: usize = 8 * 1024 * 1024;

/// How often a database is read that changes meanwhile. Reading takes a hundredth of the time in which rpm
/// installs one package.
const TRIES: usize = 4;

/// RPM packages.
#[derive(Debug)]
pub struct Rpm;

/// The formats of databases, by the names of their files, the one that rpm prefers first.
const BACKENDS: [(&str, Backend); 3] =
    [("rpmdb.sqlite", Backend::Sqlite), ("Packages.db", Backend::Ndb), ("Packages", Backend::Bdb)];

#[derive(Debug, Clone, Copy)]
enum Backend {
    Sqlite,
    Ndb,
    Bdb,
}

impl Source for Rpm {
    fn id(&self) -> &'static str {
        "rpm"
    }

    fn about(&self) -> &'static str {
        "RPM packages (/var/lib/rpm, /usr/lib/sysimage/rpm, /usr/share/rpm)"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        FOLDERS.iter().map(|folder| host.path(folder)).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let mut read = Vec::new();
        for folder in FOLDERS {
            let dir = look.system(folder);
            let Some(meta) = look.stat(&dir).filter(Metadata::is_dir) else { continue };
            let folder = Stamp::of(&meta);
            if !read.contains(&folder) {
                read_folder(look, &dir, found);
                read.push(folder);
            }
        }
    }
}

fn read_folder(look: &mut Look<'_>, dir: &Path, found: &mut dyn FnMut(&Artefact<'_>)) {
    for (name, backend) in BACKENDS {
        let path = dir.join(name);
        if look.stat(&path).is_none() {
            continue;
        }
        for _ in 0..TRIES {
            let Some(read) = read_database(look, &path, backend) else { return };
            if let Some(packages) = read {
                packages.tell(look, found);
                return;
            }
        }
        look.trouble(Trouble::Unreadable);
        return;
    }
}

/// Reads a database once. `None` if that cannot be, which is noted; `Some(None)` if it changed meanwhile.
fn read_database(look: &mut Look<'_>, path: &Path, backend: Backend) -> Option<Option<Packages>> {
    let mut file = look.open_seekable(path, DATABASE_MAX)?;
    let mut packages = Packages::default();
    let mut add = |length, blob: &mut dyn Read| packages.add(length, blob);
    let (result, log) = match backend {
        Backend::Ndb => (rpm_ndb::for_each_blob(&mut file, &mut add), None),
        Backend::Bdb => (rpm_bdb::for_each_blob(&mut file, &mut add), None),
        Backend::Sqlite => {
            // Pages are on their way into the file, or a crash left them behind: it means nothing by itself.
            if look.stat(&beside(path, "-journal")).is_some_and(|meta| meta.len() > 0) {
                return Some(None);
            }
            let log = beside(path, "-wal");
            let mut log = match look.stat(&log) {
                Some(_) => Some(look.open_seekable(&log, WAL_MAX)?),
                None => None,
            };
            let wal = log.as_mut().map_or(Ok(None), Wal::read);
            (wal.and_then(|wal| read_sqlite(Database::open(&mut file, wal)?, &mut add)), log)
        }
    };
    if let Err(error) = result {
        packages.troubles.insert(Trouble::of(&error));
    }
    let unchanged = file.is_unchanged() && log.is_none_or(|log| log.is_unchanged());
    Some(unchanged.then_some(packages))
}

fn read_sqlite<F: Read + io::Seek>(
    mut database: Database<F>,
    add: &mut dyn FnMut(u64, &mut dyn Read),
) -> io::Result<()> {
    let table = database.table("Packages")?.ok_or(io::ErrorKind::InvalidData)?;
    let mut malformed = false;
    // hnum, blob (`lib/backend/sqlite.cc` of rpm).
    database.for_each_row(table, &mut |row| match row.blob(1) {
        Some((length, mut blob)) => add(length, &mut blob),
        None => malformed = true,
    })?;
    if malformed { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
}

/// The file that SQLite keeps beside a database.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// What was read of a database. Nothing is told before it is known to belong together.
#[derive(Debug, Default)]
struct Packages {
    /// Name, version, publisher and group of each, all ended by NUL, which no text of a header holds.
    texts: String,
    troubles: BTreeSet<Trouble>,
    header: Vec<u8>,
}

impl Packages {
    fn add(&mut self, length: u64, blob: &mut dyn Read) {
        let header = match rpm_header::read(blob, length, &mut self.header) {
            Ok(header) => header,
            Err(error) => {
                self.troubles.insert(Trouble::of(&error));
                return;
            }
        };
        // A key to check signatures with.
        if header.name == "gpg-pubkey" {
            return;
        }
        if self.texts.len() > TEXTS_MAX {
            self.troubles.insert(Trouble::TooMany);
            return;
        }
        let mut number = String::new();
        if let Some(epoch) = header.epoch {
            number = format!("{epoch}:");
        }
        let publisher = header.vendor.or(header.packager).unwrap_or_default();
        let group = header.group.unwrap_or_default();
        let parts = [
            header.name,
            "\0",
            &number,
            header.version,
            "-",
            header.release,
            "\0",
            publisher,
            "\0",
            group,
            "\0",
        ];
        self.texts.extend(parts);
    }

    fn tell(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let mut texts = self.texts.split('\0');
        while let (Some(name), Some(version), Some(publisher), Some(group)) =
            (texts.next(), texts.next(), texts.next(), texts.next())
        {
            found(&Artefact {
                version: Some(version),
                publisher: Some(publisher).filter(|publisher| !publisher.is_empty()),
                categories: category(name, group),
                ..Artefact::new(Namespace::Rpm, name, &Scope::System, Grade::Installed)
            });
        }
        for trouble in &self.troubles {
            look.trouble(*trouble);
        }
    }
}

/// The category of messengers that a group of packages stands for; `""` for all other groups. Fedora and RHEL
/// have no groups any more, and what they had before (`Applications/Internet`) says too little.
///
/// What belongs to a messenger is in the same group as often as not: that is told by how packages are named.
fn category(name: &str, group: &str) -> &'static str {
    let category = match group {
        // openSUSE (`rpmgroups.config` of its rpmlint); Mageia and OpenMandriva (Mageia's "RPM groups policy");
        // ALT (the groups that PackageKit knows of it).
        "Productivity/Networking/Instant Messenger"
        | "Productivity/Networking/ICQ"
        | "Networking/Instant messaging"
        | "Networking/ICQ" => "InstantMessaging",
        "Productivity/Networking/IRC" | "Networking/IRC" => "IRCClient",
        "Productivity/Networking/Talk/Clients" | "Networking/Chat" => "Chat",
        "Productivity/Networking/H323/Clients" => "VideoConference",
        _ => return "",
    };
    let part = |word: &str| PARTS.contains(&word);
    if name.starts_with("lib") || name.split('-').skip(1).any(part) { "" } else { category }
}

/// Words in the names of packages that are no messenger but a part of one, a plugin or a server.
const PARTS: [&str; 18] = [
    "branding",
    "common",
    "data",
    "debuginfo",
    "debugsource",
    "devel",
    "doc",
    "docs",
    "i18n",
    "lang",
    "libs",
    "locale",
    "plugin",
    "plugins",
    "server",
    "static",
    "theme",
    "themes",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_messengers_makes_a_messenger_of_what_is_not_named_like_a_part_of_one() {
        for (name, group, expected) in [
            ("pidgin", "Productivity/Networking/Instant Messenger", "InstantMessaging"),
            ("element-desktop", "Networking/Instant messaging", "InstantMessaging"),
            ("konversation", "Productivity/Networking/IRC", "IRCClient"),
            ("pidgin-plugin-otr", "Productivity/Networking/Instant Messenger", ""),
            ("psi+-lang", "Productivity/Networking/Talk/Clients", ""),
            ("libpurple", "Networking/Instant messaging", ""),
            ("coturn", "Productivity/Networking/Talk/Servers", ""),
            ("minicom", "Applications/Communications", ""),
            ("telegram-desktop", "Unspecified", ""),
            ("telegram-desktop", "", ""),
        ] {
            assert_eq!(category(name, group), expected, "{name} in {group}");
        }
    }
}
