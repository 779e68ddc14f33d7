//! Trees that are made to mislead, to hang or to fill the agent.

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
#[cfg(unix)]
use std::os::unix::process::CommandExt;
#[cfg(unix)]
use std::process::Command;

#[cfg(unix)]
use crate::support::link;
use crate::support::{catalogue_with_acme, health, identifiers, scan, tree, whole_health, write};
use offchannel_agent::clock::Clock;
use offchannel_agent::scan::host::Host;
use offchannel_agent::scan::scanner::Scanner;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::Platform;
use offchannel_shared::inventory::Health;

const PIDGIN: &str = "[Desktop Entry]\nType=Application\nName=Pidgin\nCategories=InstantMessaging;\n";
const STATUS: &str = "Package: pidgin\nStatus: install ok installed\nVersion: 2.14\nDescription: x\n";

#[cfg(unix)]
#[test]
fn links_of_an_image_lead_to_places_in_the_image() {
    let tree = tree();
    // As on systems where /home is a link, and with a home by an absolute link.
    link(tree.path(), "/var/home", "home");
    write(tree.path(), "var/home/alice/real/pidgin.desktop", PIDGIN);
    link(tree.path(), "/home/alice/real", "var/home/alice/.local/share/applications");
    // More steps up than there are folders: the root's parent is the root.
    link(tree.path(), "../../../../../../../srv/status", "var/lib/dpkg/status");
    write(tree.path(), "srv/status", STATUS);
    assert_eq!(identifiers(&scan(tree.path(), &Catalogue::built_in())), ["pidgin.desktop", "pidgin"]);
}

#[cfg(unix)]
#[test]
fn no_link_leads_out_of_an_image() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "pidgin.desktop", PIDGIN);
    write(outside.path(), "status", STATUS);
    let tree = tree();
    fs::create_dir_all(tree.path().join("home/alice/.local/share")).unwrap();
    link(tree.path(), outside.path(), "home/alice/.local/share/applications");
    link(tree.path(), outside.path().join("status"), "var/lib/dpkg/status");
    link(tree.path(), outside.path().join("pidgin.desktop"), "usr/share/applications/pidgin.desktop");
    let up = format!("{}{}", "../".repeat(30), outside.path().display().to_string().trim_start_matches('/'));
    link(tree.path(), up, "usr/local/share/applications");
    link(tree.path(), outside.path(), "home/eve");
    assert_eq!(identifiers(&scan(tree.path(), &Catalogue::built_in())), [] as [&str; 0]);
}

#[cfg(unix)]
#[test]
fn case_of_a_windows_image_is_nothing_and_of_any_other_it_is() {
    let tree = tempfile::tempdir().unwrap();
    write(tree.path(), "USERS/Alice/x", "");
    let names = |platform| {
        let users = Host::at(tree.path().to_owned(), platform).users();
        users.into_iter().map(|user| user.name).collect::<Vec<_>>()
    };
    assert_eq!(names(Platform::Windows), ["Alice"]);
    assert_eq!(names(Platform::Macos), [] as [&str; 0]);
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_are_trouble_and_nothing_worse() {
    let tree = tree();
    link(tree.path(), "/var/lib/dpkg/other", "var/lib/dpkg/status");
    link(tree.path(), "/var/lib/dpkg/status", "var/lib/dpkg/other");
    let scan = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(health(&scan, "dpkg"), "failed: /var/lib/dpkg/status: cannot be read");
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_not_opened() {
    let tree = tree();
    for path in
        ["var/lib/dpkg/status", "usr/share/applications/pidgin.desktop", "home/alice/Downloads/x.AppImage"]
    {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").args(["-m", "777"]).arg(&path).status().unwrap().success());
    }
    // A reader would wait for ever here.
    assert_eq!(identifiers(&scan(tree.path(), &Catalogue::built_in())), [] as [&str; 0]);
}

#[test]
fn files_over_the_limit_and_broken_ones_are_said_and_skipped() {
    let tree = tree();
    write(tree.path(), "usr/share/applications/pidgin.desktop", PIDGIN);
    fs::File::create(tree.path().join("usr/share/applications/big.desktop"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    write(tree.path(), "home/alice/.mozilla/firefox/x.default/extensions.json", "{\"addons\":[{");
    write(
        tree.path(),
        "var/lib/dpkg/status",
        "Version: 1\n\nPackage: pidgin\nStatus: install ok installed\n",
    );
    let scan = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(identifiers(&scan), ["pidgin.desktop", "pidgin"]);
    assert_eq!(health(&scan, "desktop-entry"), "partial: /usr/share/applications: a file is too large");
    assert_eq!(health(&scan, "firefox-extension"), "partial: 1 home folder: a file is malformed");
    // Whose it is, as a sighting in it would say.
    let host = Host::at(tree.path().to_owned(), Platform::Linux);
    let alice = host.users().into_iter().find(|user| user.name == "alice").unwrap().scope;
    let told = format!("partial: 1 home folder ({alice}): a file is malformed");
    assert_eq!(whole_health(&scan, "firefox-extension"), told);
    assert_eq!(health(&scan, "dpkg"), "partial: /var/lib/dpkg/status: a file is malformed");
}

#[cfg(unix)]
#[test]
fn a_closed_home_is_said_without_its_name() {
    let tree = tree();
    write(tree.path(), "usr/share/applications/pidgin.desktop", PIDGIN);
    write(tree.path(), "home/alice/.local/share/applications/mumble.desktop", PIDGIN);
    fs::create_dir_all(tree.path().join("home/bob")).unwrap();
    fs::create_dir_all(tree.path().join("opt/closed")).unwrap();
    write(tree.path(), "usr/share/applications/nheko.desktop", &format!("{PIDGIN}Exec=/opt/closed/nheko\n"));
    let mode = |path: &str, mode| {
        fs::set_permissions(tree.path().join(path), PermissionsExt::from_mode(mode)).unwrap()
    };
    mode("", 0o755);
    mode("home/alice", 0o000);
    mode("opt/closed", 0o000);
    let mut command = Command::new(env!("CARGO_BIN_EXE_offchannel-agent"));
    command.args(["scan", "--format", "json", "--root"]).arg(tree.path());
    if rustix::process::geteuid().is_root() {
        // Nothing is closed to root: look as nobody.
        command.gid(65_534).uid(65_534);
    }
    let output = command.output().unwrap();
    mode("home/alice", 0o755);
    mode("opt/closed", 0o755);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("residual"), "a program that may be there was taken for gone: {text}");
    assert!(text.contains("pidgin.desktop") && !text.contains("mumble"), "{text}");
    for source in ["desktop-entry", "web-app", "appimage", "unpacked"] {
        let at = text.find(&format!("\"source\": \"{source}\",\n      \"health\"")).unwrap();
        let said = text[at..].lines().nth(1).unwrap();
        assert!(
            said.contains("partial: ")
                && said.contains("1 home folder (user:u-")
                && said.contains("): permission denied"),
            "{source}: {said}"
        );
    }
    assert!(!text.contains("alice"), "{text}");
}

#[test]
fn what_changes_is_found_again_and_what_does_not_is_kept() {
    let tree = tree();
    write(tree.path(), "var/lib/dpkg/status", STATUS);
    let catalogue = Catalogue::built_in();
    let clock = Clock::system();
    let mut scanner = Scanner::new(Host::at(tree.path().to_owned(), Platform::Linux));
    let first = scanner.scan(&catalogue, None, &clock);
    assert_eq!(identifiers(&first), ["pidgin"]);
    assert_eq!(scanner.scan(&catalogue, None, &clock).inventory, first.inventory);

    write(tree.path(), "usr/share/applications/mumble.desktop", PIDGIN);
    write(tree.path(), "home/bob/.local/share/applications/nheko.desktop", PIDGIN);
    let some = scanner.scan(&catalogue, Some(&["dpkg"].into()), &clock);
    // A new user changes what every source may find, so all of them looked.
    assert_eq!(identifiers(&some), ["mumble.desktop", "nheko.desktop", "pidgin"]);

    fs::remove_file(tree.path().join("usr/share/applications/mumble.desktop")).unwrap();
    fs::write(tree.path().join("var/lib/dpkg/status"), "").unwrap();
    let some = scanner.scan(&catalogue, Some(&["desktop-entry"].into()), &clock);
    assert_eq!(identifiers(&some), ["nheko.desktop", "pidgin"], "dpkg was not asked and keeps what it found");
    let all = scanner.scan(&catalogue, None, &clock);
    assert_eq!(identifiers(&all), ["nheko.desktop"]);
    assert!(
        all.inventory.sources.iter().any(|source| source.source == "dpkg" && source.health == Health::Ok)
    );
}

#[test]
fn users_have_one_pseudonym_wherever_their_apps_are() {
    let tree = tree();
    write(tree.path(), "etc/machine-id", "00000000000000000000000000000001\n");
    write(tree.path(), "home/alice/.local/share/applications/nheko.desktop", PIDGIN);
    write(tree.path(), "home/alice/.var/app/us.zoom.Zoom/x", "");
    let scan = scan(tree.path(), &Catalogue::built_in());
    let scopes: Vec<_> = scan.inventory.sightings.iter().map(|sighting| sighting.scope.to_string()).collect();
    assert_eq!(scopes.len(), 2);
    assert!(scopes.iter().all(|scope| scope.starts_with("user:u-") && *scope == scopes[0]), "{scopes:?}");
    let facts = Host::at(tree.path().to_owned(), Platform::Linux).facts();
    assert_eq!(facts.machine.len(), 64);
}

#[test]
fn a_list_of_a_million_extensions_is_read_one_by_one_and_larger_ones_are_said() {
    let tree = tree();
    let list = "home/alice/.mozilla/firefox/x.default/extensions.json";
    let catalogue = catalogue_with_acme();
    let acme = |version: usize| {
        format!(
            r#"{{"id":"chat@acme.example","version":"{version}","type":"extension","location":"app-profile","active":true}}"#
        )
    };
    let filler = |bytes: usize| r#"{"id":""},"#.repeat(bytes / 10);
    write(tree.path(), list, &format!("{{\"addons\":[{}{}]}}", filler(3 << 20), acme(1)));
    let found = scan(tree.path(), &catalogue);
    assert_eq!(identifiers(&found), ["chat@acme.example"]);
    assert_eq!(health(&found, "firefox-extension"), "ok");

    write(tree.path(), list, &format!("{{\"addons\":[{}{}]}}", filler(16 << 20), acme(1)));
    let found = scan(tree.path(), &catalogue);
    assert_eq!(identifiers(&found), [] as [&str; 0]);
    assert_eq!(health(&found, "firefox-extension"), "partial: 1 home folder: a file is too large");

    let many: Vec<String> = (0..3000).map(acme).collect();
    write(tree.path(), list, &format!("{{\"addons\":[{}]}}", many.join(",")));
    let found = scan(tree.path(), &catalogue);
    assert_eq!(found.inventory.sightings.len(), 16, "of one app for one user");
    assert_eq!(health(&found, "firefox-extension"), "partial: messaging apps: too many entries");
}

#[test]
fn archives_without_end_are_said_and_do_not_hold_up_a_scan() {
    let tree = tree();
    let archive = fs::read(crate::support::fixture("linux-unpacked/opt/Signal/resources/app.asar")).unwrap();
    for n in 0..40 {
        let path = tree.path().join(format!("home/alice/Downloads/copy{n}/resources/app.asar"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &archive).unwrap();
    }
    // One whose header claims to be larger than any.
    let mut huge = Vec::new();
    for number in [4_u32, 0x4000_0008, 0x4000_0004, 0x4000_0000] {
        huge.extend(number.to_le_bytes());
    }
    fs::create_dir_all(tree.path().join("opt/Signal/resources")).unwrap();
    let path = tree.path().join("opt/Signal/resources/app.asar");
    fs::write(&path, huge).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 31).unwrap();
    let found = scan(tree.path(), &Catalogue::built_in());
    let expected = "partial: /opt: a file is malformed; 1 home folder: too many entries";
    assert_eq!(health(&found, "unpacked"), expected);
}
