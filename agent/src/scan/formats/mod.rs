//! Formats that others define: pure parsers, from bytes to facts.
//!
//! None of them opens a file, knows a place or an app. All of them take any bytes without a panic, without
//! endless work and with memory that is bounded by the input: what they read is written by users, and by
//! whoever wants to mislead the agent. Each has property tests here and a fuzz target in `agent/fuzz`.

pub mod android_packages;
pub mod apk_installed;
pub mod appstream;
pub mod asar;
pub mod electron;
pub mod nix;
pub mod pacman_desc;
mod pages;
pub mod regf;
pub mod registry_value;
pub mod rpm_bdb;
pub mod rpm_header;
pub mod rpm_ndb;
pub mod shell_link;
pub mod sqlite;
pub mod sqlite_wal;
pub mod stanzas;
pub mod wine_reg;
