//! Giving up rights for good: what this thread, and all that it starts, may still reach.
//!
//! On Linux this is Landlock (landlock(7)), which the kernel enforces from version 5.13 on, whoever the process is: a
//! path that no rule allows is refused as if permission were denied. It cannot be undone.

use std::path::PathBuf;

/// What may still be reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allowed {
    /// Folders and files that may be read, with all that is in them. Those that do not exist are passed over.
    pub read: Vec<PathBuf>,
    /// Folders in which files may be made, changed and removed as well.
    pub write: Vec<PathBuf>,
    /// Folders in which files may be read and removed.
    pub remove: Vec<PathBuf>,
}

/// How far the kernel goes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confined {
    /// Everything that was asked for is enforced.
    Fully,
    /// An older kernel enforces a part.
    Partly,
    /// It enforces nothing: it is too old, was built or started without, or is another system's.
    Not,
}

/// The rights could not be given up.
#[derive(Debug, thiserror::Error)]
#[error("cannot give up rights by Landlock")]
pub struct ConfineError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Gives up everything but this: to read other places, to write elsewhere, to start any program, to be reached at a
/// TCP port.
///
/// # Errors
/// What the kernel says, other than that it cannot do this.
#[cfg(target_os = "linux")]
pub fn confine(allowed: &Allowed) -> Result<Confined, ConfineError> {
    restrict(allowed).map_err(|error| ConfineError(error.into()))
}

#[cfg(target_os = "linux")]
fn restrict(allowed: &Allowed) -> Result<Confined, landlock::RulesetError> {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
        RulesetStatus, path_beneath_rules,
    };

    // The newest that was tested; what an older kernel lacks is left out by the crate.
    let abi = ABI::V5;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::from_all(abi) & !AccessFs::Execute;
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::BindTcp)?
        .create()?
        .add_rules(path_beneath_rules(&allowed.read, read))?
        .add_rules(path_beneath_rules(&allowed.write, write))?
        .add_rules(path_beneath_rules(&allowed.remove, read | AccessFs::RemoveFile))?
        .restrict_self()?;
    Ok(match restricted.ruleset {
        RulesetStatus::FullyEnforced => Confined::Fully,
        RulesetStatus::PartiallyEnforced => Confined::Partly,
        RulesetStatus::NotEnforced => Confined::Not,
    })
}

/// Other systems have nothing of the kind that a program could ask for by itself.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn confine(_allowed: &Allowed) -> Result<Confined, ConfineError> {
    Ok(Confined::Not)
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_not_allowed_is_refused_even_to_root() {
        use std::fs;
        use std::io::ErrorKind;

        use super::*;

        let place = tempfile::tempdir().unwrap();
        let [open, state, token, closed] =
            ["open", "state", "token", "closed"].map(|name| place.path().join(name));
        for folder in [&open, &state, &token, &closed] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("file"), "x").unwrap();
        }
        let allowed =
            Allowed { read: vec![open.clone()], write: vec![state.clone()], remove: vec![token.clone()] };
        // Of the thread alone: the other tests of this process go on.
        let confined = std::thread::spawn(move || {
            let confined = confine(&allowed).unwrap();
            if confined == Confined::Not {
                println!("SKIPPED: this kernel has no Landlock");
                return;
            }
            let kind = |result: std::io::Result<()>| result.map_err(|error| error.kind());
            let denied = Err(ErrorKind::PermissionDenied);
            assert_eq!(kind(fs::read(open.join("file")).map(drop)), Ok(()));
            assert_eq!(kind(fs::write(open.join("new"), "x")), denied);
            assert_eq!(kind(fs::write(state.join("new"), "x")), Ok(()));
            assert_eq!(kind(fs::rename(state.join("new"), state.join("file"))), Ok(()));
            assert_eq!(kind(fs::remove_file(state.join("file"))), Ok(()));
            assert_eq!(kind(fs::read(token.join("file")).map(drop)), Ok(()));
            assert_eq!(kind(fs::write(token.join("file"), "y")), denied);
            assert_eq!(kind(fs::remove_file(token.join("file"))), Ok(()));
            assert_eq!(kind(fs::read(closed.join("file")).map(drop)), denied);
            assert_eq!(kind(fs::read_dir(&closed).map(drop)), denied);
            assert_eq!(
                kind(fs::metadata(closed.join("file")).map(drop)),
                Ok(()),
                "that it is there can be asked"
            );
            let started = std::process::Command::new(std::env::current_exe().unwrap()).arg("--list").status();
            assert_eq!(kind(started.map(drop)), denied);
        });
        confined.join().unwrap();
    }
}
