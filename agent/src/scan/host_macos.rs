//! What an image of macOS says of itself.

use std::path::Path;

use super::look::Look;
use crate::plist::texts;

/// Largest of these files that is read; network settings of a Mac that has seen many have 100 kB.
const FILE_MAX: u64 = 1024 * 1024;

/// The name and version of the system, as in `macOS 15.6`; empty if it does not say.
pub(super) fn os_name(look: &mut Look<'_>) -> String {
    let file = look.system("/System/Library/CoreServices/SystemVersion.plist");
    let [name, version] = read(look, &file, &[&["ProductName"], &["ProductVersion"]]);
    [name, version].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The computer's name (scutil(8), `LocalHostName` before `ComputerName`); empty if it has none.
pub(super) fn host_name(look: &mut Look<'_>) -> String {
    let file = look.system("/Library/Preferences/SystemConfiguration/preferences.plist");
    let local: &[&str] = &["System", "Network", "HostNames", "LocalHostName"];
    let [local, computer] = read(look, &file, &[local, &["System", "System", "ComputerName"]]);
    local.or(computer).unwrap_or_default()
}

fn read<const N: usize>(look: &mut Look<'_>, file: &Path, keys: &[&[&str]; N]) -> [Option<String>; N] {
    let bytes = look.read(file, FILE_MAX).unwrap_or_default();
    texts(&bytes, keys).unwrap_or([const { None }; N])
}
