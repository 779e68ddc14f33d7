//! What leaves the device, and what the agent opens to know it: taken from the wire and from the kernel, not from
//! what the agent says of itself.

#[cfg(target_os = "linux")]
use std::collections::BTreeSet;
#[cfg(target_os = "linux")]
use std::path::Path;

#[cfg(target_os = "linux")]
use crate::support::{Call, can_trace, is_of_the_agent, trace_of};
use crate::support::{Collector, Device, bundle, signing_key};
use offchannel_shared::wire::CHECK_IN_PATH;

/// A policy that asks about one app.
pub(crate) const RULE: &str = r#"unreviewed = "ignore"
[[rule]]
id = "no-telegram"
verdict = "prohibited"
apps = ["telegram"]
severity = "high"
grades = ["installed", "running", "web-app", "extension"]
reason = "We cannot meet our duties."
"#;

/// What lies on a device and is nobody's business: it is there, and the policy does not ask about it.
const PACKAGES: [&str; 4] = ["signal-desktop", "discord", "hexchat", "firefox-esr"];

/// What people have in their homes: files that no source has any reason to open.
pub(crate) const PRIVATE: [&str; 14] = [
    "Documents/letter.txt",
    "Documents/Telegram/export.json",
    ".ssh/id_ed25519",
    ".bash_history",
    ".config/google-chrome/Default/History",
    ".config/google-chrome/Default/Cookies",
    ".config/google-chrome/Default/Login Data",
    ".config/google-chrome/Default/Preferences",
    ".config/Signal/sql/db.sqlite",
    ".config/Signal/config.json",
    ".local/share/TelegramDesktop/tdata/key_datas",
    ".mozilla/firefox/abc.default/places.sqlite",
    ".mozilla/firefox/abc.default/cookies.sqlite",
    ".thunderbird/abc.default/Mail/Inbox",
];

pub(crate) fn write(device: &Device, path: &str, text: &str) {
    let path = device.path(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A device with two users, some messengers, and a life.
fn lived_in(collector: &Collector) -> Device {
    let device = Device::new(collector);
    let passwd =
        "root:x:0:0:root:/root:/bin/bash\nwinifred:x:1000:1000:Winifred Price:/home/winifred:/bin/bash\n";
    write(&device, "root/etc/passwd", passwd);
    write(&device, "root/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    for private in PRIVATE {
        write(&device, &format!("root/home/winifred/{private}"), "a secret of winifred's");
    }
    let profile = "root/home/winifred/.mozilla/firefox/abc.default";
    write(
        &device,
        "root/home/winifred/.mozilla/firefox/profiles.ini",
        "[Profile0]\nPath=abc.default\nIsRelative=1\n",
    );
    write(&device, &format!("{profile}/extensions.json"), r#"{"schemaVersion":37,"addons":[]}"#);
    let extension =
        "root/home/winifred/.config/google-chrome/Default/Extensions/cjpalhdlnbpafiamejdnhcphjbkeiagm/1.0_0";
    write(&device, &format!("{extension}/manifest.json"), r#"{"name":"uBlock","version":"1.0"}"#);
    let entry =
        "[Desktop Entry]\nType=Application\nName=HexChat\nExec=hexchat\nCategories=Network;IRCClient;\n";
    write(&device, "root/home/winifred/.local/share/applications/hexchat.desktop", entry);
    let packages: Vec<&str> = PACKAGES.into_iter().chain(["telegram-desktop"]).collect();
    device.install(&packages);
    device
}

#[test]
fn nothing_that_the_policy_does_not_ask_about_goes_over_the_wire() {
    let collector = Collector::start();
    collector.publish(bundle(1, RULE, &signing_key()));
    let device = lived_in(&collector);
    let agent = device.run();
    collector.wait_for_apps(&["telegram"]);
    // A change of what is not asked about is no change.
    device.install(&["telegram-desktop", "signal-desktop"]);
    let so_far = collector.wait_for("what was said", |told| Some(told.paths.len()));
    let check_in = |paths: &[String]| paths.iter().skip(so_far).any(|path| path == CHECK_IN_PATH);
    collector.wait_for("a check-in", |told| check_in(&told.paths).then_some(()));
    agent.stop();
    let said = collector.wait_for("a goodbye", |told| (!told.goodbyes.is_empty()).then(|| told.said.clone()));
    let (reports, rest): (Vec<&String>, Vec<&String>) =
        said.iter().partition(|said| said.starts_with("POST /agent/v1/report"));
    assert_eq!(reports.len(), 1, "{reports:#?}");
    assert!(reports[0].contains("telegram-desktop") && rest.len() >= 3, "{said:#?}");
    let unasked = [
        "signal",
        "discord",
        "hexchat",
        "firefox-esr",
        "libc6",
        "ublock",
        "cjpalhdlnbpafiamejdnhcphjbkeiagm",
    ];
    let personal = ["winifred", "price", "/home", "letter.txt", "0123456789abcdef0123456789abcdef"];
    for said in &said {
        let said = said.to_lowercase();
        // The sources themselves are named, with their health.
        let said = said.replace("\"source\":\"firefox-extension\"", "");
        for word in unasked.iter().chain(&personal) {
            assert!(!said.contains(word), "{word} in {said}");
        }
    }
}

#[test]
fn what_explain_shows_is_what_went_over_the_wire() {
    let collector = Collector::start();
    let device = lived_in(&collector);
    let agent = device.run();
    let said = collector.wait_for("a report", |told| {
        told.said.iter().rev().find(|said| said.starts_with("POST /agent/v1/report")).cloned()
    });
    agent.stop();
    let (_, body) = said.split_once("} {").unwrap();
    let sent: serde_json::Value = serde_json::from_str(&format!("{{{body}")).unwrap();
    assert_eq!(device.json("explain")["last_sent"]["report"], sent);
}

/// What is opened in the tree of [`lived_in`], and by which source: the places of `docs/detection.md` that are there.
#[cfg(target_os = "linux")]
const PLACES: [&str; 6] = [
    // What the device says of itself, and who has a home on it.
    "etc/hostname",
    "etc/machine-id",
    "etc/passwd",
    // desktop-entry, firefox-extension, dpkg.
    "home/winifred/.local/share/applications/hexchat.desktop",
    "home/winifred/.mozilla/firefox/abc.default/extensions.json",
    "var/lib/dpkg/status",
];

#[cfg(target_os = "linux")]
#[test]
fn no_file_is_opened_but_those_of_the_documented_places() {
    if !can_trace() {
        return;
    }
    let collector = Collector::start();
    let device = lived_in(&collector);
    let agent = device.run_traced(&[]);
    collector.wait_for("check-ins with nothing to tell", |told| {
        (told.paths.iter().filter(|path| *path == CHECK_IN_PATH).count() >= 3).then_some(())
    });
    device.install(&["signal-desktop"]);
    collector.wait_for_apps(&["signal"]);
    agent.stop_traced();

    let text = trace_of(&device);
    let calls: Vec<Call<'_>> = text.lines().map(Call).collect();
    let (root, state) = (device.path("root"), device.path("state"));
    let inside = |path: &str, folder: &Path| Path::new(path).starts_with(folder);
    let started = calls.iter().filter(|call| call.0.contains("exec")).count();
    assert_eq!(started, 1, "the agent itself, and nothing that it started");
    let mut places = BTreeSet::new();
    for call in &calls {
        let Some(path) = call.opened() else { continue };
        if call.writes() {
            assert!(inside(path, &state) || path == "/dev/null", "it writes to {path}: {}", call.0);
        }
        if let Ok(place) = Path::new(path).strip_prefix(&root) {
            let folder = if call.is_folder() { "/" } else { "" };
            places.insert(format!("{}{folder}", place.display()));
        } else {
            assert!(is_of_the_agent(path, &device), "{}", call.0);
        }
    }
    let files: Vec<&str> = places.iter().map(String::as_str).filter(|place| !place.ends_with('/')).collect();
    assert_eq!(files, PLACES, "{places:#?}");
}

/// A program of another name.
#[cfg(target_os = "linux")]
struct Disguised(std::process::Child);

#[cfg(target_os = "linux")]
impl Drop for Disguised {
    fn drop(&mut self) {
        // Fails where it has ended, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_agent_that_gave_up_its_rights_still_sees_which_programs_run() {
    let collector = Collector::start();
    collector.publish(bundle(1, RULE, &signing_key()));
    let device = Device::new(&collector);
    device.configure_for_this_machine(&collector.url());
    let program = device.path("telegram-desktop");
    std::fs::copy("/bin/sleep", &program).unwrap();
    // Another test that starts a program at this moment may hold the copy open for writing until it has.
    let start = || match std::process::Command::new(&program).arg("1000").spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
            std::thread::yield_now();
            None
        }
        started => Some(started.unwrap()),
    };
    let _running = Disguised(std::iter::repeat_with(start).take(1_000_000).flatten().next().unwrap());
    let agent = device.run();
    collector.wait_for("a program that runs", |told| {
        // Known by its file, for the kernel's name of a process is one character shorter.
        let sightings = &told.reports.last()?.inventory.sightings;
        sightings.iter().find(|s| s.source == "processes" && s.identifier == "telegram-desktop").map(|_| ())
    });
    // No program that is started may ever have more rights: the first half of what Landlock asks for (prctl(2)).
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
}
