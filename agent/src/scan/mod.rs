//! Scanning: sources find artefacts, the catalogue recognises sightings.

mod any_case;
pub mod formats;
pub mod host;
mod host_macos;
mod kept;
pub mod look;
mod pseudonym;
mod registry;
pub mod scanner;

mod seekable;
mod seen;
pub mod source;
pub mod sources;
pub(crate) mod trouble;
mod user_dirs;
mod user_folders;
mod users;
