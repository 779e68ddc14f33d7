//! Looking at programs that run, and at no more of them than an app may go by.

use std::path::Path;

use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::namespace::Namespace;

use super::Look;
use crate::platform::processes::{Known, Process, ProcessesError, running};

/// The identifiers that apps go by, for a source that has much to ask about an artefact of which nobody wants to know.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a>(Option<&'a Catalogue>);

impl Names<'_> {
    /// Whether an artefact of which no more is known than this may be an app.
    pub fn has(self, namespace: Namespace, identifier: &str) -> bool {
        self.0.is_none_or(|catalogue| catalogue.find(namespace, identifier, None).is_some())
    }
}

impl<'a> Look<'a> {
    /// The same, for these apps, where that was known of the processes at the look before.
    pub(in crate::scan) fn with_apps(mut self, catalogue: &'a Catalogue, processes: Known) -> Self {
        self.catalogue = Some(catalogue);
        self.processes = processes;
        self
    }

    /// What apps go by; without a catalogue anything may be one.
    pub fn names(&self) -> Names<'a> {
        Names(self.catalogue)
    }

    /// The processes whose program is wanted; the others are counted as artefacts. See [`running`].
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn running(&mut self, mut wanted: impl FnMut(&Path) -> bool) -> Result<Vec<Process>, ProcessesError> {
        let running = running(&mut self.processes, &mut wanted)?;
        self.passed_over += running.others;
        Ok(running.processes)
    }

    /// How many artefacts were not told because no app goes by them.
    pub(in crate::scan) fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// What the next look at processes is made cheaper by.
    pub(in crate::scan) fn take_processes(&mut self) -> Known {
        std::mem::take(&mut self.processes)
    }
}
