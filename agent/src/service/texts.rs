//! What is written into the files of the services. Pure: made and tested on every system.
//!
//! The texts are those of `packaging/`, so that a service is the same whoever installs it; only the program's path differs.

#[cfg(any(test, target_os = "linux", target_os = "macos"))]
use std::path::Path;

/// The unit of systemd.
#[cfg(any(test, target_os = "linux"))]
pub const UNIT: &str = "offchannel-agent.service";
/// The label of launchd's job.
#[cfg(any(test, target_os = "macos"))]
pub const LABEL: &str = "eu.offchannel.agent";
/// The service of Windows.
#[cfg(any(test, windows))]
pub const SERVICE: &str = "offchannel-agent";
/// Under which name the service's entries are in the log of the system: a source of the Event Log, a subsystem of the unified
/// log of macOS.
#[cfg(windows)]
pub const LOG_SOURCE: &str = "Offchannel Agent";
/// See above.
#[cfg(target_os = "macos")]
pub const LOG_SOURCE: &str = LABEL;

/// The unit as packages install it.
#[cfg(any(test, target_os = "linux"))]
const UNIT_TEXT: &str = include_str!("../../../packaging/linux/offchannel-agent.service");
/// The program's path in [`UNIT_TEXT`].
#[cfg(any(test, target_os = "linux"))]
pub const UNIT_PROGRAM: &str = "/usr/bin/offchannel-agent";
/// The account as packages make it.
#[cfg(target_os = "linux")]
pub const ACCOUNT_TEXT: &str = include_str!("../../../packaging/linux/offchannel-agent.sysusers");
/// The property list, for the program at [`PLIST_PROGRAM`].
#[cfg(any(test, target_os = "macos"))]
const PLIST_TEXT: &str = include_str!("../../../packaging/macos/eu.offchannel.agent.plist");
/// The program's path in [`PLIST_TEXT`].
#[cfg(any(test, target_os = "macos"))]
pub const PLIST_PROGRAM: &str = "/usr/local/bin/offchannel-agent";

/// The unit for the program at this path; `None` if the path has characters that mean something in a unit (systemd.syntax(7),
/// systemd.service(5)), or is none that starts at the root.
#[cfg(any(test, target_os = "linux"))]
pub fn unit(program: &Path) -> Option<String> {
    let path = program.to_str().filter(|path| {
        path.starts_with('/') && path.chars().all(|c| c.is_ascii_alphanumeric() || "/._+-".contains(c))
    })?;
    Some(UNIT_TEXT.replace(&exec_start(UNIT_PROGRAM), &exec_start(path)))
}

/// Whether a unit is that of this version, whatever the path of its program.
#[cfg(any(test, target_os = "linux"))]
pub fn is_unit(text: &str) -> bool {
    let program = text.lines().find_map(|line| line.strip_prefix("ExecStart=")?.strip_suffix(" run"));
    program.and_then(|program| unit(Path::new(program))).is_some_and(|unit| unit == text)
}

#[cfg(any(test, target_os = "linux"))]
fn exec_start(program: &str) -> String {
    format!("ExecStart={program} run\n")
}

/// The property list for the program at this path; `None` if the path is no UTF-8 or has characters that XML cannot hold.
#[cfg(any(test, target_os = "macos"))]
pub fn plist(program: &Path) -> Option<String> {
    let path =
        program.to_str().filter(|path| path.starts_with('/') && !path.chars().any(char::is_control))?;
    let path = path.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Some(PLIST_TEXT.replace(&string(PLIST_PROGRAM), &string(&path)))
}

/// Whether a property list is that of this version, whatever the path of its program.
#[cfg(any(test, target_os = "macos"))]
pub fn is_plist(text: &str) -> bool {
    let Some((before, after)) = PLIST_TEXT.split_once(&string(PLIST_PROGRAM)) else { return false };
    text.strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .and_then(|middle| middle.strip_prefix("<string>")?.strip_suffix("</string>"))
        .is_some_and(|path| !path.contains('<'))
}

#[cfg(any(test, target_os = "macos"))]
fn string(text: &str) -> String {
    format!("<string>{text}</string>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_a_package_is_that_of_its_program() {
        assert_eq!(unit(Path::new(UNIT_PROGRAM)).as_deref(), Some(UNIT_TEXT));
        assert_eq!(UNIT_TEXT.matches(UNIT_PROGRAM).count(), 1);
        assert_eq!(UNIT, format!("{SERVICE}.service"));
    }

    #[test]
    fn only_the_line_that_names_the_program_differs() {
        let other = unit(Path::new("/opt/offchannel-1.0/offchannel-agent")).unwrap();
        let lines = |text: &str| text.lines().map(ToOwned::to_owned).collect::<Vec<_>>();
        let differ: Vec<_> =
            lines(UNIT_TEXT).into_iter().zip(lines(&other)).filter(|(a, b)| a != b).collect();
        assert_eq!(
            differ,
            [(
                "ExecStart=/usr/bin/offchannel-agent run".to_owned(),
                "ExecStart=/opt/offchannel-1.0/offchannel-agent run".to_owned()
            )]
        );
        assert!(is_unit(&other) && is_unit(UNIT_TEXT));
        assert!(!is_unit(&other.replace("Restart=always", "Restart=no")) && !is_unit(""));
    }

    #[test]
    fn a_path_that_a_unit_would_read_as_something_else_is_refused() {
        for path in [
            "/opt/a b",
            "/opt/%h",
            "/opt/$HOME",
            "/opt/a\nExecStartPre=/bin/x",
            "/opt/\"x\"",
            "agent",
            "/opt/ü",
        ] {
            assert_eq!(unit(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn the_property_list_names_the_program_and_the_label() {
        assert_eq!(plist(Path::new(PLIST_PROGRAM)).as_deref(), Some(PLIST_TEXT));
        assert!(PLIST_TEXT.contains(&string(LABEL)));
        let other = plist(Path::new("/Applications/R&D <x>/agent")).unwrap();
        assert!(other.contains("\t\t<string>/Applications/R&amp;D &lt;x&gt;/agent</string>\n"), "{other}");
        assert!(is_plist(&other) && is_plist(PLIST_TEXT));
        assert!(!is_plist(&PLIST_TEXT.replace("<true/>", "<false/>")) && !is_plist(""));
        assert_eq!(plist(Path::new("/a\nb")), None);
        assert_eq!(plist(Path::new("agent")), None);
    }

    #[test]
    fn a_property_list_is_one() {
        // Nobody reads the standard error of a job, so it must write into the log of the system.
        assert!(PLIST_TEXT.contains("<string>run</string>\n\t\t<string>--as-service</string>\n\t</array>"));
        let texts = crate::plist::texts(PLIST_TEXT.as_bytes(), &[&["Label"], &["ProcessType"]]);
        assert_eq!(texts.unwrap(), [Some(LABEL.to_owned()), Some("Background".to_owned())]);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_for_a_path_is_recognised_and_only_one_program_is_started(path in "/[ -~ü]{0,40}") {
            if let Some(text) = unit(Path::new(&path)) {
                proptest::prop_assert!(is_unit(&text));
                proptest::prop_assert_eq!(text.matches("ExecStart=").count(), 1);
            }
            if let Some(text) = plist(Path::new(&path)) {
                proptest::prop_assert!(is_plist(&text), "{}", text);
            }
        }
    }
}
