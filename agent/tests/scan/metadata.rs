//! Messengers that no entry of the catalogue lists, by what they say of themselves.

use crate::sources::expect;
use crate::support::{fixture, scan};
use offchannel_agent::scan::scanner::Scan;
use offchannel_shared::catalogue::Catalogue;

/// Source, identifier, name and version of each.
fn unlisted(scan: &Scan) -> Vec<(&str, &str, Option<&str>, Option<&str>)> {
    let all = scan.inventory.unlisted.iter();
    all.map(|one| (one.source.as_str(), one.identifier.as_str(), one.name.as_deref(), one.version.as_deref()))
        .collect()
}

#[test]
fn a_flatpak_is_a_messenger_by_its_entry_or_its_metainfo() {
    let catalogue = Catalogue::built_in();
    expect(
        "linux-flatpak-built",
        "flatpak",
        &catalogue,
        &[("kaidan", "im.kaidan.kaidan", "installed", "0.9.1", "alice")],
    );
    let found = scan(&fixture("linux-flatpak-built"), &catalogue);
    let mut rows = unlisted(&found);
    rows.retain(|(source, ..)| *source == "flatpak");
    let expected = [
        ("flatpak", "org.acme.Chat", Some("Acme Chat"), Some("1.4.2")),
        ("flatpak", "org.acme.Talk", Some("Acme Talk"), Some("2.0")),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_snap_is_a_messenger_by_the_entries_that_it_brings() {
    let found = scan(&fixture("linux-snap-built"), &Catalogue::built_in());
    assert_eq!(unlisted(&found), [("snap", "acme-chat", Some("Acme Chat"), Some("2.1"))]);
}
