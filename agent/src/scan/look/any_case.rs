//! Asking for names of Windows on a system that takes notice of case.

use std::path::Path;

use super::Look;
use crate::scan::trouble::Trouble;

impl Look<'_> {
    /// Whether there is something at this path below a folder (`a/b`), in any case; `true` also if that is not
    /// known.
    pub fn has_in_any_case(&mut self, folder: &Path, path: &str) -> bool {
        let mut dir = folder.to_owned();
        path.split('/').all(|part| {
            if self.has(&dir, part) {
                dir.push(part);
                return true;
            }
            let host = self.host();
            match self.real(&dir).and_then(|real| host.any_name_in_any_case(&real.join(part))) {
                Ok(Some(name)) => dir.push(name),
                Ok(None) => return false,
                Err(error) => self.trouble(Trouble::of(&error)),
            }
            true
        })
    }
}
