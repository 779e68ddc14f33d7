//! Which device a command looks at: this one, or a folder that stands for one.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use offchannel_shared::device::Platform;

use crate::platform::filesystem;
use crate::scan::host::Host;

/// What to look at.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// Folder that stands for the device's root: a mounted disk image, a chroot [default: this machine].
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The operating system that is in it: linux, macos or windows [default: what the folder looks like].
    #[arg(long, value_name = "NAME", value_parser = computer)]
    platform: Option<Platform>,
}

/// Why a device cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The root is not there, or closed.
    #[error("cannot look at --root {}", path.display())]
    Root {
        /// The root.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// Every source that has something to look at was refused.
    #[error("none of the places that exist here could be read; {0}")]
    Closed(&'static str),
}

impl PlaceArgs {
    /// The device.
    pub fn host(&self) -> Result<Host, PlaceError> {
        let live = self.root.is_none() && self.platform.is_none();
        let root = match &self.root {
            Some(root) => {
                let refused = |cause| PlaceError::Root { path: root.clone(), cause };
                let absolute = std::path::absolute(root).map_err(refused)?;
                std::fs::read_dir(&absolute).map_err(refused)?;
                // An explicit `/`, however it is written, is this machine too.
                Some(absolute.components().collect::<PathBuf>()).filter(|root| *root != filesystem::root())
            }
            None => None,
        };
        Ok(match root {
            Some(root) => {
                let platform = self.platform.unwrap_or_else(|| platform_of(&root));
                Host::at(root, platform)
            }
            None => {
                let host = Host::live();
                match self.platform {
                    Some(platform) if !live && platform != host.platform() => {
                        Host::at(host.root().to_path_buf(), platform)
                    }
                    _ => host,
                }
            }
        })
    }
}

/// The system that a folder holds, by a folder that no other has: a scan for the wrong one finds nothing, and
/// nobody should take that for a clean device.
fn platform_of(root: &Path) -> Platform {
    // Windows takes no notice of case, and images are written in any.
    let windows = ["Windows/System32", "WINDOWS/system32", "Windows/system32", "WINDOWS/System32"];
    let has = |folder: &str| root.join(folder).is_dir();
    match (windows.into_iter().any(has), has("System/Library/CoreServices")) {
        (true, _) => Platform::Windows,
        (false, true) => Platform::Macos,
        (false, false) => Platform::Linux,
    }
}

fn computer(text: &str) -> Result<Platform, String> {
    match text.parse() {
        Ok(platform @ (Platform::Linux | Platform::Macos | Platform::Windows)) => Ok(platform),
        Ok(Platform::Android | Platform::Ios) | Err(_) => Err("expected linux, macos or windows".to_owned()),
    }
}
