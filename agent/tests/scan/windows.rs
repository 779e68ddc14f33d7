//! Images of Windows, on a system that takes notice of case: names, users, menus and folders.

use std::fs;
use std::path::Path;

use crate::support::{copy, fixture, health, scan_of, write};
use offchannel_agent::scan::host::Host;
use offchannel_agent::scan::scanner::Scan;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::Platform;
use tempfile::TempDir;

const SOFTWARE: &str = "Windows/System32/config/SOFTWARE";

/// In the start menu of alice's fixture.
const PROGRAMS: &str = "Users/alice/AppData/Roaming/Microsoft/Windows/Start Menu/Programs";
const LINK: &str = "Chrome Apps/WhatsApp Web.lnk";

/// A copy of a fixture to change.
fn image(fixture_name: &str) -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    copy(&fixture(fixture_name), tree.path());
    tree
}

fn host(root: &Path) -> Host {
    Host::at(root.to_owned(), Platform::Windows)
}

/// App, grade, and whether the user is this one, of what a source found.
fn rows(root: &Path, source: &str, user: &str) -> Vec<(String, String, bool)> {
    let users = host(root).users();
    let scope = users.iter().find(|one| one.name == user).map(|one| one.scope.clone());
    let scan = scan(root);
    let found = scan.inventory.sightings.iter().filter(|sighting| sighting.source == source);
    found.map(|s| (s.app.to_string(), s.grade.to_string(), Some(&s.scope) == scope.as_ref())).collect()
}

fn scan(root: &Path) -> Scan {
    scan_of(host(root), &Catalogue::built_in())
}

/// Replaces a text in a hive by one of the same length.
fn change_hive(path: &Path, from: &str, to: &str) {
    let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let (from, to) = (utf16(from), utf16(to));
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(path).unwrap();
    while let Some(at) = bytes.windows(from.len()).position(|part| part == from) {
        bytes[at..at + to.len()].copy_from_slice(&to);
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_file_of_linux_says_nothing_of_windows() {
    let tree = image("windows-msix");
    let machine = host(tree.path()).facts().machine;
    write(tree.path(), "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    assert_eq!(host(tree.path()).facts().machine, machine);
    let mac = |id: &str| {
        let tree = tempfile::tempdir().unwrap();
        write(tree.path(), "etc/machine-id", id);
        Host::at(tree.path().to_owned(), Platform::Macos).facts().machine
    };
    assert_eq!(mac("a\n"), mac("b\n"));
}

#[test]
fn a_browser_is_found_in_any_case() {
    let tree = image("windows-web-app");
    let dir = tree.path().join("Program Files/Google/Chrome/Application");
    fs::rename(dir.join("chrome_proxy.exe"), dir.join("Chrome_Proxy.exe")).unwrap();
    let whatsapp = ("whatsapp".to_owned(), "web-app".to_owned(), true);
    assert!(rows(tree.path(), "web-app", "alice").contains(&whatsapp));
    fs::remove_file(dir.join("Chrome_Proxy.exe")).unwrap();
    let whatsapp = ("whatsapp".to_owned(), "residual".to_owned(), true);
    assert!(rows(tree.path(), "web-app", "alice").contains(&whatsapp));
}

#[test]
fn a_short_name_is_no_sign_that_a_program_is_gone() {
    let tree = image("windows-uninstall");
    let slack = |grade: &str| ("slack".to_owned(), grade.to_owned(), true);
    assert!(rows(tree.path(), "windows-uninstall", "bob").contains(&slack("residual")));
    change_hive(&tree.path().join("Users/bob/NTUSER.DAT"), "AppData", "APPDA~1");
    assert!(rows(tree.path(), "windows-uninstall", "bob").contains(&slack("installed")));
}

#[test]
fn many_links_beside_many_files_take_little_time_and_too_many_are_said() {
    let tree = image("windows-web-app");
    let dir = tree.path().join("Program Files/Google/Chrome/Application");
    fs::remove_file(dir.join("chrome_proxy.exe")).unwrap();
    for n in 0..3_000 {
        fs::write(dir.join(n.to_string()), "").unwrap();
    }
    let link = fs::read(tree.path().join(PROGRAMS).join(LINK)).unwrap();
    for n in 0..2_100 {
        fs::write(tree.path().join(PROGRAMS).join(format!("{n}.lnk")), &link).unwrap();
    }
    let scan = scan(tree.path());
    assert_eq!(health(&scan, "web-app"), "partial: 1 home folder: too many entries");
    let micros = scan.runs.iter().find(|run| run.source == "web-app").unwrap().micros;
    assert!(micros < 20_000_000, "{micros}");
}

#[test]
fn links_count_on_all_desktops_and_at_the_top_of_the_menu() {
    for place in [
        "Users/alice/OneDrive - Acme/Desktop/x.lnk",
        &format!("{PROGRAMS}/../x.lnk"),
        &format!("{PROGRAMS}/a/b/x.lnk"),
    ] {
        let tree = image("windows-web-app");
        let place = tree.path().join(place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::rename(tree.path().join(PROGRAMS).join(LINK), &place).unwrap();
        let whatsapp = ("whatsapp".to_owned(), "web-app".to_owned(), true);
        assert!(rows(tree.path(), "web-app", "alice").contains(&whatsapp), "{}", place.display());
    }
}

#[test]
fn a_profile_is_a_home_wherever_it_lies_on_the_image() {
    let tree = image("windows-msix");
    let sid = host(tree.path()).users()[0].sid.clone();
    assert!(sid.is_some());
    change_hive(&tree.path().join(SOFTWARE), r"C:\Users\alice", r"c:\HOMES\Carol");
    fs::create_dir(tree.path().join("Homes")).unwrap();
    fs::rename(tree.path().join("Users/alice"), tree.path().join("Homes/carol")).unwrap();
    let users = host(tree.path()).users();
    let names: Vec<_> = users.iter().map(|user| (user.name.as_str(), &user.sid)).collect();
    assert_eq!(names, [("Carol", &sid), ("bob", &None)]);
    assert_eq!(users[0].home, tree.path().join("Homes/carol"));
    let whatsapp = ("whatsapp".to_owned(), "installed".to_owned(), true);
    assert!(rows(tree.path(), "msix", "Carol").contains(&whatsapp));
}

#[test]
fn a_profile_on_another_drive_is_said_without_its_name() {
    let tree = image("windows-msix");
    change_hive(&tree.path().join(SOFTWARE), r"C:\Users\alice", r"D:\Users\alice");
    let health = health(&scan(tree.path()), "msix");
    assert_eq!(health, "partial: home folders: a user's profile lies on another drive");
}

#[test]
fn programs_unpacked_twice_over_are_found_and_too_many_folders_are_said() {
    let tree = image("windows-unpacked");
    let home = tree.path().join("Users/alice");
    let program = home.join("AppData/Roaming/Telegram Desktop");
    for place in ["Downloads/tportable-x64.5.9/Telegram", "OneDrive/Desktop/a/Telegram"] {
        let place = home.join(place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::rename(&program, &place).unwrap();
        let telegram = ("telegram".to_owned(), "installed".to_owned(), true);
        assert!(rows(tree.path(), "windows-unpacked", "alice").contains(&telegram), "{}", place.display());
        fs::rename(&place, &program).unwrap();
    }
    assert_eq!(health(&scan(tree.path()), "windows-unpacked"), "ok");
    for n in 0..2_100 {
        fs::create_dir_all(home.join(format!("Downloads/{}/{n}", n % 20))).unwrap();
    }
    let why = "partial: 1 home folder: too many entries";
    assert_eq!(health(&scan(tree.path()), "windows-unpacked"), why);
}
