//! What is known of a device: what it says of itself, and what the organisation says of it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::UnitId;
use crate::label::Label;

/// Operating system family of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Android.
    Android,
    /// iOS and iPadOS.
    Ios,
    /// Linux on a computer.
    Linux,
    /// macOS.
    Macos,
    /// Windows.
    Windows,
}

impl Platform {
    /// All platforms, in the order of their names.
    pub const ALL: [Self; 5] = [Self::Android, Self::Ios, Self::Linux, Self::Macos, Self::Windows];

    /// The name used in policies, reports and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Android => "android",
            Self::Ios => "ios",
            Self::Linux => "linux",
            Self::Macos => "macos",
            Self::Windows => "windows",
        }
    }
}

/// Who owns a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ownership {
    /// The organisation.
    #[default]
    Corporate,
    /// The person who uses it.
    Personal,
}

impl Ownership {
    /// All kinds of ownership, in the order of their names.
    pub const ALL: [Self; 2] = [Self::Corporate, Self::Personal];

    /// The name used in policies, reports and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Corporate => "corporate",
            Self::Personal => "personal",
        }
    }
}

/// A word that is none of those expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {noun} {text:?}: expected one of {expected}")]
pub struct UnknownWord {
    noun: &'static str,
    text: String,
    expected: String,
}

impl UnknownWord {
    pub(crate) fn new(noun: &'static str, text: &str, expected: &[&str]) -> Self {
        Self { noun, text: text.chars().take(80).collect(), expected: expected.join(", ") }
    }
}

impl FromStr for Platform {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.as_str() == text)
            .ok_or_else(|| UnknownWord::new("platform", text, &Self::ALL.map(Self::as_str)))
    }
}

impl FromStr for Ownership {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|ownership| ownership.as_str() == text)
            .ok_or_else(|| UnknownWord::new("ownership", text, &Self::ALL.map(Self::as_str)))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a device says of itself at enrolment and in every report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// Host name, as the system gives it.
    pub hostname: String,
    /// Operating system family.
    pub platform: Platform,
    /// Name and version of the operating system for people, e.g. `Debian GNU/Linux 12 (bookworm)`.
    pub os: String,
    /// Processor architecture, e.g. `x86_64`.
    pub arch: String,
    /// Hash of the machine id, keyed for this product; tells copies of one disk image apart from
    /// the original. Empty if the system has no machine id.
    pub machine: String,
}

/// What the organisation says of a device; rules are scoped by it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Placement {
    /// Who owns the device.
    pub ownership: Ownership,
    /// The unit it belongs to and that unit's ancestors, the nearest first. Empty: in no unit.
    #[serde(default)]
    pub units: Vec<UnitId>,
    /// The labels that it carries. They stay with the collector: see [`crate::policy::Policy::as_sent_to`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub labels: BTreeSet<Label>,
}
