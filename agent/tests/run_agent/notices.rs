//! What appears on a desktop, by a real notification service: once, in the policy's words, and nothing of others.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use crate::support::{Collector, Desktop, Device, Running, bundle, signing_key};

const RULES: &str = r#"
[notice]
languages = ["en", "cy"]
title.en = "A message from IT"
title.cy = "Neges gan yr adran TG"
[[rule]]
id = "no-consumer-messaging"
verdict = "prohibited"
kinds = ["consumer"]
severity = "critical"
reason = "Duties."
notice.en = """
<b>R&D</b> may not use it.
Nor may others."""
notice.cy = "Ni chaniateir ef."
alternatives = ["microsoft-teams"]
[[rule]]
id = "no-words"
verdict = "required"
apps = ["element"]
"#;

/// A device whose agent has reported Telegram, and Signal in alice's home.
struct Prepared {
    device: Device,
    collector: Collector,
    _agent: Running,
}

impl Prepared {
    fn new() -> Self {
        let collector = Collector::start();
        collector.publish(bundle(1, RULES, &signing_key()));
        let device = Device::new(&collector);
        let own = rustix::process::getuid().as_raw();
        let passwd =
            format!("alice:x:61001:61001::/home/alice:/bin/sh\nme:x:{own}:{own}::/home/me:/bin/sh\n");
        std::fs::write(device.path("root/etc/passwd"), passwd).unwrap();
        std::fs::create_dir_all(device.path("root/home/me/.local/share/applications")).unwrap();
        std::fs::create_dir_all(device.path("root/bin")).unwrap();
        Self::install_for(&device, "alice", "signal-desktop");
        let agent = device.run();
        let prepared = Self { device, collector, _agent: agent };
        prepared.report(&["telegram-desktop"], &["signal", "telegram"]);
        prepared
    }

    /// Has a menu entry in a user's home, and the program that it starts.
    fn install_for(device: &Device, user: &str, app: &str) {
        let entries = device.path("root/home").join(user).join(".local/share/applications");
        std::fs::create_dir_all(&entries).unwrap();
        let program = device.path("root/bin").join(app);
        std::fs::write(&program, "").unwrap();
        std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
        let entry = format!("[Desktop Entry]\nType=Application\nName={app}\nExec=/bin/{app}\n");
        std::fs::write(entries.join(format!("{app}.desktop")), entry).unwrap();
    }

    /// Has the agent report what is there from now on.
    fn report(&self, packages: &[&str], apps: &[&str]) {
        self.device.install(packages);
        self.collector.wait_for_apps(apps);
    }

    /// Has another policy in force.
    fn publish(&self, version: u64, rules: &str) {
        self.collector.publish(bundle(version, rules, &signing_key()));
        self.collector
            .wait_for("the policy", |told| (told.reports.last()?.policy_version == version).then_some(()));
    }

    fn notice(&self, desktop: &Desktop, lang: &str) -> Output {
        desktop.enter(&mut self.device.command("notice")).env("LANG", lang).output().unwrap()
    }

    #[track_caller]
    fn says(&self, desktop: &Desktop, lang: &str) -> String {
        let output = self.notice(desktop, lang);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The number that the service gave a notice.
fn id(shown: &str) -> &str {
    shown.lines().find_map(|line| line.trim().strip_prefix("id: ")).unwrap()
}

#[test]
fn a_notice_is_shown_once_for_a_finding_and_text_and_a_new_text_takes_its_place() {
    let Some(desktop) = Desktop::with_dunst() else { return };
    let prepared = Prepared::new();
    assert_eq!(prepared.says(&desktop, "en_GB.UTF-8"), "Shown: Telegram\n");
    let first = desktop.shown();
    for part in [
        "appname: 'Offchannel'",
        "summary: 'A message from IT'",
        "body: 'Telegram is prohibited.\n&lt;b&gt;R&amp;D&lt;/b&gt; may not use it.\nNor may others.\nRemove Telegram. Use Microsoft Teams instead.\nTo ask for an exception: code ",
        "urgency: CRITICAL",
    ] {
        assert!(first.contains(part), "{part:?} not in {first}");
    }
    // Also in another language it is the same text of the policy.
    for lang in ["en_GB.UTF-8", "cy_GB.UTF-8"] {
        assert_eq!(prepared.says(&desktop, lang), "Nothing new to show; shown before: 1.\n");
    }

    prepared.publish(2, &RULES.replace("Ni chaniateir ef.", "Ni chaniateir ef yma."));
    assert_eq!(prepared.says(&desktop, "cy_GB.UTF-8"), "Shown: Telegram\n");
    let second = desktop.shown();
    assert_eq!(id(&second), id(&first), "the old one stays beside the new one: {second}");
    for part in [
        "summary: 'Neges gan yr adran TG'",
        "body: 'Mae Telegram wedi'i wahardd.\nNi chaniateir ef yma.\nDilëwch Telegram.",
    ] {
        assert!(second.contains(part), "{part:?} not in {second}");
    }

    // A finding that ended and comes back is another one.
    prepared.report(&[], &["signal"]);
    assert_eq!(prepared.says(&desktop, "cy_GB.UTF-8"), "Nothing new to show; shown before: 0.\n");
    prepared.report(&["telegram-desktop"], &["signal", "telegram"]);
    assert_eq!(prepared.says(&desktop, "cy_GB.UTF-8"), "Shown: Telegram\n");
    assert!(desktop.shown().contains("Ni chaniateir ef yma."));
    assert!(!desktop.has_more(), "what has no notice, or is in another's home, was shown");
}

#[test]
fn what_is_in_one_s_own_home_is_shown_and_what_is_in_another_s_is_not() {
    let Some(desktop) = Desktop::with_dunst() else { return };
    let prepared = Prepared::new();
    Prepared::install_for(&prepared.device, "me", "whatsapp");
    prepared.report(&[], &["signal", "whatsapp"]);
    assert_eq!(prepared.says(&desktop, "C"), "Shown: WhatsApp\n");
    assert!(desktop.shown().contains("body: 'WhatsApp is prohibited.\n"));
    assert!(!desktop.has_more());
}

#[test]
fn all_languages_are_shown_where_the_policy_wants_it() {
    let Some(desktop) = Desktop::with_dunst() else { return };
    let prepared = Prepared::new();
    prepared.publish(2, &RULES.replace("[notice]", "[notice]\nshow = \"all\""));
    prepared.says(&desktop, "cy_GB.UTF-8");
    let shown = desktop.shown();
    let both = "summary: 'Neges gan yr adran TG / A message from IT'";
    assert!(shown.contains(both), "{shown}");
    let (welsh, english) = (
        shown.find("Mae Telegram wedi'i wahardd.\nNi chaniateir ef.\n"),
        shown.find("Telegram is prohibited.\n"),
    );
    assert!(welsh.is_some() && welsh < english, "{shown}");
}

#[test]
fn without_a_bus_or_a_service_it_fails_and_says_so_and_nothing_counts_as_shown() {
    let Some(desktop) = Desktop::without_service() else { return };
    let prepared = Prepared::new();
    let output = prepared.notice(&desktop, "C");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no notification service runs in this session, and none can be started"), "{said}");
    let output =
        prepared.device.command("notice").env_clear().env("XDG_STATE_HOME", desktop.path("state")).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("there is no session bus here"), "{said}");
    let output = prepared.device.command("notice").env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("neither XDG_STATE_HOME nor HOME is set"));
    assert!(!desktop.path("state/offchannel/notices.json").exists());
    // A policy that wants none is no failure, and asks no bus.
    prepared.publish(2, &RULES.replace("[notice]", "[notice]\ndesktop = false"));
    assert_eq!(
        prepared.says(&desktop, "C"),
        "Nothing is shown: the policy wants no notices on the desktop.\n"
    );
}

#[test]
fn a_damaged_memory_is_kept_aside_and_said() {
    let Some(desktop) = Desktop::with_dunst() else { return };
    let prepared = Prepared::new();
    prepared.says(&desktop, "C");
    desktop.shown();
    let file = desktop.path("state/offchannel/notices.json");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let said = prepared.says(&desktop, "C");
    assert!(said.contains("is kept as notices.json.damaged-1") && said.contains("Shown: Telegram"), "{said}");
    desktop.shown();
    assert_eq!(prepared.says(&desktop, "C"), "Nothing new to show; shown before: 1.\n");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}
