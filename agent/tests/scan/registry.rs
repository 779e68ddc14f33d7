//! What the sources find in registries: of Windows images, and of Wine.

use std::fs;
use std::path::Path;

use crate::support::{copy, fixture, found_in, health, identifiers, scan, scan_of, tree, write};
use offchannel_agent::scan::host::Host;
use offchannel_agent::scan::scanner::Scan;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::Platform;

fn rows(tree: &str, source: &str) -> Vec<String> {
    found_in(tree, source, &Catalogue::built_in()).iter().map(|row| row.join(" | ")).collect()
}

#[test]
fn uninstall_entries_of_the_machine_and_of_users_who_are_logged_out_are_found() {
    assert_eq!(
        rows("windows-uninstall", "windows-uninstall"),
        [
            "hexchat | HexChat 2.16.2 | installed | 2.16.2 | bob",
            "konversation | KDE.Konversation | installed |  | alice",
            "konversation | Konversation | installed |  | alice",
            "microsoft-teams | Microsoft Teams | installed | 1.7.00.4465 | -",
            "mirc | mIRC | residual | 7.76 | -",
            "pidgin | Pidgin | installed | 2.14.13 | -",
            "signal | Signal 7.36.0 | installed | 7.36.0 | alice",
            "slack | Slack | residual | 4.41.97 | bob",
            "telegram | Telegram Desktop version 5.9 | installed | 5.9 | -",
            "whatsapp | app-id:hnpfjngllnobngcgfapefoaidbinmjnm | web-app |  | alice",
        ]
    );
}

#[test]
fn store_packages_count_for_whom_they_are_registered() {
    assert_eq!(
        rows("windows-msix", "msix"),
        [
            "line | NAVER.LINEwin8_8ptj331gd3tyt | residual | 9.2.0.3403 | bob",
            "microsoft-teams | MSTeams_8wekyb3d8bbwe | installed | 24295.605.3225.8804 | -",
            "skype | Microsoft.SkypeApp_kzf8qxf38zg5c | residual | 15.129.3201.0 | -",
            "telegram | TelegramMessengerLLP.TelegramDesktop_t4vj0pshhgkwm | installed | 5.9.0.0 | alice",
            "whatsapp | 5319275A.WhatsAppDesktop_cv1g1gvanyjgm | installed | 2.2450.6.0 | alice",
        ]
    );
}

#[test]
fn programs_in_a_wine_prefix_are_their_user_s() {
    assert_eq!(
        rows("linux-wine", "wine"),
        [
            "mirc | mIRC | residual | 7.76 | alice",
            "pidgin | Pidgin | installed | 2.14.13 | alice",
            "telegram | Telegram Desktop | installed | 5.9.0 | alice",
        ]
    );
}

fn windows(root: &Path) -> Scan {
    scan_of(Host::at(root.to_owned(), Platform::Windows), &Catalogue::built_in())
}

const SOFTWARE: &str = "Windows/System32/config/SOFTWARE";

#[test]
fn a_hive_that_is_damaged_or_no_file_is_said_and_the_others_are_read() {
    let tree = tempfile::tempdir().unwrap();
    copy(&fixture("windows-uninstall"), tree.path());
    let path = tree.path().join(SOFTWARE);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..5000]).unwrap();
    fs::remove_file(tree.path().join("Users/bob/NTUSER.DAT")).unwrap();
    fs::create_dir(tree.path().join("Users/bob/NTUSER.DAT")).unwrap();
    let scan = windows(tree.path());
    let why = format!("/{SOFTWARE}: a file is malformed; 1 home folder: a file is malformed");
    assert_eq!(health(&scan, "windows-uninstall"), format!("partial: {why}"));
    let apps: Vec<_> = scan.inventory.sightings.iter().map(|sighting| sighting.app.to_string()).collect();
    assert_eq!(apps, ["konversation", "konversation", "signal", "whatsapp"]);
}

#[test]
fn a_hive_of_a_machine_that_lost_power_is_read_with_its_logs_or_said() {
    let tree = tempfile::tempdir().unwrap();
    copy(&fixture("windows-uninstall"), tree.path());
    let path = tree.path().join(SOFTWARE);
    let mut bytes = fs::read(&path).unwrap();
    // A write was begun and not ended; the checksum is of the words before it.
    bytes[4] ^= 0x40;
    bytes[508] ^= 0x40;
    fs::write(&path, bytes).unwrap();
    let scan = windows(tree.path());
    let why = format!("/{SOFTWARE}: a file lacks its last changes");
    assert_eq!(health(&scan, "windows-uninstall"), format!("partial: {why}"));
    assert!(scan.inventory.sightings.iter().any(|sighting| sighting.app.as_str() == "telegram"));
}

#[test]
fn names_of_an_image_match_in_any_case() {
    let tree = tempfile::tempdir().unwrap();
    copy(&fixture("windows-uninstall/Windows"), &tree.path().join("WINDOWS"));
    copy(&fixture("windows-uninstall/Users/bob"), &tree.path().join("Users/bob"));
    fs::rename(tree.path().join("WINDOWS/System32"), tree.path().join("WINDOWS/system32")).unwrap();
    fs::rename(tree.path().join("Users/bob/NTUSER.DAT"), tree.path().join("Users/bob/ntuser.dat")).unwrap();
    let scan = windows(tree.path());
    assert_eq!(health(&scan, "windows-uninstall"), "ok");
    let apps: Vec<_> = scan.inventory.sightings.iter().map(|sighting| sighting.app.as_str()).collect();
    assert!(apps.contains(&"mirc") && apps.contains(&"hexchat"), "{apps:?}");
}

#[test]
fn an_image_without_registry_has_none() {
    let tree = tempfile::tempdir().unwrap();
    fs::create_dir_all(tree.path().join("Users/alice")).unwrap();
    let scan = windows(tree.path());
    assert_eq!(
        (health(&scan, "windows-uninstall"), health(&scan, "msix")),
        ("absent".into(), "absent".into())
    );
}

#[cfg(unix)]
#[test]
fn wine_prefixes_are_found_wherever_programs_make_them() {
    let tree = tree();
    let entry = |name: &str| {
        format!(
            "WINE REGISTRY Version 2\n\n[Software\\\\Microsoft\\\\Windows\\\\CurrentVersion\\\\Uninstall\\\\x] 1\n\
            \"DisplayName\"=\"{name}\"\n\"InstallLocation\"=\"D:\\\\x\"\n"
        )
    };
    let places = std::collections::BTreeMap::from([
        (".wine/user.reg", "Pidgin"),
        (".local/share/wineprefixes/a/system.reg", "mIRC"),
        (".var/app/com.usebottles.bottles/data/bottles/bottles/a/system.reg", "Mumble (client)"),
        (".cxoffice/a/user.reg", "LINE"),
        (".steam/debian-installation/steamapps/compatdata/7/pfx/system.reg", "HexChat 2"),
    ]);
    for (path, name) in &places {
        write(tree.path(), &format!("home/alice/{path}"), &entry(name));
    }
    write(tree.path(), "home/alice/Games/a/system.reg", "REGEDIT4\n");
    // The same as above by another name.
    std::os::unix::fs::symlink("debian-installation", tree.path().join("home/alice/.steam/steam")).unwrap();
    let scan = scan(tree.path(), &Catalogue::built_in());
    let mut found: Vec<_> = scan.inventory.sightings.iter().map(|s| s.identifier.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, ["HexChat 2", "LINE", "Mumble (client)", "Pidgin", "mIRC"]);
    assert_eq!(health(&scan, "wine"), "partial: 1 home folder: a file is malformed");
    assert_eq!(scan.runs.iter().find(|run| run.source == "wine").unwrap().artefacts, 5);
}

#[test]
fn the_name_of_a_key_accuses_nobody() {
    let tree = tree();
    let key = "[Software\\\\Microsoft\\\\Windows\\\\CurrentVersion\\\\Uninstall\\\\Viber] 1";
    let text = format!("WINE REGISTRY Version 2\n\n{key}\n\"DisplayName\"=\"Viber Backup Tool\"\n");
    write(tree.path(), "home/alice/.wine/system.reg", &text);
    let scan = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(scan.runs.iter().find(|run| run.source == "wine").unwrap().artefacts, 1);
    assert_eq!(identifiers(&scan), [""; 0]);
}
