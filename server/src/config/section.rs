//! Taking settings out of a section one by one, as what they are to be; what is left over is unknown.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use offchannel_shared::span::Span;

use super::layers::{self, Raw, Section, Setting};
use super::problem::{Origin, Problem};

impl Section {
    /// Notes a problem with a key.
    pub(super) fn problem(&self, problems: &mut Vec<Problem>, key: &str, at: &Origin, message: impl Display) {
        let key = format!("{}{key}", self.prefix);
        problems.push(Problem { origin: at.clone(), key, message: message.to_string() });
    }

    /// Takes a setting as it was given.
    pub(super) fn take(&mut self, key: &str) -> Option<Setting> {
        self.settings.remove(key)
    }

    /// Takes a text, with where it was given.
    pub(super) fn text(&mut self, problems: &mut Vec<Problem>, key: &str) -> Option<(String, Origin)> {
        let Setting { raw, origin } = self.take(key)?;
        match raw {
            Raw::Text(text) => Some((text, origin)),
            other @ (Raw::Integer(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Other(_)) => {
                self.problem(problems, key, &origin, format!("expected a text, found {}", describe(&other)));
                None
            }
        }
    }

    /// Takes a text that reads as something.
    pub(super) fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        problems: &mut Vec<Problem>,
        key: &str,
    ) -> Option<T> {
        let (text, origin) = self.text(problems, key)?;
        text.trim().parse().map_err(|error| self.problem(problems, key, &origin, error)).ok()
    }

    /// Takes a path; a relative one in a file starts at the folder of that file.
    pub(super) fn path(&mut self, problems: &mut Vec<Problem>, key: &str) -> Option<PathBuf> {
        let (text, origin) = self.text(problems, key)?;
        if text.is_empty() {
            self.problem(problems, key, &origin, "expected a path, found an empty text");
            return None;
        }
        Some(layers::path(&text, &origin))
    }

    /// Takes a whole number within bounds.
    pub(super) fn whole(
        &mut self,
        problems: &mut Vec<Problem>,
        key: &str,
        least: u32,
        most: u32,
    ) -> Option<u32> {
        let Setting { raw, origin } = self.take(key)?;
        let number = match &raw {
            Raw::Integer(number) => u32::try_from(*number).ok(),
            // The environment and flags know texts only.
            Raw::Text(text) if !matches!(origin, Origin::File { .. }) => text.trim().parse().ok(),
            Raw::Text(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Other(_) => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let found = describe(&raw);
            let message = format!("expected a whole number from {least} to {most}, found {found}");
            self.problem(problems, key, &origin, message);
        }
        number
    }

    /// Takes true or false.
    pub(super) fn boolean(&mut self, problems: &mut Vec<Problem>, key: &str) -> Option<bool> {
        let Setting { raw, origin } = self.take(key)?;
        match &raw {
            Raw::Boolean(boolean) => return Some(*boolean),
            // The environment and flags know texts only.
            Raw::Text(text) if !matches!(origin, Origin::File { .. }) => match text.trim() {
                "true" => return Some(true),
                "false" => return Some(false),
                _ => {}
            },
            Raw::Text(_) | Raw::Integer(_) | Raw::List(_) | Raw::Other(_) => {}
        }
        self.problem(problems, key, &origin, format!("expected true or false, found {}", describe(&raw)));
        None
    }

    /// Takes a span of time within bounds.
    pub(super) fn span(
        &mut self,
        problems: &mut Vec<Problem>,
        key: &str,
        least: Span,
        most: Span,
    ) -> Option<Duration> {
        let (text, origin) = self.text(problems, key)?;
        match text.trim().parse::<Span>() {
            Ok(span) if (least..=most).contains(&span) => Some(span.as_duration()),
            Ok(span) => {
                self.problem(problems, key, &origin, format!("expected {least} to {most}, found {span}"));
                None
            }
            Err(error) => {
                self.problem(problems, key, &origin, error);
                None
            }
        }
    }

    /// Takes one word out of several.
    pub(super) fn word<T: Copy>(
        &mut self,
        problems: &mut Vec<Problem>,
        key: &str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let (text, origin) = self.text(problems, key)?;
        let word = all.iter().copied().find(|word| name(*word) == text);
        if word.is_none() {
            let names: Vec<&str> = all.iter().copied().map(&name).collect();
            let message = format!("expected one of {}, found {text:?}", names.join(", "));
            self.problem(problems, key, &origin, message);
        }
        word
    }

    /// What nobody has taken is unknown.
    pub(super) fn warn_of_the_rest(&self, warnings: &mut Vec<Problem>) {
        for (key, setting) in &self.settings {
            self.problem(warnings, key, &setting.origin, "there is no such key; it is ignored");
        }
    }
}

/// A value for people.
pub(super) fn describe(raw: &Raw) -> String {
    match raw {
        Raw::Text(text) => format!("{text:?}"),
        Raw::Integer(number) => number.to_string(),
        Raw::Boolean(boolean) => boolean.to_string(),
        Raw::List(_) => "a list".to_owned(),
        Raw::Other(word) => (*word).to_owned(),
    }
}
