//! The registry of the running Windows, with entries that this test makes in it.

use offchannel_agent::scan::host::Host;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::inventory::Scope;
use windows_registry::CURRENT_USER;

use crate::support::{health, scan_of};

/// An entry that no program has.
const KEY: &str = r"Software\Microsoft\Windows\CurrentVersion\Uninstall\offchannel-test";

/// A Store package, as Windows lists it in the user's other hive.
const PACKAGE: &str = r"Software\Classes\Local Settings\Software\Microsoft\Windows\CurrentVersion\AppModel\Repository\Packages\NAVER.LINEwin8_9.2.0.3403_x64__8ptj331gd3tyt";

#[test]
fn what_a_user_who_is_logged_in_has_installed_is_found() {
    let entry = CURRENT_USER.create(KEY).unwrap();
    entry.set_string("DisplayName", "Pidgin").unwrap();
    entry.set_u32("SystemComponent", 1).unwrap();
    entry.set_string("InstallLocation", r"C:\Program Files\no such program").unwrap();
    CURRENT_USER.create(PACKAGE).unwrap();
    let scan = scan_of(Host::live(), &Catalogue::built_in());
    CURRENT_USER.remove_tree(KEY).unwrap();
    CURRENT_USER.remove_tree(PACKAGE).unwrap();
    let found: Vec<_> = scan
        .inventory
        .sightings
        .iter()
        .filter(|sighting| matches!(sighting.scope, Scope::User(_)))
        .map(|sighting| (sighting.source.as_str(), sighting.identifier.as_str(), sighting.grade.as_str()))
        .collect();
    for expected in
        [("msix", "NAVER.LINEwin8_8ptj331gd3tyt", "installed"), ("windows-uninstall", "Pidgin", "residual")]
    {
        assert!(found.contains(&expected), "{expected:?} is not among {found:?}");
    }
    assert_eq!(health(&scan, "windows-uninstall"), "ok");
}

#[test]
fn the_system_says_what_it_is_called() {
    let facts = Host::live().facts();
    assert!(facts.os.contains("Windows "), "{}", facts.os);
    assert!(!facts.hostname.is_empty());
}
