//! Where things really are on people's devices.

#[cfg(unix)]
use std::fs;
use std::path::Path;

#[cfg(unix)]
use crate::support::link;
use crate::support::{health, identifiers, scan, tree, write};
use offchannel_agent::scan::host::Host;
use offchannel_agent::scan::scanner::{Scan, Scanner};
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::Platform;

const APPIMAGE: &str = "\x7fELF\x02\x01\x01\0AI\x02 and so on";
const ELF: &str = "\x7fELF\x02\x01\x01\0\0\0\0 and so on";

/// A program; where files have no execute bits, any file may be one.
fn program(root: &Path, path: &str, text: &str) {
    write(root, path, text);
    #[cfg(unix)]
    fs::set_permissions(root.join(path), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

/// App, identifier and grade of each sighting.
fn rows(scan: &Scan) -> Vec<(&str, &str, &str)> {
    let all = scan.inventory.sightings.iter();
    all.map(|found| (found.app.as_str(), found.identifier.as_str(), found.grade.as_str())).collect()
}

#[test]
fn contacts_and_workspaces_stay_on_the_device() {
    let tree = tree();
    for (file, address) in [
        ("m", "www.messenger.com/t/100012345678"),
        ("s", "app.slack.com/client/T0SECRET"),
        ("d", "discord.com/app/77"),
    ] {
        let text = format!("[Desktop Entry]\nType=Application\nExec=/x/chromium --app=https://{address}\n");
        write(tree.path(), &format!("home/alice/.local/share/applications/{file}.desktop"), &text);
    }
    let scan = scan(tree.path(), &Catalogue::built_in());
    let found = identifiers(&scan);
    assert_eq!(found.len(), 3, "{found:?}");
    let text = format!("{:?}", scan.inventory);
    for secret in ["1000123", "SECRET", "77"] {
        assert!(!text.contains(secret), "{secret} is in {found:?}");
    }
}

#[test]
fn a_root_is_the_same_however_it_is_written() {
    let tree = tree();
    write(tree.path(), "var/lib/dpkg/status", "Package: pidgin\nStatus: install ok installed\nVersion: 1\n");
    for end in ["", "/", "//", "/.", "/./"] {
        let root = format!("{}{end}", tree.path().display());
        assert_eq!(identifiers(&scan(Path::new(&root), &Catalogue::built_in())), ["pidgin"], "{root}");
    }
}

#[test]
fn a_web_app_of_another_device_is_no_installation() {
    let tree = tree();
    let id = "hnpfjngllnobngcgfapefoaidbinmjnm";
    let profile = "home/alice/.config/google-chrome/Default/Web Applications/Manifest Resources";
    write(tree.path(), &format!("{profile}/{id}/Icons/32.png"), "");
    let row = |grade| [("whatsapp", "app-id:hnpfjngllnobngcgfapefoaidbinmjnm", grade)];
    assert_eq!(rows(&scan(tree.path(), &Catalogue::built_in())), row("residual"));
    let text = format!("[Desktop Entry]\nType=Application\nExec=/opt/chrome --app-id={id}\n");
    write(tree.path(), "home/alice/.local/share/applications/chrome-x.desktop", &text);
    assert_eq!(rows(&scan(tree.path(), &Catalogue::built_in())), row("residual"), "the browser is gone");
    program(tree.path(), "opt/chrome", "");
    assert_eq!(rows(&scan(tree.path(), &Catalogue::built_in())), row("web-app"));
}

#[cfg(unix)]
#[test]
fn a_parallel_install_is_the_snap_itself() {
    let tree = tree();
    write(tree.path(), "snap/slack_work/7/meta/snap.yaml", "name: slack\nversion: 4.1\n");
    link(tree.path(), "7", "snap/slack_work/current");
    write(tree.path(), "var/lib/snapd/snaps/slack_work_7.snap", "");
    write(tree.path(), "home/alice/snap/slack_work/common/x", "");
    assert_eq!(rows(&scan(tree.path(), &Catalogue::built_in())), [("slack", "slack", "installed")]);
}

#[test]
fn a_program_among_many_other_files_is_found_and_too_many_programs_are_said() {
    let tree = tree();
    write(tree.path(), "opt/Signal/resources.pak", "");
    for n in 0..400 {
        write(tree.path(), &format!("opt/Signal/data{n}"), "text");
        program(tree.path(), &format!("opt/Signal/script{n}"), "#!/bin/sh");
    }
    program(tree.path(), "opt/Signal/signal-desktop", ELF);
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(identifiers(&found), ["signal-desktop"]);
    assert_eq!(health(&found, "unpacked"), "ok");
    for n in 0..300 {
        program(tree.path(), &format!("opt/Suite/tool{n}"), ELF);
    }
    write(tree.path(), "opt/Suite/qt.conf", "");
    write(tree.path(), "opt/Suite/libQt6Core.so.6", "");
    assert_eq!(
        health(&scan(tree.path(), &Catalogue::built_in()), "unpacked"),
        "partial: /opt: too many entries"
    );
}

#[test]
fn programs_are_found_wherever_systems_keep_them() {
    for folder in [
        "run/current-system/sw/bin",
        "var/lib/snapd/snap/bin",
        "var/lib/flatpak/exports/bin",
        "home/linuxbrew/.linuxbrew/bin",
        "home/alice/.nix-profile/bin",
        "home/alice/.cargo/bin",
        "home/alice/.local/bin",
        "home/alice/.local/share/flatpak/exports/bin",
    ] {
        let tree = tree();
        let entry = "[Desktop Entry]\nType=Application\nExec=pidgin %U\n";
        write(tree.path(), "home/alice/.local/share/applications/pidgin.desktop", entry);
        program(tree.path(), &format!("{folder}/pidgin"), "#!/bin/sh");
        let found = scan(tree.path(), &Catalogue::built_in());
        assert_eq!(rows(&found), [("pidgin", "pidgin.desktop", "installed")], "{folder}");
    }
    let tree = tree();
    write(
        tree.path(),
        "home/alice/.nix-profile/share/applications/kde/nheko.desktop",
        "[Desktop Entry]\nType=Application\nExec=pidgin\nCategories=Chat;\n",
    );
    program(tree.path(), "home/alice/.nix-profile/bin/pidgin", "");
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(found.inventory.unlisted.first().map(|one| one.grade.as_str()), Some("installed"));
}

#[test]
fn downloads_and_desktop_are_found_under_their_names_in_other_languages() {
    let tree = tree();
    let dirs = "XDG_DESKTOP_DIR=\"$HOME/Bureau\"\nXDG_DOWNLOAD_DIR=\"$HOME/Donn\u{e9}es/Re\u{e7}us\"\n";
    write(tree.path(), "home/alice/.config/user-dirs.dirs", dirs);
    program(tree.path(), "home/alice/Donn\u{e9}es/Re\u{e7}us/Caprine.AppImage", APPIMAGE);
    program(tree.path(), "home/alice/Donn\u{e9}es/Re\u{e7}us/Telegram/Telegram", ELF);
    program(tree.path(), "home/alice/Donn\u{e9}es/Re\u{e7}us/Telegram/Updater", ELF);
    program(tree.path(), "home/alice/Bureau/nheko.AppImage", APPIMAGE);
    let entry = "[Desktop Entry]\nType=Application\nExec=chromium --app=https://web.whatsapp.com/\n";
    write(tree.path(), "home/alice/Bureau/w.desktop", entry);
    let found = scan(tree.path(), &Catalogue::built_in());
    let apps: Vec<_> = rows(&found).into_iter().map(|(app, _, _)| app).collect();
    assert_eq!(apps, ["caprine", "nheko", "telegram", "whatsapp"]);
    let watched = Scanner::new(Host::at(tree.path().to_owned(), Platform::Linux)).watch_dirs();
    for (folder, sources) in [
        ("Bureau", &["appimage", "unpacked", "web-app"][..]),
        ("Donn\u{e9}es/Re\u{e7}us", &["appimage", "unpacked"]),
    ] {
        let dir = tree.path().join("home/alice").join(folder);
        assert_eq!(
            watched.get(&dir).map(|who| who.iter().copied().collect::<Vec<_>>()),
            Some(sources.to_vec())
        );
    }
}
