//! Every source finds what is in its tree, and nothing else.

use crate::support::{catalogue_with_acme, fixture, found_in, host, scan_of};
use offchannel_agent::scan::sources::SOURCES;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::Platform;
use offchannel_shared::inventory::Health;

/// What a tree holds: app, identifier, grade, version, and the user, `-` for the system.
pub type Row<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

/// Fails the test unless this is what a source finds in a tree.
#[track_caller]
pub fn expect(tree: &str, source: &str, catalogue: &Catalogue, expected: &[Row<'_>]) {
    let found = found_in(tree, source, catalogue);
    let mut expected: Vec<[String; 5]> =
        expected.iter().map(|(a, b, c, d, e)| [a, b, c, d, e].map(|text| (*text).to_owned())).collect();
    expected.sort();
    assert_eq!(found, expected, "what {source} found in {tree}");
}

/// Every source of files with the tree that shows it, for each of its platforms.
fn trees() -> impl Iterator<Item = (&'static str, String)> {
    let files = SOURCES.iter().filter(|source| source.id() != "processes");
    files.flat_map(|source| {
        // Trees of other systems hold links, which a folder on Windows may not.
        let here = |platform: &&Platform| cfg!(unix) || **platform == Platform::Windows;
        let platforms = source.platforms().iter().filter(here);
        platforms.map(|platform| (source.id(), tree_of(platform.as_str(), source.id())))
    })
}

/// `linux-dpkg`, and `macos-bundle` where the source is named after its platform.
fn tree_of(platform: &str, source: &str) -> String {
    if source.starts_with(platform) { source.to_owned() } else { format!("{platform}-{source}") }
}

#[test]
fn every_source_of_files_has_a_tree_that_shows_it() {
    for (source, tree) in trees() {
        let found = found_in(&tree, source, &catalogue_with_acme());
        assert!(!found.is_empty(), "{tree} shows nothing of {source}");
        assert!(fixture(&tree).join("README.md").is_file(), "{tree} does not say why it is there");
    }
}

#[test]
fn dpkg_tells_installed_packages_from_leftovers() {
    let catalogue = Catalogue::built_in();
    expect(
        "linux-dpkg",
        "dpkg",
        &catalogue,
        &[
            ("nheko", "nheko", "installed", "0.11.3-2", "-"),
            ("pidgin", "pidgin", "residual", "2.14.12-1", "-"),
            ("telegram", "telegram-desktop", "installed", "4.6.5+ds-2+b1", "-"),
        ],
    );
    expect(
        "linux-dpkg-distroless",
        "dpkg",
        &catalogue,
        &[("profanity", "profanity", "installed", "0.13.1-2", "-")],
    );
}

#[test]
fn rpm_packages_are_found_in_databases_of_all_formats() {
    let catalogue = Catalogue::built_in();
    for tree in ["linux-rpm", "linux-rpm-ndb", "linux-rpm-bdb"] {
        expect(
            tree,
            "rpm",
            &catalogue,
            &[
                ("hexchat", "hexchat", "installed", "1:2.16.2-4", "-"),
                ("pidgin", "pidgin", "installed", "2.14.13-lp155.1", "-"),
                ("telegram", "telegram-desktop", "installed", "5.2.3-1.fc40", "-"),
                ("zoom", "zoom", "installed", "6.1.1.443-1", "-"),
            ],
        );
        let scan = scan_of(host(tree), &catalogue);
        let unlisted: Vec<_> =
            scan.inventory.unlisted.iter().map(|u| (u.identifier.as_str(), u.version.as_deref())).collect();
        assert_eq!(unlisted, [("acme-chat", Some("2:1.0-3"))], "{tree}");
        let run = scan.runs.iter().find(|run| run.source == "rpm").unwrap();
        assert_eq!((&run.health, run.artefacts), (&Health::Ok, 7), "{tree}");
    }
}

#[test]
fn a_menu_entry_counts_while_its_program_is_there() {
    let catalogue = Catalogue::built_in();
    expect(
        "linux-desktop-entry",
        "desktop-entry",
        &catalogue,
        &[
            ("mumble", "mumble.desktop", "installed", "", "alice"),
            ("nheko", "nheko.desktop", "residual", "", "-"),
            ("telegram", "org.telegram.desktop.desktop", "installed", "", "-"),
        ],
    );
    let scan = scan_of(host("linux-desktop-entry"), &catalogue);
    let unlisted: Vec<_> =
        scan.inventory.unlisted.iter().map(|u| (u.identifier.as_str(), u.name.as_deref())).collect();
    assert_eq!(unlisted, [("acme-chat.desktop", Some("Acme Chat"))]);
}

#[test]
fn flatpaks_count_with_an_active_deployment() {
    expect(
        "linux-flatpak",
        "flatpak",
        &Catalogue::built_in(),
        &[
            ("caprine", "com.sindresorhus.Caprine", "installed", "2.60.3", "-"),
            ("kaidan", "im.kaidan.kaidan", "installed", "", "alice"),
            ("zoom", "us.zoom.Zoom", "residual", "", "bob"),
        ],
    );
}

#[test]
fn snaps_count_with_a_current_revision() {
    expect(
        "linux-snap",
        "snap",
        &Catalogue::built_in(),
        &[
            ("caprine", "caprine", "installed", "2.60.3", "-"),
            ("jami", "jami", "residual", "", "bob"),
            ("teams-for-linux", "teams-for-linux", "residual", "", "-"),
        ],
    );
}

#[test]
fn web_apps_are_found_by_entry_and_by_profile() {
    let whatsapp = "app-id:hnpfjngllnobngcgfapefoaidbinmjnm";
    expect(
        "linux-web-app",
        "web-app",
        &Catalogue::built_in(),
        &[
            ("discord", "discord.com/app", "web-app", "", "alice"),
            ("google-messages", "messages.google.com/web/", "web-app", "", "bob"),
            ("telegram", "web.telegram.org/k/", "residual", "", "bob"),
            ("whatsapp", whatsapp, "web-app", "", "alice"),
        ],
    );
}

#[test]
fn extensions_are_found_in_all_profiles() {
    let zoom = "hmbjbjdpkobdjplfobhljndfdfdipjhg";
    expect(
        "linux-chromium-extension",
        "chromium-extension",
        &Catalogue::built_in(),
        &[("zoom", zoom, "extension", "1.10.0", "alice"), ("zoom", zoom, "extension", "1.8.0", "bob")],
    );
    for tree in ["macos-chromium-extension", "windows-chromium-extension"] {
        expect(
            tree,
            "chromium-extension",
            &Catalogue::built_in(),
            &[("zoom", zoom, "extension", "1.10.0", "alice"), ("zoom", zoom, "extension", "1.8.0", "bob")],
        );
    }
    let acme = catalogue_with_acme();
    for tree in ["linux-firefox-extension", "macos-firefox-extension", "windows-firefox-extension"] {
        expect(
            tree,
            "firefox-extension",
            &acme,
            &[("acme-chat", "chat@acme.example", "extension", "1.4.2", "alice")],
        );
    }
}

#[test]
fn a_web_app_in_the_start_menu_counts_while_its_browser_is_there() {
    expect(
        "windows-web-app",
        "web-app",
        &Catalogue::built_in(),
        &[
            ("telegram", "web.telegram.org/k/", "residual", "", "bob"),
            ("whatsapp", "app-id:hnpfjngllnobngcgfapefoaidbinmjnm", "web-app", "", "alice"),
        ],
    );
}

#[test]
fn appimages_are_known_by_their_first_bytes() {
    let mut expected = vec![
        ("caprine", "Caprine", "installed", "2.61.0", "alice"),
        ("ferdium", "Ferdium", "installed", "", "-"),
        ("nheko", "nheko", "installed", "0.11.3", "bob"),
    ];
    // Nobody may execute that one; where files have no such bits, this cannot be known.
    if cfg!(not(unix)) {
        expected.push(("beeper", "Beeper", "installed", "4", "bob"));
    }
    expect("linux-appimage", "appimage", &Catalogue::built_in(), &expected);
}

#[test]
fn a_name_without_a_second_sign_accuses_nobody() {
    expect(
        "linux-unpacked",
        "unpacked",
        &Catalogue::built_in(),
        &[
            ("element", "element-desktop", "installed", "1.11.86", "alice"),
            ("nheko", "nheko", "installed", "", "bob"),
            ("signal", "signal-desktop", "installed", "7.34.0", "-"),
            ("telegram", "Telegram", "installed", "", "alice"),
        ],
    );
}

#[test]
fn programs_in_the_folders_of_windows_users_need_a_second_sign_too() {
    expect(
        "windows-unpacked",
        "windows-unpacked",
        &Catalogue::built_in(),
        &[
            ("discord", "Discord.exe", "installed", "1.0.9035", "alice"),
            ("mattermost", "Mattermost.exe", "installed", "5.10.0", "bob"),
            ("signal", "Signal.exe", "installed", "7.34.0", "alice"),
            ("slack", "slack.exe", "residual", "4.41.105", "bob"),
            ("telegram", "Telegram.exe", "installed", "", "alice"),
        ],
    );
}

#[test]
fn every_tree_is_read_without_trouble() {
    for (_, tree) in trees() {
        for run in scan_of(host(&tree), &Catalogue::built_in()).runs {
            let fine = matches!(run.health, Health::Ok | Health::Absent);
            assert!(fine, "{} in {tree}: {}", run.source, run.health);
        }
    }
}

#[test]
fn lookalikes_match_nothing() {
    let path = fixture("../lookalikes.tsv");
    let text = std::fs::read_to_string(&path).unwrap();
    let catalogue = Catalogue::built_in();
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).skip(1);
    let mut count = 0;
    for row in rows {
        let mut fields = row.split('\t');
        let (Some(namespace), Some(identifier)) = (fields.next(), fields.next()) else { panic!("{row:?}") };
        let found = catalogue.find(namespace.parse().unwrap(), identifier, fields.next());
        assert_eq!(found.map(|app| app.id), None, "{row}");
        count += 1;
    }
    assert!(count > 50, "only {count} rows in {}", path.display());
}
