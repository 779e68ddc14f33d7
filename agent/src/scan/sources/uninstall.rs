//! Entries of the registry's `Uninstall` keys, of Windows and of Wine.
//!
//! Microsoft documents the values under "Uninstall Registry Key" (Windows Installer) and "ARP..." properties.
//! An entry that Windows hides (`SystemComponent`) still is an installed program, often the package inside of a
//! bundle that shows another name. One with a `ReleaseType` is an update of a program.

use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::{Namespace, is_chromium_id};

use super::drive::Drive;
use crate::scan::look::Look;
use crate::scan::registry::Key;

/// Most entries of one key; large installations have a thousand.
const ENTRIES_MAX: usize = 4096;

/// Where the entries are, under the key that programs call `Software`: those of programs for the system's own
/// word size, then those of 32 bits on a system of 64.
const KEYS: [&str; 2] = [
    r"Microsoft\Windows\CurrentVersion\Uninstall",
    r"WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
];

/// How Chromium's relatives mark the entry of a web app (`switches::kUninstallAppId` in
/// `chrome/common/chrome_switches.cc`).
const WEB_APP: &str = "--uninstall-app-id=";

/// Tells of all entries below `software`.
pub(super) fn read_entries(
    look: &mut Look<'_>,
    software: &Key<'_>,
    drive: &Drive,
    scope: &Scope,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    for key in KEYS {
        software.with(key, &mut |uninstall| {
            uninstall
                .each(ENTRIES_MAX, &mut |name, entry| read_entry(look, name, entry, drive, scope, found));
        });
    }
}

fn read_entry(
    look: &mut Look<'_>,
    key: &str,
    entry: &Key<'_>,
    drive: &Drive,
    scope: &Scope,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    if entry.text("ReleaseType").is_some_and(|kind| is_update(&kind)) {
        return;
    }
    let (name, winget) = (entry.text("DisplayName"), entry.text("WinGetPackageIdentifier"));
    if name.is_none() && winget.is_none() {
        return;
    }
    let command = entry.text("UninstallString");
    // The second is what winget has unpacked by itself.
    let [folder, target, image] =
        ["InstallLocation", "TargetFullPath", "DisplayIcon"].map(|name| entry.text(name));
    let image = image.as_deref().map(icon);
    let program = command.as_deref().and_then(program);
    let works = drive.has_any(look, &[folder.as_deref(), target.as_deref(), image, program]);
    let grade = if works { Grade::Installed } else { Grade::Residual };
    if let Some(id) = command.as_deref().and_then(web_app) {
        // Told here and not by the source of web apps, for no other place of theirs is in the registry.
        let grade = if works { Grade::WebApp } else { Grade::Residual };
        let id = format!("app-id:{id}");
        found(&Artefact { name: name.as_deref(), ..Artefact::new(Namespace::WebApp, &id, scope, grade) });
        return;
    }
    let (version, publisher) = (entry.text("DisplayVersion"), entry.text("Publisher"));
    let artefact = |namespace, identifier, also| {
        let more = Artefact::new(namespace, identifier, scope, grade);
        let (version, publisher) = (version.as_deref(), publisher.as_deref());
        Artefact { also, name: name.as_deref(), version, publisher, ..more }
    };
    if let Some(name) = &name {
        // A product code says what a program is. Any other name is one that its maker gave without care: the key
        // `Viber` may be that of what copies the chats of Viber.
        let code = Some(key).filter(|key| key.bytes().any(|byte| byte.is_ascii_digit()));
        found(&artefact(Namespace::WindowsUninstall, name, code));
    }
    if let Some(id) = &winget {
        found(&artefact(Namespace::Winget, id, None));
    }
}

/// `ReleaseType` of what is no program of its own; Windows lists it among the updates.
fn is_update(kind: &str) -> bool {
    ["Hotfix", "Security Update", "Service Pack", "Update", "Update Rollup"]
        .iter()
        .any(|update| kind.eq_ignore_ascii_case(update))
}

/// The id of the web app that a browser would remove.
fn web_app(command: &str) -> Option<&str> {
    let rest = command.split_once(WEB_APP)?.1.trim_start_matches('"');
    let id = rest.get(..32)?;
    let ends = rest.get(32..)?.chars().next().is_none_or(|c| c == '"' || c.is_whitespace());
    (ends && is_chromium_id(id)).then_some(id)
}

/// The program of a command line. Without quotes its end is where Windows would find it when it tries one
/// word more each time (`CreateProcess`): behind the first `.exe`.
fn program(command: &str) -> Option<&str> {
    if let Some(quoted) = command.strip_prefix('"') {
        return quoted.split_once('"').map(|(program, _)| program);
    }
    let lower = command.to_ascii_lowercase();
    let ends = lower.match_indices(".exe").map(|(at, end)| at + end.len());
    ends.filter_map(|end| command.split_at_checked(end))
        .find(|(_, rest)| rest.is_empty() || rest.starts_with(char::is_whitespace))
        .map(|(program, _)| program)
}

/// The file of an icon: `"C:\x\x.exe",-1`.
fn icon(text: &str) -> &str {
    let file = text.rsplit_once(',').filter(|(_, number)| {
        let number = number.trim();
        let digits = number.strip_prefix('-').unwrap_or(number);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    file.map_or(text, |(file, _)| file)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scan::any_case::on_drive;

    #[test]
    fn a_program_is_found_in_its_command_line() {
        for (command, expected) in [
            (r#""C:\Program Files\X\unins000.exe" /SILENT"#, Some("Program Files/X/unins000.exe")),
            (
                r"C:\Program Files (x86)\mIRC\uninstall.exe _?=C:\Program Files (x86)\mIRC",
                Some("Program Files (x86)/mIRC/uninstall.exe"),
            ),
            (r"c:\x.exe.d\Update.EXE --uninstall", Some("x.exe.d/Update.EXE")),
            (r"C:/a/b.exe", Some("a/b.exe")),
            (r"MsiExec.exe /X{23170F69-40C1-2702-2301-000001000000}", None),
            (r"C:\Windows\System32\rundll32.exe C:\x\y.dll,Uninstall", None),
            (r"%LocalAppData%\x\Update.exe", None),
            (r"D:\x\unins000.exe", None),
            (r"\\server\share\unins000.exe", None),
            (r"C:\x\..\y.exe", None),
            (r"winget uninstall --product-code x", None),
            ("\"C:\\x.exe", None),
            ("", None),
        ] {
            assert_eq!(
                program(command).and_then(|path| on_drive(path, 'C')).as_deref(),
                expected,
                "{command}"
            );
        }
    }

    #[test]
    fn folders_and_icons_are_paths_with_ornaments() {
        for (text, expected) in [
            (r"C:\Program Files\X\", Some("Program Files/X")),
            (r#""C:\Program Files\X\""#, Some("Program Files/X")),
            (r#""C:\X\x.exe",0"#, Some("X/x.exe")),
            (r"C:\X\x.exe,-101", Some("X/x.exe")),
            (r"C:\Smith, Jones\x.ico", Some("Smith, Jones/x.ico")),
            (r"C:\WINDOWS\Installer\{0}\icon.exe", None),
            (r"C:\", None),
            (r"C:\ \x", None),
            (r"C:x", None),
        ] {
            assert_eq!(on_drive(icon(text), 'C').as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_entry_of_a_web_app_names_it() {
        let id = "hnpfjngllnobngcgfapefoaidbinmjnm";
        let chrome = r#""C:\Program Files\Google\Chrome\Application\chrome.exe" --profile-directory=Default"#;
        assert_eq!(web_app(&format!("{chrome} --uninstall-app-id={id}")), Some(id));
        assert_eq!(web_app(&format!("{chrome} --uninstall-app-id={id} --x")), Some(id));
        for no in [
            format!("{chrome} --uninstall-app-id={id}a"),
            format!("{chrome} --uninstall"),
            format!("{chrome} --uninstall-app-id=x"),
        ] {
            assert_eq!(web_app(&no), None, "{no}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_leads_below_the_root(text: String) {
            let _ = (program(&text), web_app(&text));
            for path in [text.clone(), format!("C:\\{text}"), format!("{WEB_APP}{text}")] {
                let path = on_drive(icon(&path), 'C');
                prop_assert!(path.is_none_or(|path| path.split('/').all(|name| !name.is_empty() && name != "..")));
            }
        }
    }
}
