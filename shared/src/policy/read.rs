//! Walking a TOML document with positions, and collecting every problem instead of the first.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Level, Problem, TOLD_MAX, position};
use crate::nearest::nearest;

/// Most elements of a list.
const LIST_MAX: usize = 1_000;

/// Collects problems with their positions in one text.
pub(super) struct Report<'a> {
    text: &'a str,
    pub(super) problems: Vec<Problem>,
    /// Errors and warnings, told or not.
    found: [usize; 2],
}

impl<'a> Report<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, problems: Vec::new(), found: [0; 2] }
    }

    /// Whether there is an error.
    pub(super) fn failed(&self) -> bool {
        self.found[0] > 0
    }

    /// Whether more errors are not told: what is said of them need not be found out.
    pub(super) fn full(&self) -> bool {
        self.found[0] >= TOLD_MAX
    }

    /// Everything that is told, in the order of the text, and at the end how much is not.
    pub(super) fn told(mut self) -> Vec<Problem> {
        self.problems.sort();
        let (line, column) = self.problems.last().map_or((1, 1), |last| (last.line, last.column));
        for (level, found, what) in
            [(Level::Error, self.found[0], "errors"), (Level::Warning, self.found[1], "warnings")]
        {
            if let Some(more @ 1..) = found.checked_sub(TOLD_MAX) {
                let message = format!("{more} more {what} are not told: put these right first");
                self.problems.push(Problem { line, column, level, key: String::new(), message });
            }
        }
        self.problems
    }

    pub(super) fn error(&mut self, at: Range<usize>, key: impl Into<String>, message: impl Display) {
        self.push(Level::Error, at, key.into(), message.to_string());
    }

    pub(super) fn warning(&mut self, at: Range<usize>, key: impl Into<String>, message: impl Display) {
        self.push(Level::Warning, at, key.into(), message.to_string());
    }

    fn push(&mut self, level: Level, at: Range<usize>, key: String, message: String) {
        let found = match level {
            Level::Error => &mut self.found[0],
            Level::Warning => &mut self.found[1],
        };
        *found += 1;
        if *found > TOLD_MAX {
            return;
        }
        let (line, column) = position(self.text, at.start);
        self.problems.push(Problem { line, column, level, key, message });
    }
}

/// A value with where it stands.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// A table under a name, whose keys are taken one by one; what is left over is unknown.
pub(super) struct Keys<'t, 'i> {
    table: &'t DeTable<'i>,
    /// Where the table stands.
    pub(super) at: Range<usize>,
    /// `rule[2].` or empty.
    prefix: String,
    known: Vec<&'static str>,
}

impl<'t, 'i> Keys<'t, 'i> {
    pub(super) fn new(table: &'t DeTable<'i>, at: Range<usize>, prefix: impl Into<String>) -> Self {
        Self { table, at, prefix: prefix.into(), known: Vec::new() }
    }

    /// The full name of a key.
    pub(super) fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The value of an optional key.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'t Value<'i>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.iter().find(|(name, _)| name.get_ref().as_ref() == key).map(|(_, value)| value)
    }

    /// A text, or `None` with a problem if it is something else.
    pub(super) fn text(&mut self, report: &mut Report<'_>, key: &'static str) -> Option<Spanned<String>> {
        let value = self.take(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Spanned::new(value.span(), text.to_string())),
            other => {
                let found = describe(other);
                report.error(value.span(), self.name(key), format!("expected a text, found {found}"));
                None
            }
        }
    }

    /// A text that reads as something.
    pub(super) fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        report: &mut Report<'_>,
        key: &'static str,
    ) -> Option<Spanned<T>> {
        let text = self.text(report, key)?;
        match text.get_ref().parse() {
            Ok(value) => Some(Spanned::new(text.span(), value)),
            Err(error) => {
                report.error(text.span(), self.name(key), error);
                None
            }
        }
    }

    /// One word out of several.
    pub(super) fn word<T: Copy>(
        &mut self,
        report: &mut Report<'_>,
        key: &'static str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let text = self.text(report, key)?;
        choose(report, &self.name(key), &text, all, name)
    }

    /// True or false.
    pub(super) fn boolean(&mut self, report: &mut Report<'_>, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        match value.get_ref() {
            DeValue::Boolean(boolean) => Some(*boolean),
            other => {
                let found = describe(other);
                report.error(value.span(), self.name(key), format!("expected true or false, found {found}"));
                None
            }
        }
    }

    /// A whole number from the first bound to the second.
    pub(super) fn number(
        &mut self,
        report: &mut Report<'_>,
        key: &'static str,
        [least, most]: [u32; 2],
    ) -> Option<u32> {
        let value = self.take(key)?;
        let DeValue::Integer(integer) = value.get_ref() else {
            let found = describe(value.get_ref());
            report.error(value.span(), self.name(key), format!("expected a number, found {found}"));
            return None;
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let message = format!("must be from {least} to {most}, is {}", integer.as_str());
            report.error(value.span(), self.name(key), message);
        }
        number
    }

    /// The texts of a list; a problem for each element that is something else.
    pub(super) fn texts(&mut self, report: &mut Report<'_>, key: &'static str) -> Vec<Spanned<String>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let DeValue::Array(list) = value.get_ref() else {
            let found = describe(value.get_ref());
            report.error(value.span(), self.name(key), format!("expected a list of texts, found {found}"));
            return Vec::new();
        };
        if list.is_empty() {
            report.error(value.span(), self.name(key), "the list is empty: leave the key out instead");
        }
        if list.len() > LIST_MAX {
            let message = format!("expected at most {LIST_MAX} elements, found {}", list.len());
            report.error(value.span(), self.name(key), message);
        }
        let mut texts: Vec<Spanned<String>> = Vec::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for element in list.iter().take(LIST_MAX) {
            match element.get_ref() {
                DeValue::String(text) if !seen.insert(text) => {
                    report.error(element.span(), self.name(key), format!("{text:?} is there twice"));
                }
                DeValue::String(text) => texts.push(Spanned::new(element.span(), text.to_string())),
                other => {
                    let found = describe(other);
                    report.error(element.span(), self.name(key), format!("expected a text, found {found}"));
                }
            }
        }
        texts
    }

    /// A list of words, each out of several.
    pub(super) fn words<T: Copy>(
        &mut self,
        report: &mut Report<'_>,
        key: &'static str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Vec<T> {
        let texts = self.texts(report, key);
        let full = self.name(key);
        texts.iter().filter_map(|text| choose(report, &full, text, all, &name)).collect()
    }

    /// A list of identifiers.
    pub(super) fn list<T: FromStr<Err: Display>>(
        &mut self,
        report: &mut Report<'_>,
        key: &'static str,
    ) -> Vec<Spanned<T>> {
        let texts = self.texts(report, key);
        let full = self.name(key);
        let mut values = Vec::new();
        for text in texts {
            match text.get_ref().parse() {
                Ok(value) => values.push(Spanned::new(text.span(), value)),
                Err(error) => report.error(text.span(), &full, error),
            }
        }
        values
    }

    /// The tables of a list of tables, `[[key]]`.
    pub(super) fn tables(&mut self, report: &mut Report<'_>, key: &'static str) -> Vec<Keys<'t, 'i>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let DeValue::Array(list) = value.get_ref() else {
            let found = describe(value.get_ref());
            let message = format!("expected tables written as [[{key}]], found {found}");
            report.error(value.span(), self.name(key), message);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, element) in list.iter().enumerate() {
            let name = format!("{}{key}[{}]", self.prefix, index + 1);
            match element.get_ref() {
                DeValue::Table(table) => tables.push(Keys::new(table, element.span(), format!("{name}."))),
                other => {
                    report.error(
                        element.span(),
                        name,
                        format!("expected a table, found {}", describe(other)),
                    );
                }
            }
        }
        tables
    }

    /// A table.
    pub(super) fn table(&mut self, report: &mut Report<'_>, key: &'static str) -> Option<Keys<'t, 'i>> {
        let value = self.take(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Keys::new(table, value.span(), format!("{}.", self.name(key)))),
            other => {
                let found = describe(other);
                report.error(value.span(), self.name(key), format!("expected a table, found {found}"));
                None
            }
        }
    }

    /// Reports every key that nobody took.
    pub(super) fn finish(&self, report: &mut Report<'_>) {
        for (name, _) in self.table.iter() {
            let key = name.get_ref().as_ref();
            if !self.known.contains(&key) {
                if report.full() {
                    report.error(name.span(), self.name(key), "unknown key");
                    continue;
                }
                let expected = self.known.join(", ");
                let hint = nearest(key, self.known.iter().copied())
                    .map_or(format!("expected one of {expected}"), |near| format!("did you mean {near:?}?"));
                report.error(name.span(), self.name(key), format!("unknown key; {hint}"));
            }
        }
    }
}

fn choose<T: Copy>(
    report: &mut Report<'_>,
    key: &str,
    text: &Spanned<String>,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Option<T> {
    let found = all.iter().copied().find(|value| name(*value) == text.get_ref());
    if found.is_none() {
        let expected: Vec<&str> = all.iter().map(|value| name(*value)).collect();
        let message = format!("expected one of {}, found {:?}", expected.join(", "), text.get_ref());
        report.error(text.span(), key, message);
    }
    found
}

/// A TOML value for people.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {text:?}"),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(boolean) => format!("{boolean}"),
        DeValue::Datetime(datetime) => format!("the date {datetime}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
