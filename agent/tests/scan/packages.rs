//! Packages of Linux distributions and of package managers that run on several systems.

use crate::sources::expect;
use crate::support::{catalogue_with_acme, health, identifiers, link, scan, tree, write};
use offchannel_shared::catalogue::Catalogue;

#[test]
fn arch_packages_are_read_from_their_descriptions() {
    expect(
        "linux-pacman",
        "pacman",
        &Catalogue::built_in(),
        &[
            ("gajim", "gajim", "installed", "1.8.4-1", "-"),
            ("telegram", "telegram-desktop", "installed", "4.14.9-2", "-"),
        ],
    );
}

#[test]
fn an_arch_package_without_a_description_is_said() {
    let tree = tree();
    let local = "var/lib/pacman/local";
    write(tree.path(), &format!("{local}/ALPM_DB_VERSION"), "9\n");
    write(tree.path(), &format!("{local}/gajim-1-1/desc"), "%NAME%\ngajim\n\n%VERSION%\n1-1\n\n");
    write(tree.path(), &format!("{local}/telegram-desktop-4-1/files"), "%FILES%\n");
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(identifiers(&found), ["gajim"]);
    assert_eq!(health(&found, "pacman"), "partial: /var/lib/pacman/local: a file is malformed");
}

#[test]
fn alpine_packages_are_read_from_the_list_of_installed_ones() {
    expect(
        "linux-apk",
        "apk",
        &Catalogue::built_in(),
        &[
            ("profanity", "profanity", "installed", "0.14.0-r2", "-"),
            ("telegram", "telegram-desktop", "installed", "4.14.9-r1", "-"),
        ],
    );
}

#[test]
fn packages_of_nix_belong_to_those_in_whose_profile_they_are() {
    // Bob has Telegram in a profile of his own as well.
    expect(
        "linux-nix",
        "nix",
        &Catalogue::built_in(),
        &[
            ("irssi", "irssi", "installed", "1.4.5", "alice"),
            ("irssi", "irssi", "installed", "1.4.5", "bob"),
            ("telegram", "telegram-desktop", "installed", "4.6.5", "-"),
            ("telegram", "telegram-desktop", "installed", "4.6.5", "bob"),
        ],
    );
}

#[test]
fn on_nixos_packages_are_where_the_programs_of_profiles_lead_to() {
    let tree = tree();
    let object = |letter: &str, name: &str| format!("/nix/store/{}-{name}", letter.repeat(32));
    let (system, sw) = (object("a", "nixos-system-host-24.05"), object("b", "system-path"));
    let (hexchat, dino) = (object("c", "hexchat-2.16.2"), object("d", "dino-0.4.3"));
    let (wrapped, env) = (object("e", "profanity-wrapped-1"), object("f", "user-environment"));
    let (generation, home) = (object("g", "home-manager-generation"), object("h", "home-manager-path"));
    let (profanity, unused) = (object("i", "profanity-0.14.0"), object("j", "pidgin-2.14.12"));
    let ln = |target: &str, path: &str| link(tree.path(), target, path.trim_start_matches('/'));
    let program = |path: String| write(tree.path(), path.trim_start_matches('/'), "");
    // The system, with one program in it.
    ln("system-1-link", "nix/var/nix/profiles/system");
    ln(&system, "nix/var/nix/profiles/system-1-link");
    ln(&system, "run/current-system");
    ln(&sw, &format!("{system}/sw"));
    ln(&format!("{hexchat}/bin/hexchat"), &format!("{sw}/bin/hexchat"));
    program(format!("{hexchat}/bin/hexchat"));
    // What the system's configuration gives to alice: a wrapper around the package.
    ln("/etc/static/profiles/per-user/alice", "etc/profiles/per-user/alice");
    ln(&env, "etc/static/profiles/per-user/alice");
    ln(&format!("{wrapped}/bin"), &format!("{env}/bin"));
    ln(&format!("{profanity}/bin/profanity"), &format!("{wrapped}/bin/profanity"));
    program(format!("{profanity}/bin/profanity"));
    let entry = "[Desktop Entry]\nType=Application\nName=Acme\nExec=profanity\nCategories=Chat;\n";
    write(tree.path(), format!("{env}/share/applications/acme.desktop").trim_start_matches('/'), entry);
    // Her own, by home-manager: no program, but a menu entry.
    ln("home-manager-3-link", "home/alice/.local/state/nix/profiles/home-manager");
    ln(&generation, "home/alice/.local/state/nix/profiles/home-manager-3-link");
    ln(&home, &format!("{generation}/home-path"));
    ln(&format!("{dino}/share"), &format!("{home}/share"));
    program(format!("{dino}/share/applications/im.dino.Dino.desktop"));
    ln(
        &format!("{dino}/share/applications/im.dino.Dino.desktop"),
        &format!("{dino}/share/applications/x.desktop"),
    );
    // In the store, in nobody's profile.
    program(format!("{unused}/bin/pidgin"));

    let found = scan(tree.path(), &Catalogue::built_in());
    let rows: Vec<_> = found
        .inventory
        .sightings
        .iter()
        .map(|one| (one.identifier.as_str(), one.version.as_deref(), one.scope.to_string() == "system"))
        .collect();
    let expected = [
        ("dino", Some("0.4.3"), false),
        ("hexchat", Some("2.16.2"), true),
        ("profanity", Some("0.14.0"), false),
    ];
    assert_eq!(rows, expected);
    assert_eq!(health(&found, "nix"), "ok");
    let unlisted: Vec<_> = found.inventory.unlisted.iter().map(|one| one.identifier.as_str()).collect();
    assert_eq!(unlisted, ["acme.desktop"]);
}

#[test]
fn a_profile_whose_store_cannot_be_seen_is_no_removal() {
    let tree = tree();
    let gone = format!("/nix/store/{}-user-environment", "a".repeat(32));
    link(tree.path(), &gone, "nix/var/nix/profiles/default");
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(health(&found, "nix"), "partial: /nix/var/nix/profiles: cannot be read");
}

#[test]
fn formulas_count_with_a_receipt_in_the_version_that_is_in_use() {
    expect(
        "linux-homebrew",
        "homebrew",
        &catalogue_with_acme(),
        &[
            ("acme-chat", "acme-chat", "installed", "1.4.5", "-"),
            ("acme-chat", "acme-talk", "installed", "0.15.0", "-"),
            ("acme-chat", "acme-call", "installed", "4.4.0", "alice"),
            ("acme-chat", "acme-call", "residual", "", "-"),
        ],
    );
}

#[test]
fn casks_count_while_their_application_is_there() {
    expect(
        "macos-homebrew",
        "homebrew",
        &catalogue_with_acme(),
        &[
            ("element", "element", "residual", "", "-"),
            ("acme-chat", "acme-chat", "installed", "1.4.5", "-"),
            ("signal", "signal", "installed", "7.34.0", "-"),
            ("slack", "slack", "residual", "4.41.105", "-"),
            ("zoom", "zoom", "installed", "6.2.11.43613", "-"),
        ],
    );
}

#[test]
fn android_apps_count_while_their_data_has_a_folder() {
    expect(
        "linux-waydroid",
        "waydroid",
        &Catalogue::built_in(),
        &[
            ("signal", "org.thoughtcrime.securesms", "installed", "", "alice"),
            ("telegram", "org.telegram.messenger", "installed", "", "-"),
            ("whatsapp", "com.whatsapp", "residual", "", "alice"),
        ],
    );
}

#[test]
fn a_list_of_android_apps_that_is_none_is_said() {
    let tree = tree();
    let data = "home/alice/.local/share/waydroid/data";
    write(
        tree.path(),
        &format!("{data}/system/packages.list"),
        "com.whatsapp 10001 0 /data/data/com.whatsapp x none\nABX\0\n",
    );
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(identifiers(&found), ["com.whatsapp"]);
    assert_eq!(health(&found, "waydroid"), "partial: 1 home folder: a file is malformed");
    // A link in a circle: it is there and cannot be read.
    let list = format!("{data}/system/packages.list");
    std::fs::remove_file(tree.path().join(&list)).unwrap();
    link(tree.path(), "packages.list", &list);
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(health(&found, "waydroid"), "failed: 1 home folder: cannot be read");
}

#[test]
fn profiles_in_a_circle_and_without_end_are_bounded_and_said() {
    let tree = tree();
    let env = format!("/nix/store/{}-user-environment", "a".repeat(32));
    let profiles = "home/alice/.local/state/nix/profiles";
    // A profile in itself, programs that lead to each other, and a link that leads out of the store.
    link(tree.path(), &env, &format!("{profiles}/profile"));
    link(tree.path(), &env, format!("{env}/home-path").trim_start_matches('/'));
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(health(&found, "nix"), "ok");
    let other = format!("/nix/store/{}-irssi-1.4.5", "b".repeat(32));
    link(tree.path(), &other, &format!("{profiles}/other"));
    for (target, name) in [("b", "a"), ("a", "b"), ("/etc/passwd", "c"), ("../../../../etc/passwd", "d")] {
        link(tree.path(), target, format!("{other}/bin/{name}").trim_start_matches('/'));
    }
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(identifiers(&found), ["irssi"]);
    for n in 0..20 {
        link(tree.path(), &other, &format!("{profiles}/more{n}"));
    }
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(health(&found, "nix"), "partial: 1 home folder: too many entries");
}
