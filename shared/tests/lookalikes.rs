//! Wrongly accusing a device is as bad as missing an app: lookalikes match nothing.

use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::namespace::Namespace;

const LOOKALIKES: &str = include_str!("../../tests/fixtures/lookalikes.tsv");

#[test]
fn no_lookalike_is_an_app() {
    let catalogue = Catalogue::built_in();
    let rows = LOOKALIKES.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut count = 0;
    let mut accused = Vec::new();
    for row in rows.filter(|row| !row.starts_with("namespace\t")) {
        let mut cells = row.split('\t');
        let namespace: Namespace = cells.next().unwrap().parse().unwrap();
        let identifier = cells.next().unwrap();
        // Web addresses are recorded with their scheme.
        let identifier = identifier.trim_start_matches("https://");
        if let Some(app) = catalogue.find(namespace, identifier, None) {
            accused.push(format!("{namespace} {identifier} is taken for {}", app.id));
        }
        count += 1;
    }
    assert!(count > 200, "only {count} lookalikes were read");
    assert_eq!(accused, Vec::<String>::new());
}

/// The apps that people name first, each by one identifier of every platform that it is on.
#[test]
fn the_apps_that_people_name_first_are_known() {
    let catalogue = Catalogue::built_in();
    for (namespace, identifier, app) in [
        (Namespace::MacosBundle, "net.whatsapp.WhatsApp", "whatsapp"),
        (Namespace::Msix, "5319275A.WhatsAppDesktop_cv1g1gvanyjgm", "whatsapp"),
        (Namespace::WebApp, "web.whatsapp.com", "whatsapp"),
        (Namespace::WebApp, "app-id:hnpfjngllnobngcgfapefoaidbinmjnm", "whatsapp"),
        (Namespace::Flatpak, "com.rtosta.zapzap", "zapzap"),
        (Namespace::Dpkg, "signal-desktop", "signal"),
        (Namespace::Dpkg, "telegram-desktop", "telegram"),
        (Namespace::Android, "com.facebook.orca", "messenger"),
        (Namespace::Android, "com.viber.voip", "viber"),
        (Namespace::Android, "com.tencent.mm", "wechat"),
        (Namespace::Android, "jp.naver.line.android", "line"),
        (Namespace::Android, "com.kakao.talk", "kakaotalk"),
        (Namespace::Flatpak, "com.discordapp.Discord", "discord"),
        (Namespace::Dpkg, "slack-desktop", "slack"),
        (Namespace::MacosBundle, "com.microsoft.teams2", "microsoft-teams"),
        (Namespace::MacosBundle, "us.zoom.xos", "zoom"),
        (Namespace::Android, "com.snapchat.android", "snapchat"),
        (Namespace::Android, "ch.threema.app", "threema"),
        (Namespace::Flatpak, "im.riot.Riot", "element"),
    ] {
        let found = catalogue.find(namespace, identifier, None).map(|found| found.id.to_string());
        assert_eq!(found.as_deref(), Some(app), "{namespace} {identifier}");
    }
}
