//! What there is where a policy is to be used: a rule for a unit that nobody made is about nobody.

use std::collections::BTreeSet;
use std::fmt::Display;

use jiff::Timestamp;
use toml::Spanned;

use super::read::Report;
use crate::ids::UnitId;
use crate::label::Label;
use crate::nearest::nearest;

/// Most problems of a policy beside which it is still told what was probably meant: each guess compares with all there are.
const GUESSES_MAX: usize = 50;

/// The units and labels of an organisation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Its units.
    pub units: BTreeSet<UnitId>,
    /// The labels that its devices, tokens and units have.
    pub labels: BTreeSet<Label>,
}

/// When and where somebody wants to use a policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion<'a> {
    pub(super) now: Timestamp,
    /// What there is, if it is known.
    pub(super) known: Option<&'a Known>,
}

impl Known {
    /// Warns of units that are not there. They may come later, so this is no error.
    pub(super) fn warn_of_units(&self, report: &mut Report<'_>, key: &str, units: &[Spanned<UnitId>]) {
        warn(report, key, "there is no unit", units, &self.units, UnitId::as_str);
    }

    /// Warns of labels that nothing has.
    pub(super) fn warn_of_labels(&self, report: &mut Report<'_>, key: &str, labels: &[Spanned<Label>]) {
        warn(report, key, "no device, token or unit has the label", labels, &self.labels, Label::as_str);
    }
}

fn warn<T: Ord + Display>(
    report: &mut Report<'_>,
    key: &str,
    what: &str,
    named: &[Spanned<T>],
    known: &BTreeSet<T>,
    name: fn(&T) -> &str,
) {
    for one in named.iter().filter(|one| !known.contains(one.get_ref())) {
        let wrong = name(one.get_ref());
        let near =
            if report.problems.len() < GUESSES_MAX { nearest(wrong, known.iter().map(name)) } else { None };
        let hint = near.map_or(String::new(), |near| format!("; did you mean {near:?}?"));
        report.warning(one.span(), key, format!("{what} {wrong:?}{hint}"));
    }
}
