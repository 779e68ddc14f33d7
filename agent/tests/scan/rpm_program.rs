//! A database that the rpm of this machine makes right now, where there is one.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{health, identifiers, scan, tree};
use offchannel_agent::scan::formats::sqlite::Database;
use offchannel_agent::scan::formats::sqlite_wal::Wal;
use offchannel_agent::scan::formats::{rpm_bdb, rpm_header, rpm_ndb};
use offchannel_shared::catalogue::Catalogue;

/// How many packages there are: enough for a tree of pages.
const COUNT: usize = 40;

/// Runs a program that must work, and answers what it says.
fn run(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C.UTF-8").output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// One source package with many parts; every one has more files than the one before it.
fn build(top: &Path) -> Vec<std::path::PathBuf> {
    let files = (0..COUNT).map(|n| format!("/opt/{n}"));
    let mut spec = "Name: many\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n%description\nx\n%install\n\
        for n in $(seq 0 39); do mkdir -p %{buildroot}/opt/$n; for f in $(seq $n); do \
        : >%{buildroot}/opt/$n/a-file-with-the-number-$f; done; done\n".to_owned();
    for (n, files) in files.enumerate() {
        let name = if n == 7 { "telegram-desktop".to_owned() } else { format!("package{n}") };
        let epoch = if n % 3 == 0 { String::new() } else { format!("Epoch: {n}\n") };
        write!(spec, "%package -n {name}\nSummary: x\nVersion: {n}~rc1\nRelease: 2^x\n{epoch}%description -n {name}\nx\n%files -n {name}\n{files}\n")
            .unwrap();
    }
    fs::write(top.join("many.spec"), spec).unwrap();
    run(Command::new("rpmbuild")
        .args(["-bb", "--quiet", "--define"])
        .arg(format!("_topdir {}", top.display()))
        .arg(top.join("many.spec")));
    let built = fs::read_dir(top.join("RPMS/noarch")).unwrap();
    built.map(|entry| entry.unwrap().path()).collect()
}

fn is_named(path: &Path, start: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_str().unwrap().starts_with(start))
}

/// What a database holds, in the words in which rpm is asked for it.
fn read(dir: &Path) -> BTreeSet<String> {
    let (mut found, mut header) = (BTreeSet::new(), Vec::new());
    let mut add = |length, blob: &mut dyn Read| {
        let header = rpm_header::read(blob, length, &mut header).unwrap();
        let epoch = header.epoch.map_or_else(|| "(none)".to_owned(), |epoch| epoch.to_string());
        assert!(found.insert(format!("{} {epoch} {} {}", header.name, header.version, header.release)));
    };
    let open = |name: &str| File::open(dir.join(name));
    if let Ok(file) = open("rpmdb.sqlite") {
        let log = open("rpmdb.sqlite-wal").ok().and_then(|file| Wal::read(file).unwrap());
        let mut database = Database::open(file, log).unwrap();
        let root = database.table("Packages").unwrap().unwrap();
        database
            .for_each_row(root, &mut |row| {
                let (length, mut blob) = row.blob(1).unwrap();
                add(length, &mut blob);
            })
            .unwrap();
    } else if let Ok(file) = open("Packages.db") {
        rpm_ndb::for_each_blob(file, &mut add).unwrap();
    } else {
        rpm_bdb::for_each_blob(open("Packages").unwrap(), &mut add).unwrap();
    }
    found
}

#[test]
fn what_rpm_lists_is_what_is_found() {
    let found = ["rpm", "rpmbuild"].map(|name| Command::new(name).arg("--version").output());
    if let Some(error) = found.into_iter().find_map(Result::err) {
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        println!("SKIPPED: no rpm and rpmbuild here; tests/run installs them");
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let packages = build(top.path());
    assert_eq!(packages.len(), COUNT);
    let tree = tree();
    let dir = tree.path().join("var/lib/rpm");
    fs::create_dir_all(&dir).unwrap();
    let rpm = |args: &[&str]| {
        let mut command = Command::new("rpm");
        command.arg("--dbpath").arg(&dir).args(args);
        command
    };
    let listed = || -> BTreeSet<String> {
        let list = run(&mut rpm(&["-qa", "--qf", "%{name} %{epoch} %{version} %{release}\\n"]));
        list.lines().map(str::to_owned).collect()
    };
    run(rpm(&["--nodeps", "--justdb", "-i"]).args(&packages));
    assert_eq!(listed().len(), COUNT);
    assert_eq!(read(&dir), listed());
    let found = scan(tree.path(), &Catalogue::built_in());
    let versions: Vec<_> = found.inventory.sightings.iter().map(|found| found.version.as_deref()).collect();
    assert_eq!((identifiers(&found), versions), (vec!["telegram-desktop"], vec![Some("7:7~rc1-2^x")]));
    assert_eq!(health(&found, "rpm"), "ok");

    // While rpm works, what it does not touch is found, or it is said that it cannot be read.
    let two =
        || packages.iter().filter(|path| ["package1-", "package38-"].iter().any(|name| is_named(path, name)));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..3 {
                run(&mut rpm(&["--nodeps", "--justdb", "-e", "package1", "package38"]));
                run(rpm(&["--nodeps", "--justdb", "-i"]).args(two()));
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            let found = scan(tree.path(), &Catalogue::built_in());
            let health = health(&found, "rpm");
            assert!(identifiers(&found) == ["telegram-desktop"] || health != "ok", "it was missed");
        }
    });
    assert_eq!(read(&dir), listed());

    run(&mut rpm(&["--nodeps", "--justdb", "-e", "telegram-desktop", "package39", "package0"]));
    assert_eq!(listed().len(), COUNT - 3);
    assert_eq!(read(&dir), listed());
    assert_eq!(identifiers(&scan(tree.path(), &Catalogue::built_in())), [] as [&str; 0]);
}
