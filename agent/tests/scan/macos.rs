//! A Mac's tree: bundles, what they leave behind, web apps, and trees that are made to mislead.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::sources::expect;
use crate::support::{health, host, identifiers, link, scan_of, write};
use offchannel_agent::scan::host::Host;
use offchannel_agent::scan::scanner::{Scan, Scanner};
use offchannel_shared::catalogue::{Catalogue, Entry};
use offchannel_shared::device::Platform;
use offchannel_shared::ids::AppId;
use tempfile::TempDir;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><plist version=\"1.0\"><dict>";

/// A Mac with one user, alice.
fn mac() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    fs::create_dir_all(tree.path().join("Users/alice")).unwrap();
    tree
}

fn scan(tree: &TempDir) -> Scan {
    scan_of(Host::at(tree.path().to_owned(), Platform::Macos), &Catalogue::built_in())
}

fn info(identifier: &str, more: &str) -> String {
    format!("{HEAD}<key>CFBundleIdentifier</key><string>{identifier}</string>{more}</dict></plist>")
}

/// A bundle whose program is named like it.
fn bundle(root: &Path, path: &str, identifier: &str) {
    let name = Path::new(path).file_stem().unwrap().to_str().unwrap();
    write(root, &format!("{path}/Contents/Info.plist"), &info(identifier, ""));
    write(root, &format!("{path}/Contents/MacOS/{name}"), "");
}

/// App, grade and scope of each sighting, the scope being that of the system or not.
fn rows(scan: &Scan) -> Vec<(&str, &str, bool)> {
    let all = scan.inventory.sightings.iter();
    all.map(|found| (found.app.as_str(), found.grade.as_str(), found.scope.to_string() == "system")).collect()
}

#[test]
fn bundles_are_found_wherever_they_lie_and_leftovers_are_told_from_them() {
    expect(
        "macos-bundle",
        "macos-bundle",
        &Catalogue::built_in(),
        &[
            ("adium", "com.adiumX.adiumX", "installed", "1.5.10.4", "alice"),
            ("apple-messages", "com.apple.MobileSMS", "installed", "14.0", "-"),
            ("discord", "com.hnc.Discord", "residual", "", "bob"),
            ("line", "jp.naver.line", "installed", "14.19.0", "bob"),
            ("messenger", "com.facebook.Messenger", "installed", "480.0.0", "-"),
            ("mumble", "net.sourceforge.mumble.Mumble", "residual", "1.5.634", "-"),
            ("signal", "org.whispersystems.signal-desktop", "installed", "7.36.0", "-"),
            ("slack", "com.tinyspeck.slackmacgap", "installed", "4.41.105", "-"),
            ("telegram", "com.tdesktop.Telegram", "installed", "5.8.3", "-"),
            ("viber", "com.viber", "residual", "", "bob"),
            ("whatsapp", "net.whatsapp.WhatsApp", "residual", "", "bob"),
            ("zoom", "us.zoom.xos", "installed", "6.2.11 (43613)", "alice"),
        ],
    );
    let scan = scan_of(host("macos-bundle"), &Catalogue::built_in());
    let unlisted: Vec<_> =
        scan.inventory.unlisted.iter().map(|u| (u.identifier.as_str(), u.name.as_deref())).collect();
    assert_eq!(unlisted, [("example.acme.chat", Some("Acme \u{2013} Chat \u{1f4ac}"))]);
    let facts = host("macos-bundle").facts();
    assert_eq!((facts.os.as_str(), facts.hostname.as_str()), ("macOS 15.6", "alices-mac"));
}

#[test]
fn receipts_are_leftovers_at_best() {
    let slack = ("slack", "com.tinyspeck.slackmacgap", "residual", "", "-");
    let zoom = ("zoom", "us.zoom.pkg.videomeeting", "residual", "", "-");
    expect("macos-receipt", "macos-receipt", &Catalogue::built_in(), &[slack, zoom]);
}

#[test]
fn web_apps_of_chromium_and_safari_are_bundles() {
    let whatsapp = "app-id:hnpfjngllnobngcgfapefoaidbinmjnm";
    expect(
        "macos-web-app",
        "web-app",
        &Catalogue::built_in(),
        &[
            ("discord", "discord.com/app", "web-app", "", "alice"),
            ("google-messages", "messages.google.com/web/", "residual", "", "bob"),
            ("telegram", "web.telegram.org/k/", "web-app", "", "alice"),
            ("whatsapp", whatsapp, "residual", "", "bob"),
            ("whatsapp", whatsapp, "web-app", "", "alice"),
        ],
    );
    expect("macos-web-app", "macos-bundle", &Catalogue::built_in(), &[]);
}

#[test]
fn a_name_counts_only_if_the_bundle_itself_agrees_with_it() {
    let tree = mac();
    let entry: Entry = toml::from_str(
        r#"
        name = "Acme Chat"
        vendor = "Acme"
        kind = "workplace"
        networks = ["acme"]
        official = true
        homepage = "https://acme.example"
        [match]
        macos-bundle = ["Acme Chat.app"]
        "#,
    )
    .unwrap();
    let acme = BTreeMap::from([(AppId::new("acme-chat").unwrap(), entry)]);
    let catalogue = Catalogue::with_overlay(&acme).unwrap();
    let found = |identifier: &str, more: &str| {
        let contents = "Applications/Acme Chat.app/Contents";
        let list = info(identifier, &format!("<key>CFBundleExecutable</key><string>acme</string>{more}"));
        write(tree.path(), &format!("{contents}/Info.plist"), &list);
        write(tree.path(), &format!("{contents}/MacOS/acme"), "");
        let scan = scan_of(Host::at(tree.path().to_owned(), Platform::Macos), &catalogue);
        identifiers(&scan).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(found("x.y", ""), [] as [&str; 0]);
    assert_eq!(found("x.y", "<key>CFBundleName</key><string>Chat</string>"), [] as [&str; 0]);
    assert_eq!(found("x.y", "<key>CFBundleName</key><string>Acme Chat</string>"), ["Acme Chat.app"]);
    assert_eq!(found("x.y", "<key>CFBundleDisplayName</key><string>Acme Chat</string>"), ["Acme Chat.app"]);
}

#[test]
fn a_link_counts_where_applications_are_installed_and_is_a_shortcut_elsewhere() {
    let tree = mac();
    bundle(tree.path(), "opt/store/Signal.app", "org.whispersystems.signal-desktop");
    link(tree.path(), "/opt/store/Signal.app", "Users/alice/Desktop/Signal.app");
    assert_eq!(rows(&scan(&tree)), []);
    link(tree.path(), "/opt/store", "Applications/Nix Apps");
    assert_eq!(rows(&scan(&tree)), [("signal", "installed", true)]);
}

#[test]
fn nothing_outside_an_image_is_looked_at() {
    let outside = tempfile::tempdir().unwrap();
    bundle(outside.path(), "Signal.app", "org.whispersystems.signal-desktop");
    write(outside.path(), "Info.plist", &info("com.viber", ""));
    write(outside.path(), "x", "");
    let tree = mac();
    link(tree.path(), outside.path().join("Signal.app"), "Applications/Signal.app");
    link(tree.path(), outside.path(), "Applications/LINE.app/WrappedBundle");
    link(tree.path(), outside.path(), "Users/alice/Applications");
    // A program by a path.
    let up = format!(
        "<key>CFBundleExecutable</key><string>{}{}/x</string>",
        "../".repeat(40),
        outside.path().display()
    );
    write(tree.path(), "Applications/Slack.app/Contents/Info.plist", &info("com.tinyspeck.slackmacgap", &up));
    fs::create_dir_all(tree.path().join("Applications/Slack.app/Contents/MacOS")).unwrap();
    assert_eq!(rows(&scan(&tree)), [("slack", "residual", true)]);
}

#[test]
fn damaged_lists_pipes_and_bombs_are_bounded_and_said() {
    let tree = mac();
    let list = |name: &str, text: &str| {
        write(tree.path(), &format!("Applications/{name}.app/Contents/Info.plist"), text);
    };
    bundle(tree.path(), "Applications/Signal.app", "org.whispersystems.signal-desktop");
    assert_eq!(health(&scan(&tree), "macos-bundle"), "ok");
    let pipe = tree.path().join("Applications/Pipe.app/Contents/Info.plist");
    fs::create_dir_all(pipe.parent().unwrap()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(health(&scan(&tree), "macos-bundle"), "ok", "a pipe is no property list");
    list("Deep", &"<array>".repeat(140_000));
    list("Laughs", "<?xml version='1.0'?><!DOCTYPE plist [<!ENTITY a 'ha'>]><dict/>");
    list("Ampersands", &format!("<dict><key>A</key><string>{}</string></dict>", "&".repeat(1_000_000)));
    list("Broken", "bplist00");
    list("Big", &" ".repeat(2 << 20));
    let scan = scan(&tree);
    assert_eq!(identifiers(&scan), ["org.whispersystems.signal-desktop"]);
    let said = "partial: /Applications: a file is too large; /Applications: a file is malformed";
    assert_eq!(health(&scan, "macos-bundle"), said);
}

#[test]
fn thousands_of_bundles_of_a_user_are_bounded_and_said() {
    let tree = mac();
    bundle(tree.path(), "Users/alice/Applications/Signal.app", "org.whispersystems.signal-desktop");
    for n in 0..2100 {
        let list = format!("Users/alice/Downloads/{n}.app/Contents/Info.plist");
        write(tree.path(), &list, &info("com.viber.osx", ""));
    }
    let found = scan(&tree);
    let apps: Vec<_> = rows(&found).into_iter().map(|(app, grade, _)| (app, grade)).collect();
    assert_eq!(apps, [("signal", "installed"), ("viber", "residual")]);
    for source in ["macos-bundle", "web-app"] {
        assert_eq!(health(&found, source), "partial: 1 home folder: too many entries");
    }
}

#[test]
fn the_bytes_that_a_user_s_bundles_make_the_scan_read_are_bounded_and_said() {
    let tree = mac();
    for n in 0..20 {
        let contents = tree.path().join(format!("Users/alice/Downloads/{n}.app/Contents"));
        fs::create_dir_all(&contents).unwrap();
        fs::File::create(contents.join("Info.plist")).unwrap().set_len(1 << 20).unwrap();
    }
    bundle(tree.path(), "Applications/Signal.app", "org.whispersystems.signal-desktop");
    let found = scan(&tree);
    assert_eq!(rows(&found), [("signal", "installed", true)]);
    let said = "partial: 1 home folder: too many entries; 1 home folder: a file is malformed";
    assert_eq!(health(&found, "macos-bundle"), said);
}

#[test]
fn a_bundle_that_comes_or_goes_changes_the_scan() {
    let tree = mac();
    let clock = offchannel_agent::clock::Clock::system();
    let catalogue = Catalogue::built_in();
    let mut scanner = Scanner::new(Host::at(tree.path().to_owned(), Platform::Macos));
    assert_eq!(identifiers(&scanner.scan(&catalogue, None, &clock)), [] as [&str; 0]);
    bundle(tree.path(), "Users/alice/Downloads/Signal/Signal.app", "org.whispersystems.signal-desktop");
    let found = scanner.scan(&catalogue, None, &clock);
    assert_eq!(rows(&found), [("signal", "installed", false)]);
    fs::remove_file(tree.path().join("Users/alice/Downloads/Signal/Signal.app/Contents/MacOS/Signal"))
        .unwrap();
    assert_eq!(rows(&scanner.scan(&catalogue, None, &clock)), [("signal", "residual", false)]);
    let watched = scanner.watch_dirs();
    assert!(watched.contains_key(&tree.path().join("Users/alice/Downloads")));
    assert!(!watched.contains_key(&tree.path().join("Users/alice")));
}

#[test]
fn containers_of_apps_are_found_behind_many_without_a_name() {
    let tree = mac();
    let containers = tree.path().join("Users/alice/Library/Containers");
    for n in 0..400 {
        fs::create_dir_all(containers.join(format!("{n:08X}-0000-4000-8000-000000000000"))).unwrap();
    }
    // In whatever order the file system lists them, some lie behind.
    let apps =
        ["com.hnc.Discord", "org.whispersystems.signal-desktop", "com.viber.osx", "net.whatsapp.WhatsApp"];
    for app in apps {
        fs::create_dir_all(containers.join(app)).unwrap();
    }
    let scan = scan(&tree);
    assert_eq!(identifiers(&scan), apps);
    assert_eq!(health(&scan, "macos-bundle"), "partial: 1 home folder: too many entries");
}
