//! The packages in a Debian system: how they get there, where they keep what, and what they may leave.

use std::fs;
use std::path::{Path, PathBuf};

use crate::chroot::Chroot;

/// The collector's settings.
pub const SERVER_TOML: &str = "/etc/offchannel/server.toml";
/// The agent's settings.
pub const AGENT_TOML: &str = "/etc/offchannel/agent.toml";
/// The agent's settings by device management.
pub const MANAGED_TOML: &str = "/etc/offchannel/managed.toml";
/// Where the tests lay the CA for the agent.
pub const CA: &str = "/etc/offchannel/ca.crt";
/// The agent's state folder.
pub const STATE: &str = "/var/lib/offchannel-agent";
/// The token file.
pub const TOKEN: &str = "/var/lib/offchannel-agent/enrolment.token";
/// The collector's data folder.
pub const DATA: &str = "/var/lib/offchannel";

/// What stays when both packages are purged, as docs/operating.md says: what the administrator wrote, the collector's data,
/// and what Debian keeps of every package.
const LEFT: [&str; 6] = [CA, MANAGED_TOML, DATA, "/var/lib/offchannel/", "/var/lib/dpkg/", "/var/log/"];

/// The package of a program that ends like this.
pub fn package(packages: &Path, program: &str, ending: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir(packages)
        .expect("the folder of the packages")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let name = path.file_name().expect("a name").to_string_lossy();
            name.starts_with(program) && name.ends_with(ending)
        })
        .collect();
    assert_eq!(found.len(), 1, "there should be one {ending} of {program}: {found:?}");
    found.remove(0)
}

/// Brings a package into the system; returns its path there.
pub fn bring(system: &Chroot, packages: &Path, program: &str) -> String {
    let package = package(packages, program, ".deb");
    let name = format!("/root/{}", package.file_name().expect("a name").to_string_lossy());
    fs::copy(package, system.at(&name)).expect("the package in the system");
    name
}

/// Writes a file of the system, with its folders.
pub fn write(system: &Chroot, path: &str, text: &str) {
    let path = system.at(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of the system");
    fs::write(path, text).expect("a file of the system");
}

/// Reads a file of the system.
pub fn read(system: &Chroot, path: &str) -> String {
    fs::read_to_string(system.at(path)).expect("a file of the system")
}

/// Whether a path may be left: the folder of settings only for what the administrator wrote in it, and the copies that the
/// system makes of its lists of accounts.
pub fn is_left(path: &str) -> bool {
    let accounts = ["/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/.pwd.lock"];
    path == "/etc/offchannel"
        || accounts.contains(&path)
        || LEFT.iter().any(|left| path == *left || left.ends_with('/') && path.starts_with(left))
}
