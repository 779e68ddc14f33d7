//! What a source is: it knows a kind of place and its formats, and nothing of apps.

use std::fmt::Debug;
use std::path::PathBuf;

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::Artefact;

use super::host::Host;
use super::look::Look;

/// One kind of place where apps leave traces.
///
/// A source looks at the device through a [`Look`] only. That notes what was read, so that an
/// unchanged place is not read again, and what could not be read, which becomes the source's health.
pub trait Source: Debug + Sync {
    /// The name in reports and on the command line; lower case, words joined by hyphens.
    fn id(&self) -> &'static str;

    /// What places these are, in one line for people.
    fn about(&self) -> &'static str;

    /// Where this source can find anything.
    fn platforms(&self) -> &'static [Platform];

    /// Folders in which a change may concern this source, existing or not. Not watched recursively.
    fn watch(&self, host: &Host) -> Vec<PathBuf>;

    /// Tells `found` of everything that is there. Nothing is copied for an artefact.
    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>));
}
