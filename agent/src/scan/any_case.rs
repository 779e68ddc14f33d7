//! Names that differ only in case: Windows takes no notice of it, the system that an image is mounted on may,
//! and so does the one that Wine runs on.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// Most entries of one folder among which a name is looked for; `System32` has some thousands.
const FOLDER_MAX: usize = 65_536;

/// Most names that are kept during one look; they take some 15 MB.
const NAMES_MAX: usize = 131_072;

/// Most folders whose names are kept.
const FOLDERS_MAX: usize = 16_384;

/// Deepest path of Windows that is followed.
const DEPTH_MAX: usize = 16;

/// The names in the folders that were looked into, so that each is listed once.
#[derive(Debug, Default)]
pub(super) struct Names {
    folders: BTreeMap<OsString, Folder>,
    count: usize,
}

#[derive(Debug)]
struct Folder {
    names: BTreeMap<String, OsString>,
    is_whole: bool,
}

impl Names {
    /// The name in the same folder that differs from this path's only in case.
    ///
    /// # Errors
    /// `QuotaExceeded` if there are more names than are looked at.
    pub(super) fn find(&mut self, path: &Path) -> io::Result<Option<OsString>> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return Ok(None);
        };
        if !self.folders.contains_key(dir.as_os_str()) {
            let Ok(listing) = std::fs::read_dir(dir) else { return Ok(None) };
            let limit = NAMES_MAX.saturating_sub(self.count).min(FOLDER_MAX);
            if limit == 0 || self.folders.len() >= FOLDERS_MAX {
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
            let mut folder = Folder { names: BTreeMap::new(), is_whole: true };
            for (count, entry) in listing.enumerate() {
                if count >= limit {
                    folder.is_whole = false;
                    break;
                }
                let Ok(entry) = entry else { continue };
                let name = entry.file_name();
                if let Some(key) = name.to_str().map(folded) {
                    folder.names.insert(key, name);
                }
            }
            self.count = self.count.saturating_add(folder.names.len());
            self.folders.insert(dir.as_os_str().to_owned(), folder);
        }
        let Some(folder) = self.folders.get(dir.as_os_str()) else { return Ok(None) };
        match folder.names.get(&folded(name)) {
            Some(name) => Ok(Some(name.clone())),
            None if folder.is_whole => Ok(None),
            None => Err(io::ErrorKind::QuotaExceeded.into()),
        }
    }
}

/// A name without its case.
pub(super) fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

/// The path below the root of this drive, with `/` between its names. `None` for what cannot be looked for
/// or proves nothing: other drives, the network, variables, a way upwards, the root itself, and all of Windows,
/// where the icons and the programs lie that serve every uninstallation.
pub(super) fn on_drive(text: &str, drive: char) -> Option<String> {
    let text = text.trim().trim_matches('"').trim();
    let rest = text.strip_prefix(|letter: char| letter.eq_ignore_ascii_case(&drive))?;
    let rest = rest.strip_prefix(':')?.strip_prefix(['\\', '/'])?;
    let mut names = Vec::new();
    for name in rest.split(['\\', '/']).filter(|name| !name.is_empty() && *name != ".") {
        if name == ".." || name.contains(['%', ':', '*', '?', '"', '<', '>', '|', '\0']) {
            return None;
        }
        // Windows takes no notice of dots and spaces at the end.
        let name = name.trim_end_matches(['.', ' ']);
        if name.is_empty() || names.len() >= DEPTH_MAX {
            return None;
        }
        names.push(name);
    }
    let first = names.first()?;
    (!first.eq_ignore_ascii_case("Windows")).then(|| names.join("/"))
}

/// Whether a name may be the one of 8 and 3 characters that Windows made for a longer one: `PROGRA~1`. Only its file
/// system knows which.
pub(super) fn is_short(name: &str) -> bool {
    let (stem, end) = name.split_once('.').unwrap_or((name, ""));
    let number = stem.rsplit_once('~').map(|(_, number)| number);
    let is_number = |number: &str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    stem.len() <= 8 && end.len() <= 3 && number.is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_found_in_any_case_and_a_folder_is_listed_once() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Chrome_Proxy.exe"), "").unwrap();
        let mut names = Names::default();
        let mut find = |name: &str| names.find(&dir.path().join(name)).unwrap();
        assert_eq!(find("chrome_proxy.EXE"), Some("Chrome_Proxy.exe".into()));
        std::fs::write(dir.path().join("other"), "").unwrap();
        assert_eq!(find("OTHER"), None);
        assert_eq!(find("missing/x"), None);
    }

    #[test]
    fn what_lies_beyond_the_bound_is_said_and_not_called_missing() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let mut names = Names { count: NAMES_MAX - 2, ..Names::default() };
        let error = names.find(&dir.path().join("x")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        let mut names = Names { count: NAMES_MAX, ..Names::default() };
        assert_eq!(names.find(&dir.path().join("A")).unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
    }

    #[test]
    fn only_a_full_path_on_the_drive_that_proves_something_is_taken() {
        for (text, drive, expected) in [
            (r"d:\X", 'D', Some("X")),
            (r"C:\X", 'D', None),
            (r"C:\A~B\x~y.exe", 'C', Some("A~B/x~y.exe")),
            (r"C:\WINDOWS\x.exe", 'C', None),
            (r"C:\1\2\3\4\5\6\7\8\9\10\11\12\13\14\15\16\17", 'C', None),
        ] {
            assert_eq!(on_drive(text, drive).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn short_names_are_told_from_others() {
        assert!(["PROGRA~1", "SIGNA~12.EXE", "X~1.E"].iter().all(|name| is_short(name)));
        assert!(
            ["A~B", "x~y.exe", "telegram~1.exe", "x~1.json", "x~", ""].iter().all(|name| !is_short(name))
        );
    }

    proptest! {
        #[test]
        fn any_path_leads_below_the_root(text: String) {
            for path in [text.clone(), format!("C:\\{text}")] {
                let path = on_drive(&path, 'C');
                prop_assert!(path.is_none_or(|path| path.split('/').all(|name| !name.is_empty() && name != "..")));
            }
        }
    }
}
