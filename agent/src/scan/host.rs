//! What a source may look at: this machine, a mounted disk image, or a test tree.

use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use offchannel_shared::device::{DeviceFacts, Platform};
use offchannel_shared::inventory::Scope;

use super::any_case::Names;
use super::host_macos;
use super::look::Look;
use super::pseudonym::{Pseudonyms, machine};
use super::registry;
use super::users;
use crate::platform::files::join;
use crate::platform::{filesystem, machine as machine_of_system, processes};

/// Most links that are followed in one path; Linux itself stops at 40.
const LINKS_MAX: usize = 40;

/// Largest small system file that is read.
const SMALL: u64 = 64 * 1024;

/// A device to look at.
#[derive(Debug)]
pub struct Host {
    root: PathBuf,
    platform: Platform,
    live: bool,
    machine_id: String,
    pseudonyms: Pseudonyms,
    names: Mutex<Names>,
}

/// A user of the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The login name; it never leaves the device.
    pub name: String,
    /// The number, where one is known.
    pub uid: Option<u32>,
    /// The security identifier on Windows, where one is known.
    pub sid: Option<String>,
    /// The home folder, under the host's root.
    pub home: PathBuf,
    /// The pseudonymous reference.
    pub scope: Scope,
}

impl User {
    /// A folder in the home folder; `""` is the home folder itself.
    pub fn folder(&self, relative: &str) -> PathBuf {
        if relative.is_empty() { self.home.clone() } else { join(&self.home, relative) }
    }
}

impl Host {
    /// This machine, with its processes.
    pub fn live() -> Self {
        let platform = if cfg!(target_os = "macos") {
            Platform::Macos
        } else if cfg!(windows) {
            Platform::Windows
        } else {
            Platform::Linux
        };
        Self::new(filesystem::root(), platform, true)
    }

    /// A mounted disk image or a test tree. It has no processes, and no link leads out of it.
    pub fn at(root: PathBuf, platform: Platform) -> Self {
        // Paths are compared as text: `image/` and `image/./` are `image`.
        Self::new(root.components().collect(), platform, false)
    }

    fn new(root: PathBuf, platform: Platform, live: bool) -> Self {
        let (machine_id, pseudonyms) = (String::new(), Pseudonyms::new(""));
        let mut host = Self { root, platform, live, machine_id, pseudonyms, names: Mutex::default() };
        // Elsewhere these are files that anybody may have made.
        let files = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
        let files = files.iter().filter(|_| !matches!(platform, Platform::Macos | Platform::Windows));
        let id = files
            .filter_map(|path| host.line(path))
            .next()
            .or_else(|| if live { machine_of_system::id() } else { host.of_registry(registry::machine_id) });
        // systemd writes this word into images that have not been started yet (machine-id(5)).
        host.machine_id = id.filter(|id| id != "uninitialized").unwrap_or_default();
        host.pseudonyms = Pseudonyms::new(&host.machine_id);
        host
    }

    /// The folder that stands for `/`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The operating system that is looked at.
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// Whether this is the running system.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Where `/var/lib/dpkg/status` is, under the root, with links followed as that system would.
    pub fn path(&self, absolute: &str) -> PathBuf {
        let lexical = self.lexical(absolute);
        match self.resolve(&lexical, &mut Vec::new()) {
            Ok(path) => path,
            // Links in a circle, or a folder that is closed to us: a name that does not exist, for
            // with the true one the kernel would follow links out of the root.
            Err(_) => self.root.join(".unresolvable"),
        }
    }

    /// The letter of the drive that Windows is installed on; an image does not say it, and it is C nearly always.
    pub(super) fn drive(&self) -> char {
        let root = self.root.to_str().filter(|_| self.live).and_then(|root| root.split_once(':'));
        let letter = root.and_then(|(letter, _)| letter.chars().next().filter(|_| letter.len() == 1));
        letter.unwrap_or('C')
    }

    /// All users: those of the password file who are people, and the owners of the folders in `/home`.
    pub fn users(&self) -> Vec<User> {
        users::survey(self).users
    }

    /// The folder that holds the home folders.
    pub fn homes(&self) -> PathBuf {
        self.lexical(match self.platform {
            Platform::Macos | Platform::Windows => "/Users",
            Platform::Android | Platform::Ios | Platform::Linux => "/home",
        })
    }

    /// A hash that tells this machine from others; empty if it has no id.
    pub fn machine(&self) -> String {
        machine(&self.machine_id)
    }

    /// What the device says of itself.
    pub fn facts(&self) -> DeviceFacts {
        let name = if self.live { processes::host_name() } else { String::new() };
        let name = match (name.is_empty(), self.platform) {
            (false, _) => name,
            (true, Platform::Macos) => host_macos::host_name(&mut Look::new(self, &[])),
            (true, Platform::Windows) => self.of_registry(registry::host_name).unwrap_or_default(),
            (true, _) => self.line("/etc/hostname").unwrap_or_default(),
        };
        DeviceFacts {
            hostname: name,
            platform: self.platform,
            os: self.os_name(),
            arch: if self.live { std::env::consts::ARCH.to_owned() } else { self.arch_of_image() },
            machine: self.machine(),
        }
    }

    /// The scope of a user by name.
    pub(super) fn scope_of(&self, user: &[u8]) -> Scope {
        self.pseudonyms.of(user)
    }

    /// A path under the root, links not followed.
    pub(super) fn lexical(&self, absolute: &str) -> PathBuf {
        join(&self.root, absolute.trim_start_matches('/'))
    }

    /// Where a path under the root really is: in an image, an absolute link starts at the image's
    /// root and `..` stops there. Adds the links that it followed to `links`.
    pub(super) fn resolve(&self, path: &Path, links: &mut Vec<PathBuf>) -> io::Result<PathBuf> {
        if self.live {
            return Ok(path.to_owned());
        }
        let relative = path.strip_prefix(&self.root).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut left: Vec<OsString> = parts(relative);
        let mut real = self.root.clone();
        let mut depth = 0_usize;
        let mut hops = 0_usize;
        while let Some(part) = left.pop() {
            if part == ".." {
                if depth > 0 {
                    real.pop();
                    depth -= 1;
                }
                continue;
            }
            real.push(&part);
            depth += 1;
            match std::fs::symlink_metadata(&real) {
                Ok(meta) if meta.is_symlink() => {
                    hops += 1;
                    if hops > LINKS_MAX {
                        return Err(io::Error::other("links lead in a circle"));
                    }
                    let target = std::fs::read_link(&real)?;
                    links.push(real.clone());
                    real.pop();
                    depth -= 1;
                    // On Windows `\x` is not absolute: it starts at the root of whatever volume it is on.
                    if target.has_root() {
                        real = self.root.clone();
                        depth = 0;
                    }
                    left.extend(parts(&target));
                }
                Ok(_) => {}
                Err(error) if is_absence(&error) => {
                    if let Some(name) = self.name_in_any_case(&real)? {
                        real.set_file_name(name);
                        // It is there, and may be a link.
                        if std::fs::symlink_metadata(&real).is_ok_and(|meta| meta.is_symlink()) {
                            left.extend(real.file_name().map(OsString::from));
                            real.pop();
                            depth -= 1;
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(real)
    }

    /// The name in the same folder of an image of Windows that differs from this path's only in case.
    pub(super) fn name_in_any_case(&self, path: &Path) -> io::Result<Option<OsString>> {
        if self.live || self.platform != Platform::Windows {
            return Ok(None);
        }
        self.any_name_in_any_case(path)
    }

    /// The same on a system that takes notice of case.
    pub(super) fn any_name_in_any_case(&self, path: &Path) -> io::Result<Option<OsString>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).find(path)
    }

    /// Forgets the names that were looked for in any case.
    pub(super) fn forget_names(&self) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = Names::default();
    }

    /// The first line of a small file.
    fn line(&self, absolute: &str) -> Option<String> {
        let mut look = Look::new(self, &[]);
        let bytes = look.read(&self.lexical(absolute), SMALL)?;
        let text = String::from_utf8_lossy(&bytes);
        Some(text.lines().next()?.trim().to_owned()).filter(|line| !line.is_empty())
    }

    /// What the registry of Windows says.
    fn of_registry(&self, ask: fn(&mut Look<'_>) -> Option<String>) -> Option<String> {
        if self.platform == Platform::Windows { ask(&mut Look::new(self, &[])) } else { None }
    }

    /// `PRETTY_NAME` of os-release(5), and what is like it elsewhere.
    fn os_name(&self) -> String {
        if let Some(name) = self.of_registry(registry::os_name) {
            return name;
        }
        let mut look = Look::new(self, &[]);
        if self.platform == Platform::Macos {
            return host_macos::os_name(&mut look);
        }
        let files = ["/etc/os-release", "/usr/lib/os-release"];
        let bytes = files.iter().find_map(|path| look.read(&self.lexical(path), SMALL)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        name.map_or_else(String::new, |name| name.trim().trim_matches(['"', '\'']).to_owned())
    }

    /// The architecture that an image's own shell is built for; empty if that cannot be told.
    fn arch_of_image(&self) -> String {
        let mut look = Look::new(self, &[]);
        let head = look.read_head(&self.lexical("/bin/sh"), 20).unwrap_or_default();
        // elf(5): e_machine, two bytes in the file's byte order; all of these are little-endian.
        let name = match (head.starts_with(b"\x7fELF"), head.get(18..20)) {
            (true, Some([62, 0])) => "x86_64",
            (true, Some([183, 0])) => "aarch64",
            (true, Some([3, 0])) => "x86",
            (true, Some([40, 0])) => "arm",
            (true, Some([243, 0])) => "riscv64",
            _ => "",
        };
        name.to_owned()
    }
}

/// Whether an error says that there is nothing, rather than that one may not look.
pub(super) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The names in a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(name).collect()
}
