//! A small Linux tree that the agent scans, and installing and removing packages in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A tree with users and a package database that is written as dpkg writes it.
#[derive(Debug)]
pub struct Root {
    folder: TempDir,
    packages: BTreeMap<String, String>,
}

impl Default for Root {
    fn default() -> Self {
        Self::new()
    }
}

impl Root {
    /// A tree without any messenger.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of the tree");
            fs::write(path, text).expect("a file of the tree");
        };
        write("etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n");
        write("etc/hostname", "journey\n");
        write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        let passwd = "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000:Alice:/home/alice:/bin/bash\n";
        write("etc/passwd", passwd);
        let root = folder.path();
        for folder in ["home/alice", "root", "opt", "var/lib/dpkg/info"] {
            fs::create_dir_all(root.join(folder)).expect("a folder of the tree");
        }
        let mut root = Self { folder, packages: BTreeMap::new() };
        root.change(|packages| {
            packages.insert("bash".to_owned(), "5.2.15-2+b2".to_owned());
            // Looks like a messenger and is a library.
            packages.insert("libsignal-protocol-c2.3.2".to_owned(), "2.3.3-1".to_owned());
        });
        root
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Installs a package.
    pub fn install(&mut self, package: &str, version: &str) {
        self.change(|packages| {
            packages.insert(package.to_owned(), version.to_owned());
        });
    }

    /// Removes a package with everything that it left.
    pub fn remove(&mut self, package: &str) {
        self.change(|packages| {
            packages.remove(package);
        });
    }

    /// Whether a package is installed.
    pub fn has(&self, package: &str) -> bool {
        self.packages.contains_key(package)
    }

    /// Installs a package that is not there, removes one that is.
    pub fn toggle(&mut self, package: &str, version: &str) {
        if self.has(package) { self.remove(package) } else { self.install(package, version) }
    }

    /// Puts something in place of the package database that nobody can read, not even root.
    pub fn damage(&self) {
        let status = self.path().join("var/lib/dpkg/status");
        fs::remove_file(&status).expect("the package database");
        fs::create_dir(&status).expect("a folder in its place");
    }

    /// As dpkg does it: a new file beside the old one, synced, then renamed over it.
    fn change(&mut self, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        change(&mut self.packages);
        let mut text = String::new();
        for (package, version) in &self.packages {
            let _ = write!(
                text,
                "Package: {package}\nStatus: install ok installed\nPriority: optional\nSection: net\n\
                 Maintainer: Nobody <nobody@example.org>\nArchitecture: amd64\nVersion: {version}\n\
                 Description: a package\n of the tests\n\n"
            );
        }
        let folder = self.path().join("var/lib/dpkg");
        let new: PathBuf = folder.join("status-new");
        fs::write(&new, text).expect("a new package database");
        fs::File::open(&new).and_then(|file| file.sync_all()).expect("the new package database on disk");
        fs::rename(new, folder.join("status")).expect("the new package database in place of the old one");
    }
}
