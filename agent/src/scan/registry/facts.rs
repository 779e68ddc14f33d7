//! What a Windows image says of itself and its users.

use super::{Key, machine};
use crate::scan::look::Look;

/// Most profiles of users.
const PROFILES_MAX: usize = 4096;

/// The first build of Windows 11, which still calls itself Windows 10 here (Microsoft, "Windows 11 release
/// information").
const WINDOWS_11: u32 = 22_000;

/// The version of the installed system.
const VERSION: &str = r"Microsoft\Windows NT\CurrentVersion";

/// The name of the system with its version, `Windows 11 Pro 24H2`.
pub(in crate::scan) fn os_name(look: &mut Look<'_>) -> Option<String> {
    let mut name = None;
    machine(look, "SOFTWARE", &mut |_, software| {
        software.with(VERSION, &mut |version| name = os_name_of(version));
    });
    name
}

fn os_name_of(version: &Key<'_>) -> Option<String> {
    let mut name = version.text("ProductName")?;
    let build = version.text("CurrentBuildNumber").and_then(|build| build.parse().ok()).unwrap_or(0);
    if build >= WINDOWS_11
        && let Some(edition) = name.strip_prefix("Windows 10")
    {
        name = format!("Windows 11{edition}");
    }
    // `ReleaseId` until 2020, and `DisplayVersion` since.
    let release = version.text("DisplayVersion").or_else(|| version.text("ReleaseId"));
    Some(release.map_or(name.clone(), |release| format!("{name} {release}")))
}

/// The id that the system's setup gave it.
pub(in crate::scan) fn machine_id(look: &mut Look<'_>) -> Option<String> {
    let mut id = None;
    machine(look, "SOFTWARE", &mut |_, software| {
        software.with(r"Microsoft\Cryptography", &mut |key| id = key.text("MachineGuid"));
    });
    id
}

/// The name of the computer, in the set of controls that it started with last.
pub(in crate::scan) fn host_name(look: &mut Look<'_>) -> Option<String> {
    let mut name = None;
    machine(look, "SYSTEM", &mut |_, system| {
        let mut current = 1;
        system.with("Select", &mut |select| current = select.number("Current").unwrap_or(1));
        let path = format!(r"ControlSet{current:03}\Control\ComputerName\ComputerName");
        system.with(&path, &mut |key| name = key.text("ComputerName"));
    });
    name
}

/// The security identifiers of people, each with the path of that person's home.
pub(in crate::scan) fn profiles(look: &mut Look<'_>) -> Vec<(String, String)> {
    let mut profiles = Vec::new();
    let drive = look.host().drive();
    machine(look, "SOFTWARE", &mut |_, software| {
        software.with(&format!(r"{VERSION}\ProfileList"), &mut |list| {
            list.each(PROFILES_MAX, &mut |sid, profile| {
                if is_of_person(sid) {
                    let path = profile.text("ProfileImagePath").map(|path| on_system_drive(&path, drive));
                    profiles.extend(path.map(|path| (sid.to_owned(), path)));
                }
            });
        });
    });
    profiles
}

/// Whether this is the identifier of an account of a machine, a domain or Entra ID. Services have others, and
/// Windows adds `.bak` to that of a profile which it could not load.
fn is_of_person(sid: &str) -> bool {
    let rest = sid.strip_prefix("S-1-5-21-").or_else(|| sid.strip_prefix("S-1-12-1-"));
    rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'))
}

/// A path with the letter of the system's drive in place of the variable that stands for it.
fn on_system_drive(path: &str, drive: char) -> String {
    const VARIABLE: &str = "%SystemDrive%";
    let rest =
        path.split_at_checked(VARIABLE.len()).filter(|(start, _)| start.eq_ignore_ascii_case(VARIABLE));
    rest.map_or_else(|| path.to_owned(), |(_, rest)| format!("{drive}:{rest}"))
}

#[cfg(test)]
mod tests {
    use offchannel_shared::device::Platform;

    use super::*;
    use crate::scan::host::Host;

    #[test]
    fn an_image_says_what_it_is_and_whose() {
        let homes = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/homes");
        let host = Host::at(format!("{homes}/windows-msix").into(), Platform::Windows);
        let facts = host.facts();
        assert_eq!((facts.os.as_str(), facts.hostname.as_str()), ("Windows 11 Pro 24H2", "DESKTOP-4QJ7M2K"));
        let mut look = Look::new(&host, &[]);
        assert_eq!(machine_id(&mut look).as_deref(), Some("5f4cd6d1-3d1c-4c3b-8b36-0a1c2a5a9f11"));
        let sid = "S-1-5-21-1004336348-1177238915-682003330-1001";
        assert_eq!(profiles(&mut look), [(sid.to_owned(), r"C:\Users\alice".to_owned())]);
        let users = host.users();
        let sids: Vec<_> = users.iter().map(|user| (user.name.as_str(), user.sid.as_deref())).collect();
        assert_eq!(sids, [("alice", Some(sid)), ("bob", None)]);
        assert_eq!(Look::new(&host, &users).scope_of_sid(sid), users[0].scope);
    }

    #[test]
    fn only_accounts_of_people_are_taken_and_the_system_s_drive_has_its_letter() {
        for (sid, expected) in [
            ("S-1-5-21-1004336348-1177238915-682003330-1001", true),
            ("S-1-12-1-1-2-3-4", true),
            ("S-1-5-21-1004336348-1177238915-682003330-1001.bak", false),
            ("S-1-5-18", false),
            ("x", false),
        ] {
            assert_eq!(is_of_person(sid), expected, "{sid}");
        }
        assert_eq!(on_system_drive(r"%systemdrive%\Users\alice", 'D'), r"D:\Users\alice");
        assert_eq!(on_system_drive(r"C:\x", 'D'), r"C:\x");
    }
}
