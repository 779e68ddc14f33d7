//! What is said and what is not, and how much is looked at, on Linux.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::support::{catalogue_with_acme, health, identifiers, link, scan, tree, write};
use offchannel_agent::scan::host::Host;
use offchannel_agent::scan::scanner::{Scan, Scanner};
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::Platform;
use offchannel_shared::inventory::Health;

/// Identifier, grade and source of each sighting.
fn rows(scan: &Scan) -> Vec<(&str, &str, &str)> {
    let all = scan.inventory.sightings.iter();
    all.map(|found| (found.identifier.as_str(), found.grade.as_str(), found.source.as_str())).collect()
}

fn entry(root: &Path, path: &str, exec: &str) {
    write(root, path, &format!("[Desktop Entry]\nType=Application\nName=X\nExec={exec}\n"));
}

fn program(root: &Path, path: &str, text: &str) {
    write(root, path, text);
    fs::set_permissions(root.join(path), PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn no_user_is_named_where_everything_is_in_trouble() {
    let tree = tree();
    let host = || Host::at(tree.path().to_owned(), Platform::Linux);
    write(tree.path(), "home/alice/x", "");
    write(tree.path(), "home/ACME/x", "");
    // Links in a circle wherever sources look, deepest places first; folders on the way to them stay.
    let mut places: Vec<_> = Scanner::new(host()).watch_dirs().into_keys().collect();
    for more in [
        "etc/profiles/per-user/alice/share/applications",
        "home/alice/.config/google-chrome/Default/Extensions",
        "home/alice/.mozilla/firefox/x.default/extensions.json",
        "var/lib/dpkg/status",
    ] {
        places.push(tree.path().join(more));
    }
    places.sort_by_key(|place| std::cmp::Reverse(place.components().count()));
    for place in places.iter().filter(|place| !place.exists()) {
        let path = place.strip_prefix(tree.path()).unwrap().to_str().unwrap();
        link(tree.path(), place.file_name().unwrap(), path);
    }
    let runs = scan(tree.path(), &Catalogue::built_in()).runs;
    let fine = |health: &Health| matches!(health, Health::Ok | Health::Absent);
    let fine: Vec<_> = runs.iter().filter(|run| fine(&run.health)).map(|run| run.source).collect();
    // Running programs are none of an image.
    assert_eq!(fine, ["processes"]);
    for run in runs {
        let said = run.health.to_string();
        assert!(!said.contains("alice") && !said.contains("ACME"), "{}: {said}", run.source);
    }
}

#[test]
fn an_entry_that_opens_a_browser_is_no_messenger() {
    let tree = tree();
    for (name, exec) in [
        ("discord", "xdg-open https://discord.com/developers"),
        ("org.telegram.desktop", "/usr/bin/firefox"),
        ("pidgin", "flatpak run org.mozilla.firefox https://x.example"),
        ("mumble", "/usr/bin/flatpak run --branch=stable info.mumble.Mumble"),
        ("nheko", "/usr/bin/flatpak run im.nheko.Nheko"),
        ("gajim", "snap run gajim"),
    ] {
        entry(tree.path(), &format!("usr/share/applications/{name}.desktop"), exec);
    }
    for path in ["usr/bin/firefox", "usr/bin/xdg-open", "usr/bin/flatpak", "usr/bin/snap"] {
        program(tree.path(), path, "");
    }
    write(tree.path(), "var/lib/flatpak/app/im.nheko.Nheko/x86_64/x", "");
    link(tree.path(), "x86_64", "var/lib/flatpak/app/im.nheko.Nheko/current");
    let found = scan(tree.path(), &Catalogue::built_in());
    let mut rows: Vec<_> = rows(&found).into_iter().filter(|row| row.2 == "desktop-entry").collect();
    rows.sort_unstable();
    let row = |identifier, grade| (identifier, grade, "desktop-entry");
    let expected = [
        row("gajim.desktop", "residual"),
        row("mumble.desktop", "residual"),
        row("nheko.desktop", "installed"),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn one_large_file_with_many_names_is_read_a_bounded_number_of_times() {
    let tree = tree();
    let text = format!("[Desktop Entry]\nType=Application\n{}", "#".repeat(500_000));
    let menu = "home/alice/.local/share/applications";
    write(tree.path(), &format!("{menu}/0.desktop"), &text);
    let app = |n: usize| format!("var/lib/flatpak/app/org.example.App{n}");
    for n in 1..200 {
        let other = tree.path().join(format!("{menu}/{n}.desktop"));
        fs::hard_link(tree.path().join(format!("{menu}/0.desktop")), other).unwrap();
        let metainfo = tree.path().join(app(n)).join("current/active/export/share/metainfo");
        fs::create_dir_all(&metainfo).unwrap();
        let metainfo = metainfo.join(format!("org.example.App{n}.metainfo.xml"));
        fs::hard_link(tree.path().join(format!("{menu}/0.desktop")), metainfo).unwrap();
    }
    let found = scan(tree.path(), &Catalogue::built_in());
    for source in ["desktop-entry", "web-app"] {
        assert_eq!(health(&found, source), "partial: 1 home folder: too many entries", "{source}");
    }
    assert_eq!(health(&found, "flatpak"), "partial: /var/lib/flatpak: too many entries");
}

#[test]
fn formulas_without_end_are_bounded() {
    let tree = tree();
    for n in 0..4200 {
        write(tree.path(), &format!("home/alice/.linuxbrew/Cellar/f{n}/1/INSTALL_RECEIPT.json"), "{}");
    }
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(health(&found, "homebrew"), "partial: 1 home folder: too many entries");
}

#[test]
fn the_newest_version_of_a_formula_is_told_by_number_and_the_link_is_asked_again() {
    let tree = tree();
    let prefix = "home/linuxbrew/.linuxbrew";
    for version in ["1.9.0", "1.10.0"] {
        write(tree.path(), &format!("{prefix}/Cellar/acme-chat/{version}/INSTALL_RECEIPT.json"), "{}");
    }
    let mut scanner = Scanner::new(Host::at(tree.path().to_owned(), Platform::Linux));
    let mut version = || {
        let scan = scanner.scan(&catalogue_with_acme(), None, &offchannel_agent::clock::Clock::system());
        scan.inventory.sightings.first().and_then(|one| one.version.clone())
    };
    assert_eq!(version().as_deref(), Some("1.10.0"));
    link(tree.path(), "../Cellar/acme-chat/1.9.0", &format!("{prefix}/opt/acme-chat"));
    assert_eq!(version().as_deref(), Some("1.9.0"));
    fs::remove_file(tree.path().join(prefix).join("opt/acme-chat")).unwrap();
    link(tree.path(), "../Cellar/acme-chat/1.10.0", &format!("{prefix}/opt/acme-chat"));
    assert_eq!(version().as_deref(), Some("1.10.0"));
}

#[test]
fn a_profile_that_somebody_else_made_is_not_its_namesake_s() {
    let tree = tree();
    if chown(tree.path().join("etc"), Some(71_002), None).is_err() {
        // Only root can give folders to others.
        return;
    }
    let passwd = "alice:x:71001:1::/home/alice:/bin/sh\nmallory:x:71002:1::/home/mallory:/bin/sh\n";
    write(tree.path(), "etc/passwd", passwd);
    write(tree.path(), "home/alice/x", "");
    write(tree.path(), "home/mallory/x", "");
    let object = format!("/nix/store/{}-irssi-1.4.5", "a".repeat(32));
    write(tree.path(), &format!("{object}/bin/irssi")[1..], "");
    let folder = "nix/var/nix/profiles/per-user/alice";
    link(tree.path(), &object, &format!("{folder}/profile"));
    let users = Host::at(tree.path().to_owned(), Platform::Linux).users();
    for (owner, name) in [(71_002, "mallory"), (71_001, "alice"), (0, "alice")] {
        chown(tree.path().join(folder), Some(owner), None).unwrap();
        let found = scan(tree.path(), &Catalogue::built_in());
        let scope = &found.inventory.sightings.first().unwrap().scope;
        assert_eq!(users.iter().find(|user| user.scope == *scope).unwrap().name, name, "owned by {owner}");
    }
}

#[test]
fn a_home_whose_name_is_no_text_is_said() {
    let tree = tree();
    fs::create_dir_all(tree.path().join("home").join(std::ffi::OsStr::from_bytes(b"caf\xe9"))).unwrap();
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(health(&found, "unpacked"), "failed: /home: cannot be read");
}

#[test]
fn web_apps_are_found_in_every_menu_folder_and_once() {
    let tree = tree();
    program(tree.path(), "usr/bin/chromium", "");
    let app = |address: &str| format!("chromium --app=https://{address}");
    for (folder, address) in [
        (".local/share/applications", "web.whatsapp.com/"),
        (".local/share/applications/sub", "web.telegram.org/k/"),
        (".nix-profile/share/applications", "discord.com/app"),
        (".local/share/flatpak/exports/share/applications", "messages.google.com/web/"),
    ] {
        entry(tree.path(), &format!("home/alice/{folder}/x.desktop"), &app(address));
    }
    let found = scan(tree.path(), &Catalogue::built_in());
    let mut rows = rows(&found);
    rows.sort_unstable();
    let expected = [
        ("discord.com/app", "web-app", "desktop-entry"),
        ("messages.google.com/web/", "web-app", "desktop-entry"),
        ("web.telegram.org/k/", "web-app", "desktop-entry"),
        ("web.whatsapp.com", "web-app", "web-app"),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn programs_and_appimages_are_found_in_a_folder_around_them() {
    const APPIMAGE: &str = "\x7fELF\x02\x01\x01\0AI\x02 and so on";
    const ELF: &str = "\x7fELF\x02\x01\x01\0\0\0\0 and so on";
    for folder in [
        "home/alice/Downloads/tsetup.5.9.0/Telegram",
        "home/alice/Desktop/Telegram",
        "home/alice/Applications/a/Telegram",
        "home/alice/.local/telegram",
        "usr/local/telegram",
    ] {
        let tree = tree();
        for name in ["Telegram", "Updater"] {
            program(tree.path(), &format!("{folder}/{name}"), ELF);
        }
        let found = scan(tree.path(), &Catalogue::built_in());
        assert_eq!(identifiers(&found), ["Telegram"], "{folder}");
    }
    for path in ["opt/nheko/nheko", "home/alice/Applications/nheko/nheko", "home/alice/Downloads/n/nheko"] {
        let tree = tree();
        program(tree.path(), path, APPIMAGE);
        let found = scan(tree.path(), &Catalogue::built_in());
        assert_eq!(rows(&found), [("nheko", "installed", "appimage")], "{path}");
    }
}

#[test]
fn what_changes_when_something_is_installed_is_watched() {
    let tree = tree();
    write(tree.path(), "home/alice/Games/chat/system.reg", "");
    write(tree.path(), "etc/flatpak/installations.d/x.conf", "[Installation \"x\"]\nPath=/srv/flatpak\n");
    let watched = Scanner::new(Host::at(tree.path().to_owned(), Platform::Linux)).watch_dirs();
    for (path, source) in [
        ("var/lib/flatpak", "flatpak"),
        ("srv/flatpak", "flatpak"),
        ("home/alice/.local/share/flatpak", "flatpak"),
        ("snap/bin", "snap"),
        ("etc/profiles/per-user/alice", "desktop-entry"),
        ("home/alice/Games/chat", "wine"),
        ("opt/homebrew/opt", "homebrew"),
    ] {
        let sources = watched.get(&tree.path().join(path));
        assert!(sources.is_some_and(|sources| sources.contains(source)), "{path}: {sources:?}");
    }
}

#[test]
fn an_arch_package_that_cannot_be_read_is_said_as_that_alone() {
    let tree = tree();
    let local = "var/lib/pacman/local";
    link(tree.path(), "desc", &format!("{local}/gajim-1-1/desc"));
    // Gone between listing and reading.
    link(tree.path(), "nowhere", &format!("{local}/dino-1-1"));
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(health(&found, "pacman"), "partial: /var/lib/pacman/local: cannot be read");
}
